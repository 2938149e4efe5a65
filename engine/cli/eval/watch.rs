//! Rows of a trial while they pass: what was heard, what was redacted, what was learned, and when.
//!
//! In: batches at some ports. Out: what each row of the data set became. It must not know scores.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use arrow::array::{Array, AsArray, BinaryArray, Float32Array, Float64Array, RecordBatch, UInt64Array};
use arrow::datatypes::UInt32Type;
use headwater_contract::StageError;
use headwater_contract::columns::{text_column, typed_column};
use headwater_contract::identity::IdentityColumns;
use headwater_evaluate::outcome::{DeviceRound, Span};
use headwater_runtime::plan::{OutPort, Plan, PlanStage, PortRef};
use headwater_runtime::run::Tap;
use headwater_stages::redact::ENTITIES;

use super::input::Input;
use super::scored::Scored;

/// A row's place among the rows that one row of the data set became.
pub(super) type Place = (u64, u32);

/// The results of one row of the data set.
#[derive(Debug, Default)]
pub(super) struct Observations {
    pub heard: BTreeMap<Place, String>,
    pub read: BTreeMap<Place, String>,
    pub redacted: BTreeMap<Place, (String, Vec<Span>)>,
    pub began: Option<Duration>,
    pub ended: Option<Duration>,
}

/// Everything that was seen.
#[derive(Debug, Default)]
pub(super) struct Sight {
    pub rows: BTreeMap<usize, Observations>,
    pub devices: BTreeMap<(String, u64), DeviceRound>,
}

/// The ports that are watched.
#[derive(Clone, Copy)]
enum What {
    Begins,
    Transcripts,
    Read,
    Redacted,
    Update,
    Evaluation,
    Upload,
}

/// Watches a trial.
pub(super) struct Watch {
    input: Arc<Input>,
    sight: Arc<Mutex<Sight>>,
    ports: Vec<(String, usize, What)>,
    /// The column whose entities the redactor lists.
    column: String,
    /// True if speech is written down.
    pub hears: bool,
    /// True if personal data is taken out.
    pub redacts: bool,
    pub profile: Option<String>,
    begun: Instant,
}

impl Watch {
    pub(super) fn of(plan: &Plan, input: Arc<Input>, scored: &Scored<'_>) -> Watch {
        let mut ports = vec![(input.source.clone(), 0, What::Begins)];
        let Scored { hears, redacts, trains, sends } = *scored;
        ports.extend(hears.map(|stage| (stage.id.clone(), 0, What::Transcripts)));
        if let Some(stage) = redacts {
            let fed = stage.inputs.first().into_iter().flat_map(|input| &input.from);
            ports.extend(fed.filter_map(|at| port(plan, *at)).map(|(id, port)| (id, port, What::Read)));
            ports.push((stage.id.clone(), 0, What::Redacted));
        }
        if let Some(train) = trains {
            ports.extend([(train.id.clone(), 0, What::Update), (train.id.clone(), 1, What::Evaluation)]);
            ports.extend(sends.map(|stage| (stage.id.clone(), 0, What::Upload)));
        }
        let said = |stage: &PlanStage, name: &str| {
            stage.options.get(name).and_then(|v| v.as_str()).map(str::to_owned)
        };
        Watch {
            input,
            sight: Arc::default(),
            ports,
            column: redacts.and_then(|stage| said(stage, "column")).unwrap_or_else(|| "text".to_owned()),
            hears: hears.is_some(),
            redacts: redacts.is_some(),
            profile: redacts.and_then(|stage| said(stage, "profile")),
            begun: Instant::now(),
        }
    }

    pub(super) fn taps(&self) -> Vec<Tap> {
        let tap = |(stage, port, what): &(String, usize, What)| {
            let (sight, input, column) = (self.sight.clone(), self.input.clone(), self.column.clone());
            let (what, begun, id) = (*what, self.begun, stage.clone());
            let look = move |batch: &RecordBatch| {
                let noted = match what {
                    What::Update | What::Evaluation | What::Upload => trained(&sight, batch, what),
                    _ => spoken(&sight, &input, &column, batch, what, begun.elapsed()),
                };
                if let Err(error) = noted {
                    tracing::warn!(stage = id, %error, "not scored: these rows have other columns");
                }
            };
            Tap { stage: stage.clone(), port: OutPort::Out(*port), inspect: Arc::new(look) }
        };
        self.ports.iter().map(tap).collect()
    }

