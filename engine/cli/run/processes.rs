//! A run on several processes: which of them this is, and those that home starts on its own machine.
//!
//! In: the command line's words about processes. Out: a member of the cluster, once it stands; at the end all processes that were
//! started here are gone.

use std::cell::{Cell, RefCell};
use std::fs;
use std::os::unix::fs::DirBuilderExt;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::{Duration, Instant};

use headwater_contract::units::Epoch;
use headwater_runtime::cluster::hosts::Hosts;
use headwater_runtime::cluster::{Fingerprint, Member, Setup};
use headwater_runtime::instance::Failure;
use headwater_runtime::plan::Plan;

use super::RunArgs;
use crate::site::Settings;

/// The arguments that concern processes.
#[derive(Clone, Debug, Default)]
pub struct ClusterArgs {
    /// `--processes`: so many on this machine.
    pub processes: Option<usize>,
    /// `--hosts`: the file that names them.
    pub hosts: Option<PathBuf>,
    /// `--process`: which of them this is.
    pub process: Option<usize>,
    /// `--mixed-cpus`.
    pub mixed_cpus: bool,
    /// Which attempt of a supervised cluster this is, if it is one.
    pub generation: Option<u32>,
    /// The socket that heartbeats go to.
    pub heartbeat: Option<PathBuf>,
    /// True if the coordinator started this process and reports what happens to it.
    pub child: bool,
}

impl ClusterArgs {
    /// Returns true if a supervised attempt was before this one.
    pub fn follows(&self) -> bool {
        self.generation.is_some_and(|generation| generation > 0)
    }
}

/// The time that processes started here may take to end by themselves, after a run that failed and after one that did not.
const ENDING: Duration = Duration::from_secs(1);
const ENDING_WELL: Duration = Duration::from_secs(20);
const POLL_INTERVAL: Duration = Duration::from_millis(20);

/// The processes of a run, before they have met.
pub(super) struct ProcessGroup {
    hosts: Hosts,
    index: usize,
    children: RefCell<Vec<(usize, Child)>>,
    folder: Option<PathBuf>,
    done: Cell<bool>,
}

impl ProcessGroup {
    /// Reads the arguments; nothing for a run in one process.
    pub(super) fn of(args: &ClusterArgs, settings: &Settings) -> Result<Option<Self>, String> {
        let group = |hosts, index, folder| {
            Ok(Some(ProcessGroup {
                hosts,
                index,
                children: RefCell::default(),
                folder,
                done: Cell::default(),
            }))
        };
        if let Some(file) = &args.hosts {
            let (hosts, index) = (Hosts::read(file)?, args.process.unwrap_or_default());
            let last = hosts.processes.len().saturating_sub(1);
            if index > last {
                return Err(format!("{}: there is no process {index}; expected 0 to {last}", file.display()));
            }
            return group(hosts, index, None);
        }
        match args.processes {
            None | Some(1) => Ok(None),
            Some(processes) => {
                let folder =
                    private_folder().map_err(|e| format!("a folder for sockets cannot be made: {e}"))?;
                group(Hosts::local(&folder, processes, settings.workers), 0, Some(folder))
            }
        }
    }

    pub(super) fn is_home(&self) -> bool {
        self.index == 0
    }

    /// Returns the name of this process in messages.
    pub(super) fn name(&self) -> String {
        self.hosts.called(self.index)
    }

    /// Starts the others, if they are to run on this machine.
    pub(super) fn start(&self, args: &RunArgs, settings: &Settings) -> std::io::Result<()> {
        let Some(folder) = &self.folder else { return Ok(()) };
        let file = folder.join("hosts.toml");
        fs::write(&file, self.hosts.text())?;
        for index in 1..self.hosts.processes.len() {
            let child = command(args, settings, &file, index)?.spawn()?;
            tracing::info!(process = index, pid = child.id(), "started");
            self.children.borrow_mut().push((index, child));
        }
        Ok(())
    }

