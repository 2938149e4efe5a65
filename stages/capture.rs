//! The source `capture`: recordings, rows of text or a microphone in; one row per utterance out, labelled raw.
//!
//! Recordings are decoded to mono 16 kHz and cut at pauses into utterances of at most 30 s, one at a time: an
//! hour-long file is never in memory whole. What cannot be read is rejected with its reason and the rest goes
//! on. Identity: the n-th recording of a device has the seqs from n million on; a line or row of text has its number.
//!
//! It must not know what becomes of its rows. What it gives depends on the files' names and contents alone,
//! never on their dates, the clock or the machine (the microphone apart).

use std::fs::File;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};

use headwater_contract::prelude::*;

mod book;
mod follow;
mod hear;
mod lines;
#[cfg(feature = "microphone")]
mod microphone;
pub mod recordings;
mod rows;
pub mod segment;
mod stamp;
mod text;
pub mod utterance;

use book::Book;
use follow::Settling;
use hear::Hearing;
use lines::Lines;
use rows::Outlet;
use text::{Column, Columns, JsonRecords, Numbers, ParquetReading, Reading, Records, Taking};
use utterance::Place;

choice! {
    /// What the input holds.
    pub enum Format {
        /// Recordings: WAV, FLAC, Ogg Vorbis or MP3.
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
    /// Takes in recordings (WAV, FLAC, Ogg Vorbis, MP3) or rows of text (JSON lines, CSV, Parquet).
    pub struct Capture {
        /// A recording, a folder of recordings, a manifest.toml, a text file, or `-` for lines on the standard input.
        path: Option<PathBuf>;
        /// What the input holds. Default: by the suffix of `path`; `.jsonl`, `.ndjson`, `.csv`, `.parquet` and `-` are text, all else is audio.
        format: Option<Format>;
        /// Whether a folder of recordings is watched: it goes on, and takes in new files once they are complete.
        watch: bool = false;
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
        /// Text: further columns that each row carries on under the same names, as text. Empty where a row says nothing.
        columns: Vec<String> = Vec::new();
    }
}

impl Capture {
    /// What the input holds, told from the options alone: `check` looks at no file.
    fn format(&self) -> Format {
        if let Some(format) = self.format {
            return format;
        }
        let Some(path) = &self.path else { return Format::Audio };
        match path.extension().and_then(|suffix| suffix.to_str()) {
            Some("jsonl" | "ndjson") => Format::Jsonl,
            Some("csv") => Format::Csv,
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
        let gone = self.source == Origin::Microphone || self.reads_standard_input();
        if gone { Numbers::Now } else { Numbers::Zero }
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
        }
    }

    /// The first kept column that cannot stand beside the others under its name.
    fn wrong_column(&self) -> Option<Wrong> {
        let identity = identity::fields();
        let own =
            |name: &str| OWN_COLUMNS.contains(&name) || identity.iter().any(|field| field.name() == name);
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
            Some(Wrong::new("columns", what))
        })
    }

    fn taking(&self, device: Arc<str>) -> Taking {
        let name = self.path().display().to_string();
        Taking { columns: self.columns(), name, device, numbers: self.numbers() }
    }

    fn open_text(&self) -> Result<BufReader<File>> {
        let path = self.path();
        let file = File::open(path).map_err(|error| match error.kind() {
            std::io::ErrorKind::NotFound => recordings::absent(path),
            _ => StageError::new(format!("`{}` cannot be read: {error}", path.display())),
        })?;
        if file.metadata().is_ok_and(|meta| meta.is_dir()) {
            return Err(StageError::new(format!("`{}` is a folder", path.display()))
                .expected(format!("a file, since `format` is \"{}\"", self.format().word())));
        }
        Ok(BufReader::new(file))
    }
}

impl SourceConfig for Capture {
    const KIND: &'static str = "capture";

    fn signature(&self) -> Signature {
        match self.format() {
            Format::Audio => Signature::source([uint32("sample_rate"), f32_list("samples")]),
            Format::Jsonl | Format::Csv | Format::Parquet => {
                let kept = self.columns.iter().map(|name| utf8(name));
                Signature::source(std::iter::once(utf8("text")).chain(kept).collect::<Vec<_>>())
            }
        }
    }

    fn pace(&self) -> Pace {
        // What comes by the standard input cannot be read again.
        match self.source {
            Origin::Files if self.watch => Pace::Followed,
            Origin::Files if !self.reads_standard_input() => Pace::Recorded,
            Origin::Files | Origin::Microphone => Pace::Live,
        }
    }

    fn wrongs(&self) -> Vec<Wrong> {
        let mut wrongs = Vec::new();
        let mut wrong = |option: &str, what: &str| wrongs.push(Wrong::new(option, what));
        let audio = self.format() == Format::Audio;
        match (self.source, &self.path) {
            (Origin::Files, None) => wrong("path", "missing; expected a file or a folder to read"),
            (Origin::Microphone, Some(_)) => wrong("path", "a microphone has no path"),
            _ => {}
        }
        if self.watch && (!audio || self.source == Origin::Microphone) {
            wrong("watch", "only recordings are watched; expected a folder of them as `path`");
        }
        if self.source == Origin::Microphone && !audio {
            wrong("format", "a microphone gives \"audio\"");
        }
        if self.source == Origin::Microphone && !cfg!(feature = "microphone") {
            wrong("source", "this program was built without the feature `microphone`");
        }
        if matches!(self.format(), Format::Audio | Format::Parquet) && self.reads_standard_input() {
            wrong("format", "the standard input is read as \"jsonl\" or \"csv\"");
        }
        let named = [
            ("device_column", self.device_column.is_some()),
            ("captured_at_column", self.captured_at_column.is_some()),
            ("columns", !self.columns.is_empty()),
        ];
        for (option, _) in named.iter().filter(|(_, given)| audio && *given) {
            wrong(option, "recordings have no columns; expected `format` \"jsonl\", \"csv\" or \"parquet\"");
        }
        if self.one_device && self.device_column.is_some() {
            wrong("device_column", "not read, since `one_device` is true; expected one of the two");
        }
        wrongs.extend(self.wrong_column());
        wrongs
    }

