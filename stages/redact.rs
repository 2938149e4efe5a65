//! The redactor: personal data in a text becomes a tag, and raw rows become redacted ones.
//!
//! In: rows with a text column. Out: the same rows with every entity of that text replaced by its tag (`<PHONE>`), and a
//! column `entities` that says what stood where (kind, start, end in the new text; never the value). Other text columns
//! are redacted too, or their rows would be called redacted and hold raw text. A row whose text cannot be redacted is
//! rejected, never passed. It must not know where the text comes from.
//!
//! Inside, a text is cut into tokens once ([`token`]), finders take what is an address ([`address`]), an IBAN ([`iban`]),
//! a date ([`calendar`]) or made of digits ([`numeric`]), and [`scanner`] puts the findings together. One entity of
//! digits is one row of [`candidate::ROWS`]; one context phrase is one word in [`cue::PHRASES`].

pub mod address;
pub mod calendar;
pub mod candidate;
pub mod card;
pub mod checks;
pub mod cue;
pub mod fuzz;
pub mod iban;
pub mod kind;
pub mod label;
pub mod lexicon;
pub mod neighbours;
pub mod network;
pub mod number;
pub mod numeric;
pub mod phone;
pub mod quantity;
pub mod scanner;
pub mod scene;
pub mod ssn;
pub mod token;
pub mod words;

#[cfg(test)]
mod cases;
#[cfg(test)]
mod properties;

use arrow::array::{ArrayRef, ListArray, StructArray, UInt32Array};
use arrow::buffer::OffsetBuffer;
use arrow::datatypes::Fields;
use headwater_contract::prelude::*;
use headwater_contract::{OptionType, Shape, identity, toml};

pub use kind::{Entities, Entity, UnknownEntity};
pub use scanner::{Finding, Placed, Profile, Redacted, Scanner, Style};

options! {
    /// Replaces personal data in a text by tags such as <PHONE>: raw rows become redacted ones.
    pub struct Redact {
        /// What the text is: "transcript" takes every six digits that are no time, price or quantity, since recognisers lose and
        /// split digits; "text" asks for a form, a checksum or a context phrase.
        profile: Profile = Profile::Transcript;
        /// What is written in place of a value: "tag" the tag of its kind, "num" <NUM> for everything made of digits.
        style: Style = Style::Tag;
        /// The column whose entities are listed. Every other text column is redacted as well; sound and other lists are dropped.
        column: String = "text".into();
        /// The kinds that are replaced. A card, phone, social security or bank number that is not wanted as such is still replaced
        /// as a NUM if NUM is in the list.
        entities: Vec<Entity> = Entity::ALL.to_vec();
    }
}

/// The kind of this stage.
pub const KIND: Kind = Kind::stage::<Redact>();

/// The column that says what was replaced.
pub const ENTITIES: &str = "entities";

impl StageConfig for Redact {
    const KIND: &'static str = "redact";

    fn signature(&self) -> Signature {
        Signature::map([utf8(&self.column)], [utf8(&self.column), entities_field()])
            .label(LabelRule::Redactor)
    }

    fn wrongs(&self) -> Vec<Wrong> {
        let nothing = self.entities.is_empty();
        nothing
            .then(|| {
                Wrong::new("entities", "an empty list replaces nothing")
                    .help("leave it out to replace every kind")
            })
            .into_iter()
            .collect()
    }

    fn build(&self, cx: BuildContext<'_>) -> Result<impl Stage> {
        let entities = self.entities.iter().copied().collect();
        let scanner = Scanner::new(self.profile, self.style, entities);
        let schema = cx.output(0)?;
        let named: Vec<Field> = [identity::fields(), vec![utf8(&self.column)]].concat();
        let others = schema.fields().iter().filter(|f| *f.data_type() == DataType::Utf8);
        let others =
            others.map(|f| f.name().clone()).filter(|f| named.iter().all(|n| n.name() != f)).collect();
        Ok(Redactor { scanner, column: self.column.clone(), others, schema })
    }
}

