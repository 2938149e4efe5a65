//! The run's side of a tap: a client of the socket is sent the rows of a port.
//!
//! In: wishes on a socket, batches from the run's threads on bounded channels. Out: rows as lines. All of it happens on threads
//! of its own; what they are too slow for is counted and let go.

use std::io::{self, BufRead, BufReader, ErrorKind, Read, Write};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed};
use std::time::{Duration, Instant};

use arrow::array::RecordBatch;
use arrow::json::LineDelimitedWriter;
use headwater_contract::Label;
use headwater_runtime::plan::{Plan, PortRef};
use headwater_runtime::watch::Watch;
use headwater_vault::{AuditAction, AuditLog, KeyFile, real_disk};
use serde_json::Value;

use super::message::{TapMessage, Wish};
use super::socket;
use crate::site::Settings;
use crate::store::render::in_offsets;

/// Batches that wait for one who looks.
const BEHIND: usize = 64;
/// The greatest number of clients at once.
const MOST: usize = 8;
const POLL_INTERVAL: Duration = Duration::from_millis(100);
/// The time that a client may take to ask, or to take a line.
const PATIENCE: Duration = Duration::from_secs(5);
/// The longest wish.
const WISH_BYTES: u64 = 4096;
/// Rows that are written at once.
const ROWS: usize = 64;

/// The state that all clients of a run share.
struct Run {
    plan: Arc<Plan>,
    watch: Arc<Watch>,
    settings: Settings,
    processes: usize,
    over: AtomicBool,
    guests: AtomicUsize,
}

/// A run that can be looked at, until it is dropped.
pub(crate) struct Serving {
    run: Arc<Run>,
    path: PathBuf,
}

impl Serving {
    /// Lets a run be looked at.
    ///
    /// # Errors
    /// There is no socket: the run goes on without.
    pub(crate) fn begin(
        plan: &Arc<Plan>,
        settings: &Settings,
        watch: &Arc<Watch>,
        processes: usize,
    ) -> io::Result<Self> {
        let state = settings.site(&plan.name).state;
        let listener = socket::listen(&state)?;
        listener.set_nonblocking(true)?;
        let run = Arc::new(Run {
            plan: plan.clone(),
            watch: watch.clone(),
            settings: settings.clone(),
            processes,
            over: AtomicBool::new(false),
            guests: AtomicUsize::new(0),
        });
        let of_thread = run.clone();
        std::thread::Builder::new().name("hw-tap".into()).spawn(move || receive(&listener, &of_thread))?;
        Ok(Serving { run, path: socket::path(&state) })
    }
}

impl Drop for Serving {
    fn drop(&mut self) {
        self.run.over.store(true, Relaxed);
        // A socket that stays disturbs no run.
        let _ = std::fs::remove_file(&self.path);
    }
}

fn receive(listener: &UnixListener, run: &Arc<Run>) {
    while !run.over.load(Relaxed) {
        match listener.accept() {
            Ok((guest, _)) => welcome(guest, run),
            Err(error) if error.kind() == ErrorKind::WouldBlock => std::thread::sleep(POLL_INTERVAL),
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => {
                tracing::warn!(%error, "the run can no longer be looked at");
                return;
            }
        }
    }
}

fn welcome(guest: UnixStream, run: &Arc<Run>) {
    if run.guests.fetch_add(1, Relaxed) >= MOST {
        run.guests.fetch_sub(1, Relaxed);
        let _ =
            (&guest).write_all(TapMessage::Refused(format!("{MOST} others look already")).line().as_bytes());
        return;
    }
    let of_thread = run.clone();
    let spawned = std::thread::Builder::new().name("hw-tap-guest".into()).spawn(move || {
        // A client that leaves ends it like one that has seen enough.
        let _ = attend(&guest, &of_thread);
        of_thread.guests.fetch_sub(1, Relaxed);
    });
    if spawned.is_err() {
        run.guests.fetch_sub(1, Relaxed);
    }
}

fn attend(guest: &UnixStream, run: &Run) -> io::Result<()> {
    guest.set_nonblocking(false)?;
    guest.set_read_timeout(Some(PATIENCE))?;
    guest.set_write_timeout(Some(PATIENCE))?;
    let mut line = String::new();
    BufReader::new(guest.take(WISH_BYTES)).read_line(&mut line)?;
    let granted = Wish::read(&line).and_then(|wish| grant(&wish, run).map(|port| (wish, port)));
    let (wish, port) = match granted {
        Ok(granted) => granted,
        Err(why) => return send(guest, &TapMessage::Refused(why)),
    };
    let label = run.plan.rows_of(port).map_or(Label::Raw, |(_, label)| label);
    // Before it is said that rows follow: none that follows is missed.
    let watching = run.watch.begin(port, BEHIND);
    send(
        guest,
        &TapMessage::Begun {
            port: run.plan.full_name(port),
            label: label.name().into(),
            processes: run.processes,
        },
    )?;
    let mut flow = Flow::of(&wish);
    while !run.over.load(Relaxed) {
        let Ok(batch) = watching.next(POLL_INTERVAL) else { return Ok(()) };
        match batch {
            Some(batch) => show(guest, &batch, &mut flow)?,
            // Writing shows whether the client still reads.
            None => flow.passed_over += watching.dropped(),
        }
        flow.passed_over += watching.dropped();
        if let Some(rows) = flow.untold() {
            send(guest, &TapMessage::PassedOver(rows))?;
        }
        if is_gone(guest)? {
            return Ok(());
        }
    }
    Ok(())
}

