//! The running redactor: rows in, rows with new texts out, at once or after the next row of the same device.
//!
//! In: batches, and the marks that end epochs. Out: redacted batches. Without holding it keeps nothing between two batches.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use arrow::array::Array;
use arrow::compute::interleave_record_batch;
use headwater_contract::columns::FILE;
use headwater_contract::identity::{self, IdentityColumns};
use headwater_contract::prelude::*;
use headwater_contract::units::Micros;

use super::languages::Languages;
use super::ner::{self, Tagger};
use super::operator::{Operators, Owner};
use super::rows::{ENTITIES, Rows};
use super::saved;
use super::scanner::{Finding, Redacted, Scanner};
use super::utterances::{self, Before};

/// A row that waits for the next one of its device.
pub struct HeldRow {
    /// The row, with the input's columns.
    pub row: RecordBatch,
    /// The findings of the tagger in its text; nothing yet where the row comes out of a saved state.
    pub tagged: Option<Vec<Finding>>,
}

/// The state of one device.
pub struct Conversation {
    /// The text before the row that waits, or before the next one.
    pub before: Before,
    /// The time at which the last row was captured.
    pub at: Micros,
    /// The row that waits.
    pub held: Option<HeldRow>,
}

/// The stage.
pub struct Running {
    redactor: Redactor,
    input: SchemaRef,
    hold: Option<Duration>,
    conversations: BTreeMap<String, Conversation>,
    changed: BTreeSet<String>,
    /// The number of held rows that it last reported.
    reported: i64,
    /// The languages of what is said, where numbers in words are read.
    languages: Option<Languages>,
}

/// Rows that are ready, in order: where each lies, and its new text.
struct Ready<'b> {
    batches: Vec<RecordBatch>,
    places: Vec<(usize, usize)>,
    rows: Rows,
    current: &'b RecordBatch,
}

impl<'b> Ready<'b> {
    fn new(current: &'b RecordBatch) -> Self {
        Self { batches: vec![current.clone()], places: Vec::new(), rows: Rows::default(), current }
    }

    fn push_current(&mut self, row: usize, redacted: Redacted) {
        self.places.push((0, row));
        self.rows.push(redacted);
    }

    fn push_held(&mut self, held: HeldRow, redacted: Redacted) {
        self.places.push((self.batches.len(), 0));
        self.batches.push(held.row);
        self.rows.push(redacted);
    }

    /// All rows as one batch with the input's columns.
    fn together(&self) -> Result<RecordBatch> {
        let all = self.batches.len() == 1 && self.places.len() == self.current.num_rows();
        if all && self.places.iter().enumerate().all(|(at, (_, row))| at == *row) {
            return Ok(self.current.clone());
        }
        Ok(interleave_record_batch(&self.batches.iter().collect::<Vec<_>>(), &self.places)?)
    }
}

impl Running {
    /// With what was saved.
    pub fn new(redactor: Redactor, hold: Option<Duration>, cx: &BuildContext<'_>) -> Result<Self> {
        let input = cx.input(0)?;
        let conversations = if hold.is_some() { saved::restore(cx.saved, &input)? } else { Vec::new() };
        Ok(Self {
            redactor,
            input,
            hold,
            conversations: conversations.into_iter().collect(),
            changed: BTreeSet::new(),
            reported: 0,
            languages: None,
        })
    }

    /// The same, for texts that are said: languages whose numbers in words are not read are reported.
    pub fn with_languages(self, languages: Option<Languages>) -> Self {
        Self { languages, ..self }
    }

    /// Says how many rows wait.
    fn tell(&mut self, out: &mut Outbox<'_>) {
        let held = self.conversations.values().filter(|conversation| conversation.held.is_some()).count();
        let held = i64::try_from(held).unwrap_or(i64::MAX);
        out.hold(held - self.reported);
        self.reported = held;
    }