    /// Waits until the cluster stands. It begins with the epoch that home says.
    pub(super) fn join(
        &self,
        args: &RunArgs,
        plan: &Plan,
        stopping: &AtomicBool,
        begin: Epoch,
    ) -> Result<Member, Failure> {
        let failed = |what: String| Failure::new(headwater_runtime::cluster::NAME, what);
        let text =
            fs::read_to_string(&args.file).map_err(|e| failed(format!("{}: {e}", args.file.display())))?;
        let params = args.params.iter().map(|(name, value)| (format!("param {name}"), value.clone()));
        let set = args.set.iter().map(|(path, value)| (format!("set {path}"), value.clone()));
        let given: Vec<(String, String)> = params.chain(set).collect();
        let fingerprint = Fingerprint::of(plan, &text, &given).map_err(failed)?;
        Member::join(Setup {
            hosts: self.hosts.clone(),
            index: self.index,
            fingerprint,
            mixed_cpus: args.cluster.mixed_cpus,
            begin: begin.0,
            hopeless: &|| self.hopeless(stopping),
        })
    }

    fn hopeless(&self, stopping: &AtomicBool) -> Option<String> {
        if stopping.load(Relaxed) {
            return Some("stopped before the cluster stood".into());
        }
        let mut children = self.children.borrow_mut();
        children.iter_mut().find_map(|(index, child)| {
            let status = child.try_wait().ok().flatten()?;
            Some(format!("process {index} ended before the cluster stood: {status}"))
        })
    }

    /// The run is done: the others end now by themselves.
    pub(super) fn is_done(&self) {
        self.done.set(true);
    }

    /// Processes of this machine that did not end by themselves: how.
    pub(super) fn killed(&self) -> Vec<String> {
        let mut children = self.children.borrow_mut();
        let killed = children.iter_mut().filter_map(|(index, child)| {
            let status = child.try_wait().ok().flatten().filter(|status| status.signal().is_some())?;
            Some(format!("process {index} ended by {status}"))
        });
        killed.collect()
    }
}

impl Drop for ProcessGroup {
    fn drop(&mut self) {
        let begun = Instant::now();
        let patience = if self.done.get() { ENDING_WELL } else { ENDING };
        for (_, child) in self.children.get_mut() {
            while begun.elapsed() < patience && matches!(child.try_wait(), Ok(None)) {
                std::thread::sleep(POLL_INTERVAL);
            }
            // One that hangs, or was stopped, ends by nothing else. One that has ended cannot be killed.
            let _ = child.kill();
            let _ = child.wait();
        }
        if let Some(folder) = &self.folder {
            // It holds sockets and a file that says where they are.
            let _ = fs::remove_dir_all(folder);
        }
    }
}

/// The same run as another process. It gets signals from home alone, over its line: those of the terminal go to home.
fn command(args: &RunArgs, settings: &Settings, hosts: &Path, index: usize) -> std::io::Result<Command> {
    let mut command = Command::new(std::env::current_exe()?);
    command.args(["--log", if args.log_json { "json" } else { "text" }, "--log-level", &settings.log]);
    command.arg("run").arg(&args.file).arg("--hosts").arg(hosts);
    command.args(["--process", &index.to_string(), "--child", "--quiet"]);
    for (flag, pairs) in [("--param", &args.params), ("--set", &args.set)] {
        for (name, value) in pairs {
            command.arg(flag).arg(format!("{name}={value}"));
        }
    }
    if let Some(folder) = &args.record {
        command.arg("--record").arg(folder);
    }
    if args.cluster.mixed_cpus {
        command.arg("--mixed-cpus");
    }
    command.stdin(Stdio::null()).stdout(Stdio::null()).process_group(0);
    Ok(command)
}

/// A new folder for the owner alone. The paths of sockets must be short.
pub(crate) fn private_folder() -> std::io::Result<PathBuf> {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
    let name = format!("headwater-{}-{:08x}", std::process::id(), since.subsec_nanos());
    let folder = std::env::temp_dir().join(name);
    fs::DirBuilder::new().mode(0o700).create(&folder)?;
    Ok(folder)
}
