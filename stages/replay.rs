//! The source `replay`: rows that were recorded, stored or collected come again, in their epochs, at their pace or as fast as they can.
//!
//! In: the folder of a recording or of a store, or a data set. Out: its rows, with the columns and the label that they had; from a
//! recording also where its epochs and rounds ended, and the rows that its sources had rejected. Rows that have another label than the file
//! says are refused before anything runs. It must not know who recorded them, nor what becomes of them.

use std::collections::BTreeSet;
use std::path::PathBuf;

use headwater_contract::prelude::*;
use headwater_contract::units::Micros;
use headwater_contract::{OptionType, Shape};
use headwater_datasets::dataset::Dataset;
use headwater_vault::{KEYSTORE_FILE, KeyFile, Recording, StoreReader, UnfinishedPolicy};

mod columns;
mod dataset;
mod pace;
mod recorded;
mod stored;

pub use columns::word_of;

use pace::{Choice, Pacer};

use crate::vault_error::of_vault;

choice! {
    /// The label of the rows when they were recorded.
    pub enum RecordedLabel {
        /// As they were captured.
        Raw = "raw",
        /// Redacted.
        Redacted = "redacted",
        /// A device's change of an adapter.
        Update = "update",
        /// Public rows.
        Public = "public",
    }
}

/// The speed of a replay.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Speed {
    /// As fast as they are taken.
    Max,
    /// So many times as fast as they were captured.
    Times(f64),
}

impl OptionType for Speed {
    fn shape() -> Shape {
        Shape::NumberOr(&["max"])
    }
    fn read(value: &headwater_contract::toml::Value) -> std::result::Result<Self, String> {
        if value.as_str() == Some("max") {
            return Ok(Speed::Max);
        }
        let speed = f64::read(value).ok().filter(|speed| *speed > 0.0);
        speed.map(Speed::Times).ok_or_else(|| "expected a number above 0, or \"max\"".into())
    }
    fn show(&self) -> String {
        match self {
            Speed::Max => "\"max\"".into(),
            Speed::Times(speed) => speed.show(),
        }
    }
}

options! {
    /// Gives rows again that were recorded (`run --record`), stored or collected in a data set: in their epochs, at their pace or as fast as they can.
    pub struct Replay {
        /// The folder of a recording or of a store, or a data set: a folder with a manifest or with transcripts, or a file of rows.
        path: PathBuf;
        /// The port of a recording: `talk.out`. Optional where it has one port alone.
        port: Option<String>;
        /// The columns that are wanted, each with its type unless it is text: `"text"`, `"seconds f32"`, `"samples [f32]"`; a `?` behind the type where values may be missing.
        columns: Vec<String> = vec!["text".to_owned()];
        /// How private the rows are. What lies in the folder must be just that; stores and data sets keep no label, so their rows are raw.
        label: RecordedLabel = RecordedLabel::Raw;
        /// How fast rows come: 1.0 is the pace at which they were captured, "max" as fast as they are taken.
        speed: Speed = Speed::Max;
        /// Only rows captured at this time (RFC 3339) or later.
        since: Option<String>;
        /// Only rows captured before this time (RFC 3339).
        until: Option<String>;
        /// Only rows of these devices. All if it is empty.
        devices: Vec<String> = Vec::new();
        /// Of a data set: only rows of this split.
        split: Option<String>;
        /// Whether the complete epochs of a recording are played whose run was killed before it ended. It is refused otherwise.
        complete_epochs: bool = false;
        /// The file of the root key, if it is another one than the site's.
        key_file: Option<PathBuf>;
    }
}

/// The kind, for the list of kinds.
pub const KIND: StageFactory = StageFactory::source::<Replay>();

/// The input of a replay.
enum ReplayInput {
    Recording(Box<Recording>, usize),
    Store(Box<StoreReader>),
    Dataset(Box<Dataset>),
}

impl ReplayInput {
    /// The name of its kind; a recording keeps more than the other two.
    fn name(&self) -> &'static str {
        match self {
            ReplayInput::Recording(..) => "recording",
            ReplayInput::Store(_) => "store",
            ReplayInput::Dataset(_) => "data set",
        }
    }
}

