//! Published adapters: a folder of folders in PEFT's layout, one for each round, and `latest`, a link to one of them.
//!
//! In: the path of such a folder. Out: what lies there, checked against its digests. docs/formats/adapter.md describes it. It must
//! not know how adapters are trained: this is built without LibTorch too.

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};

use headwater_contract::StageError;
use headwater_contract::digest::hex;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

/// The file that says which adapter it is; PEFT does not look at it.
pub const CARD: &str = "headwater.json";
/// PEFT's description of the adapter.
pub const CONFIG: &str = "adapter_config.json";
/// The adapter's parameters.
pub const WEIGHTS: &str = "adapter_model.safetensors";
/// The file that PEFT wrote before safetensors.
const PICKLE: &str = "adapter_model.bin";
/// The link to the newest adapter, or to the one that was chosen.
pub const LATEST: &str = "latest";
const FORMAT: &str = "headwater-adapter";
const VERSION: u64 = 1;

/// The mistake in a published adapter, and where.
pub type Result<T> = std::result::Result<T, StageError>;

/// The name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Card {
    /// The round that it came of; nothing of one that was brought from elsewhere.
    pub round: Option<u64>,
    /// The base's name, and its fingerprint in hexadecimal where that is known.
    pub base: String,
    /// See [`Weights::fingerprint`](super::model::weights::Weights::fingerprint).
    pub fingerprint: Option<String>,
    /// Devices that took part in the round.
    pub devices: u64,
    /// Texts that they trained on.
    pub examples: u64,
    /// Numbers in the adapter.
    pub parameters: u64,
}

/// One adapter, read and found whole.
#[derive(Clone, Debug)]
pub struct Adapter {
    /// Its folder.
    pub folder: PathBuf,
    /// The name.
    pub card: Card,
    /// The bytes of [`CONFIG`].
    pub config: Vec<u8>,
    /// The bytes of [`WEIGHTS`].
    pub weights: Vec<u8>,
}

fn broken(path: &Path, what: impl std::fmt::Display) -> StageError {
    StageError::new(format!("`{}`: {what}", path.display()))
}

/// SHA-256, in hexadecimal.
pub fn sha256(bytes: &[u8]) -> String {
    hex(&Sha256::digest(bytes))
}

impl Adapter {
    /// Reads a folder in PEFT's layout. One without a card comes from elsewhere: it is taken with what its configuration says.
    ///
    /// # Errors
    /// A file is missing, or is not what the card says.
    pub fn open(folder: &Path) -> Result<Adapter> {
        let read = |name: &str| {
            let path = folder.join(name);
            fs::read(&path).map_err(|e| {
                let error = broken(&path, format!("cannot be read: {e}"));
                if name == WEIGHTS && folder.join(PICKLE).is_file() {
                    let expected = format!(
                        "the parameters as safetensors; `{PICKLE}` is a pickle, which can run any code"
                    );
                    error.expected(expected).help("save it again with PEFT's save_pretrained")
                } else {
                    error.expected("a folder in PEFT's layout")
                }
            })
        };
        let (config, weights) = (read(CONFIG)?, read(WEIGHTS)?);
        let path = folder.join(CARD);
        let card = match fs::read(&path) {
            Ok(bytes) => Card::read(&path, &bytes, &config, &weights)?,
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => {
                Card::of_config(&folder.join(CONFIG), &config)?
            }
            Err(e) => return Err(broken(&path, format!("cannot be read: {e}"))),
        };
        Ok(Adapter { folder: folder.to_owned(), card, config, weights })
    }

    /// Refuses an adapter that was made for another base. One that does not say is taken.
    ///
    /// # Errors
    /// Both bases, by name and fingerprint.
    pub fn fits(&self, fingerprint: &[u8]) -> Result<()> {
        let expected = hex(fingerprint);
        match &self.card.fingerprint {
            Some(found) if *found != expected => {
                let what = format!("made for another base, `{}` ({found})", self.card.base);
                Err(broken(&self.folder, what).expected(format!("one with the fingerprint {expected}")))
            }
            _ => Ok(()),
        }
    }

    /// SHA-256 of the parameters' file: distinguishes two adapters.
    pub fn digest(&self) -> String {
        sha256(&self.weights)
    }
}

impl Card {
    /// The card's bytes, with the digests of the files that it stands for.
    pub fn bytes(&self, config: &[u8], weights: &[u8]) -> Vec<u8> {
        let card = json!({
            "format": FORMAT,
            "version": VERSION,
            "round": self.round,
            "base": self.base,
            "base_fingerprint": self.fingerprint,
            "devices": self.devices,
            "examples": self.examples,
            "parameters": self.parameters,
            "sha256": { CONFIG: sha256(config), WEIGHTS: sha256(weights) },
        });
        let mut bytes = format!("{card:#}").into_bytes();
        bytes.push(b'\n');
        bytes
    }

