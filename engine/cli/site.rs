//! Site settings: what belongs to this machine and never to a pipeline file.
//!
//! In: the settings file, `HEADWATER_*`, flags: each overrides the ones before. Out: the settings, each with its origin.

use std::path::PathBuf;

use config::{Config, Environment, File, FileFormat};
use headwater_contract::quoted;
use headwater_contract::units::Bytes;

use crate::quarantine::Retention;

/// One setting: its name, what it means, its default.
struct Setting {
    name: &'static str,
    meaning: &'static str,
    /// Nothing where this process has no place for it.
    default: fn() -> Option<String>,
}

/// Every setting, in the order in which they are shown.
const SETTINGS: &[Setting] = &[
    Setting {
        name: "state",
        meaning: "folder for what the engine keeps: quarantine, later logs and states",
        default: || Some("data/state".into()),
    },
    Setting { name: "key_file", meaning: "file of the root key, mode 0600", default: default_key_file },
    Setting { name: "workers", meaning: "worker threads of the dataflow", default: || Some("1".into()) },
    Setting {
        name: "log",
        meaning: "what is logged: error, warn, info, debug, trace, or filters such as headwater=debug",
        default: || Some("warn".into()),
    },
    Setting {
        name: "quarantine_days",
        meaning: "rejected rows are let go when their file was written last so many days ago; 0 keeps them",
        default: || Some("90".into()),
    },
    Setting {
        name: "quarantine_bytes",
        meaning: "the oldest rejected rows of a pipeline are let go beyond this size; 0 keeps them",
        default: || Some("1GiB".into()),
    },
];

/// The origin of a value that a flag gave.
const FLAG: &str = "flag";

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
    /// File of the root key; empty where there is no place for it: no verb that needs a key is carried out then.
    pub key_file: PathBuf,
    /// Worker threads.
    pub workers: usize,
    /// The level or the filters of the log.
    pub log: String,
    /// The retention of rejected rows: how long, and how many bytes of them.
    pub quarantine: Retention,
    origins: Vec<(&'static str, String, String)>,
}

/// Returns the path of the settings file: `$XDG_CONFIG_HOME/headwater/config.toml`; nothing without a home.
pub fn settings_file() -> Option<PathBuf> {
    base("XDG_CONFIG_HOME", ".config").map(|base| base.join("headwater/config.toml"))
}

fn default_key_file() -> Option<String> {
    base("XDG_DATA_HOME", ".local/share").map(|base| base.join("headwater/root.key").display().to_string())
}

/// A folder of the XDG base directory specification. A service may have no home, and the working directory is none.
fn base(variable: &str, below_home: &str) -> Option<PathBuf> {
    let folder = |name: &str| std::env::var_os(name).map(PathBuf::from).filter(|path| path.is_absolute());
    folder(variable).or_else(|| folder("HOME").map(|home| home.join(below_home)))
}

