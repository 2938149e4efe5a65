//! The page of `run --metrics`, asked for while a pipeline runs: it grows with what is taken in, and shows nothing of it.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod site;

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

use site::Site;

/// How long it may take before it counts as hung. Nothing else depends on it.
const HUNG: Duration = Duration::from_mins(2);
const SECRET: &str = "555-0199";

fn page(address: SocketAddr) -> Option<String> {
    let mut printed = String::new();
    let mut caller = TcpStream::connect(address).ok()?;
    caller.write_all(b"GET /metrics HTTP/1.1\r\nHost: here\r\n\r\n").ok()?;
    caller.read_to_string(&mut printed).ok()?;
    printed.split_once("\r\n\r\n").map(|(_, body)| body.to_owned())
}

fn number(page: &str, line: &str) -> f64 {
    let found =
        page.lines().find_map(|l| l.strip_prefix(line)).unwrap_or_else(|| panic!("no {line} in\n{page}"));
    found.trim().parse().unwrap()
}

/// Waits until a number of the page has grown so far; gives the page.
fn until(run: &mut Child, address: SocketAddr, line: &str, least: f64) -> String {
    let begun = Instant::now();
    loop {
        if let Some(page) = page(address).filter(|page| number(page, line) >= least) {
            return page;
        }
        if let Some(status) = run.try_wait().unwrap() {
            panic!("it ended: {status}");
        }
        assert!(begun.elapsed() < HUNG, "{line} never comes to {least}");
        std::thread::sleep(Duration::from_millis(50));
    }
}

#[test]
fn counters_are_served_while_it_runs() {
    let site = Site::new();
    let pipeline = site.path("lines.toml");
    let text = format!(
        "[pipeline]\nname = 'lines'\nepoch = {{ rows = 2 }}\n
         [stage.talk]\ntype = 'capture'\npath = '-'\n
         [stage.redact]\ntype = 'redact'\nfrom = 'talk'\nmax_hold = '0s'\n
         [stage.vault]\ntype = 'store'\nfrom = 'redact'\npath = '{}'\n",
        site.path("vault").display()
    );
    std::fs::write(&pipeline, text).unwrap();
    let address = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let mut command = site.command(&["run"]);
    command
        .arg(&pipeline)
        // A port alone is one of this machine.
        .args(["--quiet", "--metrics", &address.port().to_string()])
        .stdin(Stdio::piped())
        .stdout(Stdio::null());
    let mut run = command.spawn().unwrap();
    let mut input = run.stdin.take().unwrap();
    // The last opens an epoch that the clock closes: with it all before are committed.
    for n in 0..11 {
        writeln!(input, "{{\"device\": \"hall\", \"text\": \"call {SECRET} about order {n}\"}}").unwrap();
    }
    writeln!(input, "this is no JSON, and says {SECRET}").unwrap();
    input.flush().unwrap();
    let of =
        |name: &str, stage: &str| format!("headwater_stage_{name}{{pipeline=\"lines\",stage=\"{stage}\"}}");
    until(&mut run, address, &of("rows_in_total", "vault"), 11.0);
    let committed = "headwater_epochs_committed_total{pipeline=\"lines\"}";
    until(&mut run, address, committed, 5.0);
    let page = until(&mut run, address, &of("rejected_total", "talk"), 1.0);
    assert_eq!(number(&page, &of("rows_out_total", "talk")), 11.0);
    assert!(number(&page, &of("busy_seconds_total", "redact")) > 0.0);
    assert!(number(&page, "headwater_taken_in_bytes_total{pipeline=\"lines\"}") > 100.0);
    assert_eq!(number(&page, "headwater_waits_for_room{pipeline=\"lines\"}"), 0.0);
    assert!(!page.contains("555") && !page.contains("hall") && !page.contains("order"), "{page}");
    for line in page.lines().filter(|line| !line.starts_with('#')) {
        let (name, number) = line.rsplit_once(' ').unwrap();
        assert!(name.starts_with("headwater_") && number.parse::<f64>().is_ok(), "{line}");
        let named = name.split('{').next().unwrap();
        assert!(page.contains(&format!("# TYPE {named} ")), "{named} has no type");
    }
    drop(input);
    assert!(run.wait().unwrap().success());
    assert!(TcpStream::connect(address).is_err(), "no process listens any more");
}

#[test]
fn an_address_that_cannot_be_had_is_told() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let site = Site::new();
    let pipeline = site.path("talk.toml");
    std::fs::write(site.path("talk.jsonl"), "{\"text\": \"hello\"}\n").unwrap();
    let text = format!(
        "[pipeline]\nname = 'talk'\n[stage.talk]\ntype = 'capture'\npath = '{0}/talk.jsonl'\n
         [stage.vault]\ntype = 'store'\nfrom = 'talk'\npath = '{0}/vault'\n",
        site.path("").display()
    );
    std::fs::write(&pipeline, text).unwrap();
    let check = |address: &str, code: i32, expected: &str| {
        let ended = site.command(&["run", "--metrics", address]).arg(&pipeline).output().unwrap();
        let printed = String::from_utf8_lossy(&ended.stderr).into_owned();
        assert!(
            ended.status.code() == Some(code) && printed.contains(expected),
            "{:?} {printed}",
            ended.status
        );
    };
    check(&taken.local_addr().unwrap().to_string(), 1, "cannot listen there");
    check("somewhere", 2, "expected a port, or an address with a port");
}
