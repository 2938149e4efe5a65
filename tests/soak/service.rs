//! The service under test: a supervised run of the program, what is done to it, and what it left.

use std::fs::{self, File};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

use crate::site::Site;
use crate::writers::Lines;
use crate::{Rows, python};

/// How long something may take before it counts as hung. Nothing else depends on it.
const HUNG: Duration = Duration::from_mins(3);

pub struct Service {
    pub site: Site,
    supervisor: Option<Child>,
    port: u16,
    python: PathBuf,
}

/// The pipeline: recordings and lines, each into a store of its own.
fn pipeline(site: &Site, watch: bool) -> String {
    let path = |name: &str| site.path(name).display().to_string();
    let state = if watch { "." } else { "reference" };
    format!(
        "[pipeline]\nname = 'soak'\nepoch = {{ rows = 8 }}\ncommit = {{ every = '200ms' }}\n
         [stage.mic]\ntype = 'capture'\npath = '{recordings}'\nwatch = {watch}\n
         [stage.asr]\ntype = 'transcribe'\nfrom = 'mic'\nmodel = 'datasets/models/whisper-tiny.en'\n
         [stage.heard]\ntype = 'redact'\nfrom = 'asr'\nmax_hold = '0s'\n
         [stage.voice]\ntype = 'store'\nfrom = 'heard'\npath = '{voice}'\nseal_every = '20s'\n
         [stage.log]\ntype = 'capture'\npath = '{logs}'\nformat = 'jsonl'\nwatch = {watch}\ncolumns = ['id']\n
         [stage.clean]\ntype = 'redact'\nfrom = 'log'\nmax_hold = '0s'\n
         [stage.talk]\ntype = 'store'\nfrom = 'clean'\npath = '{talk}'\nseal_every = '20s'\n",
        recordings = path("recordings"),
        logs = path("logs"),
        voice = path(&format!("{state}/voice")),
        talk = path(&format!("{state}/talk")),
    )
}

impl Service {
    pub fn new() -> Self {
        let site = Site::new();
        for folder in ["recordings", "logs", "reference"] {
            fs::create_dir_all(site.path(folder)).unwrap();
        }
        fs::write(site.path("soak.toml"), pipeline(&site, true)).unwrap();
        fs::write(site.path("reference.toml"), pipeline(&site, false)).unwrap();
        let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let python = python::with_readers().expect("the soak needs pyarrow");
        Service { site, supervisor: None, port, python }
    }

    pub fn start(&mut self) {
        let log = File::options().create(true).append(true).open(self.site.path("service.log")).unwrap();
        let mut command = self.site.command(&["run", "--supervise", "--restarts", "1000", "--quiet"]);
        command.args(["--metrics", &self.port.to_string()]).arg(self.site.path("soak.toml"));
        self.supervisor = Some(command.stdout(Stdio::null()).stderr(log).spawn().unwrap());
        self.until("the service answers", |service| service.scraped("headwater_build_info").is_some());
    }

    /// Stops it as systemd would, does something, and starts it again.
    pub fn stopped(&mut self, act: impl FnOnce(&Self)) {
        self.stop();
        act(self);
        self.start();
    }

    pub fn stop(&mut self) {
        let Some(mut supervisor) = self.supervisor.take() else { return };
        kill_process(pid(supervisor.id()), Signal::TERM).unwrap();
        let begun = Instant::now();
        let status = loop {
            if let Some(status) = supervisor.try_wait().unwrap() {
                break status;
            }
            assert!(begun.elapsed() < HUNG, "it does not stop: {}", self.log());
            std::thread::sleep(Duration::from_millis(50));
        };
        assert!(status.success(), "{status}: {}", self.log());
    }

    pub fn kill_attempt(&mut self) {
        let attempt = self.attempt();
        kill_process(attempt, Signal::KILL).unwrap();
        self.until("another attempt", |service| service.child().is_some_and(|next| next != attempt));
        self.until("it answers again", |service| service.scraped("headwater_build_info").is_some());
    }

    pub fn kill_all(&mut self) {
        let attempt = self.attempt();
        let mut supervisor = self.supervisor.take().unwrap();
        supervisor.kill().unwrap();
        supervisor.wait().unwrap();
        // Without its supervisor it may have ended by itself.
        let _ = kill_process(attempt, Signal::KILL);
        let state = format!("/proc/{}/stat", attempt.as_raw_nonzero());
        let begun = Instant::now();
        while fs::read_to_string(&state).is_ok_and(|stat| !stat.contains(") Z ")) {
            assert!(begun.elapsed() < HUNG, "the killed process does not end");
            std::thread::sleep(Duration::from_millis(20));
        }
        self.start();
    }

    pub fn rotate_key(&self) {
        self.succeeds(&["key", "rotate"], &["soak.toml"], &[]);
    }

    pub fn forget(&self, device: &str) {
        self.succeeds(&["forget"], &["soak.toml"], &["--device", device]);
    }

    /// Resident bytes of the attempt, if one runs.
    pub fn resident(&self) -> Option<u64> {
        let status = fs::read_to_string(format!("/proc/{}/status", self.child()?.as_raw_nonzero())).ok()?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
        Some(line.trim().strip_suffix(" kB")?.parse::<u64>().ok()? * 1024)
    }

