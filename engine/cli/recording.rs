//! The verb `recording`, and what a run records: the rows of some ports with the ends of their epochs.
//!
//! In: a plan that says which ports are recorded. Out: a folder that `replay` plays again, what it holds, whether every byte of
//! it is whole, and a way to make a device's rows in it unreadable. It must not know what rows hold.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Write;
use std::path::{Path, PathBuf};

use arrow::array::RecordBatch;
use clap::{Subcommand, ValueHint};
use headwater_contract::{Barrier, HostEnv, Result, StageError};
use headwater_runtime::check::column::type_name;
use headwater_runtime::cluster::Fingerprint;
use headwater_runtime::plan::Plan;
use headwater_runtime::run;
use headwater_vault::{
    AuditAction, AuditLog, KeyFile, RecordedEnd, RecordedPort, RecordedTotals, Recording, RecordingEntry,
    RecordingHead, RecordingWriter, UnfinishedPolicy, real_disk,
};

use crate::exit::{self, Exit};
use crate::site::Settings;
use crate::state::line_of;
use headwater_stages::vault_error::of_vault;

/// The verbs of recordings.
#[derive(Debug, Subcommand)]
pub enum RecordingVerb {
    /// Show what a recording is of, and how much it holds
    Show {
        /// Its folder
        #[arg(value_hint = ValueHint::DirPath)]
        folder: PathBuf,
    },
    /// Look at every byte of a recording; exit code 1 if something is damaged
    Verify {
        /// Its folder
        #[arg(value_hint = ValueHint::DirPath)]
        folder: PathBuf,
    },
    /// Make a device's rows in a recording unreadable for good
    Forget {
        /// Its folder
        #[arg(value_hint = ValueHint::DirPath)]
        folder: PathBuf,
        /// The device's name
        #[arg(long, value_name = "NAME")]
        device: String,
    },
}

/// Why something was not recorded. A recording that broke off is not gone on with, so a full disk ends the run as all else does.
fn unrecorded(error: headwater_vault::Error) -> StageError {
    StageError::new(error.to_string())
}

/// The recording of a run that goes on.
pub struct Recorder {
    folder: PathBuf,
    /// Until it is ended.
    writer: Option<RecordingWriter>,
}

impl Recorder {
    /// Begins a recording of the plan's recorded ports, in this folder or in the next one of the state folder.
    ///
    /// # Errors
    /// Something is in that folder already, or it cannot be written.
    pub fn begin(plan: &Plan, site: &HostEnv, folder: Option<&Path>, facts: Fingerprint) -> Result<Self> {
        let folder = folder.map_or_else(|| next_folder(site), |folder| Ok(folder.to_owned()))?;
        let port = |at| {
            let (columns, label) = plan.rows_of(at)?;
            Some(RecordedPort { name: plan.full_name(at), label: label.name().to_owned(), columns })
        };
        let ports = plan.recorded().into_iter().filter_map(port).collect();
        let head = RecordingHead { pipeline: plan.name.clone(), facts: facts.of_recording(), ports };
        let key = KeyFile::at(&site.key_file);
        let writer = RecordingWriter::create(&folder, &key, real_disk(), &head).map_err(unrecorded)?;
        Ok(Recorder { folder, writer: Some(writer) })
    }

    /// Ends the recording of a run that has ended; says where it is and how much it holds.
    ///
    /// # Errors
    /// Its end cannot be written: it cannot be played.
    pub fn finish(&mut self) -> Result<(PathBuf, RecordedTotals)> {
        let writer = self.writer.take().ok_or_else(ended)?;
        Ok((self.folder.clone(), writer.finish().map_err(unrecorded)?))
    }
}

fn ended() -> StageError {
    StageError::new("the recording has ended")
}

impl run::Recorder for Recorder {
    fn rows(&mut self, port: usize, rows: &RecordBatch) -> Result<()> {
        self.writer.as_mut().ok_or_else(ended)?.rows(port, rows).map_err(unrecorded)
    }

    fn closed(&mut self, mark: &Barrier) -> Result<()> {
        let end = RecordedEnd {
            epoch: mark.epoch.0,
            round: mark.round.0,
            watermark: mark.watermark.map(|watermark| watermark.0),
            round_end: mark.round_end,
            end_of_input: mark.end_of_input,
        };
        self.writer.as_mut().ok_or_else(ended)?.end(&end).map_err(unrecorded)
    }
}

/// The recordings of the state folder, `recordings/000001` and on, in order.
///
/// # Errors
/// The folder cannot be read.
pub fn below(site: &HostEnv) -> Result<Vec<PathBuf>> {
    Ok(numbers(site)?.into_iter().map(|number| numbered(site, number)).collect())
}

/// The first number after those that are there.
fn next_folder(site: &HostEnv) -> Result<PathBuf> {
    Ok(numbered(site, numbers(site)?.last().map_or(1, |last| last + 1)))
}

fn numbered(site: &HostEnv, number: u64) -> PathBuf {
    site.state.join("recordings").join(format!("{number:06}"))
}

fn numbers(site: &HostEnv) -> Result<BTreeSet<u64>> {
    let all = site.state.join("recordings");
    match std::fs::read_dir(&all) {
        Ok(entries) => {
            Ok(entries.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok()).collect())
        }
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(BTreeSet::new()),
        Err(error) => Err(StageError::new(format!("{} cannot be read: {error}", all.display()))),
    }
}

