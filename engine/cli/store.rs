//! The verbs of `store`: what is in a store, for people and other programs, and what keeps it in order.
//!
//! In: a store's folder and the site's settings. Out: tables, rows, scripts, receipts. Rows leave the encryption only where
//! that is what was asked for, and the audit log says so before they do.

pub mod render;
pub mod script;
pub mod upkeep;

use std::fs::OpenOptions;
use std::io::{BufWriter, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use clap::{Args, Subcommand, ValueEnum, ValueHint};
use headwater_contract::quoted;
use headwater_vault::{AuditAction, Error, KeyFile, Store, StoreOptions, StoreReader, verify};
use serde_json::json;

use crate::exit::{self, Exit};
use crate::output::write_new;
use crate::site::Settings;
use crate::table::align;
use render::Format;
use script::Language;

/// Which store.
#[derive(Clone, Debug, Args)]
pub struct StoreArgs {
    /// The store's folder: the `path` of its stage
    #[arg(value_hint = ValueHint::DirPath)]
    pub path: PathBuf,
}

/// The verbs of a store.
#[derive(Clone, Debug, Subcommand)]
pub enum StoreVerb {
    /// List the segments: device, rows, bytes
    Ls(StoreArgs),
    /// Print the rows
    Cat {
        /// Which store.
        #[command(flatten)]
        store: StoreArgs,
        /// Form of the rows
        #[arg(long, value_enum, default_value_t = Format::Table)]
        format: Format,
        /// Print at most this many rows
        #[arg(long, value_name = "N")]
        limit: Option<u64>,
    },
    /// Look at every byte: whether each segment is as it was sealed
    Verify(StoreArgs),
    /// Write the rows to a file, without encryption
    Export {
        /// Which store.
        #[command(flatten)]
        store: StoreArgs,
        /// The file to write; it must not exist. Its form follows from .jsonl, .csv or .parquet at its end
        #[arg(long, short, value_hint = ValueHint::FilePath)]
        output: PathBuf,
        /// Form of the rows, whatever the file is called
        #[arg(long, value_enum, conflicts_with = "clear")]
        format: Option<Format>,
        /// Binary form without encryption, whatever the file is called
        #[arg(long, value_enum, value_name = "FORMAT")]
        clear: Option<Clear>,
    },
    /// Print a script that reads the whole store
    Key {
        /// Which store.
        #[command(flatten)]
        store: StoreArgs,
        /// For whom: Python with pyarrow, Python with DuckDB, or SQL for DuckDB alone
        #[arg(long, value_enum, default_value_t)]
        format: Language,
        /// The file to write, mode 0600; it must not exist
        #[arg(long, short, value_hint = ValueHint::FilePath)]
        output: Option<PathBuf>,
    },
    /// Move damaged files aside and keep what is whole
    Repair(StoreArgs),
    /// Make a device's rows unreadable for good
    Forget {
        /// Which store.
        #[command(flatten)]
        store: StoreArgs,
        /// Whose rows
        #[arg(long)]
        device: String,
    },
    /// Seal what is in the log and join small segments
    Compact(StoreArgs),
    /// Show sizes, devices and times
    Stat(StoreArgs),
    /// Print the digest of all rows: equal for two stores that hold the same
    Digest(StoreArgs),
}

/// A binary format without encryption.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Clear {
    /// Parquet that anybody can read
    Parquet,
}

/// Carries out a verb; gives the exit code.
pub fn run(verb: &StoreVerb, settings: &Settings, out: &mut dyn Write) -> Exit {
    let key = KeyFile::at(&settings.key_file);
    let audit = upkeep::Audit { settings, key: &key };
    let done = match verb {
        StoreVerb::Ls(store) => ls(&store.path, &key, out),
        StoreVerb::Cat { store, format, limit } => cat(&store.path, &key, *format, *limit, out),
        StoreVerb::Verify(store) => check(&store.path, &key, out),
        StoreVerb::Export { store, output, format, clear } => {
            export(&store.path, &audit, output, form_of(output, *format, *clear), out)
        }
        StoreVerb::Key { store, format, output } => {
            print_script(&store.path, &audit, *format, output.as_deref(), out)
        }
        StoreVerb::Repair(store) => upkeep::repair(&store.path, &audit, out),
        StoreVerb::Forget { store, device } => upkeep::forget(&store.path, &audit, device, out),
        StoreVerb::Compact(store) => upkeep::compact(&store.path, &key, out),
        StoreVerb::Stat(store) => upkeep::stat(&store.path, &key, out),
        StoreVerb::Digest(store) => upkeep::digest(&store.path, &key, out),
    };
    match done {
        Ok(code) => code,
        Err(error) => exit::fails(&error, error.exit()),
    }
}

