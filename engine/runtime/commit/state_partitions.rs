//! The partitions of a restored state with which the peers of a cluster begin.
//!
//! In: on the coordinator, what is kept for the instances of one process; elsewhere, bytes that came over its control channel to the
//! coordinator. Out: bytes, and the same again. Rows under way, members and how far the intake had come stay on the coordinator, which
//! gives them out. It must not know how the bytes travel.

use std::collections::BTreeMap;

use arrow::array::RecordBatch;
use arrow::compute::concat_batches;
use headwater_contract::state::Owner;
use headwater_contract::{Result, StageError};

use super::KeptRow;
use crate::cluster::wire::{Fields, put_bytes, put_len, put_text};
use crate::exchange::{decode_batch, encode_batch};

/// Bytes after which a piece of rows ends: a piece is one Arrow IPC stream, which is held in memory twice.
const TOGETHER: usize = 8 << 20;

/// The partitions of the state for another process.
#[derive(Clone, Debug, Default)]
pub(crate) struct StatePartitions {
    /// True if epochs are committed.
    pub(crate) commits: bool,
    /// The feedback inputs to which rows were under way: the dataflow of every process has a place for them.
    pub(crate) edges: Vec<String>,
    /// By stage: the rows of its state that instances of the process hold.
    pub(crate) states: BTreeMap<String, Vec<KeptRow>>,
    /// By name: what the process needs to note anything.
    pub(crate) notes: BTreeMap<String, Vec<u8>>,
}

impl StatePartitions {
    /// As bytes.
    ///
    /// # Errors
    /// Arrow refuses a row.
    pub(crate) fn encode(&self) -> Result<Vec<u8>> {
        let mut out = vec![u8::from(self.commits)];
        put_len(&mut out, self.edges.len());
        self.edges.iter().for_each(|edge| put_text(&mut out, edge));
        put_len(&mut out, self.states.len());
        for (stage, rows) in &self.states {
            put_text(&mut out, stage);
            let pieces = pieces(rows);
            put_len(&mut out, pieces.len());
            for piece in pieces {
                put_piece(&mut out, piece)?;
            }
        }
        put_len(&mut out, self.notes.len());
        for (name, brief) in &self.notes {
            put_text(&mut out, name);
            put_bytes(&mut out, brief);
        }
        Ok(out)
    }

    /// From bytes; nothing if they are none of these.
    pub(crate) fn decode(bytes: &[u8]) -> Option<Self> {
        let mut fields = Fields(bytes);
        let commits = fields.u8()? != 0;
        let edges = fields.list(|fields| fields.text().map(str::to_owned))?;
        let states = fields.list(|fields| {
            let stage = fields.text()?.to_owned();
            let rows = fields.list(piece)?;
            Some((stage, rows.into_iter().flatten().collect()))
        })?;
        let notes = fields.list(|fields| Some((fields.text()?.to_owned(), fields.bytes()?.to_vec())))?;
        let (states, notes) = (states.into_iter().collect(), notes.into_iter().collect());
        fields.end().map(|()| StatePartitions { commits, edges, states, notes })
    }
}

/// Neighbours of one schema, as many as go together.
fn pieces(rows: &[KeptRow]) -> Vec<&[KeptRow]> {
    let mut pieces = Vec::new();
    let mut rest = rows;
    while let Some(first) = rest.first() {
        let mut bytes = 0;
        let fits = |kept: &&KeptRow| {
            let before = bytes;
            bytes += kept.row.get_array_memory_size();
            before < TOGETHER && kept.row.schema_ref() == first.row.schema_ref()
        };
        let (piece, left) = rest.split_at(rest.iter().take_while(fits).count().max(1));
        pieces.push(piece);
        rest = left;
    }
    pieces
}

fn put_piece(out: &mut Vec<u8>, piece: &[KeptRow]) -> Result<()> {
    let Some(first) = piece.first() else { return Err(StageError::new("no row of a state")) };
    put_len(out, piece.len());
    for KeptRow { key, owner, .. } in piece {
        put_bytes(out, key);
        for word in [owner.routed_by(), owner.of_device()] {
            out.push(u8::from(word.is_some()));
            put_text(out, word.unwrap_or_default());
        }
    }
    let rows: Vec<&RecordBatch> = piece.iter().map(|kept| &kept.row).collect();
    put_bytes(out, &encode_batch(&concat_batches(first.row.schema_ref(), rows)?)?);
    Ok(())
}

