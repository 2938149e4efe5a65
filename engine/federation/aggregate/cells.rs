//! Whole numbers along a flat vector, most of them zero or not. In: values to add. Out: their sums. Nothing here checks bounds: who
//! calls has made sure that no sum leaves i64. It must not know what is counted.

use super::grid;
use super::sum::Values;

/// With more than a share of 1 / 32 of cells in use, all are kept.
const DENSE_FROM: u64 = 32;

/// Sums, all of them or those in use.
#[derive(Clone, Debug)]
pub(super) enum Cells {
    Sparse { positions: Vec<u32>, sums: Vec<i64> },
    Dense(Vec<i64>),
}

impl Cells {
    pub(super) fn empty() -> Cells {
        Cells::Sparse { positions: Vec::new(), sums: Vec::new() }
    }

    /// From ascending positions below `length`.
    pub(super) fn sparse(positions: Vec<u32>, sums: Vec<i64>, length: u32) -> Cells {
        let mut cells = Cells::Sparse { positions, sums };
        if let Cells::Sparse { positions, .. } = &cells
            && positions.len() as u64 * DENSE_FROM > u64::from(length)
        {
            cells.dense(length);
        }
        cells
    }

    /// The sums that are not zero, by position.
    pub(super) fn nonzeros(&self) -> Box<dyn Iterator<Item = (u32, i64)> + '_> {
        match self {
            Cells::Sparse { positions, sums } => {
                Box::new(positions.iter().copied().zip(sums.iter().copied()).filter(|(_, sum)| *sum != 0))
            }
            Cells::Dense(sums) => Box::new((0..).zip(sums.iter().copied()).filter(|(_, sum)| *sum != 0)),
        }
    }

    /// Every cell.
    fn dense(&mut self, length: u32) -> &mut [i64] {
        if let Cells::Sparse { .. } = self {
            let mut all = vec![0; length as usize];
            for (position, sum) in self.nonzeros() {
                if let Some(cell) = all.get_mut(position as usize) {
                    *cell = sum;
                }
            }
            *self = Cells::Dense(all);
        }
        match self {
            Cells::Dense(sums) => sums,
            Cells::Sparse { .. } => &mut [],
        }
    }

    /// Adds the steps of finite values times a weight of at most 2^16.
    pub(super) fn add_values(&mut self, values: Values<'_>, weight: u32, length: u32) {
        let weight = f64::from(weight);
        match values {
            Values::Dense(values) => {
                for (cell, value) in self.dense(length).iter_mut().zip(values) {
                    *cell += grid::weighted(*value, weight);
                }
            }
            Values::Sparse { positions, values } => {
                let steps = values.iter().map(|value| grid::weighted(*value, weight));
                self.add_sparse(positions, steps, length);
            }
        }
    }

    /// Adds other cells, or takes them away with a `sign` of -1.
    pub(super) fn add_cells(&mut self, other: &Cells, sign: i64, length: u32) {
        match other {
            Cells::Dense(sums) => {
                for (cell, sum) in self.dense(length).iter_mut().zip(sums) {
                    *cell += sign * *sum;
                }
            }
            Cells::Sparse { positions, sums } => {
                self.add_sparse(positions, sums.iter().map(|sum| sign * *sum), length);
            }
        }
    }

    fn add_sparse(&mut self, others: &[u32], steps: impl Iterator<Item = i64>, length: u32) {
        match self {
            Cells::Dense(cells) => {
                for (position, sum) in others.iter().zip(steps) {
                    if let Some(cell) = cells.get_mut(*position as usize) {
                        *cell += sum;
                    }
                }
            }
            Cells::Sparse { positions, sums } => {
                let mine = std::mem::take(positions).into_iter().zip(std::mem::take(sums));
                let (positions, sums) = merged(mine, others.iter().copied().zip(steps)).unzip();
                *self = Cells::sparse(positions, sums, length);
            }
        }
    }
}

/// The same sums, however they are kept.
impl PartialEq for Cells {
    fn eq(&self, other: &Cells) -> bool {
        self.nonzeros().eq(other.nonzeros())
    }
}

/// Two ascending lists as one; sums at the same position are added, and zeros omitted.
fn merged(
    left: impl Iterator<Item = (u32, i64)>,
    right: impl Iterator<Item = (u32, i64)>,
) -> impl Iterator<Item = (u32, i64)> {
    let (mut left, mut right) = (left.peekable(), right.peekable());
    std::iter::from_fn(move || {
        let place = match (left.peek(), right.peek()) {
            (Some(l), Some(r)) => l.0.min(r.0),
            (Some(l), None) => l.0,
            (None, Some(r)) => r.0,
            (None, None) => return None,
        };
        let l = left.next_if(|(at, _)| *at == place).map_or(0, |(_, sum)| sum);
        let r = right.next_if(|(at, _)| *at == place).map_or(0, |(_, sum)| sum);
        Some((place, l + r))
    })
    .filter(|(_, sum)| *sum != 0)
}