/// Why a verb could not be carried out.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// The store cannot be read.
    #[error(transparent)]
    Store(#[from] Error),
    /// Rows cannot be shown in the form that was asked for.
    #[error("the rows cannot be shown: {0}")]
    Rows(#[from] arrow::error::ArrowError),
    /// The output cannot be written.
    #[error("cannot write the output: {0}")]
    Out(#[from] std::io::Error),
    /// Rows that have no digest.
    #[error("the rows have no digest: {0}")]
    Digest(#[from] headwater_contract::StageError),
    /// The store is open in a pipeline that runs.
    #[error(
        "{} is being written by {}, which seals and joins small segments by itself (option `seal_every`); to have all of them joined \
         now, stop the pipeline first",
        path.display(), pid.map_or_else(|| "another process".to_owned(), |pid| format!("process {pid}"))
    )]
    Compacting {
        /// The store.
        path: PathBuf,
        /// The process, if that is known.
        pid: Option<u32>,
    },
    /// The file to write is there already.
    #[error("{} is there already; move it, or give another name", .0.display())]
    Exists(PathBuf),
}

impl Failure {
    fn exit(&self) -> Exit {
        match self {
            Failure::Store(error) if error.is_disk_full() => Exit::Failed,
            Failure::Out(error) => exit::of_output(error, Exit::CouldNotLook),
            _ => Exit::CouldNotLook,
        }
    }
}

type Done = Result<Exit, Failure>;

fn ls(path: &Path, key: &KeyFile, out: &mut dyn Write) -> Done {
    let store = StoreReader::open(path, key)?;
    let mut lines = vec![["SEGMENT", "DEVICE", "ROWS", "BYTES", "FILE"].map(str::to_owned).to_vec()];
    for segment in store.segments() {
        let file = segment.path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let numbers = [segment.number, segment.rows, segment.bytes].map(|n| n.to_string());
        let [number, rows, bytes] = numbers;
        lines.push(vec![number, segment.device.clone(), rows, bytes, file]);
    }
    out.write_all(align(&lines).as_bytes())?;
    let rows: u64 = store.segments().iter().map(|s| s.rows).sum();
    let bytes: u64 = store.segments().iter().map(|s| s.bytes).sum();
    let devices: std::collections::BTreeSet<_> = store.segments().iter().map(|s| &s.device).collect();
    let unsealed: usize = store.unsealed().iter().map(arrow::array::RecordBatch::num_rows).sum();
    writeln!(
        out,
        "\n{rows} rows of {} devices in {} segments, {bytes} bytes; {unsealed} rows in the log; root key {}",
        devices.len(),
        store.segments().len(),
        store.root()
    )?;
    warn_of_torn(store.torn());
    Ok(Exit::Fine)
}

fn cat(path: &Path, key: &KeyFile, format: Format, limit: Option<u64>, out: &mut dyn Write) -> Done {
    let store = StoreReader::open(path, key)?;
    let written = render::rows(&store, format, limit, out)?;
    out.flush()?;
    warn_of_torn(store.torn());
    Ok(told_of_lost(path, key, &written.lost))
}

fn check(path: &Path, key: &KeyFile, out: &mut dyn Write) -> Done {
    let found = verify(path, key)?;
    warn_of_torn(&found.torn);
    for problem in &found.problems {
        writeln!(out, "problem: {problem}")?;
    }
    if found.forgotten > 0 {
        writeln!(
            out,
            "unreadable: {} parts of the log belong to devices that were forgotten; they are as they were written",
            found.forgotten
        )?;
    }
    writeln!(
        out,
        "{} segments with {} rows and {} rows in the log are as they were sealed; {} problems",
        found.segments,
        found.rows,
        found.unsealed_rows,
        found.problems.len()
    )?;
    Ok(if found.problems.is_empty() { Exit::Fine } else { Exit::Failed })
}

/// The form of a file.
enum Form {
    Text(Format),
    Parquet,
}

/// The form that is asked for, else the one that the file's name ends in; JSON lines for any other name.
fn form_of(output: &Path, format: Option<Format>, clear: Option<Clear>) -> Form {
    if let Some(format) = format {
        return Form::Text(format);
    }
    let suffix = output.extension().map(|suffix| suffix.to_string_lossy().to_lowercase());
    match (clear, suffix.as_deref()) {
        (Some(Clear::Parquet), _) | (None, Some("parquet")) => Form::Parquet,
        (None, Some("csv")) => Form::Text(Format::Csv),
        (None, _) => Form::Text(Format::Jsonl),
    }
}

fn export(path: &Path, audit: &upkeep::Audit<'_>, output: &Path, form: Form, out: &mut dyn Write) -> Done {
    let store = StoreReader::open(path, audit.key)?;
    if output.exists() {
        return Err(Failure::Exists(output.to_owned()));
    }
    audit.record(AuditAction::Export, path, &[("to", json!(output))])?;
    // Under another name until it is whole, for the owner alone: it holds what the store encrypts.
    let mut unfinished = output.as_os_str().to_owned();
    unfinished.push(".part");
    let unfinished = PathBuf::from(unfinished);
    let file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&unfinished)?;
    let mut file = BufWriter::new(file);
    let written = match form {
        Form::Parquet => render::clear_parquet(&store, &mut file, output),
        Form::Text(format) => render::rows(&store, format, None, &mut file),
    };
    let written = written.and_then(|rows| {
        file.into_inner().map_err(std::io::IntoInnerError::into_error)?.sync_all()?;
        std::fs::rename(&unfinished, output)?;
        Ok(rows)
    });
    if written.is_err() {
        let _ = std::fs::remove_file(&unfinished);
    }
    let written = written?;
    writeln!(out, "{} rows written to {}, which is not encrypted", written.rows, output.display())?;
    Ok(told_of_lost(path, audit.key, &written.lost))
}

