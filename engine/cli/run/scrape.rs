//! The counters of a run as a page of Prometheus text, for `--metrics`.
//!
//! In: what the run counts. Out: the page, to clients over HTTP: on this machine alone, unless another address was given. It must
//! not know rows: names of stages and figures and their numbers are all there is to see.

use std::fmt::Write as _;
use std::io::{self, Read, Write};
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::{Duration, Instant};

use headwater_runtime::metrics::{Counts, Metrics, StageCounts};

use crate::log::PROGRESS;

/// The time limit of a client.
const PATIENCE: Duration = Duration::from_secs(2);
/// Bytes of a question that are read, at most.
const LONGEST: usize = 8 << 10;

/// The address that the command line means: `PORT` is a port of this machine alone.
///
/// # Errors
/// It is neither a port nor an address with one.
pub(crate) fn address(text: &str) -> Result<SocketAddr, String> {
    if let Ok(port) = text.parse::<u16>() {
        return Ok(SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), port));
    }
    text.parse().map_err(|_| "expected a port, or an address with a port: 127.0.0.1:9464".to_owned())
}

/// A page that can be asked for, until it is dropped.
pub(super) struct Scrape {
    address: SocketAddr,
    over: Arc<AtomicBool>,
}

impl Scrape {
    /// Answers on a thread of its own.
    ///
    /// # Errors
    /// The address is in use, or may not be listened at.
    pub(super) fn serve(address: SocketAddr, page: Page) -> io::Result<Self> {
        let listener = TcpListener::bind(address)?;
        let (address, over) = (listener.local_addr()?, Arc::<AtomicBool>::default());
        let ends = over.clone();
        let answering = move || {
            for caller in listener.incoming() {
                if ends.load(Relaxed) {
                    return;
                }
                // A client that leaves before the answer has missed it.
                let _ = caller.and_then(|caller| answer(caller, &page));
            }
        };
        std::thread::Builder::new().name("hw-metrics".into()).spawn(answering)?;
        tracing::info!(target: PROGRESS, "metrics at http://{address}/metrics");
        Ok(Scrape { address, over })
    }
}

impl Drop for Scrape {
    fn drop(&mut self) {
        self.over.store(true, Relaxed);
        // The thread waits for a caller: this is the last one.
        let _ = TcpStream::connect_timeout(&self.address, PATIENCE);
    }
}

fn answer(mut caller: TcpStream, page: &Page) -> io::Result<()> {
    caller.set_read_timeout(Some(PATIENCE))?;
    caller.set_write_timeout(Some(PATIENCE))?;
    let asked = question(&mut caller)?;
    let (status, body) = match asked.split_once(' ') {
        Some(("GET", rest)) => match rest.split([' ', '?']).next() {
            Some("/metrics") => ("200 OK", page.text()),
            _ => ("404 Not Found", "the page is /metrics\n".to_owned()),
        },
        _ => ("405 Method Not Allowed", "the page is read with GET\n".to_owned()),
    };
    let head = format!(
        "HTTP/1.1 {status}\r\nContent-Type: text/plain; version=0.0.4; charset=utf-8\r\n\
         Content-Length: {}\r\nConnection: close\r\n\r\n",
        body.len()
    );
    caller.write_all(head.as_bytes())?;
    caller.write_all(body.as_bytes())
}

/// The first line of a question; the rest up to its empty line is read, and not looked at.
fn question(caller: &mut TcpStream) -> io::Result<String> {
    let begun = Instant::now();
    let mut read = Vec::new();
    let mut piece = [0; 512];
    while read.len() < LONGEST
        && begun.elapsed() < PATIENCE
        && !read.windows(4).any(|four| four == b"\r\n\r\n")
    {
        match caller.read(&mut piece)? {
            0 => break,
            n => read.extend_from_slice(piece.get(..n).unwrap_or_default()),
        }
    }
    let line = read.split(|byte| *byte == b'\r').next().unwrap_or_default();
    Ok(String::from_utf8_lossy(line).into_owned())
}

/// The metrics of the page.
pub(super) struct Page {
    /// The pipeline's name.
    pub(super) pipeline: String,
    /// The stages' ids, in the order of the plan.
    pub(super) stages: Vec<String>,
    pub(super) metrics: Arc<Metrics>,
}