    fn read(path: &Path, bytes: &[u8], config: &[u8], weights: &[u8]) -> Result<Card> {
        let card: Value =
            serde_json::from_slice(bytes).map_err(|e| broken(path, format!("no valid JSON ({e})")))?;
        let get = |key: &str| card.get(key).unwrap_or(&Value::Null);
        if get("format") != FORMAT || get("version").as_u64() != Some(VERSION) {
            return Err(broken(path, "of another format or version").expected(format!("{FORMAT} {VERSION}")));
        }
        for (name, content) in [(CONFIG, config), (WEIGHTS, weights)] {
            let (said, found) = (get("sha256").get(name).and_then(Value::as_str), sha256(content));
            if said != Some(&found) {
                let what = format!("`{name}` beside it has the SHA-256 {found}");
                return Err(broken(path, what).expected(said.unwrap_or("one that the card names").to_owned()));
            }
        }
        let count = |key: &str| get(key).as_u64().unwrap_or(0);
        Ok(Card {
            round: get("round").as_u64(),
            base: get("base").as_str().unwrap_or("unknown").to_owned(),
            fingerprint: get("base_fingerprint").as_str().map(str::to_owned),
            devices: count("devices"),
            examples: count("examples"),
            parameters: count("parameters"),
        })
    }

    fn of_config(path: &Path, config: &[u8]) -> Result<Card> {
        let config: Value =
            serde_json::from_slice(config).map_err(|e| broken(path, format!("no valid JSON ({e})")))?;
        let base = config.get("base_model_name_or_path").and_then(Value::as_str).unwrap_or("unknown");
        let (base, fingerprint) = (base.to_owned(), None);
        Ok(Card { round: None, base, fingerprint, devices: 0, examples: 0, parameters: 0 })
    }
}

/// A folder of published adapters.
#[derive(Clone, Debug)]
pub struct AdapterRegistry(PathBuf);

impl AdapterRegistry {
    /// The registry at a path; it need not exist.
    pub fn at(folder: &Path) -> AdapterRegistry {
        AdapterRegistry(folder.to_owned())
    }

    /// The name of the folder of a round's adapter.
    pub fn name(round: u64) -> String {
        format!("round-{round:06}")
    }

    /// The names of the adapters there, ascending, without unfinished ones and the link.
    ///
    /// # Errors
    /// The folder cannot be read.
    pub fn names(&self) -> Result<Vec<String>> {
        let entries = match fs::read_dir(&self.0) {
            Ok(entries) => entries,
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(e) => return Err(broken(&self.0, format!("cannot be read: {e}"))),
        };
        let mut names: Vec<String> = entries
            .flatten()
            .filter_map(|entry| entry.file_name().into_string().ok())
            .filter(|name| {
                name != LATEST && !name.starts_with('.') && self.0.join(name).join(CONFIG).is_file()
            })
            .collect();
        names.sort();
        Ok(names)
    }

    /// The name that `latest` links to.
    pub fn latest(&self) -> Option<String> {
        fs::read_link(self.0.join(LATEST)).ok()?.file_name()?.to_str().map(str::to_owned)
    }

    /// Reads one by its name; `latest` is the one that the link names.
    ///
    /// # Errors
    /// It is not there or not whole.
    pub fn open(&self, name: &str) -> Result<Adapter> {
        Adapter::open(&self.0.join(name))
    }

    /// Puts an adapter in its place and links `latest` to it: whole or not at all, also after a power cut. The same adapter
    /// again changes nothing.
    ///
    /// # Errors
    /// The disk's.
    pub fn put(&self, name: &str, files: &[(&str, &[u8])]) -> Result<()> {
        let io = |e: std::io::Error| broken(&self.0, format!("an adapter cannot be written: {e}"));
        let place = self.0.join(name);
        let same =
            |(file, bytes): &(&str, &[u8])| fs::read(place.join(file)).is_ok_and(|found| found == *bytes);
        if !files.iter().all(same) {
            let unfinished = self.0.join(format!(".{name}.{}.tmp", std::process::id()));
            fs::create_dir_all(&unfinished).map_err(io)?;
            for (file, bytes) in files {
                let mut written = fs::File::create(unfinished.join(file)).map_err(io)?;
                written.write_all(bytes).and_then(|()| written.sync_all()).map_err(io)?;
            }
            sync(&unfinished).map_err(io)?;
            if place.exists() {
                // A folder cannot take the place of another in one step: the old one goes aside first.
                let aside = self.0.join(format!(".{name}.{}.old", std::process::id()));
                fs::rename(&place, &aside).map_err(io)?;
                fs::rename(&unfinished, &place).map_err(io)?;
                fs::remove_dir_all(&aside).map_err(io)?;
            } else {
                fs::rename(&unfinished, &place).map_err(io)?;
            }
            sync(&self.0).map_err(io)?;
        }
        self.choose(name)
    }