struct Redactor {
    scanner: Scanner,
    column: String,
    /// The other text columns.
    others: Vec<String>,
    schema: SchemaRef,
}

impl Stage for Redactor {
    fn batch(&mut self, input: Port, batch: &RecordBatch, out: &mut Outbox<'_>) -> Result {
        let clean = self.without_values_beside(batch)?;
        let texts = text_column(batch, &self.column)?;
        let mut redacted = Rows::default();
        let mut run = 0..0;
        for row in 0..batch.num_rows() {
            let done = if texts.is_null(row) {
                Err(("no_text", "the row has no text"))
            } else {
                redacted.push(self.scanner.redact(texts.value(row)))
            };
            match done {
                Ok(()) => run.end = row + 1,
                Err((code, reason)) => {
                    self.send(&clean, run, &mut redacted, out)?;
                    run = row + 1..row + 1;
                    out.reject(input, batch, row, code, reason);
                }
            }
        }
        self.send(&clean, run, &mut redacted, out)
    }
}

impl Redactor {
    /// The batch with every text column redacted but the one whose entities are listed.
    fn without_values_beside(&self, batch: &RecordBatch) -> Result<RecordBatch> {
        let redacted = |field: &Field, column: &ArrayRef| -> Result<ArrayRef> {
            if !self.others.contains(field.name()) {
                return Ok(column.clone());
            }
            let texts = text_column(batch, field.name())?.iter();
            Ok(Arc::new(texts.map(|t| t.map(|t| self.scanner.redact(t).text)).collect::<StringArray>()))
        };
        let fields = batch.schema_ref().fields().iter();
        let columns = fields.zip(batch.columns()).map(|(field, column)| redacted(field, column));
        Ok(RecordBatch::try_new(batch.schema(), columns.collect::<Result<_>>()?)?)
    }

    /// Sends the rows `run` of a batch with their redacted texts.
    fn send(
        &self,
        batch: &RecordBatch,
        run: std::ops::Range<usize>,
        redacted: &mut Rows,
        out: &mut Outbox<'_>,
    ) -> Result {
        let rows = std::mem::take(redacted);
        if run.is_empty() {
            return Ok(());
        }
        out.count("entities", rows.kinds.len() as u64);
        let (texts, entities) = rows.into_columns()?;
        let part = batch.slice(run.start, run.len());
        out.send(with_columns(&part, &self.schema, [(self.column.as_str(), texts), (ENTITIES, entities)])?);
        Ok(())
    }
}

/// The new columns of rows that follow each other.
#[derive(Default)]
struct Rows {
    texts: Vec<String>,
    lengths: Vec<usize>,
    kinds: Vec<&'static str>,
    starts: Vec<u32>,
    ends: Vec<u32>,
}

impl Rows {
    /// Adds a row, or says why it cannot be one.
    fn push(&mut self, redacted: Redacted) -> std::result::Result<(), (&'static str, &'static str)> {
        if u32::try_from(redacted.text.len()).is_err() {
            return Err(("text_too_long", "the text is longer than offsets of 32 bits reach"));
        }
        self.lengths.push(redacted.entities.len());
        for Placed { kind, start, end } in redacted.entities {
            self.kinds.push(kind.name());
            self.starts.push(u32::try_from(start).unwrap_or(u32::MAX));
            self.ends.push(u32::try_from(end).unwrap_or(u32::MAX));
        }
        self.texts.push(redacted.text);
        Ok(())
    }

    fn into_columns(self) -> Result<(ArrayRef, ArrayRef)> {
        let columns: Vec<ArrayRef> = vec![
            Arc::new(StringArray::from(self.kinds)),
            Arc::new(UInt32Array::from(self.starts)),
            Arc::new(UInt32Array::from(self.ends)),
        ];
        let structs = StructArray::try_new(entity_fields(), columns, None)?;
        let item = Arc::new(Field::new_list_field(DataType::Struct(entity_fields()), false));
        let list =
            ListArray::try_new(item, OffsetBuffer::from_lengths(self.lengths), Arc::new(structs), None)?;
        Ok((Arc::new(StringArray::from(self.texts)), Arc::new(list)))
    }
}

