//! The source `capture`: recordings, rows of text or a microphone in; one row per utterance out, labelled raw.
//!
//! Recordings are decoded to mono 16 kHz and cut at pauses into utterances of at most 30 s, one at a time: an
//! hour-long file is never in memory whole. What cannot be read is rejected with its reason and the rest goes
//! on. Identity: the n-th recording of a device has the seqs from n million on; a line or row of text has its number.
//!
//! It must not know what becomes of its rows. What it gives depends on the files' names and contents alone, never on the clock or the
//! machine (the microphone apart). Where nothing in a file says when it was captured, its modification time does: it is remembered with
//! the intake, so that it is the same in every attempt.

use std::path::{Path, PathBuf};

use headwater_contract::columns::FILE;
use headwater_contract::prelude::*;

mod audio_decoder;
mod channels;
mod file_ledger;
mod follow;
mod lines;
#[cfg(feature = "microphone")]
mod microphone;
pub mod recordings;
mod rows;
pub mod segment;
mod stamp;
mod text;
mod texts;
pub mod utterance;

use audio_decoder::AudioDecoder;
use channels::Channels;
use file_ledger::FileLedger;
use follow::CompletionTracker;
use rows::Outlet;
use text::times::Times;
use text::{Column, Columns, Numbers};
use texts::Texts;
use texts::ledger::Ledger;
use utterance::Place;

choice! {
    /// The format of the input.
    pub enum Format {
        /// Recordings: WAV, AIFF, CAF, FLAC, Ogg, WebM, M4A, AAC, MP3 or MP2.
        Audio = "audio",
        /// One JSON object per line.
        Jsonl = "jsonl",
        /// Comma-separated values with a header.
        Csv = "csv",
        /// A plain Parquet file.
        Parquet = "parquet",
    }
}

choice! {
    /// Where the input comes from.
    pub enum Origin {
        /// From `path`.
        Files = "files",
        /// From the sound card; needs a program built with the feature `microphone`.
        Microphone = "microphone",
    }
}

/// Columns that rows have beside their identity.
const OWN_COLUMNS: [&str; 3] = ["text", "sample_rate", "samples"];

options! {
    /// Takes in recordings (WAV, AIFF, CAF, FLAC, Ogg, WebM, M4A, AAC, MP3, MP2) or rows of text (JSON lines, CSV, Parquet).
    pub struct Capture {
        /// A recording, a folder of recordings or a manifest.toml; a text file, a folder of them or a pattern such as `logs/*.jsonl`; or `-` for lines on the standard input.
        path: Option<PathBuf>;
        /// What the input holds. Default: by the suffix of `path`; `.jsonl`, `.ndjson`, `.csv`, `.tsv`, `.parquet` and `-` are text, all else is audio.
        format: Option<Format>;
        /// Watches `path`: the run continues, and takes in new recordings once they are complete, and new lines of texts, also across rotation.
        watch: bool = false;
        /// Recordings: which channels are heard. `"mix"`: all as one; `"split"`: each on its own, as the `part` of the rows says (from 0), for calls with a speaker on each channel; a number: that one, from 1.
        channels: Channels = Channels::Mix;
        /// Whether to read `path` or to listen.
        source: Origin = Origin::Files;
        /// Whose input it is where the input does not say. Default: the pipeline's name.
        device: Option<String>;
        /// Whether all rows are `device`'s, whatever the input says: to learn from all devices as if they were one.
        one_device: bool = false;
        /// Text: the column of the text.
        text_column: String = "text".to_owned();
        /// Text: the column of the device. Default: `device`, where there is one.
        device_column: Option<String>;
        /// Text: the column of the time (RFC 3339, or a timestamp of Parquet: UTC where it names no zone). Default: `captured_at`, where there is one.
        captured_at_column: Option<String>;
        /// Text: how times are written, as strptime knows it: "%d/%m/%Y %H:%M:%S"; "unix", "unix_ms" and "unix_us" are counts since 1970. Default: RFC 3339.
        time_format: Option<String>;
        /// The zone of times that name none, in texts and in names of files: "Europe/Berlin", "+01:00". Default: UTC in names of files; in texts a time must name its offset.
        time_zone: Option<String>;
        /// Text: what stands between two values of CSV: one character, or "\\t". Default: a tab in `.tsv`, else what a first line `sep=;` says, else a comma.
        delimiter: Option<String>;
        /// Text: further columns that each row carries on under the same names, as text. Empty where a row says nothing.
        columns: Vec<String> = Vec::new();
    }
}

impl Capture {
    /// The format of the input by the options alone: `check` reads no file.
    fn format(&self) -> Format {
        if let Some(format) = self.format {
            return format;
        }
        let Some(path) = &self.path else { return Format::Audio };
        match path.extension().and_then(|suffix| suffix.to_str()) {
            Some("jsonl" | "ndjson") => Format::Jsonl,
            Some("csv" | "tsv") => Format::Csv,
            Some("parquet") => Format::Parquet,
            _ if path.as_os_str() == "-" => Format::Jsonl,
            _ => Format::Audio,
        }
    }