impl Replay {
    fn label(&self) -> Label {
        match self.label {
            RecordedLabel::Raw => Label::Raw,
            RecordedLabel::Redacted => Label::Redacted,
            RecordedLabel::Update => Label::Update,
            RecordedLabel::Public => Label::Public,
        }
    }

    /// Opens the input at the path, and checks that it can be played as the options say.
    fn find(&self, site: &HostEnv) -> Result<ReplayInput> {
        let found = self.open_path(site)?;
        let place = self.path.display();
        if let ReplayInput::Recording(recording, port) = &found {
            let Some(port) = recording.head().ports.get(*port) else { return Ok(found) };
            if port.label != self.label().name() {
                return Err(StageError::new(format!(
                    "the rows of {} in {place} are {}, and are given here as {} ones",
                    port.name,
                    port.label,
                    self.label()
                ))
                .expected("rows to be as private as when they were recorded, neither more nor less")
                .help(format!("write `label = \"{}\"`", port.label)));
            }
        } else {
            let name = found.name();
            if self.label() != Label::Raw {
                return Err(StageError::new(format!(
                    "{place} is a {name}, which keeps no label of its rows"
                ))
                .expected("no `label`: their rows count as raw")
                .help("record the port that gave them, to have its label again"));
            }
            if let Some(port) = &self.port {
                return Err(StageError::new(format!("{place} is a {name}, and has no port {port:?}"))
                    .expected("no `port`"));
            }
            if self.complete_epochs {
                return Err(StageError::new(format!("{place} is a {name}, and has no epochs"))
                    .expected("no `complete_epochs`"));
            }
        }
        match (&found, &self.split) {
            (ReplayInput::Dataset(dataset), Some(split)) => dataset::has_split(dataset, split)?,
            (_, Some(_)) => {
                return Err(StageError::new(format!("{place} is a {}, and has no splits", found.name()))
                    .expected("no `split`"));
            }
            (_, None) => {}
        }
        Ok(found)
    }

    fn open_path(&self, site: &HostEnv) -> Result<ReplayInput> {
        if !self.path.join(KEYSTORE_FILE).is_file() {
            return Ok(ReplayInput::Dataset(Box::new(dataset::open(&self.path)?)));
        }
        let key = KeyFile::at(self.key_file.as_ref().unwrap_or(&site.key_file));
        let unfinished =
            if self.complete_epochs { UnfinishedPolicy::CompleteEpochs } else { UnfinishedPolicy::Refused };
        let recording = Recording::find(&self.path, &key, unfinished).map_err(of_vault)?;
        let Some(recording) = recording else {
            return Ok(ReplayInput::Store(Box::new(StoreReader::open(&self.path, &key).map_err(of_vault)?)));
        };
        if let Some(place) = recording.truncation().filter(|place| place.last.is_none()) {
            return Err(StageError::new(format!("{}: {}", place.path.display(), place.describe()))
                .expected("at least one complete epoch"));
        }
        let port = self.port_of(&recording)?;
        Ok(ReplayInput::Recording(Box::new(recording), port))
    }

    fn port_of(&self, recording: &Recording) -> Result<usize> {
        let ports = &recording.head().ports;
        let names = || {
            let own = ports.iter().map(|port| port.name.as_str()).filter(|name| !name.ends_with(".rejected"));
            own.collect::<Vec<_>>()
        };
        let folder = self.path.display();
        match (&self.port, names().as_slice()) {
            (Some(wanted), _) => ports.iter().position(|port| port.name == *wanted).ok_or_else(|| {
                StageError::new(format!("the recording {folder} has no port {wanted:?}"))
                    .expected(names().join(" or "))
            }),
            (None, [only]) => Ok(ports.iter().position(|port| port.name == *only).unwrap_or(0)),
            (None, _) => Err(StageError::new(format!("the recording {folder} has several ports"))
                .expected(format!("`port` to say which: {}", names().join(" or ")))),
        }
    }

    fn choice(&self) -> Result<Choice> {
        let time = |text: &Option<String>| text.as_deref().map(time_of).transpose();
        Ok(Choice {
            since: time(&self.since).map_err(StageError::new)?,
            until: time(&self.until).map_err(StageError::new)?,
            devices: self.devices.iter().cloned().collect::<BTreeSet<_>>(),
        })
    }
}

