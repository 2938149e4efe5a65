//! The verbs `adapter ls|show|export|import|own|rollback`: adapters that a loop published.
//!
//! In: a folder of published adapters, a PEFT folder. Out: what lies there, found whole by its digests; a copy elsewhere; another
//! choice of `latest`. It must not know how adapters are trained.

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};

use clap::{Subcommand, ValueHint};
use headwater_contract::digest::hex;
use headwater_contract::{HostEnv, StageError};
use headwater_runtime::check::similar::{all_of, nearest};
use headwater_stages::train::model::Base;
use headwater_stages::train::peft;
use headwater_stages::train::personal::{PersonalAdapters, folder};
use headwater_stages::train::registry::{Adapter, AdapterRegistry, CARD, CONFIG, Card, LATEST, WEIGHTS};
use headwater_vault::KeyFile;
use serde_json::Value;

use crate::exit::{self, Exit};
use crate::pipeline::answer;
use crate::site::Settings;
use crate::table::align;

/// The verbs of published adapters.
#[derive(Clone, Debug, Subcommand)]
pub enum AdapterVerb {
    /// List the adapters that were published; the star marks `latest`
    Ls {
        /// The folder of adapters
        #[command(flatten)]
        at: At,
    },
    /// Show one: what it came of, its configuration, its digests
    Show {
        /// Its name in the list
        #[arg(default_value = LATEST)]
        name: String,
        /// The folder of adapters
        #[command(flatten)]
        at: At,
    },
    /// Copy one, whole, to a folder of its own that PEFT reads
    Export {
        /// Its name in the list
        #[arg(default_value = LATEST)]
        name: String,
        /// The folder to make
        #[arg(long, value_name = "DIR", value_hint = ValueHint::DirPath)]
        into: PathBuf,
        /// The folder of adapters
        #[command(flatten)]
        at: At,
    },
    /// Bring a PEFT adapter in, as one to begin with (`adapter = "..."` of a `train` stage)
    Import {
        /// A folder in PEFT's layout
        #[arg(value_hint = ValueHint::DirPath)]
        folder: PathBuf,
        /// The base model that it is for: another base's adapter is refused
        #[arg(long, value_name = "MODEL", value_hint = ValueHint::AnyPath)]
        model: PathBuf,
        /// What to call it
        #[arg(long, default_value = "imported")]
        name: String,
        /// The folder of adapters
        #[command(flatten)]
        at: At,
    },
    /// List devices' own adapters of a pipeline (`personal = true`), or take one out: it is as private as what it learned from
    Own {
        /// The pipeline: its name or its file
        #[arg(value_hint = ValueHint::FilePath)]
        pipeline: String,
        /// The id of the stage that trains
        #[arg(long, default_value = "train")]
        stage: String,
        /// The device whose adapter is taken out, as a folder in PEFT's layout
        #[arg(long, requires = "into")]
        device: Option<String>,
        /// The folder to make
        #[arg(long, value_name = "DIR", requires = "device", value_hint = ValueHint::DirPath)]
        into: Option<PathBuf>,
    },
    /// Let `latest` be an older one
    Rollback {
        /// Its name in the list; by default the one before `latest`
        name: Option<String>,
        /// The folder of adapters
        #[command(flatten)]
        at: At,
    },
}

/// The folder where adapters are published.
#[derive(Clone, Debug, clap::Args)]
pub struct At {
    /// The folder of published adapters: `publish` of the `train` stage
    #[arg(long, value_name = "DIR", default_value = "data/adapters", value_hint = ValueHint::DirPath)]
    at: PathBuf,
}

impl At {
    /// The adapters in a folder.
    pub fn new(folder: &Path) -> At {
        At { at: folder.to_owned() }
    }

    fn registry(&self) -> AdapterRegistry {
        AdapterRegistry::at(&self.at)
    }
}

/// Carries out a verb; gives the exit code.
pub fn run(verb: &AdapterVerb, settings: &Settings, out: &mut dyn Write) -> Exit {
    let done = match verb {
        AdapterVerb::Ls { at } => list(at),
        AdapterVerb::Show { name, at } => open(at, name).map(|adapter| shown(&adapter)),
        AdapterVerb::Export { name, into, at } => export(at, name, into),
        AdapterVerb::Import { folder, model, name, at } => import(folder, model, name, at),
        AdapterVerb::Own { pipeline, stage, device, into } => {
            let taken = device.as_deref().zip(into.as_deref());
            own(&settings.site(pipeline), pipeline, stage, taken, &settings.key_file)
        }
        AdapterVerb::Rollback { name, at } => rollback(at, name.as_deref()),
    };
    match done {
        Ok(text) => answer(out, &text, Exit::Fine),
        Err(error) => exit::fails(&error, Exit::Failed),
    }
}

