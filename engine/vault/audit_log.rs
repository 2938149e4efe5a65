//! What was done to data and keys by people: exports in the clear, forgetting, use of keys. In: what was done. Out: lines of
//! JSON, each bound to the one before and sealed under the root key, so that none can be changed or taken out unnoticed.
//! It knows no row: nobody may give it a value of one. See docs/formats/audit-log.md.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde_json::{Map, Value, json};

use crate::disk::{Disk, Locked};
use crate::durable;
use crate::root_key::KeyProvider;
use crate::secret;
use crate::{Error, Result};

/// The file in its folder.
const FILE_NAME: &str = "audit.log";
/// How long another process is waited for that is writing a line.
const PATIENCE: Duration = Duration::from_secs(5);

/// What was done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Deed {
    /// Rows left the encryption.
    Export,
    /// A device was forgotten.
    Forget,
    /// Keys were shown or written somewhere.
    KeyUse,
    /// Keys were wrapped under another root key.
    KeyRotation,
    /// Something was repaired: damaged bytes were moved aside.
    Repair,
    /// Rows passed that a label would have held back.
    LabelException,
}

impl Deed {
    fn name(self) -> &'static str {
        match self {
            Deed::Export => "export",
            Deed::Forget => "forget",
            Deed::KeyUse => "key use",
            Deed::KeyRotation => "key rotation",
            Deed::Repair => "repair",
            Deed::LabelException => "label exception",
        }
    }
}

/// What a look at an audit log found.
#[derive(Debug, Default)]
pub struct AuditCheck {
    /// Its lines, as they stand there.
    pub lines: Vec<Value>,
    /// Lines that were sealed under another root key: their order is proved, their content by that key alone.
    pub other_keys: u64,
    /// Lines that a crash has cut.
    pub torn: u64,
    /// What is wrong.
    pub problems: Vec<Error>,
}

/// The log of one folder. Any number of processes may write to it.
pub struct AuditLog<'k> {
    disk: Arc<dyn Disk>,
    path: PathBuf,
    provider: &'k dyn KeyProvider,
}

impl<'k> AuditLog<'k> {
    /// The log in `folder`; nothing is made before the first line.
    pub fn at(folder: &Path, provider: &'k dyn KeyProvider, disk: Arc<dyn Disk>) -> AuditLog<'k> {
        AuditLog { disk, path: folder.join(FILE_NAME), provider }
    }

    /// Adds a line, durably. `facts` are names and numbers: never a value of a row.
    pub fn record(&self, deed: Deed, facts: &[(&str, Value)]) -> Result {
        let folder = durable::parent(&self.path);
        durable::create_folder(&*self.disk, folder)?;
        let _guard = self.lock()?;
        let before = self.read()?;
        let is_new = before.is_empty();
        let last = before.strip_suffix(b"\n").unwrap_or(&before);
        let last = last.rsplit(|byte| *byte == b'\n').next().unwrap_or_default();
        let root = self.provider.root_key()?;
        let mut line = Map::new();
        let seconds = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
        line.insert("at".into(), json!(seconds));
        line.insert("did".into(), json!(deed.name()));
        line.extend(facts.iter().map(|(name, value)| ((*name).to_owned(), value.clone())));
        line.insert("key".into(), json!(root.id().to_string()));
        line.insert("before".into(), json!(digest_of(last)));
        let mac = root
            .key()
            .derive("audit", b"")
            .authenticate(&[Value::Object(line.clone()).to_string().as_bytes()]);
        line.insert("mac".into(), json!(secret::hex(&mac)));
        // A line that a crash has cut stays as it is; this one does not continue it.
        let mut text = if is_new || before.ends_with(b"\n") { String::new() } else { "\n".into() };
        text.push_str(&Value::Object(line).to_string());
        text.push('\n');
        let mut file = self.disk.append_to(&self.path).map_err(Error::io("open for writing", &self.path))?;
        durable::append(&mut *file, &self.path, text.as_bytes())?;
        durable::sync(&mut *file, &self.path)?;
        if is_new { durable::sync_folder(&*self.disk, folder) } else { Ok(()) }
    }

    /// Looks at every line.
    pub fn check(&self) -> Result<AuditCheck> {
        let bytes = self.read()?;
        let root = self.provider.root_key()?;
        let key = root.key().derive("audit", b"");
        let (mut found, mut before) = (AuditCheck::default(), &b""[..]);
        let whole = bytes.strip_suffix(b"\n").unwrap_or(&bytes);
        let lines = whole.split(|byte| *byte == b'\n').filter(|_| !whole.is_empty());
        for (number, text) in lines.enumerate() {
            let wrong = |what: &str| Error::damaged(&self.path, format!("line {}: {what}", number + 1));
            match serde_json::from_slice::<Map<String, Value>>(text) {
                Err(_) => found.torn += 1,
                Ok(mut line) => {
                    let said = |line: &Map<String, Value>, name: &str| {
                        line.get(name).and_then(Value::as_str).unwrap_or_default().to_owned()
                    };
                    if said(&line, "before") != digest_of(before) {
                        found.problems.push(wrong("the line before it is not the one that was there"));
                    }
                    found.lines.push(Value::Object(line.clone()));
                    let mac = said(&line, "mac");
                    line.remove("mac");
                    let sealed = key.authenticate(&[Value::Object(line.clone()).to_string().as_bytes()]);
                    if said(&line, "key") != root.id().to_string() {
                        found.other_keys += 1;
                    } else if !secret::equal(mac.as_bytes(), secret::hex(&sealed).as_bytes()) {
                        found.problems.push(wrong("its seal does not fit: it was changed"));
                    }
                }
            }
            before = text;
        }
        Ok(found)
    }

    fn read(&self) -> Result<Vec<u8>> {
        if !durable::exists(&*self.disk, &self.path)? {
            return Ok(Vec::new());
        }
        durable::read(&*self.disk, &self.path, "audit log", "the first deed makes one")
    }

    fn lock(&self) -> Result<Box<dyn crate::disk::LockGuard>> {
        let path = self.path.with_extension("lock");
        let since = std::time::Instant::now();
        loop {
            match self.disk.lock(&path).map_err(Error::io("lock", &path))? {
                Locked::Ours(guard) => return Ok(guard),
                Locked::Theirs(pid) if since.elapsed() > PATIENCE => {
                    return Err(Error::Busy { path: self.path.clone(), pid });
                }
                Locked::Theirs(_) => std::thread::sleep(Duration::from_millis(10)),
            }
        }
    }
}

fn digest_of(line: &[u8]) -> String {
    secret::hex(&secret::prefix::<16>(&secret::digest(&[line])))
}