/// Carries out what is asked; gives the exit code.
pub fn run(verb: &RecordingVerb, settings: &Settings, out: &mut dyn Write) -> Exit {
    let done = match verb {
        RecordingVerb::Show { folder } => show(folder, settings, out),
        RecordingVerb::Verify { folder } => verify(folder, settings, out),
        RecordingVerb::Forget { folder, device } => forget(folder, device, settings, out),
    };
    done.unwrap_or_else(|error| exit::fails(&error, Exit::Failed))
}

fn show(folder: &Path, settings: &Settings, out: &mut dyn Write) -> Result<Exit> {
    let recording = Recording::open_complete(folder, &KeyFile::at(&settings.key_file)).map_err(of_vault)?;
    let RecordingHead { pipeline, facts, ports } = recording.head();
    let mut rows: BTreeMap<usize, u64> = BTreeMap::new();
    let mut last = None;
    let mut entries = recording.entries();
    for entry in &mut entries {
        match entry.map_err(of_vault)? {
            RecordingEntry::Rows { port, rows: Some(batch) } => {
                *rows.entry(port).or_default() += batch.num_rows() as u64;
            }
            RecordingEntry::Rows { .. } => {}
            RecordingEntry::End(end) => last = Some(end),
        }
    }
    let mut text = format!("pipeline   {pipeline}\n");
    for (number, port) in ports.iter().enumerate() {
        let columns = port.columns.fields().iter().skip(5);
        let columns = columns.map(|field| format!("{} {}", field.name(), type_name(field.data_type())));
        let columns: Vec<String> = columns.collect();
        let rows = rows.get(&number).copied().unwrap_or(0);
        text += &format!("port       {} ({}): {rows} rows: {}\n", port.name, port.label, columns.join(", "));
    }
    text += &match last {
        None => "epochs     none\n".to_owned(),
        Some(end) => {
            let ended = match recording.truncation() {
                Some(_) => "complete",
                None if end.end_of_input => "to the end of the input",
                None => "stopped before the end of the input",
            };
            format!("epochs     {}, the last in round {}; {ended}\n", entries.totals().ends, end.round)
        }
    };
    if let Some(place) = recording.truncation() {
        let how = match place.last {
            Some(_) => "; replay --complete-epochs plays what is counted here",
            None => "",
        };
        text += &format!("unfinished {}: {}{how}\n", place.path.display(), place.describe());
    }
    if entries.forgotten() > 0 {
        text += &format!("forgotten  {} parts of devices whose key is gone\n", entries.forgotten());
    }
    for (name, value) in facts {
        text += &format!("{name:<10} {value}\n");
    }
    written(out, &text)
}

fn verify(folder: &Path, settings: &Settings, out: &mut dyn Write) -> Result<Exit> {
    let key = KeyFile::at(&settings.key_file);
    let checks = Recording::verify(folder, &key).map_err(of_vault)?;
    let text: String = checks.iter().map(line_of).collect();
    written(out, &text)?;
    let damaged = checks.iter().any(|check| check.problem.is_some());
    // Every byte may be as it was written, and the end still be missing.
    let whole = Recording::open(folder, &key).map_err(of_vault);
    let whole = whole
        .and_then(|recording| recording.entries().try_for_each(|entry| entry.map(drop)).map_err(of_vault));
    match whole {
        Ok(()) => Ok(Exit::of_mistakes(damaged)),
        Err(_) if damaged => Ok(Exit::Failed),
        // It goes on, or was killed: what is there is as it was written.
        Err(error) => {
            let Some(place) = broken_off(folder, &key)? else { return Err(error) };
            written(out, &format!("unfinished {place}; replay --complete-epochs plays what is complete\n"))?;
            Ok(Exit::Failed)
        }
    }
}

/// Returns the place where an unfinished recording breaks off, if it does.
fn broken_off(folder: &Path, key: &KeyFile) -> Result<Option<String>> {
    let recording = Recording::find(folder, key, UnfinishedPolicy::CompleteEpochs).map_err(of_vault)?;
    let place = recording.as_ref().and_then(Recording::truncation);
    Ok(place.map(|place| format!("{}: {}", place.path.display(), place.describe())))
}

fn forget(folder: &Path, device: &str, settings: &Settings, out: &mut dyn Write) -> Result<Exit> {
    let key = KeyFile::at(&settings.key_file);
    // Before the deed: what is not written down is not done.
    let facts = [("recording", folder.display().to_string().into()), ("device", device.into())];
    AuditLog::at(&settings.state, &key, real_disk()).record(AuditAction::Forget, &facts).map_err(of_vault)?;
    let known = Recording::forget(folder, &key, real_disk(), device).map_err(of_vault)?;
    if known {
        return written(out, "forgotten: its rows cannot be read any more\n");
    }
    eprintln!("error: no row of a device {device:?} is in {}: is it spelled so?", folder.display());
    Ok(Exit::Failed)
}

fn written(out: &mut dyn Write, text: &str) -> Result<Exit> {
    out.write_all(text.as_bytes()).map_err(|e| StageError::new(format!("the output: {e}")))?;
    Ok(Exit::Fine)
}