    fn path(&self) -> &Path {
        self.path.as_deref().unwrap_or(Path::new(""))
    }

    fn reads_standard_input(&self) -> bool {
        self.path().as_os_str() == "-"
    }

    fn numbers(&self) -> Numbers {
        if self.reads_files() { Numbers::Zero } else { Numbers::Now }
    }

    /// Returns true if its rows come from files.
    fn reads_files(&self) -> bool {
        self.source == Origin::Files && !self.reads_standard_input()
    }

    fn columns(&self) -> Columns {
        let column = |asked: &Option<String>, usual: &str| Column {
            name: asked.clone().unwrap_or_else(|| usual.to_owned()),
            required: asked.is_some(),
        };
        Columns {
            text: self.text_column.clone(),
            device: (!self.one_device).then(|| column(&self.device_column, "device")),
            captured_at: column(&self.captured_at_column, "captured_at"),
            kept: self.columns.clone(),
            times: self.times().unwrap_or_default(),
        }
    }

    fn times(&self) -> std::result::Result<Times, ConfigError> {
        Times::new(self.time_format.as_deref(), self.time_zone.as_deref())
    }

    /// The delimiter of CSV, if the options name one.
    fn delimiter(&self) -> Option<u8> {
        let tabs = self.path().extension().is_some_and(|suffix| suffix == "tsv").then_some(b'\t');
        match self.delimiter.as_deref() {
            None => tabs,
            Some("\\t") => Some(b'\t'),
            Some(word) => word.bytes().next(),
        }
    }

    /// The first kept column that cannot stand beside the others under its name.
    fn wrong_column(&self) -> Option<ConfigError> {
        let identity = identity::fields();
        let own = |name: &str| {
            OWN_COLUMNS.contains(&name) || identity.iter().any(|field| field.name() == name) || name == FILE
        };
        let earlier = |at: usize, name: &String| self.columns.iter().take(at).any(|known| known == name);
        self.columns.iter().enumerate().find_map(|(at, name)| {
            let what = if name.is_empty() {
                "a column has an empty name".to_owned()
            } else if own(name) {
                format!("`{name}` is a column that capture makes itself; expected other columns of the input")
            } else if earlier(at, name) {
                format!("`{name}` stands there twice; expected each column once")
            } else {
                return None;
            };
            Some(ConfigError::new("columns", what))
        })
    }
}

impl SourceConfig for Capture {
    const KIND: &'static str = "capture";

    fn signature(&self) -> Signature {
        // What comes from no file has the column too: so the columns hang on the format alone.
        let mut columns = vec![utf8(FILE).with_nullable(true)];
        match self.format() {
            Format::Audio => columns.extend([uint32("sample_rate"), f32_list("samples")]),
            Format::Jsonl | Format::Csv | Format::Parquet => {
                columns.push(utf8("text"));
                columns.extend(self.columns.iter().map(|name| utf8(name)));
            }
        }
        Signature::source(columns)
    }