fn open(at: &At, name: &str) -> Result<Adapter, StageError> {
    let registry = at.registry();
    let names = registry.names()?;
    if name != LATEST && !names.iter().any(|known| known == name) {
        let known = || names.iter().map(String::as_str);
        let help = match nearest(name, known()) {
            Some(near) => format!("did you mean `{near}`?"),
            None if names.is_empty() => {
                "none was published there: a `train` stage with `publish` does".into()
            }
            None => format!("there is {}", all_of(known())),
        };
        return Err(StageError::new(format!("`{}` has no adapter `{name}`", at.at.display())).help(help));
    }
    registry.open(name)
}

fn list(at: &At) -> Result<String, StageError> {
    let registry = at.registry();
    let (names, latest) = (registry.names()?, registry.latest());
    if names.is_empty() {
        return Ok(format!("no adapter was published in {}\n", at.at.display()));
    }
    let mut lines =
        vec![["", "NAME", "ROUND", "DEVICES", "TEXTS", "PARAMETERS", "BASE", "SHA-256"].map(str::to_owned)];
    for name in names {
        let star = if latest.as_deref() == Some(&name) { "*" } else { "" };
        let line = match registry.open(&name) {
            Ok(adapter) => {
                let Card { round, base, devices, examples, parameters, .. } = &adapter.card;
                let round = round.map_or_else(|| "-".to_owned(), |round| round.to_string());
                let digest = adapter.digest().chars().take(16).collect();
                let counts = [devices, examples, parameters].map(u64::to_string);
                let [devices, examples, parameters] = counts;
                [star.into(), name, round, devices, examples, parameters, base.clone(), digest]
            }
            Err(error) => {
                eprintln!("warning: {error}");
                [star, &name, "damaged", "", "", "", "", ""].map(str::to_owned)
            }
        };
        lines.push(line);
    }
    Ok(align(&lines.iter().map(|line| line.to_vec()).collect::<Vec<_>>()))
}

fn shown(adapter: &Adapter) -> String {
    let config: Value = serde_json::from_slice(&adapter.config).unwrap_or_default();
    let get = |key: &str| config.get(key).map_or_else(|| "-".to_owned(), ToString::to_string);
    let row = |what: &str, text: String| vec![what.to_owned(), text];
    let card = &adapter.card;
    align(&[
        row("folder", adapter.folder.display().to_string()),
        row("round", card.round.map_or_else(|| "-".to_owned(), |round| round.to_string())),
        row("came of", format!("{} devices, {} texts", card.devices, card.examples)),
        row("base", card.base.clone()),
        row("fingerprint", card.fingerprint.clone().unwrap_or_else(|| "not known".to_owned())),
        row(
            "rank, alpha",
            format!(
                "{}, {}{}",
                get("r"),
                get("lora_alpha"),
                if get("use_rslora") == "true" { ", rslora" } else { "" }
            ),
        ),
        row("maps", get("target_modules")),
        row(
            "layers",
            config
                .get("layers_to_transform")
                .filter(|l| !l.is_null())
                .map_or_else(|| "all".to_owned(), ToString::to_string),
        ),
        row("parameters", format!("{} in {} bytes", card.parameters, adapter.weights.len())),
        row("sha256", adapter.digest()),
    ])
}

fn export(at: &At, name: &str, into: &Path) -> Result<String, StageError> {
    let adapter = open(at, name)?;
    let io = |e: std::io::Error| StageError::new(format!("`{}` cannot be written: {e}", into.display()));
    if into.exists() {
        return Err(
            StageError::new(format!("`{}` is there already", into.display())).expected("a new folder")
        );
    }
    fs::create_dir_all(into).map_err(io)?;
    let card = adapter.card.bytes(&adapter.config, &adapter.weights);
    for (file, bytes) in [(CONFIG, &adapter.config), (WEIGHTS, &adapter.weights), (CARD, &card)] {
        fs::write(into.join(file), bytes).map_err(io)?;
    }
    Ok(format!("{} is in {}\n", adapter.folder.display(), into.display()))
}

/// Files in a folder that was not there.
fn write_new(into: &Path, files: &[(&str, &Vec<u8>)]) -> Result<(), StageError> {
    let io = |e: std::io::Error| StageError::new(format!("`{}` cannot be written: {e}", into.display()));
    if into.exists() {
        return Err(
            StageError::new(format!("`{}` is there already", into.display())).expected("a new folder")
        );
    }
    fs::create_dir_all(into).map_err(io)?;
    files.iter().try_for_each(|(file, bytes)| fs::write(into.join(file), bytes).map_err(io))
}

