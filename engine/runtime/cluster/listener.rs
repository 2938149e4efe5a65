//! The listener of a process: each caller is served on a thread of its own, within a time, and only so many at once.
//!
//! In: connections from anywhere. Out: those that belong to the cluster; of all others a line in the log. The listener is closed
//! once the cluster is complete. It must not know what the connections are for.

use std::collections::HashMap;
use std::io;
use std::net::TcpListener;
use std::os::unix::fs::FileTypeExt;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, Sender, unbounded};

use super::hello::{self, Local, Refusal};
use super::hosts::Address;
use super::message::Purpose;
use super::stream::{Deadline, Wire};

/// The time that a caller has up to the end of its hello: a slow one must not hold a place for ever.
pub(super) const PATIENCE: Duration = Duration::from_secs(5);
/// Callers that are served at a time; others wait in the system's queue. A bound on threads, above the size of usual clusters.
const AT_ONCE: usize = 16;
/// The poll interval of the listener, which does not block so that it can be closed.
const POLL_INTERVAL: Duration = Duration::from_millis(10);

/// Between two lines in the log about callers of one address who are refused for one reason.
const AGAIN: Duration = Duration::from_secs(10);
/// Addresses and reasons that are remembered for it: a bound on memory.
const REMEMBERED: usize = 64;

/// Refused callers with reason and the time of the log line: a caller that tries again at once does not flood the log.
#[derive(Default)]
struct Refusals(Mutex<HashMap<(String, String), Instant>>);

impl Refusals {
    fn log(&self, from: &str, why: &str) {
        // A caller has another port each time, and another pid where it was started again.
        let host = from.rsplit_once(':').map_or("", |(host, _)| host);
        let mut logged = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        logged.retain(|_, when| when.elapsed() < AGAIN);
        let key = (host.to_owned(), why.to_owned());
        if logged.len() < REMEMBERED && !logged.contains_key(&key) {
            logged.insert(key, Instant::now());
            tracing::warn!(from, why, "refused a connection");
        }
    }
}

/// An accepted caller.
pub(super) enum Arrival {
    Came(Purpose, usize, Wire),
    /// A process of the cluster that would run something else.
    Differs(String),
}

enum ListenSocket {
    Tcp(TcpListener),
    Unix(UnixListener, PathBuf),
}

/// An open listener; dropping it closes it.
pub(super) struct Listener {
    pub(super) arrivals: Receiver<Arrival>,
    closed: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Listener {
    /// Opens the listener of this process.
    pub(super) fn open(local: &Arc<Local>) -> Result<Self, String> {
        let host = local.hosts.processes.get(local.index).ok_or("no such process")?;
        let socket = ListenSocket::bind(&host.address)
            .map_err(|e| format!("cannot listen at {}: {e}", host.address))?;
        let (sender, arrivals) = unbounded();
        let closed = Arc::new(AtomicBool::new(false));
        let (local, until) = (local.clone(), closed.clone());
        let thread = std::thread::Builder::new()
            .name("hw-listener".into())
            .spawn(move || attend(&socket, &local, &sender, &until))
            .map_err(|e| format!("no thread: {e}"))?;
        Ok(Listener { arrivals, closed, thread: Some(thread) })
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        self.closed.store(true, SeqCst);
        if let Some(thread) = self.thread.take() {
            // A listener whose thread died is closed too.
            let _ = thread.join();
        }
    }
}

impl ListenSocket {
    fn bind(address: &Address) -> io::Result<Self> {
        let socket = match address {
            Address::Tcp(address) => ListenSocket::Tcp(TcpListener::bind(address)?),
            Address::Unix(path) => {
                if is_stale_socket(path)? {
                    std::fs::remove_file(path)?;
                }
                ListenSocket::Unix(UnixListener::bind(path)?, path.clone())
            }
        };
        match &socket {
            ListenSocket::Tcp(tcp) => tcp.set_nonblocking(true)?,
            ListenSocket::Unix(unix, _) => unix.set_nonblocking(true)?,
        }
        Ok(socket)
    }