    fn telling(option: &str) -> &'static [&'static str] {
        if option == "path" { &["'talk'", "'talk.jsonl'", "'talk.csv'", "'-'"] } else { &[] }
    }

    fn boundedness(&self) -> Boundedness {
        // What comes by the standard input cannot be read again.
        match self.source {
            Origin::Files if self.watch => Boundedness::Followed,
            Origin::Files if !self.reads_standard_input() => Boundedness::Bounded,
            Origin::Files | Origin::Microphone => Boundedness::Live,
        }
    }

    fn validate(&self) -> Vec<ConfigError> {
        let mut errors = Vec::new();
        let mut error = |option: &str, what: &str| errors.push(ConfigError::new(option, what));
        let audio = self.format() == Format::Audio;
        match (self.source, &self.path) {
            (Origin::Files, None) => error("path", "missing; expected a file or a folder to read"),
            (Origin::Microphone, Some(_)) => error("path", "a microphone has no path"),
            _ => {}
        }
        if self.watch && !self.reads_files() {
            error("watch", "only files are watched; expected a folder of recordings, or texts, as `path`");
        }
        if self.source == Origin::Microphone && !audio {
            error("format", "a microphone gives \"audio\"");
        }
        if self.source == Origin::Microphone && !cfg!(feature = "microphone") {
            error("source", "this program was built without the feature `microphone`");
        }
        if matches!(self.format(), Format::Audio | Format::Parquet) && self.reads_standard_input() {
            error("format", "the standard input is read as \"jsonl\" or \"csv\"");
        }
        let named = [
            ("device_column", self.device_column.is_some()),
            ("captured_at_column", self.captured_at_column.is_some()),
            ("columns", !self.columns.is_empty()),
            ("time_format", self.time_format.is_some()),
            ("delimiter", self.delimiter.is_some()),
        ];
        for (option, _) in named.iter().filter(|(_, given)| audio && *given) {
            error(option, "recordings have no columns; expected `format` \"jsonl\", \"csv\" or \"parquet\"");
        }
        if self.one_device && self.device_column.is_some() {
            error("device_column", "not read, since `one_device` is true; expected one of the two");
        }
        if let Some(word) = &self.delimiter {
            let fits = word == "\\t" || (word.len() == 1 && !word.contains(['"', '\r', '\n', ' ']));
            if !fits {
                error(
                    "delimiter",
                    "expected one ASCII character that is no quote, blank or end of line, or \"\\t\"",
                );
            } else if self.format() != Format::Csv && !audio {
                error("delimiter", "only CSV has one; expected `format` \"csv\"");
            }
        }
        if self.channels != Channels::Mix && (!audio || self.source == Origin::Microphone) {
            error(
                "channels",
                "only recordings have channels to choose from; expected a recording or a folder as `path`",
            );
        }
        errors.extend(self.times().err());
        errors.extend(self.wrong_column());
        errors
    }

    fn ready(&self, _: &HostEnv) -> Result {
        if self.source == Origin::Microphone || self.reads_standard_input() {
            return Ok(());
        }
        match self.format() {
            Format::Audio => {
                let takes = recordings::list(self.path(), "", self.one_device)?;
                if self.watch && !self.path().is_dir() {
                    return Err(StageError::new(format!("`{}` is no folder", self.path().display()))
                        .expected("a folder, since `watch` is true"));
                }
                if takes.is_empty() && !self.watch {
                    return Err(StageError::new(format!("`{}` holds no recordings", self.path().display()))
                        .expected("at least one file"));
                }
                Ok(())
            }
            Format::Jsonl | Format::Csv | Format::Parquet => texts::ready(self),
        }
    }

    fn open(&self, cx: SourceContext<'_>) -> Result<impl Source> {
        let place = match &cx.position {
            None => Place { items: self.numbers().first(), ..Place::default() },
            Some(position) => Place::from_bytes(&position.0).ok_or_else(|| {
                StageError::new("the saved position is of another version")
                    .help("empty the state folder to start again")
            })?,
        };
        let device: Arc<str> = self.device.as_deref().unwrap_or(cx.pipeline).into();
        let (capture, outlet) = (self.clone(), Outlet::new(cx.id, cx.schema));
        let zone = self.times().unwrap_or_default().zone();
        let before = match self.format() {
            _ if !self.reads_files() => SavedProgress::Nothing,
            Format::Audio => SavedProgress::Recordings(FileLedger::open(self.path(), cx.saved, zone)?),
            format => {
                let (place, is_parquet) = (cx.position.is_some().then_some(place), format == Format::Parquet);
                SavedProgress::Texts(Ledger::open(self.path(), cx.saved, place, zone, is_parquet)?)
            }
        };
        Ok(CaptureSource { capture, device, place, before, outlet })
    }
}

/// The kind, for the list of kinds.
pub const KIND: StageFactory = StageFactory::source::<Capture>();

struct CaptureSource {
    capture: Capture,
    device: Arc<str>,
    place: Place,
    before: SavedProgress,
    outlet: Outlet,
}

/// The progress that earlier attempts saved.
enum SavedProgress {
    Nothing,
    Recordings(FileLedger),
    Texts(Ledger),
}

impl Source for CaptureSource {
    fn run(self: Box<Self>, feed: Feed<'_>) -> Result {
        let Self { capture, device, place, before, outlet } = *self;
        match (before, capture.source) {
            (SavedProgress::Recordings(file_ledger), _) => {
                hear(&capture, &device, (file_ledger, place), outlet, feed)
            }
            (SavedProgress::Texts(ledger), _) => {
                Texts { capture: &capture, device, ledger, outlet }.run(feed)
            }
            (SavedProgress::Nothing, Origin::Files) => {
                texts::read_standard_input(&capture, device, place, outlet, feed)
            }
            #[cfg(feature = "microphone")]
            (SavedProgress::Nothing, Origin::Microphone) => microphone::listen(device, place, outlet, feed),
            #[cfg(not(feature = "microphone"))]
            (SavedProgress::Nothing, Origin::Microphone) => {
                Err(StageError::new("built without the feature `microphone`"))
            }
        }
    }
}

/// Hears recordings: those that there are, or for ever those that come, too.
fn hear(
    capture: &Capture,
    device: &str,
    (file_ledger, place): (FileLedger, Place),
    mut outlet: Outlet,
    mut feed: Feed<'_>,
) -> Result {
    let mut settling = CompletionTracker::default();
    let mut list = || {
        let takes = recordings::list(capture.path(), device, capture.one_device)?;
        Ok::<_, StageError>(if capture.watch { settling.complete(takes) } else { takes })
    };
    let mut hearing = AudioDecoder::from_place(file_ledger, list()?, place, capture.channels);
    loop {
        outlet.pour(&mut hearing, |_| true, &mut feed)?;
        if !capture.watch {
            return Ok(());
        }
        feed.rest(follow::POLL_INTERVAL)?;
        match list() {
            Ok(takes) => hearing.hear_of(takes),
            // A manifest that is being written, or a folder that is absent for a moment.
            Err(error) => tracing::warn!(%error, "the folder cannot be listed now"),
        }
    }
}

#[cfg(test)]
mod tests;
