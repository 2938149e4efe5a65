//! The verbs `key show|backup|restore`: the root key, without which no store can be read.
//!
//! In: the key file of the site. Out: what it is and where, its text for a safe, or the key back from that text. The key
//! itself is printed only by `backup` when that is asked for, and the audit log says so before.

use std::fs::OpenOptions;
use std::io::{Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use clap::{Subcommand, ValueHint};
use headwater_vault::{AuditLog, Deed, Error, KeyFile, Overwrite, backup, real_disk};
use serde_json::json;

use crate::pipeline::{COULD_NOT_LOOK, FINE};
use crate::site::Settings;

/// What to do with the root key.
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
        /// Overwrite another key; what was stored under it is lost
        #[arg(long)]
        force: bool,
    },
}

/// Carries out a verb; gives the exit code.
pub fn run(verb: &KeyVerb, settings: &Settings, out: &mut dyn Write) -> u8 {
    let key = KeyFile::at(&settings.key_file);
    let done = match verb {
        KeyVerb::Show => show(&key, out),
        KeyVerb::Backup { file } => back_up(&key, settings, file, out),
        KeyVerb::Restore { file, force } => {
            let overwrite = if *force { Overwrite::Force } else { Overwrite::Refuse };
            restore(&key, file, overwrite, out)
        }
    };
    done.map_or_else(
        |error| {
            eprintln!("error: {error}");
            COULD_NOT_LOOK
        },
        |()| FINE,
    )
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
        /// What the system said.
        source: std::io::Error,
    },
}

fn show(key: &KeyFile, out: &mut dyn Write) -> Result<(), Failure> {
    let root = key.read()?;
    let days = root.made().elapsed().unwrap_or_default().as_secs() / 86_400;
    let text = format!(
        "root key {}\nfile     {}\nage      {days} days\n\
         Losing this file loses every store under it: keep a copy (headwater key backup FILE).\n",
        root.id(),
        key.path().display()
    );
    print(out, &text)
}

fn back_up(key: &KeyFile, settings: &Settings, file: &Path, out: &mut dyn Write) -> Result<(), Failure> {
    let root = key.read()?;
    if file.exists() {
        let there = std::io::ErrorKind::AlreadyExists.into();
        return Err(Failure::File { path: file.to_owned(), source: there });
    }
    let audit = AuditLog::at(&settings.state, key, real_disk());
    audit.record(Deed::KeyUse, &[("backup", json!(file))])?;
    let text = backup::write(&root);
    if file.as_os_str() == "-" {
        return print(out, &text);
    }
    let failed = |source| Failure::File { path: file.to_owned(), source };
    let mut made = OpenOptions::new().write(true).create_new(true).mode(0o600).open(file).map_err(failed)?;
    made.write_all(text.as_bytes()).and_then(|()| made.sync_all()).map_err(failed)?;
    print(
        out,
        &format!("root key {} written to {}; keep it apart from the data\n", root.id(), file.display()),
    )
}

fn restore(key: &KeyFile, file: &Path, overwrite: Overwrite, out: &mut dyn Write) -> Result<(), Failure> {
    let failed = |source| Failure::File { path: file.to_owned(), source };
    let mut text = String::new();
    if file.as_os_str() == "-" {
        std::io::stdin().take(1 << 20).read_to_string(&mut text).map_err(failed)?;
    } else {
        text = std::fs::read_to_string(file).map_err(failed)?;
    }
    let root = backup::read(&text)?;
    key.install(&root, overwrite)?;
    print(out, &format!("root key {} is at {}\n", root.id(), key.path().display()))
}

fn print(out: &mut dyn Write, text: &str) -> Result<(), Failure> {
    let failed = |source| Failure::File { path: "the standard output".into(), source };
    out.write_all(text.as_bytes()).and_then(|()| out.flush()).map_err(failed)
}