/// One number of every stage: its name, whether it only grows, what it means, and where it stands.
type OfStage = (&'static str, &'static str, &'static str, fn(&StageCounts) -> f64);
/// The same of the whole run.
type OfRun = (&'static str, &'static str, &'static str, fn(&Counts) -> f64);

const OF_STAGES: [OfStage; 6] = [
    ("rows_in_total", "counter", "Rows that came into a stage", |s| s.rows_in as f64),
    ("rows_out_total", "counter", "Rows that a stage gave", |s| s.rows_out as f64),
    ("rejected_total", "counter", "Rows that a stage rejected", |s| s.rejected as f64),
    ("busy_seconds_total", "counter", "CPU time of a stage, on all its threads", |s| s.cpu.as_secs_f64()),
    ("queued_rows", "gauge", "Rows that wait for a thread of a stage", |s| s.queued as f64),
    ("held_rows", "gauge", "Rows that a stage holds back for a later one", |s| s.held as f64),
];

const OF_RUN: [OfRun; 8] = [
    ("epochs_opened_total", "counter", "Epochs that were opened", |c| c.epochs_opened as f64),
    ("epochs_done_total", "counter", "Epochs that have taken effect everywhere", |c| c.epochs_done as f64),
    ("epochs_committed_total", "counter", "Epochs that a later run need not do again", |c| {
        c.epochs_committed as f64
    }),
    ("epochs_in_flight", "gauge", "Epochs that were opened and have not taken effect", |c| {
        c.epochs_opened.saturating_sub(c.epochs_done) as f64
    }),
    (
        "frontier_lag_seconds",
        "gauge",
        "How long the frontier has stood still, while epochs are in flight",
        |c| c.frontier_lag.as_secs_f64(),
    ),
    ("rounds_total", "counter", "Rounds that were ended", |c| c.rounds as f64),
    ("taken_in_bytes_total", "counter", "Bytes of rows that were taken in from sources", |c| c.bytes as f64),
    ("waits_for_room", "gauge", "Whether the intake waits for room on the disk", |c| {
        f64::from(u8::from(c.waits_for_disk_space))
    }),
];

impl Page {
    fn text(&self) -> String {
        let counts = self.metrics.snapshot();
        let pipeline = escaped(&self.pipeline);
        let mut text = String::new();
        head(&mut text, "build_info", "gauge", "The version of the program");
        line(&mut text, "build_info", &format!("version=\"{}\"", env!("CARGO_PKG_VERSION")), 1.0);
        for (name, kind, what, number) in OF_RUN {
            head(&mut text, name, kind, what);
            line(&mut text, name, &format!("pipeline=\"{pipeline}\""), number(&counts));
        }
        let stages = || self.stages.iter().map(|id| escaped(id)).zip(&counts.stages);
        for (name, kind, what, number) in OF_STAGES {
            let name = format!("stage_{name}");
            head(&mut text, &name, kind, what);
            for (stage, of) in stages() {
                line(&mut text, &name, &format!("pipeline=\"{pipeline}\",stage=\"{stage}\""), number(of));
            }
        }
        head(&mut text, "stage_figure_total", "counter", "What a stage counts of its own accord");
        for (stage, of) in stages() {
            for (figure, n) in &of.metrics {
                let labels =
                    format!("pipeline=\"{pipeline}\",stage=\"{stage}\",figure=\"{}\"", escaped(figure));
                line(&mut text, "stage_figure_total", &labels, *n as f64);
            }
        }
        text
    }
}

fn head(text: &mut String, name: &str, kind: &str, what: &str) {
    // Writing to a string cannot fail.
    let _ = writeln!(text, "# HELP headwater_{name} {what}.\n# TYPE headwater_{name} {kind}");
}

fn line(text: &mut String, name: &str, labels: &str, number: f64) {
    let _ = writeln!(text, "headwater_{name}{{{labels}}} {number}");
}

/// A label's value as the format wants it.
fn escaped(value: &str) -> String {
    value.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ports_are_of_this_machine_alone() {
        let check = |given: &str, expected: Option<&str>| {
            let found = address(given).ok().map(|address| address.to_string());
            assert_eq!(found.as_deref(), expected, "{given}");
        };
        check("9464", Some("127.0.0.1:9464"));
        check("0", Some("127.0.0.1:0"));
        check("0.0.0.0:9464", Some("0.0.0.0:9464"));
        check("[::1]:80", Some("[::1]:80"));
        for wrong in ["", "localhost", "127.0.0.1", "70000", "x:9"] {
            check(wrong, None);
        }
    }

    /// The page for people lists what the page for machines has, and no other page names anything else.
    #[test]
    fn the_docs_name_every_metric_and_no_other() {
        use std::collections::BTreeSet;

        let stages = vec!["vault".into()];
        let text = Page { pipeline: "home".into(), stages, metrics: Arc::new(Metrics::new(1)) }.text();
        let typed = |line: &str| line.strip_prefix("# TYPE ").map(|typed| typed.replace(' ', " | "));
        let served: BTreeSet<String> = text.lines().filter_map(typed).collect();
        let docs = include_str!("../../../docs/metrics.md");
        let row = |line: &str| {
            let mut cells = line.strip_prefix("| `headwater_")?.split('|');
            Some(format!(
                "headwater_{} | {}",
                cells.next()?.trim().trim_end_matches('`'),
                cells.next()?.trim()
            ))
        };
        assert_eq!(docs.lines().filter_map(row).collect::<BTreeSet<_>>(), served);
        let names: BTreeSet<&str> = served.iter().filter_map(|typed| typed.split(' ').next()).collect();
        for page in [docs, include_str!("../../../docs/operations.md"), include_str!("../../../README.md")] {
            let words = page.split(|c: char| !c.is_alphanumeric() && c != '_');
            for word in words.filter(|word| word.starts_with("headwater_")) {
                assert!(names.contains(word), "no metric is called {word}");
            }
        }
    }

    #[test]
    fn every_number_has_a_name_and_a_meaning() {
        let metrics = Arc::new(Metrics::new(2));
        let stage = metrics.stage(1).unwrap();
        stage.add_in(7);
        stage.add_cpu(Duration::from_millis(1500));
        stage.add_metric("new \"rows\"", 3);
        metrics.opened(4);
        metrics.done(3);
        metrics.committed(2);
        metrics.round_ended();
        metrics.taken_in(1 << 20);
        let stages = vec!["talk".into(), "vault".into()];
        let text = Page { pipeline: "home".into(), stages, metrics }.text();
        for expected in [
            "# TYPE headwater_stage_rows_in_total counter\n",
            "headwater_stage_rows_in_total{pipeline=\"home\",stage=\"talk\"} 0\n",
            "headwater_stage_rows_in_total{pipeline=\"home\",stage=\"vault\"} 7\n",
            "headwater_stage_busy_seconds_total{pipeline=\"home\",stage=\"vault\"} 1.5\n",
            "headwater_stage_figure_total{pipeline=\"home\",stage=\"vault\",figure=\"new \\\"rows\\\"\"} 3\n",
            "headwater_epochs_in_flight{pipeline=\"home\"} 1\n",
            "headwater_epochs_committed_total{pipeline=\"home\"} 2\n",
            "headwater_rounds_total{pipeline=\"home\"} 1\n",
            "headwater_taken_in_bytes_total{pipeline=\"home\"} 1048576\n",
            "headwater_waits_for_room{pipeline=\"home\"} 0\n",
        ] {
            assert!(text.contains(expected), "{expected} is not in\n{text}");
        }
        let actual = text.lines().filter(|line| line.starts_with("# TYPE ")).count();
        assert_eq!(actual, 1 + OF_RUN.len() + OF_STAGES.len() + 1);
    }

    #[test]
    fn who_asks_for_something_else_is_told() {
        let page = Page { pipeline: "home".into(), stages: Vec::new(), metrics: Arc::new(Metrics::new(0)) };
        let served = Scrape::serve(address("0").unwrap(), page).unwrap();
        let ask = |question: &[u8]| {
            let mut caller = TcpStream::connect(served.address).unwrap();
            caller.write_all(question).unwrap();
            caller.shutdown(std::net::Shutdown::Write).unwrap();
            let mut actual = String::new();
            caller.read_to_string(&mut actual).unwrap();
            actual.lines().next().unwrap_or_default().to_owned()
        };
        let check = |question: &[u8], expected: &str| assert_eq!(ask(question), expected);
        check(b"GET /metrics HTTP/1.1\r\n\r\n", "HTTP/1.1 200 OK");
        check(b"GET /metrics?x=1 HTTP/1.1\r\nHost: here\r\n\r\n", "HTTP/1.1 200 OK");
        check(b"GET / HTTP/1.1\r\n\r\n", "HTTP/1.1 404 Not Found");
        check(b"POST /metrics HTTP/1.1\r\n\r\n", "HTTP/1.1 405 Method Not Allowed");
        check(&[0xff; 4000], "HTTP/1.1 405 Method Not Allowed");
        check(b"", "HTTP/1.1 405 Method Not Allowed");
    }
}
