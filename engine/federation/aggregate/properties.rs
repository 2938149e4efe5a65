//! Properties of every set of updates: the shape of the tree and the order do not matter, and a forgotten device was never there.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::format::{Kind, decode, encode};
use super::root::{Quorum, Root, replay};
use super::server::{Rule, Server};
use super::{Examples, Round, Shape, Sum, Total, Values};

const PARAMETERS: u32 = 24;
const SHAPE: Shape = Shape { parameters: PARAMETERS, layout: [3; 8] };

/// One device's update of a round.
#[derive(Clone, Debug)]
struct Update {
    values: Vec<(u32, f32)>,
    dense: bool,
    examples: u64,
}

impl Update {
    fn add_to(&self, sum: &mut Sum) {
        let examples = Examples::new(self.examples).unwrap();
        let ordered: BTreeMap<u32, f32> = self.values.iter().copied().collect();
        if self.dense {
            let all: Vec<f32> = (0..PARAMETERS).map(|at| ordered.get(&at).copied().unwrap_or(0.0)).collect();
            sum.add(Values::Dense(&all), examples).unwrap();
        } else {
            let (positions, values): (Vec<u32>, Vec<f32>) = ordered.into_iter().unzip();
            sum.add(Values::Sparse { positions: &positions, values: &values }, examples).unwrap();
        }
    }

    fn sum(&self, round: u64) -> Sum {
        let mut sum = Sum::empty(Round(round), SHAPE);
        self.add_to(&mut sum);
        sum
    }
}

fn value() -> impl Strategy<Value = f32> {
    prop_oneof![4 => -1.0..1.0_f32, 2 => -1e-5..1e-5_f32, 1 => -20.0..20.0_f32, 1 => Just(1e30_f32), 1 => Just(0.0_f32)]
}

fn update() -> impl Strategy<Value = Update> {
    let values = proptest::collection::vec((0..PARAMETERS, value()), 0..30);
    let examples = prop_oneof![1..20_u64, 1..=65_536_u64];
    (values, any::<bool>(), examples).prop_map(|(values, dense, examples)| Update { values, dense, examples })
}

fn flat<'a>(round: u64, updates: impl IntoIterator<Item = &'a Update>) -> Sum {
    let mut sum = Sum::empty(Round(round), SHAPE);
    updates.into_iter().for_each(|update| update.add_to(&mut sum));
    sum
}

/// The bits of a mean, which `==` on f32 would not distinguish.
fn bits(mean: Option<Vec<f32>>) -> Option<Vec<u32>> {
    mean.map(|mean| mean.into_iter().map(f32::to_bits).collect())
}

fn mean(sums: &[&Sum]) -> Option<Vec<u32>> {
    let mut total = Total::empty(SHAPE);
    sums.iter().for_each(|sum| total.add(sum).unwrap());
    bits(total.mean())
}

fn rule() -> impl Strategy<Value = Rule> {
    prop_oneof![
        Just(Rule::Mean),
        (0.0..0.99_f64).prop_map(|momentum| Rule::Momentum { momentum }),
        Just(Rule::Adam { first: 0.9, second: 0.99, epsilon: 1e-3 }),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, ..ProptestConfig::default() })]

    /// Whichever two sums are merged next, over the wire or not: the last one has the same bytes, and the same mean.
    #[test]
    fn any_tree_and_any_order_give_the_same_bits(
        updates in proptest::collection::vec(update(), 1..12),
        choices in proptest::collection::vec((any::<prop::sample::Index>(), any::<prop::sample::Index>(), any::<bool>()), 12),
    ) {
        let expected = flat(5, &updates);
        let mut sums: Vec<Sum> = updates.iter().map(|update| update.sum(5)).collect();
        let all: Vec<Sum> = sums.clone();
        for (left, right, wire) in choices {
            if sums.len() == 1 {
                break;
            }
            let taken = sums.swap_remove(left.index(sums.len()));
            let taken = if wire { decode(SHAPE, &encode(Kind::Sum, &taken)).unwrap().1 } else { taken };
            let into = right.index(sums.len());
            sums[into].merge(&taken).unwrap();
        }
        prop_assert_eq!(sums.len(), 1);
        prop_assert_eq!(&sums[0], &expected);
        prop_assert_eq!(encode(Kind::Sum, &sums[0]), encode(Kind::Sum, &expected));
        prop_assert_eq!(mean(&all.iter().collect::<Vec<_>>()), mean(&[&expected]));
    }

    /// A correction over the wire leaves what would be there without the device, to the byte.
    #[test]
    fn what_is_taken_out_was_never_there(kept in proptest::collection::vec(update(), 0..6), gone in proptest::collection::vec(update(), 1..4)) {
        let mut sum = flat(2, gone.iter().chain(&kept));
        let correction = encode(Kind::Correction, &flat(2, &gone));
        let (kind, correction) = decode(SHAPE, &correction).unwrap();
        prop_assert_eq!(kind, Kind::Correction);
        sum.subtract(&correction).unwrap();
        prop_assert_eq!(&sum, &flat(2, &kept));
        prop_assert_eq!(encode(Kind::Sum, &sum), encode(Kind::Sum, &flat(2, &kept)));
    }

    /// Device 0 takes part in some rounds. Forgotten, it leaves the adapter and the server's memory as if it never had, also
    /// where a round has fewer than the least number of devices without it.
    #[test]
    fn a_forgotten_device_was_never_there(
        rounds in proptest::collection::vec((proptest::collection::vec(update(), 0..4), proptest::option::of(update())), 4..9),
        start in proptest::collection::vec(-1.0..1.0_f32, PARAMETERS as usize),
        rule in rule(),
        rate in 0.1..2.0_f64,
        (devices, updates) in (1..4_u64, 1..6_u64),
    ) {
        let quorum = Quorum { devices, updates, available: 0 };
        let fresh = || Root::new(Server::new(rule, rate).unwrap(), quorum, SHAPE, start.clone()).unwrap();
        let (mut stored, mut never, mut own) = (Vec::new(), Vec::new(), Vec::new());
        for (round, (others, forgotten)) in (1..).zip(&rounds) {
            stored.push(flat(round, forgotten.iter().chain(others)));
            never.push(flat(round, others));
            own.extend(forgotten.as_ref().map(|update| update.sum(round)));
        }
        let lived = replay(fresh(), &stored).unwrap();
        for part in &own {
            let sum = stored.iter_mut().find(|sum| sum.round() == part.round()).unwrap();
            sum.subtract(part).unwrap();
        }
        let again = replay(fresh(), &stored).unwrap();
        let expected = replay(fresh(), &never).unwrap();
        let of = |root: &Root| root.adapter().iter().map(|value| value.to_bits()).collect::<Vec<_>>();
        prop_assert_eq!(of(&again), of(&expected));
        prop_assert_eq!(&again, &expected);
        prop_assert!(!own.is_empty() || lived == again);
    }
}