    /// Takes a row of a device: what waited goes first, now that it is known what follows; the row waits if it may go on.
    fn take(
        &mut self,
        (batch, row): (&RecordBatch, usize),
        tagged: Vec<Finding>,
        hold: Duration,
        ready: &mut Ready<'_>,
    ) -> Result {
        let ids = IdentityColumns::of(batch)?;
        let (device, at) = (ids.device(row), ids.captured_at(row));
        let text = text_column(batch, &self.redactor.column)?.value(row);
        let mut conversation = self
            .conversations
            .remove(device)
            .filter(|conversation| !is_over(conversation.at, at, hold) || conversation.held.is_some())
            .unwrap_or(Conversation { before: Before::default(), at, held: None });
        let late = is_over(conversation.at, at, hold);
        if let Some(held) = conversation.held.take() {
            let waiting = text_column(&held.row, &self.redactor.column)?.value(0).to_owned();
            let found = utterances::scan(
                &self.redactor.scanner,
                &conversation.before,
                &waiting,
                Some(text).filter(|_| !late),
            );
            let found = self.redactor.with_tagged(&waiting, found, held.tagged.as_deref())?;
            let redacted = self.redactor.written(&held.row, 0, &waiting, &found)?;
            ready.push_held(held, redacted);
            conversation.before.said(&waiting);
        }
        if late {
            conversation.before = Before::default();
        }
        conversation.at = at;
        if utterances::is_open(&conversation.before, text) {
            conversation.held = Some(HeldRow { row: batch.slice(row, 1), tagged: Some(tagged) });
        } else {
            let found = utterances::scan(&self.redactor.scanner, &conversation.before, text, None);
            let found = ner::merged(text, found, &tagged);
            ready.push_current(row, self.redactor.written(batch, row, text, &found)?);
            conversation.before.said(text);
        }
        self.changed.insert(device.to_owned());
        self.conversations.insert(device.to_owned(), conversation);
        Ok(())
    }

    /// Lets go what waited too long, or everything at the end of the input.
    fn release(&mut self, barrier: &Barrier, hold: Duration, out: &mut Outbox<'_>) -> Result {
        let over = |conversation: &Conversation| {
            barrier.end_of_input || barrier.watermark.is_some_and(|now| is_over(conversation.at, now, hold))
        };
        let devices: Vec<String> = self
            .conversations
            .iter()
            .filter(|(_, conversation)| over(conversation))
            .map(|(device, _)| device.clone())
            .collect();
        let empty = RecordBatch::new_empty(self.input.clone());
        let mut ready = Ready::new(&empty);
        for device in devices {
            let Some(conversation) = self.conversations.remove(&device) else { continue };
            if let Some(held) = conversation.held {
                let text = text_column(&held.row, &self.redactor.column)?.value(0).to_owned();
                let found = utterances::scan(&self.redactor.scanner, &conversation.before, &text, None);
                let found = self.redactor.with_tagged(&text, found, held.tagged.as_deref())?;
                let redacted = self.redactor.written(&held.row, 0, &text, &found)?;
                ready.push_held(held, redacted);
            }
            self.changed.insert(device);
        }
        self.redactor.send(ready, out)
    }
}

/// Returns true if more than `hold` lies between two times.
fn is_over(from: Micros, to: Micros, hold: Duration) -> bool {
    i128::from(to.0) - i128::from(from.0) > i128::try_from(hold.as_micros()).unwrap_or(i128::MAX)
}

impl Stage for Running {
    fn batch(&mut self, input: Port, batch: &RecordBatch, out: &mut Outbox<'_>) -> Result {
        let mut ready = Ready::new(batch);
        let texts = text_column(batch, &self.redactor.column)?;
        if let Some(languages) = &mut self.languages {
            languages.look(batch, out);
        }
        let mut tagged = self.redactor.tagged(texts.iter().map(Option::unwrap_or_default))?;
        for row in 0..batch.num_rows() {
            let tagged = tagged.next().unwrap_or_default();
            if let Some((code, reason)) = self.redactor.refused(batch, row)? {
                out.reject(input, batch, row, code, reason);
                continue;
            }
            if let Some(hold) = self.hold {
                self.take((batch, row), tagged, hold, &mut ready)?;
            } else {
                let text = texts.value(row);
                let found = ner::merged(text, self.redactor.scanner.scan(text), &tagged);
                ready.push_current(row, self.redactor.written(batch, row, text, &found)?);
            }
        }
        self.tell(out);
        self.redactor.send(ready, out)
    }

    fn epoch_end(&mut self, barrier: &Barrier, out: &mut Outbox<'_>) -> Result {
        if let Some(hold) = self.hold {
            self.release(barrier, hold, out)?;
        }
        self.tell(out);
        Ok(())
    }

    fn save(&mut self, state: &mut StateWriter<'_>) -> Result {
        for device in std::mem::take(&mut self.changed) {
            saved::save(state, &device, self.conversations.get(&device))?;
        }
        Ok(())
    }
}

/// Finds in texts and writes them anew.
pub struct Redactor {
    scanner: Scanner,
    operators: Operators,
    column: String,
    /// The other text columns.
    others: Vec<String>,
    schema: SchemaRef,
    /// A tagger beside the patterns, and the least probability that counts.
    tagger: Option<(Arc<Tagger>, f64)>,
}

