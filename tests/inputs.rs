//! What a folder of recordings holds, from one run to the next: what is new is taken in, what is known is not, whatever it is called
//! now; a folder that is watched; and a state that is damaged.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod site;

use std::fs;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant, SystemTime};

use serde_json::Value;
use site::Site;

const HOUSE: &str = env!("CARGO_MANIFEST_DIR");
/// How long a run may take before it counts as hung. Nothing else depends on it.
const HUNG: Duration = Duration::from_mins(2);

struct Place(Site);

impl Place {
    fn new() -> Self {
        let place = Place(Site::new());
        fs::create_dir_all(place.path("recordings/den")).unwrap();
        place
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path(name)
    }

    /// The n-th recording of the kitchen, under this name: as complete as if it had long been there.
    fn put(&self, n: usize, name: &str) {
        let from = Path::new(HOUSE).join(format!("datasets/voice/kitchen/{n:03}.flac"));
        let to = self.path("recordings").join(name);
        fs::create_dir_all(to.parent().unwrap()).unwrap();
        // Hidden files are none of the recordings: it is renamed into place.
        let hidden = to.with_file_name(".coming");
        fs::copy(from, &hidden).unwrap();
        let written = fs::File::options().append(true).open(&hidden).unwrap();
        written.set_modified(SystemTime::now() - Duration::from_mins(1)).unwrap();
        fs::rename(hidden, to).unwrap();
    }

    fn pipeline(&self, more: &str) -> PathBuf {
        let (recordings, vault) = (self.path("recordings"), self.path("vault"));
        let text = format!(
            "[pipeline]\nname = 'inputs'\nepoch = {{ rows = 2 }}\n
             [stage.mic]\ntype = 'capture'\npath = '{}'\n{more}\n
             [stage.vault]\ntype = 'store'\nfrom = 'mic'\npath = '{}'\n",
            recordings.display(),
            vault.display()
        );
        fs::write(self.path("inputs.toml"), text).unwrap();
        self.path("inputs.toml")
    }

    fn headwater(&self) -> Command {
        let mut command = self.0.command(&[]);
        command.stdout(Stdio::null()).stderr(Stdio::piped());
        command
    }

    /// How many rows the store holds, in segments and in its log.
    fn stored(&self) -> u64 {
        let ls =
            self.headwater().args(["store", "ls"]).arg(self.path("vault")).stdout(Stdio::piped()).output();
        let printed = String::from_utf8(ls.unwrap().stdout).unwrap();
        let before = |what: &str| {
            let (printed, _) = printed.split_once(what).unwrap_or_else(|| panic!("no{what} in {printed}"));
            printed.split_whitespace().next_back().unwrap().parse::<u64>().unwrap()
        };
        before(" rows of ") + before(" rows in the log")
    }

    /// A run to the end: the figures of the source, and the rows that the store had not had before.
    fn run(&self) -> (Value, u64) {
        let summary = self.path("summary.json");
        let mut command = self.headwater();
        command.arg("run").arg(self.pipeline("")).args(["--quiet", "--summary"]).arg(&summary);
        let ended = command.output().unwrap();
        assert!(ended.status.success(), "{}", String::from_utf8_lossy(&ended.stderr));
        let summary: Value = serde_json::from_slice(&fs::read(summary).unwrap()).unwrap();
        let figures = |stage: &str| summary["stages"][stage]["figures"].clone();
        assert_eq!(figures("vault")["stored_before"].as_u64().unwrap_or(0), 0, "nothing is stored twice");
        (figures("mic"), figures("vault")["new_rows"].as_u64().unwrap_or(0))
    }
}

#[test]
fn a_rerun_takes_in_what_is_new_and_says_so() {
    let place = Place::new();
    for n in [2, 4, 6] {
        place.put(n, &format!("den/{n}.flac"));
    }
    let (figures, rows) = place.run();
    assert!(rows >= 3 && figures["known_inputs"].is_null(), "{figures}");
    let printed = |figures: &Value| {
        ["new", "known", "changed", "renamed"].map(|of| figures[format!("{of}_inputs")].as_u64().unwrap_or(0))
    };
    // Before, between and beside; renamed; another content.
    place.put(1, "den/1.flac");
    place.put(3, "den/3.flac");
    place.put(5, "attic/5.flac");
    fs::rename(place.path("recordings/den/4.flac"), place.path("recordings/den/9.flac")).unwrap();
    place.put(7, "den/6.flac");
    let (figures, rows) = place.run();
    assert_eq!(printed(&figures), [3, 1, 1, 1], "{figures}");
    assert!(rows >= 4, "{rows}");
    let (figures, rows) = place.run();
    assert_eq!((printed(&figures), rows), ([0, 6, 0, 0], 0), "{figures}");
}

