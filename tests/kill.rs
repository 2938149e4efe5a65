//! Runs that are killed at random moments and started again, on any number of workers and processes: what they leave in stores and
//! adapters is what one undisturbed run leaves, to the bit.
//!
//! `HEADWATER_KILLS` says how often (20), `HEADWATER_SEED` when (1): scripts/soak kills sets them.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod chance;
mod site;
#[cfg(feature = "train")]
mod talk;

use std::collections::BTreeMap;
use std::fmt::Write;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant, SystemTime};

use chance::Chance;
use rustix::process::{Pid, Signal, kill_process};
use site::Site;

const HOUSE: &str = env!("CARGO_MANIFEST_DIR");
/// Kills of one run before it may come to its end.
const KILLS_OF_A_RUN: u32 = 4;

/// A pipeline, and what it needs in a folder of its own.
struct Subject {
    name: &'static str,
    /// Writes what it reads into the folder; gives the pipeline file.
    lay: fn(&Path) -> PathBuf,
}

const SUBJECTS: &[Subject] = &[
    Subject { name: "recordings", lay: recordings },
    Subject { name: "many rows", lay: many_rows },
    #[cfg(feature = "train")]
    Subject { name: "a loop that learns", lay: learning },
];

fn written(folder: &Path, name: &str, text: &str) -> PathBuf {
    let path = folder.join(name);
    std::fs::write(&path, text).unwrap();
    path
}

/// Some recordings through the recogniser into a store.
fn recordings(folder: &Path) -> PathBuf {
    let voice = Path::new(HOUSE).join("datasets/voice");
    let mut found = files(&voice).into_iter().filter(|path| {
        path.extension().is_some_and(|suffix| ["wav", "flac", "ogg", "mp3"].iter().any(|s| suffix == *s))
    });
    for number in 0..10 {
        let from = found.next().unwrap();
        let to = folder.join("recordings").join(format!("device-{}", number % 3));
        std::fs::create_dir_all(&to).unwrap();
        let to = to.join(from.file_name().unwrap());
        std::fs::copy(&from, &to).unwrap();
        // Nothing else says when they were captured, and all runs are to find the same.
        let captured = SystemTime::UNIX_EPOCH + Duration::from_secs(1_700_000_000 + 60 * number);
        std::fs::File::options().append(true).open(&to).unwrap().set_modified(captured).unwrap();
    }
    let text = format!(
        "[pipeline]\nname = 'killed'\nepoch = {{ rows = 2 }}\ncommit = {{ every = '1ms' }}\n
         [stage.mic]\ntype = 'capture'\npath = '{}'\n
         [stage.asr]\ntype = 'transcribe'\nfrom = 'mic'\nmodel = 'datasets/models/whisper-tiny.en'\n
         [stage.redact]\ntype = 'redact'\nfrom = 'asr'\n
         [stage.vault]\ntype = 'store'\nfrom = 'redact'\npath = '{}'\n",
        folder.join("recordings").display(),
        folder.join("vault").display()
    );
    written(folder, "pipeline.toml", &text)
}

/// Much text, in small epochs, into a store that seals often.
fn many_rows(folder: &Path) -> PathBuf {
    let mut talk = String::new();
    for n in 0..6000 {
        let text =
            format!("order {n} of {} goes to the harbour, call 555-01{:02}", ["Ann", "Bo"][n % 2], n % 100);
        let at = format!("2026-03-02T0{}:{:02}:{:02}Z", n / 3600, n / 60 % 60, n % 60);
        let device = n % 11;
        writeln!(
            talk,
            "{{\"device\": \"device-{device}\", \"captured_at\": \"{at}\", \"text\": \"{text}\"}}"
        )
        .unwrap();
    }
    let talk = written(folder, "talk.jsonl", &talk);
    let text = format!(
        "[pipeline]\nname = 'killed'\nepoch = {{ rows = 40 }}\ncommit = {{ epochs = 2 }}\n
         [stage.talk]\ntype = 'capture'\npath = '{}'\n
         [stage.redact]\ntype = 'redact'\nfrom = 'talk'\n
         [stage.vault]\ntype = 'store'\nfrom = 'redact'\npath = '{}'\nseal_rows = 700\n",
        talk.display(),
        folder.join("vault").display()
    );
    written(folder, "pipeline.toml", &text)
}