impl Redactor {
    /// For a text column; every other text column of the output is redacted as well.
    pub fn new(scanner: Scanner, operators: Operators, column: &str, schema: SchemaRef) -> Self {
        let named: Vec<Field> = [identity::fields(), vec![utf8(column)]].concat();
        let texts = schema.fields().iter().filter(|f| *f.data_type() == DataType::Utf8);
        let others =
            texts.map(|f| f.name().clone()).filter(|name| named.iter().all(|n| n.name() != name)).collect();
        Self { scanner, operators, column: column.to_owned(), others, schema, tagger: None }
    }

    /// The same with a tagger.
    pub fn with_tagger(self, tagger: Option<Arc<Tagger>>, least: f64) -> Self {
        Self { tagger: tagger.map(|tagger| (tagger, least)), ..self }
    }

    /// Returns the findings of the tagger in each text; none at all where there is no tagger.
    fn tagged<'t>(&self, texts: impl Iterator<Item = &'t str>) -> Result<std::vec::IntoIter<Vec<Finding>>> {
        let Some((tagger, least)) = &self.tagger else { return Ok(Vec::new().into_iter()) };
        let texts: Vec<&str> = texts.collect();
        let mut found = tagger.tag(&texts, *least)?;
        for (text, found) in texts.iter().zip(&mut found) {
            found.retain_mut(|finding| self.scanner.wants(finding, text));
        }
        Ok(found.into_iter())
    }

    /// Findings of the patterns in a text that waited, and what the tagger found beside them, or finds now.
    fn with_tagged(
        &self,
        text: &str,
        found: Vec<Finding>,
        tagged: Option<&[Finding]>,
    ) -> Result<Vec<Finding>> {
        if let Some(tagged) = tagged {
            return Ok(ner::merged(text, found, tagged));
        }
        let tagged = self.tagged(std::iter::once(text))?.next().unwrap_or_default();
        Ok(ner::merged(text, found, &tagged))
    }

    /// Why a row cannot be redacted.
    fn refused(&self, batch: &RecordBatch, row: usize) -> Result<Option<(&'static str, &'static str)>> {
        let texts = text_column(batch, &self.column)?;
        if texts.is_null(row) {
            return Ok(Some(("no_text", "the row has no text")));
        }
        let long = texts.value(row).len() > (u32::MAX / 64) as usize;
        Ok(long.then_some(("text_too_long", "the text is longer than offsets of 32 bits reach")))
    }

    /// A text with its findings replaced.
    fn written(&self, batch: &RecordBatch, row: usize, text: &str, found: &[Finding]) -> Result<Redacted> {
        if self.operators.are_tags() {
            return Ok(self.scanner.tagged(text, found));
        }
        let ids = IdentityColumns::of(batch)?;
        let id = ids.id(row);
        let owner = Owner { device: ids.device(row), source: &id.source, row: (id.seq, id.part) };
        let write = |finding: &Finding, value: &str, out: &mut String| {
            self.operators.write(finding, self.scanner.name(finding), value, owner, out);
        };
        Ok(self.scanner.replace(text, found, write))
    }

    /// Sends the rows that are ready.
    fn send(&self, ready: Ready<'_>, out: &mut Outbox<'_>) -> Result {
        if ready.rows.len() == 0 {
            return Ok(());
        }
        let batch = self.without_values_beside(&ready.together()?)?;
        out.count("entities", ready.rows.entities());
        let (texts, entities) = ready.rows.into_columns()?;
        out.send(with_columns(&batch, &self.schema, [(self.column.as_str(), texts), (ENTITIES, entities)])?);
        Ok(())
    }

    /// The batch with every text column redacted but the one whose entities are listed.
    fn without_values_beside(&self, batch: &RecordBatch) -> Result<RecordBatch> {
        let redacted = |field: &Field, column: &ArrayRef| -> Result<ArrayRef> {
            if !self.others.contains(field.name()) {
                return Ok(column.clone());
            }
            let texts = text_column(batch, field.name())?;
            let mut tagged = self.tagged(texts.iter().map(Option::unwrap_or_default))?;
            let mut out = Vec::with_capacity(texts.len());
            for (row, text) in texts.iter().enumerate() {
                let tagged = tagged.next().unwrap_or_default();
                let Some(text) = text else {
                    out.push(None);
                    continue;
                };
                let found = if field.name() == FILE {
                    self.scanner.scan_file_name(text)
                } else {
                    self.scanner.scan(text)
                };
                let found = ner::merged(text, found, &tagged);
                out.push(Some(self.written(batch, row, text, &found)?.text));
            }
            Ok(Arc::new(StringArray::from(out)))
        };
        let fields = batch.schema_ref().fields().iter();
        let columns = fields.zip(batch.columns()).map(|(field, column)| redacted(field, column));
        Ok(RecordBatch::try_new(batch.schema(), columns.collect::<Result<_>>()?)?)
    }
}