fn piece(fields: &mut Fields<'_>) -> Option<Vec<KeptRow>> {
    let owners = fields.list(|fields| {
        let key = fields.bytes()?.to_vec();
        let (routed_by, device) = (word(fields)?, word(fields)?);
        Some((key, owner(routed_by, device)))
    })?;
    let rows = decode_batch(fields.bytes()?)?;
    if rows.num_rows() != owners.len() {
        return None;
    }
    let kept = owners.into_iter().enumerate();
    Some(kept.map(|(row, (key, owner))| KeptRow { key, owner, row: rows.slice(row, 1) }).collect())
}

#[expect(clippy::option_option, reason = "a word that is not there is no broken one")]
fn word(fields: &mut Fields<'_>) -> Option<Option<String>> {
    let there = fields.u8()? != 0;
    let word = fields.text()?;
    Some(there.then(|| word.to_owned()))
}

fn owner(routed_by: Option<String>, device: Option<String>) -> Owner {
    let owner = routed_by.map_or_else(Owner::everyone, Owner::key);
    match device {
        Some(device) => owner.about(device),
        None => owner,
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow::array::{Int64Array, StringArray};
    use arrow::datatypes::{DataType, Field, Schema};
    use proptest::prelude::*;

    use super::*;

    fn number(n: i64) -> RecordBatch {
        let schema = Arc::new(Schema::new(vec![Field::new("n", DataType::Int64, false)]));
        RecordBatch::try_new(schema, vec![Arc::new(Int64Array::from(vec![n]))]).unwrap()
    }

    fn text(text: &str) -> RecordBatch {
        let schema = Arc::new(Schema::new(vec![Field::new("text", DataType::Utf8, true)]));
        RecordBatch::try_new(schema, vec![Arc::new(StringArray::from(vec![Some(text)]))]).unwrap()
    }

    fn partitions(numbers: &[i64]) -> StatePartitions {
        let owners = [Owner::device("porch"), Owner::key("harbour").about("hall"), Owner::everyone()];
        let row = |(place, n): (usize, &i64)| KeptRow {
            key: n.to_be_bytes().to_vec(),
            owner: owners[place % 3].clone(),
            row: if n % 5 == 0 { text(&n.to_string()) } else { number(*n) },
        };
        let rows: Vec<KeptRow> = numbers.iter().enumerate().map(row).collect();
        let states = [("train".to_owned(), rows), ("small".to_owned(), Vec::new())].into();
        let notes = [("heard".to_owned(), vec![1, 2, 3])].into();
        StatePartitions { commits: true, edges: vec!["train.adapter".into()], states, notes }
    }

    fn words(partitions: &StatePartitions) -> impl PartialEq + std::fmt::Debug + use<> {
        let row = |kept: &KeptRow| (kept.key.clone(), kept.owner.clone(), kept.row.clone());
        let states = partitions.states.iter().map(|(id, rows)| (id.clone(), rows.iter().map(row).collect()));
        let states = states.collect::<Vec<(String, Vec<_>)>>();
        (partitions.commits, partitions.edges.clone(), states, partitions.notes.clone())
    }

    proptest! {
        #[test]
        fn it_comes_back(numbers in prop::collection::vec(-20i64..20, 0..30)) {
            let given = partitions(&numbers);
            let bytes = given.encode().unwrap();
            prop_assert_eq!(words(&StatePartitions::decode(&bytes).unwrap()), words(&given));
        }

        #[test]
        fn anything_else_is_refused(cut in 0usize..400, at in 0usize..400, with: u8) {
            let whole = partitions(&[1, 2, 5, 6]).encode().unwrap();
            let cut = cut.min(whole.len() - 1);
            prop_assert!(StatePartitions::decode(&whole[..cut]).is_none());
            let mut other = whole;
            let at = at % other.len();
            other[at] = with;
            // The result does not matter: it must not panic.
            let _ = StatePartitions::decode(&other);
        }
    }
}