/// Talk of eight devices, three rounds of training, two tiers with momentum, adapters published; texts in a store beside.
#[cfg(feature = "train")]
fn learning(folder: &Path) -> PathBuf {
    let talk = written(folder, "talk.jsonl", &talk::Conversation::of(8).rounds(3, 6));
    let text = format!(
        "[pipeline]\nname = 'killed'\nepoch = {{ rows = 12 }}\nround = {{ rows = 48 }}\ncommit = {{ epochs = 1 }}\n
         [members]\ntable = 'datasets/personal/members.csv'\n
         [stage.talk]\ntype = 'capture'\npath = '{}'\ncolumns = ['split']\n
         [stage.redact]\ntype = 'redact'\nfrom = 'talk'\nmax_hold = '0s'\n
         [stage.train]\ntype = 'train'\nfrom = 'redact'\nfeedback = 'global.adapter'\nmodel = 'datasets/models/slm-nano'\n\
         lr = 0.02\nr = 4\ngroups = 3\npublish = '{}'\n
         [stage.small]\ntype = 'compress'\nfrom = 'train.update'\nratio = 0.2\n
         [stage.gateway]\ntype = 'aggregate'\nfrom = 'small'\nby = 'gateway'\n
         [stage.global]\ntype = 'aggregate'\nfrom = 'gateway'\nrule = 'momentum'\n
         [stage.vault]\ntype = 'store'\nfrom = 'redact'\npath = '{}'\n",
        talk.display(),
        folder.join("adapters").display(),
        folder.join("vault").display()
    );
    written(folder, "pipeline.toml", &text)
}

/// All files below a folder, sorted.
fn files(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_symlink() {
            continue;
        }
        if path.is_dir() { found.extend(files(&path)) } else { found.push(path) }
    }
    found.sort();
    found
}

/// A folder with a pipeline in it, and the program that runs it.
struct Place {
    site: Site,
    pipeline: PathBuf,
}

impl Place {
    fn new(subject: &Subject) -> Place {
        let site = Site::new();
        let pipeline = (subject.lay)(&site.path(""));
        Place { site, pipeline }
    }

    fn headwater(&self) -> Command {
        self.site.command(&[])
    }

    fn start(&self, topology: &[&str]) -> Child {
        let mut command = self.headwater();
        command.arg("run").arg(&self.pipeline).arg("--quiet").args(topology);
        command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap()
    }

    fn finish(&self, topology: &[&str]) {
        let ended = self.start(topology).wait_with_output().unwrap();
        assert!(ended.status.success(), "{}", String::from_utf8_lossy(&ended.stderr));
    }

    /// What it left: the digest of the store, and of every file of adapters.
    fn left(&self) -> BTreeMap<String, String> {
        let mut left = BTreeMap::new();
        let vault = self.site.path("vault");
        let digest = self.headwater().args(["store", "digest"]).arg(&vault).output().unwrap();
        assert!(digest.status.success(), "{}", String::from_utf8_lossy(&digest.stderr));
        left.insert("vault".into(), String::from_utf8(digest.stdout).unwrap().trim().to_owned());
        let adapters = self.site.path("adapters");
        if adapters.exists() {
            let weights =
                files(&adapters).into_iter().filter(|path| path.ends_with("adapter_model.safetensors"));
            for path in weights {
                let name = path.strip_prefix(&adapters).unwrap().display().to_string();
                left.insert(
                    name,
                    format!("{:016x}", headwater_contract::hash::stable(&std::fs::read(&path).unwrap())),
                );
            }
        }
        left
    }
}

/// Where a run may go on, wherever it was before.
const TOPOLOGIES: [&[&str]; 5] = [
    &["--workers", "1"],
    &["--workers", "2"],
    &["--workers", "3"],
    &["--processes", "2"],
    &["--processes", "2", "--workers", "2"],
];