    /// The rows that pyarrow finds in both stores by the scripts that were printed once.
    pub fn read_by_pyarrow(&self) -> u64 {
        let count = |name: &str| {
            let script = self.site.path(&format!("{name}.py"));
            if !script.exists() {
                if !self.site.path(name).exists() {
                    return 0;
                }
                let output = script.display().to_string();
                self.succeeds(&["store", "key"], &[name], &["--output", &output]);
            }
            let text = fs::read_to_string(&script).unwrap() + "\nprint('ROWS', store.num_rows)\n";
            let counting = self.site.path("count.py");
            fs::write(&counting, text).unwrap();
            let output = Command::new(&self.python).arg(&counting).output().unwrap();
            let printed = String::from_utf8_lossy(&output.stdout).into_owned();
            let rows = printed.lines().find_map(|line| line.strip_prefix("ROWS "));
            rows.unwrap_or_else(|| panic!("{}", String::from_utf8_lossy(&output.stderr)))
                .parse::<u64>()
                .unwrap()
        };
        count("voice") + count("talk")
    }

    /// Returns true if a line is stored already.
    pub fn has_line(&self, id: &str) -> bool {
        self.site.path("talk").exists() && self.stored("talk").keys().any(|(_, of, _)| of == id)
    }

    /// What a store holds: by device, by file (of a recording) or id (of a line), and text.
    pub fn stored(&self, name: &str) -> Rows {
        let mut rows = Rows::new();
        for line in self.succeeds(&["store", "cat"], &[name], &["--format", "jsonl"]).lines() {
            let row: Value = serde_json::from_str(line).unwrap();
            let of = |column: &str| row[column].as_str().unwrap_or_default().to_owned();
            let place = if name.ends_with("talk") { of("id") } else { of("file") };
            *rows.entry((of("device"), place, of("text"))).or_default() += 1;
        }
        rows
    }

    /// What a run gives that finds all recordings at once.
    pub fn reference(&self) -> Rows {
        let mut command = self.site.command(&["run", "--quiet"]);
        command
            .env("HEADWATER_STATE", self.site.path("reference/state"))
            .arg(self.site.path("reference.toml"));
        let ended = command.output().unwrap();
        assert!(ended.status.success(), "{}", String::from_utf8_lossy(&ended.stderr));
        self.stored("reference/voice")
    }

    /// Waits until all that was written is stored, or nothing comes any more.
    pub fn settle(&mut self, lines: &Lines) {
        let last = lines.last().to_owned();
        self.until("the last line is stored", move |service| service.has_line(&last));
        let read = "headwater_stage_queued_rows{pipeline=\"soak\",stage=\"asr\"}";
        std::thread::sleep(Duration::from_secs(6));
        self.until("no recording waits", |service| service.scraped(read) == Some(0.0));
        self.until("no epoch is under way", |service| {
            service.scraped("headwater_epochs_in_flight").is_some_and(|epochs| epochs <= 1.0)
        });
    }

    fn child(&self) -> Option<Pid> {
        let supervisor = self.supervisor.as_ref()?.id();
        let children = fs::read_to_string(format!("/proc/{supervisor}/task/{supervisor}/children")).ok()?;
        children.split_whitespace().next()?.parse().ok().and_then(Pid::from_raw)
    }

    fn attempt(&self) -> Pid {
        let begun = Instant::now();
        loop {
            if let Some(pid) = self.child() {
                return pid;
            }
            assert!(begun.elapsed() < HUNG, "no attempt is started: {}", self.log());
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    fn until(&mut self, what: &str, mut look: impl FnMut(&Self) -> bool) {
        let begun = Instant::now();
        while !look(self) {
            if let Some(status) = self.supervisor.as_mut().and_then(|run| run.try_wait().unwrap()) {
                panic!("it ended, {status}, before {what}: {}", self.log());
            }
            assert!(begun.elapsed() < HUNG, "it never comes that {what}: {}", self.log());
            std::thread::sleep(Duration::from_millis(100));
        }
    }

    fn scraped(&self, name: &str) -> Option<f64> {
        use std::io::{Read, Write};
        let mut page = String::new();
        let mut client = std::net::TcpStream::connect(("127.0.0.1", self.port)).ok()?;
        client.write_all(b"GET /metrics HTTP/1.1\r\n\r\n").ok()?;
        client.read_to_string(&mut page).ok()?;
        page.lines().find(|line| line.starts_with(name))?.rsplit(' ').next()?.parse().ok()
    }

    /// Runs a verb on a path of the site, and returns what it prints.
    fn succeeds(&self, verb: &[&str], paths: &[&str], more: &[&str]) -> String {
        let mut command = self.site.command(verb);
        let ended = command.args(paths.iter().map(|path| self.site.path(path))).args(more).output().unwrap();
        let said = String::from_utf8_lossy(&ended.stderr);
        assert!(ended.status.success(), "{verb:?} {paths:?} {more:?}: {said}\n{}", self.log());
        String::from_utf8(ended.stdout).unwrap()
    }

    /// The end of what the service logged.
    fn log(&self) -> String {
        let log = fs::read_to_string(self.site.path("service.log")).unwrap_or_default();
        let lines: Vec<&str> = log.lines().collect();
        lines[lines.len().saturating_sub(40)..].join("\n")
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        if self.supervisor.is_some() {
            let attempt = self.child();
            if let Some(mut supervisor) = self.supervisor.take() {
                let _ = supervisor.kill();
                let _ = supervisor.wait();
            }
            let _ = attempt.map(|attempt| kill_process(attempt, Signal::KILL));
        }
    }
}

fn pid(id: u32) -> Pid {
    Pid::from_raw(i32::try_from(id).unwrap()).unwrap()
}