fn entity_fields() -> Fields {
    vec![utf8("kind"), uint32("start"), uint32("end")].into()
}

/// The column `entities`: for each replaced value its kind, and the first and last byte offset of its tag in the new text.
pub fn entities_field() -> Field {
    let item = Field::new_list_field(DataType::Struct(entity_fields()), false);
    Field::new(ENTITIES, DataType::List(Arc::new(item)), false)
}

/// Gives a plain enum the face of an option with a fixed set of words.
macro_rules! words {
    ($type:ty, $($word:literal => $value:expr),+ $(,)?) => {
        impl OptionType for $type {
            fn shape() -> Shape {
                Shape::Choice(&[$($word),+])
            }
            fn read(value: &toml::Value) -> std::result::Result<Self, String> {
                match value.as_str() {
                    $(Some($word) => Ok($value),)+
                    _ => Err(format!("expected {}", Self::shape().expected())),
                }
            }
            fn show(&self) -> String {
                $(if *self == $value {
                    return format!("{:?}", $word);
                })+
                String::new()
            }
        }
    };
}

words!(Profile, "transcript" => Profile::Transcript, "text" => Profile::Text);
words!(Style, "tag" => Style::Tag, "num" => Style::Num);
words!(
    Entity,
    "CARD" => Entity::Card, "DATE" => Entity::Date, "EMAIL" => Entity::Email, "IBAN" => Entity::Iban, "IP" => Entity::Ip,
    "NUM" => Entity::Num, "PHONE" => Entity::Phone, "SSN" => Entity::Ssn, "URL" => Entity::Url,
);

#[cfg(test)]
mod tests {
    use super::*;
    use arrow::array::AsArray;
    use arrow::datatypes::UInt32Type;
    use headwater_contract::conformance::{Outcome, assert_stage, text_rows};
    use headwater_contract::{Label, Role};

    fn config(options: &str) -> Redact {
        Redact::from_table(&options.parse().unwrap()).unwrap()
    }

    fn played(options: &str, rows: &[(&str, &str)]) -> Outcome {
        assert_stage(&config(options), &[text_rows(rows).unwrap()])
    }

    fn texts(outcome: &Outcome) -> Vec<&str> {
        let column = outcome.outputs[0].column_by_name("text").unwrap();
        column.as_string::<i32>().iter().flatten().collect()
    }

    const ROWS: &[(&str, &str)] = &[
        ("kitchen", "call me at 555-0147 or john@example.com"),
        ("kitchen", "nothing to see"),
        ("shop", "the number is four five three nine, one four eight oh"),
        ("shop", ""),
    ];

    #[test]
    fn rows_come_back_without_their_values() {
        let outcome = played("", ROWS);
        assert_eq!(
            texts(&outcome),
            ["call me at <PHONE> or <EMAIL>", "nothing to see", "the number is <NUM>", ""]
        );
        assert_eq!(outcome.labels, [Label::Redacted]);
        assert!(outcome.rejected.is_empty());
        assert_eq!(outcome.figures["entities"], 3);
    }

    #[test]
    fn entities_point_at_the_tags() {
        let outcome = played("", ROWS);
        let texts = texts(&outcome);
        let lists = outcome.outputs[0].column_by_name("entities").unwrap().as_list::<i32>().clone();
        let mut seen = Vec::new();
        for (row, text) in texts.iter().enumerate() {
            let entities = lists.value(row);
            let entities = entities.as_struct();
            for at in 0..entities.len() {
                let kind = entities.column(0).as_string::<i32>().value(at).to_owned();
                let start = entities.column(1).as_primitive::<UInt32Type>().value(at) as usize;
                let end = entities.column(2).as_primitive::<UInt32Type>().value(at) as usize;
                assert_eq!(text[start..end], format!("<{kind}>"));
                seen.push(kind);
            }
        }
        assert_eq!(seen, ["PHONE", "EMAIL", "NUM"]);
    }

