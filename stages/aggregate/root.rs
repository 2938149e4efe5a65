//! The root: the global adapter, or its two factors where they are trained in alternate rounds, and the history it came from.
//!
//! In: the sums of closed rounds. Out: the adapter after each. The state is the sums themselves: an adapter is what replaying
//! them gives, to the bit, which is also how a device is forgotten. It must not know devices.

use std::collections::BTreeMap;

use arrow::array::{BinaryArray, ListArray, UInt32Array, UInt64Array};
use arrow::datatypes::UInt32Type;
use headwater_contract::StateTable;
use headwater_contract::columns::{binary, list_items, list_row, typed_column, u32_list};
use headwater_contract::prelude::*;
use headwater_federation::aggregate::Shape;
use headwater_federation::aggregate::format;
use headwater_federation::aggregate::root::{Closed, Root};
use headwater_federation::aggregate::server::{Rule as ServerRule, Server};
use headwater_federation::compress::payload::Layout;

use super::group::RoundSum;
use super::{Aggregate, Rule};

/// What a round led to, and the adapter after it: its change since training began, in the canonical parameter order.
pub(super) struct Published<'a> {
    pub(super) closed: Closed,
    pub(super) adapter: &'a [f32],
}

/// One root for each shape of update.
pub(super) struct Roots {
    server: Server,
    min_devices: u64,
    by_shape: BTreeMap<[u8; 8], Root>,
    /// Rows of the state that are not written yet.
    unsaved: Vec<(Vec<u8>, RecordBatch)>,
}

const KEY: &[u8] = b"sum/";

fn failed(error: &dyn std::error::Error) -> StageError {
    StageError::new(error.to_string())
}

impl Roots {
    /// The adapters that the saved sums lead to.
    pub(super) fn read(options: &Aggregate, saved: &StateTable) -> Result<Self> {
        let rule = match options.rule {
            Rule::Mean => ServerRule::Mean,
            Rule::Momentum => ServerRule::Momentum { momentum: options.momentum },
            Rule::Adam => ServerRule::Adam { first: 0.9, second: 0.99, epsilon: 0.001 },
        };
        let server = Server::new(rule, options.lr).map_err(|e| failed(&e))?;
        let mut roots = Roots {
            server,
            min_devices: options.min_devices,
            by_shape: BTreeMap::new(),
            unsaved: Vec::new(),
        };
        // Keys are in the order of rounds.
        for (_, row) in saved.iter().filter(|(key, _)| key.starts_with(KEY)) {
            let tensors: &ListArray = typed_column(row, "tensors")?;
            let bytes: &BinaryArray = typed_column(row, "sum")?;
            let shape = shape(&list_items::<UInt32Type>(tensors, 0))?;
            let (_, sum) = format::decode(shape, bytes.value(0)).map_err(|e| failed(&e))?;
            roots.root(shape)?.close(&sum).map_err(|e| failed(&e))?;
        }
        Ok(roots)
    }

    fn root(&mut self, shape: Shape) -> Result<&mut Root> {
        if !self.by_shape.contains_key(&shape.layout) {
            let start = vec![0.0; shape.parameters as usize];
            let root =
                Root::new(self.server.clone(), self.min_devices, shape, start).map_err(|e| failed(&e))?;
            self.by_shape.insert(shape.layout, root);
        }
        self.by_shape.get_mut(&shape.layout).ok_or_else(|| StageError::new("the root is gone"))
    }

    /// Closes a round.
    pub(super) fn close(&mut self, round: &RoundSum) -> Result<Published<'_>> {
        self.note(round)?;
        let root = self.root(round.sum.shape())?;
        let closed = root.close(&round.sum).map_err(|e| failed(&e))?;
        Ok(Published { closed, adapter: root.adapter() })
    }

    fn note(&mut self, RoundSum { tensors, part, sum }: &RoundSum) -> Result {
        let key = [KEY, &sum.round().0.to_be_bytes(), &part.to_be_bytes()].concat();
        let schema = Schema::new(vec![uint64("round"), u32_list("tensors"), binary("sum")]);
        let encoded = format::encode(format::Kind::Sum, sum);
        let columns: Vec<ArrayRef> = vec![
            Arc::new(UInt64Array::from(vec![sum.round().0])),
            list_row(UInt32Array::from(tensors.clone()))?,
            Arc::new(BinaryArray::from_iter_values([encoded])),
        ];
        self.unsaved.push((key, RecordBatch::try_new(Arc::new(schema), columns)?));
        Ok(())
    }

    pub(super) fn save(&mut self, state: &mut StateWriter<'_>) -> Result {
        self.unsaved.drain(..).try_for_each(|(key, row)| state.put(key, row))
    }
}

fn shape(tensors: &[u32]) -> Result<Shape> {
    let layout = Layout::new(tensors).ok_or_else(|| StageError::new("a saved sum has no parameters"))?;
    Ok(Shape { parameters: layout.parameters(), layout: layout.id() })
}
