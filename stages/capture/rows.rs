//! Utterances as Arrow rows, sent with the place behind them.

use std::sync::Arc;

use arrow::array::{ArrayRef, Float32Array, ListArray, TimestampMicrosecondArray, UInt32Array, UInt64Array};
use arrow::buffer::OffsetBuffer;
use headwater_contract::prelude::*;
use headwater_datasets::audio::SAMPLE_RATE;

use super::utterance::{Content, Place, Tally, Utterance, Utterances};

/// Rows in a batch, at most.
const ROWS: usize = 256;

/// Bytes of content in a batch, about.
const BYTES: usize = 1 << 20;

/// Makes batches of a schema and feeds them.
pub struct Outlet {
    source: Arc<str>,
    schema: SchemaRef,
    pending: Vec<Utterance>,
    bytes: usize,
    reported: Tally,
}

impl Outlet {
    /// An outlet for the stage of this id, with these columns.
    pub fn new(source: &str, schema: SchemaRef) -> Self {
        Self { source: source.into(), schema, pending: Vec::new(), bytes: 0, reported: Tally::default() }
    }

    /// The stage's id.
    pub fn source(&self) -> Arc<str> {
        self.source.clone()
    }

    /// The following input was read so far when it was left, or is another text.
    pub fn goes_on(&mut self, from: Tally) {
        self.reported = from;
    }

    /// Feeds all utterances; a batch leaves when it is full, and whenever `waits` says that the next
    /// utterance may take its time. The first item of a text has a position of its own: a text of which no byte was taken in cannot be recognised
    /// by a later attempt once it is renamed.
    pub fn pour<U: Utterances>(
        &mut self,
        utterances: &mut U,
        waits: impl Fn(&U) -> bool,
        feed: &mut Feed<'_>,
    ) -> Result {
        let mut behind = utterances.place();
        let mut is_first = behind.items == 0;
        while let Some(heard) = utterances.next() {
            remember(utterances, feed)?;
            match heard {
                Ok(utterance) => {
                    self.bytes += size(&utterance.content);
                    self.pending.push(utterance);
                    behind = utterances.place();
                    if self.pending.len() >= ROWS || self.bytes >= BYTES || is_first || waits(utterances) {
                        self.flush(behind, feed)?;
                    }
                }
                Err(rejected) => {
                    self.flush(behind, feed)?;
                    behind = utterances.place();
                    let source = self.source.clone();
                    let id = identity::RowId { device: rejected.device, source, seq: rejected.seq, part: 0 };
                    feed.reject(id, rejected.captured_at, rejected.code, rejected.reason)?;
                    if is_first {
                        self.reach(behind, feed)?;
                    }
                }
            }
            is_first = false;
            self.tell(utterances.tally(), feed);
        }
        remember(utterances, feed)?;
        self.flush(behind, feed)?;
        self.tell(utterances.tally(), feed);
        let place = utterances.place();
        if place == behind {
            return Ok(());
        }
        // Only rejections came behind the last row: what follows may be another text, and its rejections are none of these.
        self.reach(place, feed)
    }

    /// Sends a position without rows.
    fn reach(&self, place: Place, feed: &mut Feed<'_>) -> Result {
        feed.send(RecordBatch::new_empty(self.schema.clone()), Position(place.to_bytes()))
    }

    fn flush(&mut self, behind: Place, feed: &mut Feed<'_>) -> Result {
        if self.pending.is_empty() {
            return Ok(());
        }
        let batch = self.batch()?;
        feed.send(batch, Position(behind.to_bytes()))
    }

    fn batch(&mut self) -> Result<RecordBatch> {
        let rows = std::mem::take(&mut self.pending);
        self.bytes = 0;
        let devices: StringArray = rows.iter().map(|row| Some(&*row.device)).collect();
        let sources: StringArray = rows.iter().map(|_| Some(&*self.source)).collect();
        let seqs: UInt64Array = rows.iter().map(|row| row.seq).collect();
        let parts: UInt32Array = rows.iter().map(|row| row.part).collect();
        let times = TimestampMicrosecondArray::from_iter_values(rows.iter().map(|row| row.captured_at.0));
        let mut columns: Vec<ArrayRef> = vec![
            Arc::new(devices),
            Arc::new(sources),
            Arc::new(seqs),
            Arc::new(parts),
            Arc::new(times.with_timezone("UTC")),
            Arc::new(rows.iter().map(|row| row.file.as_deref()).collect::<StringArray>()),
        ];
        columns.extend(contents(rows));
        Ok(RecordBatch::try_new(self.schema.clone(), columns)?)
    }

    /// Adds the counts since the last call to the stage's metrics.
    fn tell(&mut self, tally: Tally, feed: &mut Feed<'_>) {
        let milliseconds = |samples: u64| samples * 1000 / u64::from(SAMPLE_RATE);
        let metrics = [
            ("audio_ms", milliseconds(self.reported.samples_read), milliseconds(tally.samples_read)),
            ("spoken_ms", milliseconds(self.reported.samples_kept), milliseconds(tally.samples_kept)),
            ("silent_files", self.reported.silent, tally.silent),
            ("inputs", self.reported.listed, tally.listed),
            ("inputs_read", self.reported.inputs, tally.inputs),
            ("new_inputs", self.reported.found.new, tally.found.new),
            ("known_inputs", self.reported.found.known, tally.found.known),
            ("changed_inputs", self.reported.found.changed, tally.found.changed),
            ("renamed_inputs", self.reported.found.renamed, tally.found.renamed),
        ];
        for (metric, before, now) in metrics.into_iter().filter(|(_, before, now)| now > before) {
            feed.count(metric, now - before);
        }
        self.reported = tally;
    }
}

/// Remembers what is behind rows that come now, or before them.
fn remember<U: Utterances>(utterances: &mut U, feed: &mut Feed<'_>) -> Result {
    while let Some((key, row)) = utterances.note() {
        feed.remember(key, row)?;
    }
    Ok(())
}

fn size(content: &Content) -> usize {
    match content {
        Content::Samples(samples) => samples.len() * size_of::<f32>(),
        Content::Text { text, kept } => text.len() + kept.iter().map(String::len).sum::<usize>(),
    }
}

/// The columns after the identity: rate and samples, or text and the kept columns. A source gives one kind only, and
/// with every text as many kept ones.
fn contents(rows: Vec<Utterance>) -> Vec<ArrayRef> {
    let (mut samples, mut lengths) = (Vec::new(), Vec::new());
    let mut texts: Vec<Vec<String>> = Vec::new();
    for row in rows {
        match row.content {
            Content::Samples(heard) if samples.is_empty() => {
                lengths.push(heard.len());
                samples = heard;
            }
            Content::Samples(heard) => {
                lengths.push(heard.len());
                samples.extend_from_slice(&heard);
            }
            Content::Text { text, kept } => {
                texts.resize_with(kept.len() + 1, Vec::new);
                let cells = std::iter::once(text).chain(kept);
                texts.iter_mut().zip(cells).for_each(|(column, cell)| column.push(cell));
            }
        }
    }
    if lengths.is_empty() {
        return texts.into_iter().map(|column| Arc::new(StringArray::from(column)) as ArrayRef).collect();
    }
    let rates = UInt32Array::from(vec![SAMPLE_RATE; lengths.len()]);
    let item = Arc::new(Field::new_list_field(DataType::Float32, false));
    let offsets = OffsetBuffer::from_lengths(lengths);
    let lists = ListArray::new(item, offsets, Arc::new(Float32Array::from(samples)), None);
    vec![Arc::new(rates), Arc::new(lists)]
}