/// Returns true if the one who looked has closed its end.
fn is_gone(guest: &UnixStream) -> io::Result<bool> {
    guest.set_nonblocking(true)?;
    let read = (&*guest).read(&mut [0; 1]);
    guest.set_nonblocking(false)?;
    match read {
        Ok(read) => Ok(read == 0),
        Err(error) if error.kind() == ErrorKind::WouldBlock => Ok(false),
        Err(error) => Err(error),
    }
}

/// The port, if it may be looked at; raw rows only when that is said and written down.
fn grant(wish: &Wish, run: &Run) -> Result<PortRef, String> {
    let Some(port) = run.plan.port(&wish.port) else {
        let outputs = run
            .plan
            .stages
            .iter()
            .flat_map(|stage| stage.outputs.iter().map(|output| format!("{}.{}", stage.id, output.name)));
        let names: Vec<String> = outputs.collect();
        return Err(format!(
            "the pipeline has no port `{}`; expected {}, or a stage's `rejected`",
            wish.port,
            names.join(", ")
        ));
    };
    let label = run.plan.rows_of(port).map_or(Label::Raw, |(_, label)| label);
    if label != Label::Raw {
        return Ok(port);
    }
    let name = run.plan.full_name(port);
    if !wish.raw {
        return Err(format!(
            "the rows of `{name}` are raw; --raw shows them all the same, and writes it down in the audit log"
        ));
    }
    let key = KeyFile::at(&run.settings.key_file);
    let facts = [("pipeline", run.plan.name.as_str().into()), ("tap", name.into())];
    let written = key.read_or_create().and_then(|_| {
        AuditLog::at(&run.settings.state, &key, real_disk()).record(AuditAction::LabelException, &facts)
    });
    written.map(|()| port).map_err(|error| format!("the audit log: {error}"))
}

fn send(guest: &UnixStream, reported: &TapMessage) -> io::Result<()> {
    (&*guest).write_all(reported.line().as_bytes())
}

fn show(guest: &UnixStream, batch: &RecordBatch, flow: &mut Flow) -> io::Result<()> {
    let mut at = 0;
    while at < batch.num_rows() {
        let count = ROWS.min(batch.num_rows() - at);
        let wanted: Vec<usize> = (at..at + count).filter(|_| flow.takes()).collect();
        for row in wanted {
            for line in lines(&batch.slice(row, 1))? {
                send(guest, &TapMessage::Row(line))?;
            }
        }
        at += count;
    }
    Ok(())
}

fn lines(batch: &RecordBatch) -> io::Result<Vec<serde_json::Map<String, Value>>> {
    let mut bytes = Vec::new();
    let mut write = || {
        let mut writer = LineDelimitedWriter::new(&mut bytes);
        writer.write(&in_offsets(batch)?)?;
        writer.finish()
    };
    write().map_err(io::Error::other)?;
    let text = String::from_utf8_lossy(&bytes);
    text.lines().map(|line| serde_json::from_str(line).map_err(io::Error::other)).collect()
}

/// Which rows are sent: every n-th, and so many a second.
struct Flow {
    sample: u64,
    rate: u64,
    seen: u64,
    second: Instant,
    sent: u64,
    passed_over: u64,
    reported: Instant,
}

impl Flow {
    fn of(wish: &Wish) -> Self {
        let now = Instant::now();
        Flow {
            sample: wish.sample,
            rate: wish.rate,
            seen: 0,
            second: now,
            sent: 0,
            passed_over: 0,
            reported: now,
        }
    }

    /// Returns true if the next row is sent. One that the sample skips is not missed.
    fn takes(&mut self) -> bool {
        self.seen += 1;
        if !(self.seen - 1).is_multiple_of(self.sample) {
            return false;
        }
        if self.second.elapsed() >= Duration::from_secs(1) {
            (self.second, self.sent) = (Instant::now(), 0);
        }
        let room = self.sent < self.rate;
        self.sent += u64::from(room);
        self.passed_over += u64::from(!room);
        room
    }

    /// Returns the number of rows that were passed over since it was last reported, at most once a second.
    fn untold(&mut self) -> Option<u64> {
        if self.passed_over == 0 || self.reported.elapsed() < Duration::from_secs(1) {
            return None;
        }
        self.reported = Instant::now();
        Some(std::mem::take(&mut self.passed_over))
    }
}