fn print_script(
    path: &Path,
    audit: &upkeep::Audit<'_>,
    format: Language,
    output: Option<&Path>,
    out: &mut dyn Write,
) -> Done {
    let key = audit.key;
    let mut store = StoreReader::open(path, key)?;
    if !store.unsealed().is_empty() {
        // Other programs read segments only. A pipeline that is writing now seals by itself.
        match Store::open(path, key, StoreOptions::default()).and_then(|mut store| store.seal()) {
            Ok(_) => store = StoreReader::open(path, key)?,
            Err(Error::Busy { .. }) => {}
            Err(error) => return Err(error.into()),
        }
    }
    if format.holds_keys() {
        audit.record(AuditAction::KeyUse, path, &[("segments", json!(store.segments().len()))])?;
    }
    let script = script::write(&store, path, key.path(), format)?;
    let Some(output) = output else {
        out.write_all(script.as_bytes())?;
        out.flush()?;
        return Ok(Exit::Fine);
    };
    write_new(output, 0o600, script.as_bytes()).map_err(|error| match error.kind() {
        std::io::ErrorKind::AlreadyExists => Failure::Exists(output.to_owned()),
        _ => Failure::Out(error),
    })?;
    writeln!(out, "script written to {}", output.display())?;
    Ok(Exit::Fine)
}

/// Says which segments could not be read, if there are any; gives the exit code.
fn told_of_lost(path: &Path, key: &KeyFile, lost: &[Error]) -> Exit {
    for damage in lost {
        eprintln!("error: {damage}");
    }
    if lost.is_empty() {
        return Exit::Fine;
    }
    eprintln!(
        "error: rows of {} segments are missing, and all others are there: `headwater store repair {} --key-file {}` moves those segments aside",
        lost.len(),
        quoted(&path.to_string_lossy()),
        quoted(&key.path().to_string_lossy())
    );
    Exit::Failed
}

fn warn_of_torn(torn: &[headwater_vault::TornTail]) {
    for tail in torn {
        eprintln!(
            "warning: {}: its last {} bytes were never completely written; no acknowledged row was in them",
            tail.path.display(),
            tail.bytes
        );
    }
}