    pub(super) fn finish(self) -> Sight {
        std::mem::take(&mut *locked(&self.sight))
    }
}

fn locked(sight: &Mutex<Sight>) -> MutexGuard<'_, Sight> {
    sight.lock().unwrap_or_else(PoisonError::into_inner)
}

fn port(plan: &Plan, at: PortRef) -> Option<(String, usize)> {
    let OutPort::Out(port) = at.port else { return None };
    Some((plan.stages.get(at.stage)?.id.clone(), port))
}

fn spoken(
    sight: &Mutex<Sight>,
    input: &Input,
    column: &str,
    batch: &RecordBatch,
    what: What,
    now: Duration,
) -> Result<(), StageError> {
    let ids = IdentityColumns::of(batch)?;
    let texts = match what {
        What::Begins => None,
        What::Transcripts => Some(text_column(batch, "text")?),
        _ => Some(text_column(batch, column)?),
    };
    let mut sight = locked(sight);
    for row in 0..ids.len() {
        let Some(at) = input.row(&ids, row) else { continue };
        let seen = sight.rows.entry(at).or_default();
        let place = (ids.seq(row), ids.id(row).part);
        let text = || texts.map(|texts| texts.value(row).to_owned()).unwrap_or_default();
        match what {
            What::Begins => {
                seen.began.get_or_insert(now);
            }
            What::Transcripts => {
                seen.heard.insert(place, text());
                seen.ended = Some(now);
            }
            What::Read => {
                seen.read.insert(place, text());
            }
            _ => {
                seen.redacted.insert(place, (text(), tags(batch, row, &text())));
                seen.ended = Some(now);
            }
        }
    }
    Ok(())
}

/// The entities of a row, their offsets in characters.
fn tags(batch: &RecordBatch, row: usize, text: &str) -> Vec<Span> {
    let lists = batch.column_by_name(ENTITIES).and_then(|column| column.as_list_opt::<i32>());
    let Some(list) = lists.map(|lists| lists.value(row)) else { return Vec::new() };
    let Some(entities) = list.as_struct_opt() else { return Vec::new() };
    let kinds = entities.column_by_name("kind").and_then(|c| c.as_string_opt::<i32>());
    let of = |name: &str| entities.column_by_name(name).and_then(|c| c.as_primitive_opt::<UInt32Type>());
    let (Some(kinds), Some(starts), Some(ends)) = (kinds, of("start"), of("end")) else { return Vec::new() };
    let chars = |bytes: u32| text.char_indices().take_while(|(at, _)| *at < bytes as usize).count();
    (0..entities.len())
        .map(|at| Span::new(kinds.value(at), chars(starts.value(at)), chars(ends.value(at))))
        .collect()
}

fn trained(sight: &Mutex<Sight>, batch: &RecordBatch, what: What) -> Result<(), StageError> {
    let ids = IdentityColumns::of(batch)?;
    let whole = |name: &str| typed_column::<UInt64Array>(batch, name);
    let rounds = whole("round")?;
    let mut sight = locked(sight);
    for row in 0..ids.len() {
        let (device, round) = (ids.device(row).to_owned(), rounds.value(row));
        let of = sight.devices.entry((device.clone(), round)).or_default();
        (of.device, of.round) = (device, round);
        match what {
            What::Update => {
                let loss = |name: &str| typed_column::<Float32Array>(batch, name);
                let (before, after) = (loss("loss_before")?.value(row), loss("loss_after")?.value(row));
                of.losses = Some((f64::from(before), f64::from(after)));
                of.examples = whole("examples")?.value(row);
            }
            What::Evaluation => {
                let nats = |name: &str| typed_column::<Float64Array>(batch, name);
                (of.base, of.start) = (nats("base")?.value(row), nats("start")?.value(row));
                of.own = nats("own")?.value(row);
                of.tokens = whole("tokens")?.value(row);
            }
            _ => of.upload_bytes += typed_column::<BinaryArray>(batch, "payload")?.value(row).len() as u64,
        }
    }
    Ok(())
}
