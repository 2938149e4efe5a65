//! Labels beside the ends of lines, moved apart just as far as needed.
//!
//! In: the heights where labels would like to be. Out: heights that are `gap` apart and inside the panel.
//! It knows no text and no series.

/// Labels that touch, taken as one block.
struct Block {
    /// Sum of where each would like the block's first label to be.
    sum: f64,
    count: usize,
}

impl Block {
    fn start(&self, gap: f64, top: f64, bottom: f64) -> f64 {
        let count = self.count.max(1) as f64;
        (self.sum / count).min(bottom - (count - 1.0) * gap).max(top)
    }
}

/// The answer to `wanted[i]` stands at `i`. Equal wishes keep their order. Where there is not room enough
/// for all at `gap`, they stand as far apart as there is room.
pub fn spread(wanted: &[f64], gap: f64, top: f64, bottom: f64) -> Vec<f64> {
    let steps = wanted.len().saturating_sub(1).max(1) as f64;
    let gap = gap.min((bottom - top) / steps);
    let mut order: Vec<(usize, f64)> = wanted.iter().copied().enumerate().collect();
    order.sort_by(|a, b| a.1.total_cmp(&b.1));

    let mut blocks: Vec<Block> = Vec::new();
    for (_, wish) in &order {
        let mut block = Block { sum: *wish, count: 1 };
        while let Some(above) = blocks.pop() {
            let end = above.start(gap, top, bottom) + above.count as f64 * gap;
            if end <= block.start(gap, top, bottom) {
                blocks.push(above);
                break;
            }
            let shift = above.count as f64 * gap * block.count as f64;
            block = Block { sum: above.sum + block.sum - shift, count: above.count + block.count };
        }
        blocks.push(block);
    }

    let heights = blocks.iter().flat_map(|block| {
        let start = block.start(gap, top, bottom);
        (0..block.count).map(move |place| start + place as f64 * gap)
    });
    let mut placed: Vec<(usize, f64)> = order.iter().map(|(index, _)| *index).zip(heights).collect();
    placed.sort_by_key(|(index, _)| *index);
    placed.into_iter().map(|(_, height)| height).collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::spread;

    #[test]
    fn labels_move_only_as_far_as_needed() {
        let check = |wanted: &[f64], expected: &[f64]| assert_eq!(spread(wanted, 10.0, 0.0, 100.0), expected);
        check(&[], &[]);
        check(&[50.0, 20.0], &[50.0, 20.0]);
        check(&[50.0, 50.0], &[45.0, 55.0]);
        check(&[52.0, 50.0, 90.0], &[56.0, 46.0, 90.0]);
        check(&[99.0, 98.0, 100.0], &[90.0, 80.0, 100.0]);
        check(&[-5.0, 0.0], &[0.0, 10.0]);
    }

    proptest! {
        #[test]
        fn labels_stand_apart_and_inside(wanted in prop::collection::vec(-50.0..150.0_f64, 0..9)) {
            let mut placed = spread(&wanted, 12.0, 0.0, 100.0);
            prop_assert_eq!(placed.len(), wanted.len());
            placed.sort_by(f64::total_cmp);
            prop_assert!(placed.iter().all(|height| (-1e-9..=100.0 + 1e-9).contains(height)), "{:?}", placed);
            prop_assert!(placed.windows(2).all(|two| two[1] - two[0] > 12.0 - 1e-9), "{:?}", placed);
        }
    }
}