    /// Links `latest` to an adapter.
    ///
    /// # Errors
    /// There is none of that name, or the disk's.
    pub fn choose(&self, name: &str) -> Result<()> {
        if !self.0.join(name).join(CONFIG).is_file() {
            return Err(
                broken(&self.0, format!("no adapter `{name}` lies there")).expected(self.names()?.join(", "))
            );
        }
        let io = |e: std::io::Error| broken(&self.0, format!("`{LATEST}` cannot be set: {e}"));
        if self.latest().as_deref() == Some(name) {
            return Ok(());
        }
        let unfinished = self.0.join(format!(".{LATEST}.{}.tmp", std::process::id()));
        let _ = fs::remove_file(&unfinished);
        std::os::unix::fs::symlink(name, &unfinished).map_err(io)?;
        fs::rename(&unfinished, self.0.join(LATEST)).map_err(io)?;
        sync(&self.0).map_err(io)
    }
}

fn sync(folder: &Path) -> std::io::Result<()> {
    fs::File::open(folder)?.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn card(round: u64) -> Card {
        Card {
            round: Some(round),
            base: "tiny".into(),
            fingerprint: Some(hex(&[7; 32])),
            devices: 3,
            examples: 40,
            parameters: 12,
        }
    }

    fn put(registry: &AdapterRegistry, round: u64, weights: &[u8]) {
        let config = br#"{"base_model_name_or_path": "tiny"}"#;
        let bytes = card(round).bytes(config, weights);
        registry
            .put(&AdapterRegistry::name(round), &[(CONFIG, config), (WEIGHTS, weights), (CARD, &bytes)])
            .unwrap();
    }

    #[test]
    fn what_is_put_is_found_whole() {
        let folder = tempfile::tempdir().unwrap();
        let registry = AdapterRegistry::at(&folder.path().join("adapters"));
        assert!(registry.names().unwrap().is_empty() && registry.latest().is_none());
        put(&registry, 0, b"one");
        put(&registry, 1, b"two");
        assert_eq!(registry.names().unwrap(), ["round-000000", "round-000001"]);
        let latest = registry.open(LATEST).unwrap();
        assert_eq!((latest.card.clone(), latest.weights.as_slice()), (card(1), b"two".as_slice()));
        put(&registry, 1, b"other");
        assert_eq!(registry.open("round-000001").unwrap().weights, b"other");
        registry.choose("round-000000").unwrap();
        assert_eq!(registry.open(LATEST).unwrap().weights, b"one");
        let message = registry.choose("round-000009").unwrap_err().to_string();
        assert!(
            message.contains("no adapter `round-000009`") && message.contains("round-000001"),
            "{message}"
        );
        let left = fs::read_dir(folder.path().join("adapters")).unwrap().count();
        assert_eq!(left, 3, "nothing unfinished is left");
    }

    #[test]
    fn damage_and_other_bases_are_told() {
        let folder = tempfile::tempdir().unwrap();
        let registry = AdapterRegistry::at(folder.path());
        put(&registry, 0, b"weights");
        let adapter = registry.open("round-000000").unwrap();
        adapter.fits(&[7; 32]).unwrap();
        let message = adapter.fits(&[8; 32]).unwrap_err().to_string();
        assert!(message.contains("another base, `tiny` (0707"), "{message}");
        fs::write(folder.path().join("round-000000").join(WEIGHTS), b"Weights").unwrap();
        let message = registry.open("round-000000").unwrap_err().to_string();
        assert!(message.contains("adapter_model.safetensors") && message.contains("SHA-256"), "{message}");
        fs::write(folder.path().join("round-000000").join(CARD), b"{}").unwrap();
        let message = registry.open("round-000000").unwrap_err().to_string();
        assert!(message.contains("of another format or version"), "{message}");
    }

    #[test]
    fn an_adapter_of_others_needs_no_card() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join(CONFIG), br#"{"base_model_name_or_path": "org/model"}"#).unwrap();
        fs::write(folder.path().join(WEIGHTS), b"x").unwrap();
        let adapter = Adapter::open(folder.path()).unwrap();
        assert_eq!((adapter.card.base.as_str(), adapter.card.round), ("org/model", None));
        adapter.fits(&[1; 32]).unwrap();
    }
}