fn own(
    site: &HostEnv,
    pipeline: &str,
    stage: &str,
    taken: Option<(&str, &Path)>,
    key: &Path,
) -> Result<String, StageError> {
    let kept = PersonalAdapters::read(&folder(site, stage), &KeyFile::at(key))?;
    let Some((device, into)) = taken else {
        let lines: Vec<Vec<String>> =
            std::iter::once(["DEVICE", "ROUND", "BYTES"].map(str::to_owned).to_vec())
                .chain(kept.iter().map(|(device, own)| {
                    vec![device.clone(), own.round.to_string(), own.weights.len().to_string()]
                }))
                .collect();
        let none = format!("stage `{stage}` of `{pipeline}` has kept no device's own adapter\n");
        return Ok(if kept.is_empty() { none } else { align(&lines) });
    };
    let own = kept.get(device).ok_or_else(|| {
        let what = format!("stage `{stage}` of `{pipeline}` has kept no adapter of device {device:?}");
        StageError::new(what).help(format!("it has those of {}", all_of(kept.keys().map(String::as_str))))
    })?;
    write_new(into, &[(CONFIG, &own.config), (WEIGHTS, &own.weights)])?;
    Ok(format!(
        "the adapter of {device}, after round {}, is in {}: it is not encrypted there\n",
        own.round,
        into.display()
    ))
}

fn import(folder: &Path, model: &Path, name: &str, at: &At) -> Result<String, StageError> {
    let plain = !name.is_empty() && name.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_'));
    if !plain || name == LATEST {
        return Err(
            StageError::new(format!("`{name}` cannot be a name")).expected("letters, digits, `-` and `_`")
        );
    }
    let adapter = Adapter::open(folder)?;
    let base = Base::open(model).map_err(|e| StageError::new(e.to_string()))?;
    let fingerprint = base.weights.fingerprint().map_err(|e| StageError::new(e.to_string()))?;
    adapter.fits(&fingerprint)?;
    let described = peft::check(folder, &base.architecture, &adapter.config, &adapter.weights)?;
    let (fingerprint, parameters) = (Some(hex(&fingerprint)), described.parameters as u64);
    let card = Card { fingerprint, parameters, ..adapter.card.clone() };
    let card = card.bytes(&adapter.config, &adapter.weights);
    let files: [(&str, &[u8]); 3] = [(CONFIG, &adapter.config), (WEIGHTS, &adapter.weights), (CARD, &card)];
    let registry = at.registry();
    let before = registry.latest();
    registry.put(name, &files)?;
    if let Some(before) = before {
        registry.choose(&before)?;
    }
    let place = at.at.join(name);
    Ok(format!(
        "{} is in {}\nto begin with it, in the `train` stage:\n\nadapter = {:?}\n{}",
        folder.display(),
        place.display(),
        place.display().to_string(),
        described.options()
    ))
}

