//! The columns that a redactor sends: new texts, and what was replaced where.
//!
//! In: redacted texts, one after the other. Out: Arrow columns. It must not know how anything was found.

use arrow::array::{ArrayRef, Float32Array, ListArray, StructArray, UInt32Array};
use arrow::buffer::OffsetBuffer;
use arrow::datatypes::Fields;
use headwater_contract::prelude::*;

use super::scanner::{Placed, Redacted};

/// The column that says what was replaced.
pub const ENTITIES: &str = "entities";

/// The new columns of rows that follow each other.
#[derive(Default)]
pub struct Rows {
    texts: Vec<String>,
    lengths: Vec<usize>,
    kinds: Vec<String>,
    starts: Vec<u32>,
    ends: Vec<u32>,
    rules: Vec<&'static str>,
    scores: Vec<f32>,
}

impl Rows {
    /// Adds a row. Its text is shorter than offsets of 32 bits reach: longer ones are rejected before they are read.
    pub fn push(&mut self, redacted: Redacted) {
        self.lengths.push(redacted.entities.len());
        for Placed { kind, start, end, rule, score } in redacted.entities {
            self.kinds.push(kind.name().to_owned());
            self.starts.push(u32::try_from(start).unwrap_or(u32::MAX));
            self.ends.push(u32::try_from(end).unwrap_or(u32::MAX));
            self.rules.push(rule);
            self.scores.push(score);
        }
        self.texts.push(redacted.text);
    }

    /// Returns the number of rows.
    pub fn len(&self) -> usize {
        self.texts.len()
    }

    /// Returns the number of entities in them.
    pub fn entities(&self) -> u64 {
        self.kinds.len() as u64
    }

    /// The texts, and the lists of entities.
    pub fn into_columns(self) -> Result<(ArrayRef, ArrayRef)> {
        let columns: Vec<ArrayRef> = vec![
            Arc::new(StringArray::from(self.kinds)),
            Arc::new(UInt32Array::from(self.starts)),
            Arc::new(UInt32Array::from(self.ends)),
            Arc::new(StringArray::from(self.rules)),
            Arc::new(Float32Array::from(self.scores)),
        ];
        let structs = StructArray::try_new(entity_fields(), columns, None)?;
        let item = Arc::new(Field::new_list_field(DataType::Struct(entity_fields()), false));
        let list =
            ListArray::try_new(item, OffsetBuffer::from_lengths(self.lengths), Arc::new(structs), None)?;
        Ok((Arc::new(StringArray::from(self.texts)), Arc::new(list)))
    }
}

fn entity_fields() -> Fields {
    vec![utf8("kind"), uint32("start"), uint32("end"), utf8("rule"), float32("score")].into()
}

/// The column `entities`: for each replaced value its kind, the first and last byte offset of what stands in its place in the new
/// text, the rule that found it and how sure that rule is.
pub fn entities_field() -> Field {
    let item = Field::new_list_field(DataType::Struct(entity_fields()), false);
    Field::new(ENTITIES, DataType::List(Arc::new(item)), false)
}
