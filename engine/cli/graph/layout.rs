//! The places of boxes and lines: layers from left to right, each stage one layer after the last it reads.
//!
//! In: how many boxes there are and which are joined. Out: the layer and the row of each box, and for lines that pass layers by
//! the rows in which they pass, so that no line crosses a box. It must not know what the boxes are.

/// The places of all boxes, in steps of one layer and one row.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Layout {
    /// Layer and row of each box.
    pub(super) boxes: Vec<(usize, f64)>,
    /// The points of each line: its first box, the rows where it passes layers, its last box.
    pub(super) lines: Vec<Vec<(usize, f64)>>,
    /// The number of layers.
    pub(super) layers: usize,
    /// The number of rows of the fullest layer.
    pub(super) rows: usize,
}

/// A box, or the place where a line passes a layer.
struct Slot {
    layer: usize,
    upstream: Vec<usize>,
    row: f64,
}

/// Lays out boxes that come in an order in which every line goes from an earlier box to a later one.
pub(super) fn layout(boxes: usize, lines: &[(usize, usize)]) -> Layout {
    let mut slots: Vec<Slot> =
        (0..boxes).map(|_| Slot { layer: 0, upstream: Vec::new(), row: 0.0 }).collect();
    for at in 0..boxes {
        let above = lines.iter().filter(|(_, to)| *to == at).filter_map(|(from, _)| slots.get(*from));
        let layer = above.map(|slot| slot.layer + 1).max().unwrap_or_default();
        if let Some(slot) = slots.get_mut(at) {
            slot.layer = layer;
        }
    }
    let ways: Vec<Vec<usize>> = lines.iter().map(|(from, to)| pass_layers(&mut slots, *from, *to)).collect();
    let layers = slots.iter().map(|slot| slot.layer + 1).max().unwrap_or_default();
    let mut rows = 0;
    for layer in 0..layers {
        rows = rows.max(order_layer(&mut slots, layer));
    }
    centre(&mut slots, layers, rows);
    let point = |at: &usize| slots.get(*at).map_or((0, 0.0), |slot| (slot.layer, slot.row));
    Layout {
        boxes: (0..boxes).map(|at| point(&at)).collect(),
        lines: ways.iter().map(|way| way.iter().map(point).collect()).collect(),
        layers,
        rows,
    }
}

/// Gives a line a slot in every layer between its ends.
fn pass_layers(slots: &mut Vec<Slot>, from: usize, to: usize) -> Vec<usize> {
    let layer = |slots: &[Slot], at: usize| slots.get(at).map_or(0, |slot| slot.layer);
    let mut way = vec![from];
    let mut last = from;
    for between in layer(slots, from) + 1..layer(slots, to) {
        slots.push(Slot { layer: between, upstream: vec![last], row: 0.0 });
        last = slots.len() - 1;
        way.push(last);
    }
    if let Some(slot) = slots.get_mut(to) {
        slot.upstream.push(last);
    }
    way.push(to);
    way
}

/// Puts the slots of a layer into the order of what they read; gives their number.
fn order_layer(slots: &mut [Slot], layer: usize) -> usize {
    let mean = |slot: &Slot| {
        let rows: Vec<f64> = slot.upstream.iter().filter_map(|at| slots.get(*at)).map(|s| s.row).collect();
        if rows.is_empty() { f64::MAX } else { rows.iter().sum::<f64>() / rows.len() as f64 }
    };
    let mut members: Vec<(usize, f64)> =
        slots.iter().enumerate().filter(|(_, s)| s.layer == layer).map(|(at, s)| (at, mean(s))).collect();
    members.sort_by(|a, b| a.1.total_cmp(&b.1));
    for (row, (at, _)) in members.iter().enumerate() {
        if let Some(slot) = slots.get_mut(*at) {
            slot.row = row as f64;
        }
    }
    members.len()
}

/// Moves every layer to the middle of the picture.
fn centre(slots: &mut [Slot], layers: usize, rows: usize) {
    for layer in 0..layers {
        let count = slots.iter().filter(|s| s.layer == layer).count();
        let shift = (rows - count) as f64 / 2.0;
        slots.iter_mut().filter(|s| s.layer == layer).for_each(|slot| slot.row += shift);
    }
}

#[cfg(test)]
mod tests {
    use super::layout;

    #[test]
    fn layers_follow_the_lines() {
        let check = |boxes: usize, lines: &[(usize, usize)], layers: &[usize], rows: usize| {
            let layout = layout(boxes, lines);
            assert_eq!(layout.boxes.iter().map(|(layer, _)| *layer).collect::<Vec<_>>(), layers);
            assert_eq!(layout.rows, rows);
            let mut places: Vec<String> = layout.boxes.iter().map(|place| format!("{place:?}")).collect();
            places.sort();
            places.dedup();
            assert_eq!(places.len(), boxes, "no two boxes in one place");
        };
        check(0, &[], &[], 0);
        check(1, &[], &[0], 1);
        check(3, &[(0, 1), (1, 2)], &[0, 1, 2], 1);
        check(4, &[(0, 1), (0, 2), (1, 3), (2, 3)], &[0, 1, 1, 2], 2);
        // A line that passes a layer by takes a row there.
        check(3, &[(0, 1), (1, 2), (0, 2)], &[0, 1, 2], 2);
    }
}