/// Kills a run now and then, then lets it come to its end; says how often it was killed.
fn disturb(place: &Place, usual: Duration, chance: &mut Chance) -> u32 {
    let most = u64::try_from(usual.as_millis()).unwrap().max(20);
    for kills in 0..KILLS_OF_A_RUN {
        let mut running = place.start(chance.pick::<&[&str]>(&TOPOLOGIES));
        std::thread::sleep(Duration::from_millis(chance.below(most)));
        if let Some(status) = running.try_wait().unwrap() {
            let ended = running.wait_with_output().unwrap();
            assert!(status.success(), "{}", String::from_utf8_lossy(&ended.stderr));
            return kills;
        }
        running.kill().unwrap();
        running.wait().unwrap();
    }
    place.finish(chance.pick::<&[&str]>(&TOPOLOGIES));
    KILLS_OF_A_RUN
}

fn asked(variable: &str, usual: u64) -> u64 {
    std::env::var(variable)
        .ok()
        .map_or(usual, |text| text.parse().unwrap_or_else(|_| panic!("{variable}={text}")))
}

#[test]
fn killed_runs_leave_what_an_undisturbed_one_leaves() {
    let (wanted, seed) = (asked("HEADWATER_KILLS", 20), asked("HEADWATER_SEED", 1));
    let mut chance = Chance(seed);
    let mut expected = Vec::new();
    for subject in SUBJECTS {
        let place = Place::new(subject);
        let begun = Instant::now();
        place.finish(TOPOLOGIES[1]);
        expected.push((place.left(), begun.elapsed()));
    }
    let (mut kills, mut runs) = (0, 0);
    while kills < wanted {
        let at = runs % SUBJECTS.len();
        let place = Place::new(&SUBJECTS[at]);
        let (left, usual) = &expected[at];
        let of_this = disturb(&place, *usual, &mut chance);
        assert_eq!(place.left(), *left, "{}, killed {of_this} times, seed {seed}", SUBJECTS[at].name);
        kills += u64::from(of_this);
        runs += 1;
        println!("{}: killed {of_this} times, the same ({kills} of {wanted})", SUBJECTS[at].name);
        assert!(runs < 100 + 4 * usize::try_from(wanted).unwrap(), "runs end before they are killed");
    }
}

/// The pid of the next process that a supervised run starts beside home; nothing when it has ended.
fn next_pid(log: &mut impl BufRead, printed: &mut String) -> Option<i32> {
    loop {
        let mut line = String::new();
        if log.read_line(&mut line).unwrap() == 0 {
            return None;
        }
        printed.push_str(&line);
        if let Some((_, pid)) = line.split_once("pid=") {
            return pid.split_whitespace().next()?.parse().ok();
        }
    }
}

/// A run that loses its other process ends by itself when it is supervised, from the last commit on.
#[test]
fn a_supervised_run_that_loses_processes_leaves_what_an_undisturbed_one_leaves() {
    let mut chance = Chance(asked("HEADWATER_SEED", 1));
    for subject in SUBJECTS {
        let place = Place::new(subject);
        let begun = Instant::now();
        place.finish(TOPOLOGIES[3]);
        let (expected, usual) = (place.left(), begun.elapsed());
        let place = Place::new(subject);
        let mut command = place.headwater();
        command.args(["--log-level", "info", "run"]).arg(&place.pipeline);
        command.args(["--quiet", "--processes", "2", "--supervise"]);
        let mut run = command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
        let mut log = BufReader::new(run.stderr.take().unwrap());
        let (mut printed, mut attempts) = (String::new(), 0);
        while let Some(pid) = next_pid(&mut log, &mut printed) {
            attempts += 1;
            if attempts > 2 {
                continue;
            }
            let most = u64::try_from(usual.as_millis()).unwrap().max(20);
            std::thread::sleep(Duration::from_millis(chance.below(most)));
            // It may have ended by itself.
            let _ = kill_process(Pid::from_raw(pid).unwrap(), Signal::KILL);
        }
        assert!(run.wait().unwrap().success(), "{}: {printed}", subject.name);
        assert_eq!(place.left(), expected, "{}, {attempts} attempts", subject.name);
        println!("{}: {attempts} attempts under a supervisor, the same", subject.name);
    }
}