/// Reads the settings: file, then environment, then flags.
///
/// # Errors
/// The file is invalid TOML, or a value has the wrong form; the message names where it stood.
pub fn read(flags: &Flags) -> Result<Settings, String> {
    let path = settings_file().unwrap_or_default();
    let mut file = Config::builder();
    if !path.as_os_str().is_empty() {
        file = file.add_source(File::from(path.as_path()).format(FileFormat::Toml).required(false));
    }
    let file = file.build().map_err(|e| format!("{}: {e}", path.display()))?;
    let environment = Config::builder()
        .add_source(Environment::with_prefix("HEADWATER"))
        .build()
        .map_err(|e| format!("the environment: {e}"))?;
    let flag = |name: &str| match name {
        "state" => flags.state.as_ref().map(|p| p.display().to_string()),
        "key_file" => flags.key_file.as_ref().map(|p| p.display().to_string()),
        "workers" => flags.workers.map(|n| n.to_string()),
        "log" => flags.log.clone(),
        _ => None,
    };
    let origins: Vec<(&'static str, String, String)> = SETTINGS
        .iter()
        .map(|setting| {
            let from_flag = flag(setting.name).map(|v| (v, FLAG.to_owned()));
            let variable = format!("HEADWATER_{}", setting.name.to_uppercase());
            let found = from_flag
                .or_else(|| environment.get_string(setting.name).ok().map(|v| (v, variable)))
                .or_else(|| file.get_string(setting.name).ok().map(|v| (v, path.display().to_string())));
            let (value, origin) = found.unwrap_or_else(|| match (setting.default)() {
                Some(value) => (value, "default".into()),
                None => (String::new(), "default: there is none, since HOME is not set".into()),
            });
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
    let (days, origin) = value("quarantine_days");
    let days: u32 = days.parse().map_err(|_| {
        format!("`quarantine_days` from {origin}: expected a whole number of days, or 0 to keep all")
    })?;
    let (bytes, origin) = value("quarantine_bytes");
    let bytes =
        Bytes::parse(&bytes).map_err(|what| format!("`quarantine_bytes` from {origin}: expected {what}"))?;
    let quarantine = Retention {
        days: Some(days).filter(|days| *days > 0),
        bytes: Some(bytes).filter(|bytes| bytes.0 > 0),
    };
    Ok(Settings {
        quarantine,
        state: value("state").0.into(),
        key_file: value("key_file").0.into(),
        workers,
        log: value("log").0,
        origins,
    })
}

impl Settings {
    /// That there is no place for the root key, for verbs that need it.
    ///
    /// # Errors
    /// There is none.
    pub fn has_key_file(&self) -> Result<(), String> {
        if self.key_file.as_os_str().is_empty() {
            return Err("there is no place for the root key: HOME is not set; expected --key-file FILE, HEADWATER_KEY_FILE, or `key_file` \
                        in the settings file"
                .into());
        }
        Ok(())
    }

    /// A command of this program that finds what a command with these settings left: flags that were given are given again.
    pub fn command(&self, words: &str) -> String {
        let mut command = format!("headwater {words}");
        for (name, flag, value) in
            [("state", "--state", &self.state), ("key_file", "--key-file", &self.key_file)]
        {
            if self.origins.iter().any(|(setting, _, origin)| *setting == name && origin == FLAG) {
                command += &format!(" {flag} {}", quoted(&value.to_string_lossy()));
            }
        }
        command
    }

    /// The contract's view for a pipeline of that name.
    pub fn site(&self, pipeline: &str) -> headwater_contract::HostEnv {
        headwater_contract::HostEnv {
            state: self.state_of(pipeline),
            key_file: self.key_file.clone(),
            is_peer: false,
        }
    }

    /// The state folder of a pipeline.
    pub fn state_of(&self, pipeline: &str) -> PathBuf {
        let safe = |c: char| if c.is_alphanumeric() || c == '-' || c == '_' { c } else { '_' };
        self.state.join(pipeline.chars().map(safe).collect::<String>())
    }
}

/// Every setting with its value, origin and meaning.
pub fn shown(settings: &Settings) -> String {
    let mut text = match settings_file() {
        Some(file) if file.exists() => format!("settings file: {}\n", file.display()),
        Some(file) => format!("settings file: {} (not there)\n", file.display()),
        None => "settings file: none, since HOME is not set\n".to_owned(),
    };
    for (setting, (name, value, origin)) in SETTINGS.iter().zip(&settings.origins) {
        text += &format!("{name:16} = {value:40} from {origin}\n{:19}{}\n", "", setting.meaning);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commands_repeat_the_flags_that_were_given() {
        let check = |flags: Flags, expected: &str| {
            assert_eq!(read(&flags).unwrap().command("state show x"), expected);
        };
        check(Flags::default(), "headwater state show x");
        let flags = Flags { state: Some("my state".into()), key_file: Some("k".into()), ..Flags::default() };
        check(flags, "headwater state show x --state 'my state' --key-file k");
    }
}