    #[test]
    fn options_choose() {
        let check = |options: &str, expected: &str| {
            assert_eq!(texts(&played(options, &ROWS[..1])), [expected], "{options}");
        };
        check("style = 'num'", "call me at <NUM> or <EMAIL>");
        check("entities = ['EMAIL']", "call me at 555-0147 or <EMAIL>");
        check("entities = ['NUM']", "call me at <NUM> or john@example.com");
        let clean = [("a", "the serial is long: 4820 1937")];
        assert_eq!(texts(&played("profile = 'text'\nentities = ['CARD']", &clean)), [clean[0].1]);
    }

    #[test]
    fn wrong_options_are_told() {
        let check = |options: &str, expected: &str| {
            let told = match KIND.plan(&options.parse().unwrap()) {
                Ok(role) => role.wrongs(),
                Err(wrongs) => wrongs,
            };
            assert_eq!(told.iter().map(|w| w.what.as_str()).collect::<Vec<_>>(), [expected], "{options}");
        };
        check("profile = 'loose'", r#"expected "transcript" | "text""#);
        check("entities = []", "an empty list replaces nothing");
        check(
            "entities = ['NAME']",
            r#"expected "CARD" | "DATE" | "EMAIL" | "IBAN" | "IP" | "NUM" | "PHONE" | "SSN" | "URL""#,
        );
        assert!(matches!(KIND.sample(), Some(Role::Stage(_))));
    }

    #[test]
    fn a_row_without_text_is_rejected_and_its_neighbours_are_not() {
        let rows = text_rows(ROWS).unwrap();
        let mut fields: Vec<Field> = rows.schema().fields().iter().map(|f| f.as_ref().clone()).collect();
        fields[5] = fields[5].clone().with_nullable(true);
        let mut columns = rows.columns().to_vec();
        columns[5] = Arc::new(StringArray::from(vec![Some("a"), None, Some("call 555 0147"), None]));
        let rows = RecordBatch::try_new(Arc::new(Schema::new(fields)), columns).unwrap();
        let outcome = assert_stage(&config(""), &[rows]);
        assert_eq!(texts(&outcome), ["a", "call <PHONE>"]);
        assert_eq!(outcome.rejected.iter().map(|r| r.code).collect::<Vec<_>>(), ["no_text", "no_text"]);
    }

    #[test]
    fn nothing_passes_beside_the_text() {
        let rows = text_rows(&ROWS[..1]).unwrap();
        let mut fields: Vec<Field> = rows.schema().fields().iter().map(|f| f.as_ref().clone()).collect();
        fields.extend([utf8("note").with_nullable(true), f32_list("samples")]);
        let mut columns = rows.columns().to_vec();
        columns.push(Arc::new(StringArray::from(vec!["from jane@example.com"])));
        let DataType::List(item) = f32_list("samples").data_type().clone() else { panic!() };
        let silence = arrow::array::new_empty_array(item.data_type());
        let silence = ListArray::try_new(item, OffsetBuffer::from_lengths([0]), silence, None);
        columns.push(Arc::new(silence.unwrap()));
        let rows = RecordBatch::try_new(Arc::new(Schema::new(fields)), columns).unwrap();
        for column in ["", "column = 'note'"] {
            let outcome = assert_stage(&config(column), std::slice::from_ref(&rows));
            let sent = &outcome.outputs[0];
            assert!(sent.column_by_name("samples").is_none());
            assert_eq!(texts(&outcome), ["call me at <PHONE> or <EMAIL>"]);
            let note = sent.column_by_name("note").unwrap();
            assert_eq!(note.as_string::<i32>().value(0), "from <EMAIL>");
        }
    }
}