fn rollback(at: &At, name: Option<&str>) -> Result<String, StageError> {
    let registry = at.registry();
    let latest = registry.latest();
    let name = if let Some(name) = name {
        open(at, name).map(|_| name.to_owned())?
    } else {
        let before = |name: &String| Some(name) < latest.as_ref() && name.starts_with("round-");
        let found = registry.names()?.into_iter().rfind(before);
        found.ok_or_else(|| StageError::new("there is no adapter before `latest`"))?
    };
    registry.choose(&name)?;
    let was = latest.unwrap_or_else(|| "nothing".to_owned());
    Ok(format!("`{LATEST}` is {name}; it was {was}\n"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings() -> Settings {
        let flags = crate::site::Flags {
            state: Some("nowhere".into()),
            key_file: Some("nowhere/root.key".into()),
            workers: None,
            log: None,
        };
        crate::site::read(&flags).unwrap()
    }

    fn run_ok(verb: &AdapterVerb) -> String {
        let mut out = Vec::new();
        assert_eq!(run(verb, &settings(), &mut out), Exit::Fine, "{verb:?}");
        String::from_utf8(out).unwrap()
    }

    fn fails(verb: &AdapterVerb) {
        assert_eq!(run(verb, &settings(), &mut Vec::new()), Exit::Failed, "{verb:?}");
    }

    fn put(registry: &Path, round: u64) {
        let config = br#"{"r": 4, "lora_alpha": 8, "target_modules": ["q_proj"]}"#;
        let weights = round.to_le_bytes();
        let (devices, examples, parameters) = (3, 40, 12);
        let card = Card {
            round: Some(round),
            base: "tiny".into(),
            fingerprint: None,
            devices,
            examples,
            parameters,
        };
        let card = card.bytes(config, &weights);
        let files: [(&str, &[u8]); 3] = [(CONFIG, config), (WEIGHTS, &weights), (CARD, &card)];
        AdapterRegistry::at(registry).put(&AdapterRegistry::name(round), &files).unwrap();
    }

    #[test]
    fn adapters_are_listed_shown_exported_and_rolled_back() {
        let folder = tempfile::tempdir().unwrap();
        let at = At::new(&folder.path().join("adapters"));
        assert!(run_ok(&AdapterVerb::Ls { at: at.clone() }).starts_with("no adapter was published"));
        fails(&AdapterVerb::Show { name: LATEST.into(), at: at.clone() });
        (0..3).for_each(|round| put(&at.at, round));
        let list = run_ok(&AdapterVerb::Ls { at: at.clone() });
        assert_eq!(list.lines().count(), 4);
        assert!(
            list.lines().last().unwrap().starts_with("*  round-000002  2      3        40     12"),
            "{list}"
        );
        let back = AdapterVerb::Rollback { name: None, at: at.clone() };
        assert_eq!(run_ok(&back), "`latest` is round-000001; it was round-000002\n");
        assert_eq!(run_ok(&back), "`latest` is round-000000; it was round-000001\n");
        fails(&back);
        fails(&AdapterVerb::Rollback { name: Some("round-9".into()), at: at.clone() });
        let show = run_ok(&AdapterVerb::Show { name: LATEST.into(), at: at.clone() });
        assert!(show.contains("rank, alpha  4, 8\n") && show.contains("3 devices, 40 texts"), "{show}");
        let into = folder.path().join("out");
        let export = AdapterVerb::Export { name: LATEST.into(), into: into.clone(), at: at.clone() };
        run_ok(&export);
        fails(&export);
        assert_eq!(Adapter::open(&into).unwrap().card.round, Some(0));
        std::fs::write(at.at.join("round-000001").join(WEIGHTS), b"x").unwrap();
        assert!(run_ok(&AdapterVerb::Ls { at: at.clone() }).contains("damaged"));
        fails(&AdapterVerb::Show { name: "round-000001".into(), at });
    }

    /// A folder as PEFT writes it: one map of the first layer, of this width, with these words in its configuration.
    fn peft_folder(folder: &Path, width: usize, more: &str) {
        let map = "base_model.model.model.layers.0.self_attn.q_proj";
        let tensor = |factor: &str, rows: usize, columns: usize, start: usize| {
            let end = start + 4 * rows * columns;
            format!(
                "\"{map}.lora_{factor}.weight\":{{\"dtype\":\"F32\",\"shape\":[{rows},{columns}],\"data_offsets\":[{start},{end}]}}"
            )
        };
        let header = format!("{{{},{}}}", tensor("A", 1, width, 0), tensor("B", width, 1, 4 * width));
        let mut weights = (header.len() as u64).to_le_bytes().to_vec();
        weights.extend(header.as_bytes());
        weights.extend(vec![0; 8 * width]);
        let config = format!("{{\"peft_type\": \"LORA\", \"r\": 1, \"lora_alpha\": 2{more}}}");
        fs::create_dir_all(folder).unwrap();
        fs::write(folder.join(CONFIG), config).unwrap();
        fs::write(folder.join(WEIGHTS), weights).unwrap();
    }

    #[test]
    fn what_is_imported_is_what_the_stage_takes() {
        let room = tempfile::tempdir().unwrap();
        let at = At::new(&room.path().join("adapters"));
        let model = Path::new(env!("CARGO_MANIFEST_DIR")).join("datasets/models/slm-nano");
        let brought = |width: usize, more: &str| {
            let folder = room.path().join("brought");
            peft_folder(&folder, width, more);
            import(&folder, &model, "mine", &at).map_err(|error| error.to_string())
        };
        for (width, more, expected) in [
            (64, "", "sizes [1, 64]; expected [1, 160]"),
            (160, ", \"use_dora\": true", "use_dora: found true"),
            (160, ", \"rank_pattern\": {\"q_proj\": 4}", "rank_pattern: found"),
            (160, ", \"init_lora_weights\": \"pissa\"", "init_lora_weights: found"),
        ] {
            let actual = brought(width, more).unwrap_err();
            assert!(actual.contains(expected), "{actual}");
        }
        let other = Card {
            round: None,
            base: "another".into(),
            fingerprint: Some("07".repeat(32)),
            devices: 0,
            examples: 0,
            parameters: 0,
        };
        peft_folder(&room.path().join("other"), 160, "");
        let read = |file: &str| fs::read(room.path().join("other").join(file)).unwrap();
        fs::write(room.path().join("other").join(CARD), other.bytes(&read(CONFIG), &read(WEIGHTS))).unwrap();
        let actual = import(&room.path().join("other"), &model, "mine", &at).unwrap_err().to_string();
        assert!(actual.contains("made for another base, `another`"), "{actual}");
        assert!(at.registry().names().unwrap().is_empty(), "nothing that was refused is there");
        let actual = brought(160, "").unwrap();
        assert!(
            actual.contains("r = 1\nalpha = 2.0\ntarget_modules = [\"model.layers.0.self_attn.q_proj\"]"),
            "{actual}"
        );
        assert_eq!(open(&at, "mine").unwrap().card.parameters, 320);
    }
}
