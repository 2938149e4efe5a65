//! Site settings: what belongs to this machine and never to a pipeline file.
//!
//! In: the settings file, `HEADWATER_*`, flags: each overrides the ones before. Out: the settings, each with its origin.

use std::io::Write;
use std::path::{Path, PathBuf};

use config::{Config, Environment, File, FileFormat};

/// One setting: its name, what it means, its default.
struct Setting {
    name: &'static str,
    meaning: &'static str,
    default: fn() -> String,
}

/// Every setting, in the order in which they are shown.
const SETTINGS: &[Setting] = &[
    Setting {
        name: "state",
        meaning: "folder for what the engine keeps: quarantine, later logs and states",
        default: || "data/state".into(),
    },
    Setting { name: "key_file", meaning: "file of the root key, mode 0600", default: default_key_file },
    Setting { name: "workers", meaning: "worker threads of the dataflow", default: || "1".into() },
    Setting {
        name: "log",
        meaning: "what is logged: error, warn, info, debug, trace, or filters such as headwater=debug",
        default: || "warn".into(),
    },
];

/// Site settings as flags give them.
#[derive(Clone, Debug, Default)]
pub struct Flags {
    /// `--state`.
    pub state: Option<PathBuf>,
    /// `--key-file`.
    pub key_file: Option<PathBuf>,
    /// `--workers`.
    pub workers: Option<usize>,
    /// `--log-level`.
    pub log: Option<String>,
}

/// The settings of this machine.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Folder for what the engine keeps.
    pub state: PathBuf,
    /// File of the root key.
    pub key_file: PathBuf,
    /// Worker threads.
    pub workers: usize,
    /// What is logged.
    pub log: String,
    origins: Vec<(&'static str, String, String)>,
}

/// Where the settings file lies: `$XDG_CONFIG_HOME/headwater/config.toml`.
pub fn settings_file() -> PathBuf {
    base("XDG_CONFIG_HOME", ".config").join("headwater/config.toml")
}

fn default_key_file() -> String {
    base("XDG_DATA_HOME", ".local/share").join("headwater/root.key").display().to_string()
}

/// A folder of the XDG base directory specification.
fn base(variable: &str, below_home: &str) -> PathBuf {
    let given = std::env::var_os(variable).map(PathBuf::from).filter(|p| p.is_absolute());
    given.unwrap_or_else(|| PathBuf::from(std::env::var_os("HOME").unwrap_or_default()).join(below_home))
}

/// Reads the settings: file, then environment, then flags.
///
/// # Errors
/// The file is no TOML, or a value has the wrong form; the message names where it stood.
pub fn read(flags: &Flags) -> Result<Settings, String> {
    let path = settings_file();
    let file = Config::builder()
        .add_source(File::from(path.as_path()).format(FileFormat::Toml).required(false))
        .build()
        .map_err(|e| format!("{}: {e}", path.display()))?;
    let environment = Config::builder()
        .add_source(Environment::with_prefix("HEADWATER"))
        .build()
        .map_err(|e| format!("the environment: {e}"))?;
    let flag = |name: &str| match name {
        "state" => flags.state.as_ref().map(|p| p.display().to_string()),
        "key_file" => flags.key_file.as_ref().map(|p| p.display().to_string()),
        "workers" => flags.workers.map(|n| n.to_string()),
        _ => flags.log.clone(),
    };
    let origins: Vec<(&'static str, String, String)> = SETTINGS
        .iter()
        .map(|setting| {
            let from_flag = flag(setting.name).map(|v| (v, "flag".to_owned()));
            let variable = format!("HEADWATER_{}", setting.name.to_uppercase());
            let found = from_flag
                .or_else(|| environment.get_string(setting.name).ok().map(|v| (v, variable)))
                .or_else(|| file.get_string(setting.name).ok().map(|v| (v, path.display().to_string())));
            let (value, origin) = found.unwrap_or_else(|| ((setting.default)(), "default".into()));
            (setting.name, value, origin)
        })
        .collect();
    let value = |name: &str| {
        origins.iter().find(|o| o.0 == name).map(|o| (o.1.clone(), o.2.clone())).unwrap_or_default()
    };
    let (workers, origin) = value("workers");
    let workers = workers.parse().ok().filter(|n| (1..=256).contains(n));
    let workers =
        workers.ok_or_else(|| format!("`workers` from {origin}: expected a whole number from 1 to 256"))?;
    Ok(Settings {
        state: value("state").0.into(),
        key_file: value("key_file").0.into(),
        workers,
        log: value("log").0,
        origins,
    })
}

impl Settings {
    /// The contract's view for a pipeline of that name.
    pub fn site(&self, pipeline: &str) -> headwater_contract::Site {
        headwater_contract::Site {
            state: self.state_of(pipeline),
            key_file: self.key_file.clone(),
            away: false,
        }
    }

    /// The state folder of a pipeline.
    pub fn state_of(&self, pipeline: &str) -> PathBuf {
        let safe = |c: char| if c.is_alphanumeric() || c == '-' || c == '_' { c } else { '_' };
        self.state.join(pipeline.chars().map(safe).collect::<String>())
    }
}

/// Prints every setting with its value, origin and meaning.
///
/// # Errors
/// The output cannot be written.
pub fn show(settings: &Settings, out: &mut dyn Write) -> std::io::Result<()> {
    writeln!(
        out,
        "settings file: {}{}",
        settings_file().display(),
        if Path::new(&settings_file()).exists() { "" } else { " (not there)" }
    )?;
    for (setting, (name, value, origin)) in SETTINGS.iter().zip(&settings.origins) {
        writeln!(out, "{name:9} = {value:40} from {origin}\n{:12}{}", "", setting.meaning)?;
    }
    Ok(())
}