fn time_of(text: &str) -> std::result::Result<Micros, String> {
    let time: jiff::Timestamp = text.parse().map_err(|_| "expected a time such as 2026-03-02T08:15:00Z")?;
    Ok(Micros(time.as_microsecond()))
}

impl SourceConfig for Replay {
    const KIND: &'static str = "replay";

    fn signature(&self) -> Signature {
        let columns: Vec<Field> =
            self.columns.iter().filter_map(|column| columns::field_of(column).ok()).collect();
        let mut signature = Signature::source(columns);
        signature.outputs.iter_mut().for_each(|output| output.label = LabelRule::Recorded(self.label()));
        signature
    }

    fn boundedness(&self) -> Boundedness {
        Boundedness::Bounded
    }

    fn validate(&self) -> Vec<ConfigError> {
        let times = [("since", &self.since), ("until", &self.until)];
        let times = times
            .iter()
            .filter_map(|(option, text)| Some(ConfigError::new(option, time_of(text.as_deref()?).err()?)));
        let columns = self.columns.iter().filter_map(|column| columns::field_of(column).err());
        times.chain(columns.map(|what| ConfigError::new("columns", what))).collect()
    }

    fn ready(&self, site: &HostEnv) -> Result {
        let found = self.find(site)?;
        let schema = self.signature().outputs.first().map(|output| output.rows.clone());
        match (found, schema) {
            (ReplayInput::Recording(recording, port), Some(Rows::Exactly(wanted))) => {
                let port = recording.head().ports.get(port);
                port.map_or(Ok(()), |port| columns::fit(&wanted, &port.columns, &self.path))
            }
            (ReplayInput::Store(store), Some(Rows::Exactly(wanted))) => {
                columns::fit(&wanted, &*store.schema().map_err(of_vault)?, &self.path)
            }
            (ReplayInput::Dataset(dataset), Some(Rows::Exactly(wanted))) => {
                columns::fit(&wanted, &dataset::schema(&dataset), &self.path)
            }
            _ => Ok(()),
        }
    }

    fn open(&self, cx: SourceContext<'_>) -> Result<impl Source> {
        let found = self.find(cx.host)?;
        let place = cx.position.as_ref().map_or(Ok(Place::default()), Place::of)?;
        let pacer = Pacer::new(self.speed, self.choice()?, cx.schema.clone());
        let names = [cx.id, cx.pipeline].map(str::to_owned);
        Ok(ReplaySource { found, pacer, place, names, split: self.split.clone() })
    }
}

/// The position of a replay: entries of a recording that were given whole, and rows of the next one (of all, for a store or a data set).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Place {
    entries: u64,
    rows: u64,
}

impl Place {
    fn of(position: &Position) -> Result<Self> {
        let read = || {
            let (entries, rows) = position.0.split_first_chunk::<8>()?;
            Some(Place {
                entries: u64::from_le_bytes(*entries),
                rows: u64::from_le_bytes(rows.try_into().ok()?),
            })
        };
        read().ok_or_else(|| {
            StageError::new("the saved position is not of a replay")
                .help("begin from scratch: `run --fresh --yes`")
        })
    }

    fn position(self) -> Position {
        Position([self.entries.to_le_bytes(), self.rows.to_le_bytes()].concat())
    }
}

struct ReplaySource {
    found: ReplayInput,
    pacer: Pacer,
    place: Place,
    /// The stage's id, and the pipeline's name.
    names: [String; 2],
    split: Option<String>,
}

impl Source for ReplaySource {
    fn cuts(&self) -> bool {
        matches!(self.found, ReplayInput::Recording(..))
    }

    fn run(self: Box<Self>, feed: Feed<'_>) -> Result {
        let ReplaySource { found, pacer, place, names: [source, device], split } = *self;
        match found {
            ReplayInput::Recording(recording, port) => recorded::play(&recording, port, pacer, place, feed),
            ReplayInput::Store(store) => stored::play(&store, pacer, place, feed),
            ReplayInput::Dataset(dataset) => {
                let names = dataset::Names { source: &source, device: &device };
                dataset::play(&dataset, split.as_deref(), &names, pacer, place, feed)
            }
        }
    }
}

#[cfg(test)]
mod tests;
