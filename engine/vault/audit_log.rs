//! The audit log: exports in the clear, forgetting, use of keys. In: actions. Out: lines of JSON, each bound to the one before
//! and sealed under the root key, so that a changed or removed line is detected. It must not know rows: no caller may pass a value
//! of one. See docs/formats/audit-log.md.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde_json::{Map, Value, json};

use crate::disk::{Disk, LockOutcome};
use crate::durable;
use crate::root_key::{KeyId, KeyProvider};
use crate::secret::{self, Key};
use crate::{Error, Result};

/// The file in its folder.
const FILE_NAME: &str = "audit.log";
/// The longest wait for another process that is writing a line.
const PATIENCE: Duration = Duration::from_secs(5);

/// An action that the audit log records.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AuditAction {
    /// Rows left the encryption.
    Export,
    /// A device was forgotten.
    Forget,
    /// Keys were shown or written somewhere.
    KeyUse,
    /// Keys were wrapped under another root key.
    KeyRotation,
    /// A repair moved damaged bytes aside.
    Repair,
    /// Rows were shown that their label would have held back.
    LabelException,
}

impl AuditAction {
    fn name(self) -> &'static str {
        match self {
            AuditAction::Export => "export",
            AuditAction::Forget => "forget",
            AuditAction::KeyUse => "key use",
            AuditAction::KeyRotation => "key rotation",
            AuditAction::Repair => "repair",
            AuditAction::LabelException => "label exception",
        }
    }
}

/// The result of checking an audit log.
#[derive(Debug, Default)]
pub struct AuditCheck {
    /// The lines, as written.
    pub lines: Vec<Value>,
    /// Lines that were sealed under a root key that is not available: their order is verified, their content is not.
    pub other_keys: u64,
    /// Lines that a crash left incomplete.
    pub torn: u64,
    /// The problems found.
    pub problems: Vec<Error>,
}

/// The log of one folder. Any number of processes may write to it.
pub struct AuditLog<'k> {
    disk: Arc<dyn Disk>,
    path: PathBuf,
    provider: &'k dyn KeyProvider,
}

impl<'k> AuditLog<'k> {
    /// The log in `folder`; the first line creates the file.
    pub fn at(folder: &Path, provider: &'k dyn KeyProvider, disk: Arc<dyn Disk>) -> AuditLog<'k> {
        AuditLog { disk, path: folder.join(FILE_NAME), provider }
    }

    /// Adds a line, durably. `facts` are names and numbers: never a value of a row.
    pub fn record(&self, action: AuditAction, facts: &[(&str, Value)]) -> Result {
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
        line.insert("did".into(), json!(action.name()));
        line.extend(facts.iter().map(|(name, value)| ((*name).to_owned(), value.clone())));
        line.insert("key".into(), json!(root.id().to_string()));
        line.insert("before".into(), json!(digest_of(last)));
        let mac = root
            .key()
            .derive("audit", b"")
            .authenticate(&[Value::Object(line.clone()).to_string().as_bytes()]);
        line.insert("mac".into(), json!(secret::hex(&mac)));
        // An incomplete line from a crash stays as it is; the new line does not continue it.
        let mut text = if is_new || before.ends_with(b"\n") { String::new() } else { "\n".into() };
        text.push_str(&Value::Object(line).to_string());
        text.push('\n');
        let mut file = self.disk.append_to(&self.path).map_err(Error::io("open for writing", &self.path))?;
        durable::append(&mut *file, &self.path, text.as_bytes())?;
        durable::sync(&mut *file, &self.path)?;
        if is_new { durable::sync_folder(&*self.disk, folder) } else { Ok(()) }
    }

    /// Checks every line.
    pub fn check(&self) -> Result<AuditCheck> {
        let bytes = self.read()?;
        let mut keys = Keys { provider: self.provider, found: HashMap::new() };
        let (mut found, mut before) = (AuditCheck::default(), &b""[..]);
        let whole = bytes.strip_suffix(b"\n").unwrap_or(&bytes);
        let lines = whole.split(|byte| *byte == b'\n').filter(|_| !whole.is_empty());
        for (number, text) in lines.enumerate() {
            let problem = |what: &str| Error::damaged(&self.path, format!("line {}: {what}", number + 1));
            match serde_json::from_slice::<Map<String, Value>>(text) {
                Err(_) => found.torn += 1,
                Ok(mut line) => {
                    let field = |line: &Map<String, Value>, name: &str| {
                        line.get(name).and_then(Value::as_str).unwrap_or_default().to_owned()
                    };
                    if field(&line, "before") != digest_of(before) {
                        found.problems.push(problem("the line before it was changed or removed"));
                    }
                    found.lines.push(Value::Object(line.clone()));
                    let mac = field(&line, "mac");
                    line.remove("mac");
                    match keys.of(&field(&line, "key"))? {
                        None => found.other_keys += 1,
                        Some(key) => {
                            let sealed = key.authenticate(&[Value::Object(line).to_string().as_bytes()]);
                            if !secret::equal(mac.as_bytes(), secret::hex(&sealed).as_bytes()) {
                                found.problems.push(problem("its MAC does not match: the line was changed"));
                            }
                        }
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
        durable::read(&*self.disk, &self.path, "audit log", "the first audited action creates it")
    }

    fn lock(&self) -> Result<Box<dyn crate::disk::LockGuard>> {
        let path = self.path.with_extension("lock");
        let since = std::time::Instant::now();
        loop {
            match self.disk.lock(&path).map_err(Error::io("lock", &path))? {
                LockOutcome::Acquired(guard) => return Ok(guard),
                LockOutcome::Busy(pid) if since.elapsed() > PATIENCE => {
                    return Err(Error::Busy { path: self.path.clone(), pid });
                }
                LockOutcome::Busy(_) => std::thread::sleep(Duration::from_millis(10)),
            }
        }
    }
}

/// The keys of the seals, by the id of the root key as a line has it.
struct Keys<'k> {
    provider: &'k dyn KeyProvider,
    found: HashMap<String, Option<Key>>,
}

impl Keys<'_> {
    fn of(&mut self, id: &str) -> Result<Option<&Key>> {
        if !self.found.contains_key(id) {
            let root = KeyId::read(id).map(|id| self.provider.root_key_of(id)).transpose()?.flatten();
            self.found.insert(id.to_owned(), root.map(|root| root.key().derive("audit", b"")));
        }
        Ok(self.found.get(id).and_then(Option::as_ref))
    }
}

fn digest_of(line: &[u8]) -> String {
    secret::hex(&secret::prefix::<16>(&secret::digest(&[line])))
}