    fn ready(&self, _: &Site) -> Result {
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
            Format::Jsonl => self.open_text().map(drop),
            Format::Parquet => text::open_parquet(self.path(), &self.columns()).map(drop),
            Format::Csv => {
                let mut lines = Lines::at(self.open_text()?, 0, 0);
                text::csv_header(&mut lines, &self.columns(), &self.path().display().to_string()).map(drop)
            }
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
        let book = Book::open(self.path(), cx.saved)?;
        Ok(Capturing { capture, device, place, book, outlet })
    }
}

/// The kind, for the list of kinds.
pub const KIND: Kind = Kind::source::<Capture>();

struct Capturing {
    capture: Capture,
    device: Arc<str>,
    place: Place,
    book: Book,
    outlet: Outlet,
}

impl Source for Capturing {
    fn run(mut self: Box<Self>, mut feed: Feed<'_>) -> Result {
        match (self.capture.source, self.capture.format()) {
            #[cfg(feature = "microphone")]
            (Origin::Microphone, _) => microphone::listen(self.device, self.place, self.outlet, feed),
            #[cfg(not(feature = "microphone"))]
            (Origin::Microphone, _) => Err(StageError::new("built without the feature `microphone`")),
            (Origin::Files, Format::Audio) => self.hear(feed),
            (Origin::Files, Format::Parquet) => {
                let taking = self.capture.taking(self.device);
                let file = text::open_parquet(self.capture.path(), &taking.columns)?;
                let content = text::parquet_content(self.capture.path())?;
                if self.place.before.is_some_and(|then| then != content) {
                    let rows = self.place.items;
                    return Err(changed(
                        &taking.name,
                        &format!("{rows} rows were taken in"),
                        "the same file",
                    ));
                }
                let mut reading = ParquetReading::new(file, taking, self.place.items, content);
                self.outlet.pour(&mut reading, |_| false, &mut feed)
            }
            (Origin::Files, _) if self.capture.reads_standard_input() => {
                // What an earlier life read is gone from there: this one reads on, and numbers on.
                let lines = Lines::at(BufReader::new(std::io::stdin()), self.place.byte, self.place.line);
                self.read(lines, |_, _| Ok(true), |stdin| stdin.buffer().is_empty(), feed)
            }
            (Origin::Files, _) => {
                let lines = Lines::at(self.capture.open_text()?, 0, 0);
                self.read(lines, Lines::pass_to, |_| false, feed)
            }
        }
    }
}

impl Capturing {
    /// Hears recordings: those that there are, or for ever those that come, too.
    fn hear(mut self, mut feed: Feed<'_>) -> Result {
        let capture = &self.capture;
        let mut settling = Settling::default();
        let mut list = || {
            let takes = recordings::list(capture.path(), &self.device, capture.one_device)?;
            Ok::<_, StageError>(if capture.watch { settling.complete(takes) } else { takes })
        };
        let mut hearing = Hearing::from_place(self.book, list()?, self.place);
        loop {
            self.outlet.pour(&mut hearing, |_| true, &mut feed)?;
            if !capture.watch {
                return Ok(());
            }
            feed.rest(follow::LOOK)?;
            match list() {
                Ok(takes) => hearing.hear_of(takes),
                // A manifest that is being written, or a folder that is away for a moment.
                Err(error) => tracing::warn!(%error, "the folder cannot be listed now"),
            }
        }
    }

    /// Reads a text: past its header, on from where an earlier life stopped, to its end. `waits` tells
    /// whether the next bytes are not there yet.
    fn read<R: BufRead>(
        self,
        mut lines: Lines<R>,
        resume: impl FnOnce(&mut Lines<R>, Place) -> std::io::Result<bool>,
        waits: impl Fn(&R) -> bool,
        mut feed: Feed<'_>,
    ) -> Result {
        let Self { capture, device, place, mut outlet, .. } = self;
        let taking = capture.taking(device);
        let records: Box<dyn Records> = match capture.format() {
            Format::Csv => Box::new(text::csv_header(&mut lines, &taking.columns, &taking.name)?),
            _ => Box::new(JsonRecords),
        };
        let as_it_was = resume(&mut lines, place).map_err(|error| {
            StageError::new(format!("`{}` cannot be read from where it was left: {error}", taking.name))
        })?;
        if !as_it_was {
            let taken = format!("lines 1 to {} were taken in", place.line);
            return Err(changed(&taking.name, &taken, "the same lines, and new ones behind them"));
        }
        let mut reading = Reading::new(lines, records, taking, place.items);
        outlet.pour(&mut reading, |reading| waits(reading.reader()), &mut feed)
    }
}

/// A text of which an earlier life took in something else than what is there now.
fn changed(name: &str, taken: &str, expected: &'static str) -> StageError {
    StageError::new(format!("`{name}` is not what it was: {taken}"))
        .expected(expected)
        .help("put the text back, or what is new into a file of its own; or begin anew: run --fresh")
}

#[cfg(test)]
mod tests;