/// A state that is damaged goes back to what was committed before, or is moved aside; either way the next run ends as it would have.
#[test]
fn a_damaged_state_can_be_repaired() {
    let place = Place::new();
    let talk: String = (0..400).map(|n| format!("{{\"text\": \"order {n}\"}}\n")).collect();
    fs::write(place.path("talk.jsonl"), talk).unwrap();
    let pipeline = format!(
        "[pipeline]\nname = 'inputs'\nepoch = {{ rows = 10 }}\ncommit = {{ epochs = 1 }}\n[stage.talk]\ntype = 'capture'\n\
         path = '{}'\n[stage.vault]\ntype = 'store'\nfrom = 'talk'\npath = '{}'\n",
        place.path("talk.jsonl").display(),
        place.path("vault").display()
    );
    fs::write(place.path("inputs.toml"), pipeline).unwrap();
    let check = |args: &[&str], code: i32, expected: &str| -> String {
        let output = place.headwater().args(args).stdout(Stdio::piped()).output().unwrap();
        let printed = [output.stdout, output.stderr]
            .map(|printed| String::from_utf8_lossy(&printed).into_owned())
            .concat();
        assert!(
            output.status.code() == Some(code) && printed.contains(expected),
            "{args:?}: {:?} {printed}, expected {expected}",
            output.status
        );
        printed
    };
    let file = place.path("inputs.toml").display().to_string();
    let vault = place.path("vault").display().to_string();
    let run = || check(&["run", &file], 0, "");
    run();
    let digest = check(&["store", "digest", &vault], 0, "");
    check(&["state", "repair", "inputs"], 0, "nothing is damaged");
    // The file stands for the name in it, and an unknown name is answered with those there are.
    check(&["state", "verify", &file], 0, "whole");
    check(&["quarantine", "ls", &file], 0, "nothing is in the quarantine of `inputs`");
    for verb in [["state", "show"], ["quarantine", "ls"], ["quarantine", "show"], ["adapter", "own"]] {
        check(&[verb[0], verb[1], "input"], 1, "did you mean `inputs`?");
    }
    for verb in ["check", "plan", "graph", "run", "test"] {
        check(&[verb, "input"], 1, "no pipeline of that name in a file here");
    }
    check(&["check", "quickstart", &file], 0, "inputs.toml: fine");
    // Bytes of the log that hold steps, and the file: "PATH: N bytes, ...".
    let longest = || {
        let printed = check(&["state", "verify", "inputs"], 0, "whole");
        let files = printed.lines().filter_map(|line| line.split_once(".frames: "));
        let sizes = files.map(|(path, rest)| {
            let bytes: usize = rest.split(' ').next().unwrap().parse().unwrap();
            (bytes, format!("{path}.frames"))
        });
        sizes.max().unwrap()
    };
    for (tenths, remedy) in [(7, "goes on from"), (0, "commits.damaged-1")] {
        let (size, log) = longest();
        let mut bytes = fs::read(&log).unwrap();
        bytes[60 + size * tenths / 10] ^= 1;
        fs::write(&log, bytes).unwrap();
        check(&["state", "verify", "inputs"], 1, "DAMAGED");
        check(&["state", "repair", "inputs"], 1, "add --yes");
        check(&["state", "verify", "inputs"], 1, "DAMAGED");
        let printed = check(&["state", "repair", "inputs", "--yes"], 0, remedy);
        let epochs = if tenths > 0 {
            printed.split("goes on from ").nth(1).and_then(|rest| rest.split(' ').next())
        } else {
            Some("1")
        };
        let epochs: u64 = epochs.unwrap().parse().unwrap();
        assert!((1..40).contains(&epochs), "{printed}");
        check(&["state", "verify", "inputs"], i32::from(tenths == 0), "");
        run();
        assert_eq!(check(&["store", "digest", &vault], 0, ""), digest);
    }
    check(&["state", "verify", "inputs"], 0, "whole");
}

/// A number of the page of metrics.
fn scraped(address: SocketAddr, name: &str) -> Option<f64> {
    let mut page = String::new();
    let mut caller = TcpStream::connect(address).ok()?;
    caller.write_all(b"GET /metrics HTTP/1.1\r\n\r\n").ok()?;
    caller.read_to_string(&mut page).ok()?;
    let line = page.lines().find(|line| line.starts_with(name))?;
    line.rsplit(' ').next()?.parse().ok()
}

#[test]
fn a_watched_folder_goes_on_until_it_is_stopped() {
    let place = Place::new();
    place.put(1, "den/1.flac");
    let pipeline = place.pipeline("watch = true");
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    // While it is watched: what comes, and how many rows the store is to have had then.
    let watch = |coming: &[(usize, &str)]| {
        let mut command = place.headwater();
        command.arg("run").arg(&pipeline).args(["--quiet", "--metrics", &port.to_string()]);
        let mut run = command.spawn().unwrap();
        let read = "headwater_stage_figure_total{pipeline=\"inputs\",stage=\"mic\",figure=\"inputs_read\"}";
        let begun = Instant::now();
        let mut wait_for = |inputs: usize| {
            while scraped(port, read).unwrap_or_default() < inputs as f64 {
                if let Some(status) = run.try_wait().unwrap() {
                    panic!("it ended: {status}");
                }
                assert!(begun.elapsed() < HUNG, "it waits for ever for {inputs} recordings");
                std::thread::sleep(Duration::from_millis(50));
            }
        };
        let before = fs::read_dir(place.path("recordings/den")).unwrap().count();
        wait_for(before);
        for (at, (n, name)) in coming.iter().enumerate() {
            place.put(*n, name);
            wait_for(before + at + 1);
        }
        let pid = rustix::process::Pid::from_raw(i32::try_from(run.id()).unwrap()).unwrap();
        rustix::process::kill_process(pid, rustix::process::Signal::TERM).unwrap();
        let ended = run.wait_with_output().unwrap();
        assert!(ended.status.success(), "{}", String::from_utf8_lossy(&ended.stderr));
    };
    watch(&[(3, "den/3.flac"), (2, "den/2.flac")]);
    watch(&[(4, "den/0.flac")]);
    // What was read and not taken in when it was stopped is left for the next run; nothing is missing, and nothing is there twice.
    let (figures, _) = place.run();
    let of = |name: &str| figures[name].as_u64().unwrap_or(0);
    assert_eq!(of("known_inputs") + of("new_inputs"), 4, "{figures}");
    let at_once = Place::new();
    (1..=4).for_each(|n| at_once.put(n, &format!("den/{n}.flac")));
    at_once.run();
    assert_eq!(place.stored(), at_once.stored());
}