    fn accept(&self) -> io::Result<(Fresh, String)> {
        match self {
            ListenSocket::Tcp(tcp) => {
                tcp.accept().map(|(stream, from)| (Fresh::Tcp(stream), from.to_string()))
            }
            ListenSocket::Unix(unix, _) => {
                let (stream, _) = unix.accept()?;
                let who = rustix::net::sockopt::socket_peercred(&stream)?;
                let pid = who.pid.as_raw_nonzero();
                Ok((Fresh::Unix(stream, who.uid), format!("the program with the pid {pid}")))
            }
        }
    }
}

/// Returns true if a stale socket lies there, at which no process listens.
///
/// # Errors
/// Another file lies there, which must not be removed.
pub(super) fn is_stale_socket(path: &Path) -> io::Result<bool> {
    match path.symlink_metadata() {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(error),
        Ok(found) if !found.file_type().is_socket() => {
            Err(io::Error::new(io::ErrorKind::AlreadyExists, "a file that is not a socket is there"))
        }
        Ok(_) => {
            let called = UnixStream::connect(path);
            Ok(called.is_err_and(|error| error.kind() == io::ErrorKind::ConnectionRefused))
        }
    }
}

impl Drop for ListenSocket {
    fn drop(&mut self) {
        if let ListenSocket::Unix(_, path) = self {
            // It may have been removed with its folder.
            let _ = std::fs::remove_file(path);
        }
    }
}

/// A connection of which nothing is known yet.
enum Fresh {
    Tcp(std::net::TcpStream),
    Unix(UnixStream, rustix::process::Uid),
}

fn attend(socket: &ListenSocket, local: &Arc<Local>, arrivals: &Sender<Arrival>, closed: &AtomicBool) {
    let heard = Arc::new(AtomicUsize::new(0));
    let refusals = Arc::new(Refusals::default());
    while !closed.load(SeqCst) {
        if heard.load(SeqCst) >= AT_ONCE {
            std::thread::sleep(POLL_INTERVAL);
            continue;
        }
        let Ok((fresh, from)) = socket.accept() else {
            std::thread::sleep(POLL_INTERVAL);
            continue;
        };
        heard.fetch_add(1, SeqCst);
        let (local, arrivals, of_thread) = (local.clone(), arrivals.clone(), heard.clone());
        let refusals = refusals.clone();
        let thread = std::thread::Builder::new().name("hw-hello".into()).spawn(move || {
            hear(fresh, &from, &local, &arrivals, &refusals);
            of_thread.fetch_sub(1, SeqCst);
        });
        if thread.is_err() {
            heard.fetch_sub(1, SeqCst);
        }
    }
}

fn hear(fresh: Fresh, from: &str, local: &Local, arrivals: &Sender<Arrival>, refusals: &Refusals) {
    let deadline = Deadline::after(PATIENCE);
    let refused = |why: &str| refusals.log(from, why);
    let mut wire = match secure(fresh, local, deadline) {
        Ok(wire) => wire,
        Err(why) => return refused(&why),
    };
    let arrival = match hello::receive(&mut wire, local, deadline) {
        Ok((purpose, index)) => Arrival::Came(purpose, index, wire),
        Err(Refusal::Early(_)) => return,
        Err(Refusal::Stranger(why)) => return refused(&why),
        Err(Refusal::Differs(why)) => Arrival::Differs(why),
    };
    // The listener may be closed by now: then no process waits.
    let _ = arrivals.send(arrival);
}

/// TLS, or the user of the other end.
fn secure(fresh: Fresh, local: &Local, deadline: Deadline) -> Result<Wire, String> {
    match fresh {
        Fresh::Tcp(tcp) => {
            tcp.set_nonblocking(false).and_then(|()| tcp.set_nodelay(true)).map_err(|e| e.to_string())?;
            let tls = local.tls.as_ref().ok_or("this process has no certificate")?;
            Ok(Wire::Tls(Box::new(tls.answer(tcp, deadline)?)))
        }
        Fresh::Unix(stream, user) => {
            stream.set_nonblocking(false).map_err(|e| e.to_string())?;
            if user != rustix::process::geteuid() {
                return Err("it belongs to another user".into());
            }
            Ok(Wire::Unix(stream))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_socket_that_nobody_listens_at_may_be_taken_away() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("door");
        assert!(!is_stale_socket(&path).unwrap(), "nothing is there");
        let listening = UnixListener::bind(&path).unwrap();
        assert!(!is_stale_socket(&path).unwrap(), "a process listens");
        drop(listening);
        assert!(is_stale_socket(&path).unwrap());
        std::fs::remove_file(&path).unwrap();
        std::fs::write(&path, "precious").unwrap();
        assert!(is_stale_socket(&path).is_err());
        assert!(ListenSocket::bind(&Address::Unix(path.clone())).is_err());
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "precious");
    }
}
