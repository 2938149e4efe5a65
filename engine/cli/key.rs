//! The verbs `key show|backup|restore|rotate`: the root key, without which no store can be read.
//!
//! In: the key file of the site. Out: what it is and where, its text for a safe, the key back from that text, or another key. The key
//! itself is printed only by `backup` when that is asked for, and the audit log says so before.

mod rotate;

use std::io::{Read, Write};
use std::path::{Path, PathBuf};

use clap::{Subcommand, ValueHint};
use headwater_contract::StageFactory;
use headwater_vault::{AuditAction, AuditLog, Error, KeyFile, RootKey, backup, real_disk};
use serde_json::json;

use crate::exit::{self, Exit};
use crate::output::write_new;
use crate::site::Settings;

/// The verbs of the root key.
#[derive(Clone, Debug, Subcommand)]
pub enum KeyVerb {
    /// Show the key's id, file and age; never the key
    Show,
    /// Write the key as a text to keep in a safe
    Backup {
        /// The file to write, mode 0600; it must not exist. `-` prints the key on the standard output
        #[arg(value_hint = ValueHint::FilePath)]
        file: PathBuf,
    },
    /// Bring the key back from its backup text
    Restore {
        /// The backup; `-` reads the standard input
        #[arg(value_hint = ValueHint::FilePath)]
        file: PathBuf,
        /// Make it the current key where another one is, which is kept beside it
        #[arg(long)]
        force: bool,
    },
    /// Bring all that the root key protects under a new one, while the pipelines are stopped
    Rotate(rotate::RotateArgs),
}

/// Carries out a verb; gives the exit code.
pub fn run(verb: &KeyVerb, settings: &Settings, kinds: &[StageFactory], out: &mut dyn Write) -> Exit {
    let key = KeyFile::at(&settings.key_file);
    let done = match verb {
        KeyVerb::Show => show(&key, settings, out),
        KeyVerb::Backup { file } => back_up(&key, settings, file, out),
        KeyVerb::Restore { file, force } => restore(&key, file, *force, out),
        KeyVerb::Rotate(args) => return rotate::run(args, settings, kinds, out),
    };
    done.map_or_else(|error| exit::fails(&error, error.exit()), |()| Exit::Fine)
}

/// Why a verb could not be carried out.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// The key cannot be read or written.
    #[error(transparent)]
    Key(#[from] Error),
    /// A file cannot be read or written.
    #[error("{}: {source}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// The error of the system.
        source: std::io::Error,
    },
}

impl Failure {
    fn exit(&self) -> Exit {
        match self {
            Failure::Key(error) if error.is_disk_full() => Exit::Failed,
            Failure::File { source, .. } => exit::of_output(source, Exit::CouldNotLook),
            Failure::Key(_) => Exit::CouldNotLook,
        }
    }
}

fn show(key: &KeyFile, settings: &Settings, out: &mut dyn Write) -> Result<(), Failure> {
    let root = key.read()?;
    let mut text =
        format!("root key {}\nfile     {}\nage      {}\n", root.id(), key.path().display(), age(&root));
    let next = key.next()?.map(|next| next.id());
    for (path, other) in key.others()? {
        let (id, path) = (other.id(), path.display());
        text += &if next == Some(id) {
            format!(
                "next     {id} in {path}: a rotation was cut off; `{}` finishes it\n",
                settings.command("key rotate")
            )
        } else {
            format!("older    {id} in {path}, {} old\n", age(&other))
        };
    }
    text += &format!(
        "Losing this file loses every store under it: keep a copy: {}\n",
        settings.command("key backup FILE")
    );
    print(out, &text)
}

fn age(key: &RootKey) -> String {
    match key.made().elapsed().unwrap_or_default().as_secs() / 86_400 {
        1 => "1 day".to_owned(),
        days => format!("{days} days"),
    }
}

fn back_up(key: &KeyFile, settings: &Settings, file: &Path, out: &mut dyn Write) -> Result<(), Failure> {
    let root = key.read()?;
    if file.exists() {
        let there = std::io::ErrorKind::AlreadyExists.into();
        return Err(Failure::File { path: file.to_owned(), source: there });
    }
    let audit = AuditLog::at(&settings.state, key, real_disk());
    audit.record(AuditAction::KeyUse, &[("backup", json!(file))])?;
    let text = backup::write(&root);
    if file.as_os_str() == "-" {
        return print(out, &text);
    }
    let failed = |source| Failure::File { path: file.to_owned(), source };
    write_new(file, 0o600, text.as_bytes()).map_err(failed)?;
    print(
        out,
        &format!("root key {} written to {}; keep it apart from the data\n", root.id(), file.display()),
    )
}

fn restore(key: &KeyFile, file: &Path, force: bool, out: &mut dyn Write) -> Result<(), Failure> {
    let failed = |source| Failure::File { path: file.to_owned(), source };
    let mut text = String::new();
    if file.as_os_str() == "-" {
        std::io::stdin().take(1 << 20).read_to_string(&mut text).map_err(failed)?;
    } else {
        text = std::fs::read_to_string(file).map_err(failed)?;
    }
    let root = backup::read(&text)?;
    let (id, place) = (root.id(), key.path().display());
    match key.read() {
        Ok(present) if present.id() == id => {}
        Ok(present) if !force => {
            key.keep(&root)?;
            let (beside, present) = (key.place_of(id), present.id());
            let text = format!(
                "root key {id} is at {}: what was made with it opens\n\
                 root key {present} stays the current one, for all that is new; --force makes {id} the current one\n",
                beside.display()
            );
            return print(out, &text);
        }
        Ok(_) | Err(Error::Absent { .. }) => key.install(&root)?,
        Err(_) if force => key.install(&root)?,
        Err(unreadable) => return Err(unreadable.into()),
    }
    print(out, &format!("root key {id} is at {place}\n"))
}

fn print(out: &mut dyn Write, text: &str) -> Result<(), Failure> {
    let failed = |source| Failure::File { path: "the standard output".into(), source };
    out.write_all(text.as_bytes()).and_then(|()| out.flush()).map_err(failed)
}
