//! Two factors that train in alternate rounds: every tensor of the adapter is named, those of the other factor with length zero.
//! Such layouts go through payloads, choice, residuals and sums like any other, and are never taken for each other.

use proptest::prelude::*;

use crate::aggregate::format::{self, Kind};
use crate::aggregate::{Examples, Round, Shape, Sum, Values as SumValues};
use crate::compress::payload::{Layout, Update, Values, decode, encode, payload_bytes};
use crate::compress::residual::{Decay, Plan, Residual};
use crate::compress::top_k::{Amount, choose};

/// A and B of each map; one of the two is empty in each round.
fn layouts(maps: &[(u32, u32)]) -> [Layout; 2] {
    let of = |keep: fn((u32, u32)) -> [u32; 2]| {
        Layout::new(&maps.iter().flat_map(|map| keep(*map)).collect::<Vec<_>>()).unwrap()
    };
    [of(|(a, _)| [a, 0]), of(|(_, b)| [0, b])]
}

fn shape(layout: &Layout) -> Shape {
    Shape { parameters: layout.parameters(), layout: layout.id() }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

    #[test]
    fn empty_tensors_pass_through_everything(
        maps in proptest::collection::vec((1..400_u32, 1..400_u32), 1..9),
        seed in any::<u32>(),
        budget in 60..400_u64,
        values in proptest::sample::select(Values::ALL.to_vec()),
        rounds in 2..6_u32,
    ) {
        let layouts = layouts(&maps);
        let mut residuals = [0, 1].map(|factor| Residual::empty(layouts[factor].parameters()));
        let mut arrived = [0, 1].map(|factor| vec![0.0_f64; layouts[factor].parameters() as usize]);
        let mut given = arrived.clone();
        for round in 0..rounds {
            let factor = usize::from(round % 2 == 1);
            let (layout, other) = (&layouts[factor], &layouts[1 - factor]);
            // Multiples of 2^-24, so that nothing is rounded.
            let delta: Vec<f32> = (0..layout.parameters())
                .map(|at| (at.wrapping_mul(2_654_435_761).wrapping_add(seed).rotate_left(round) >> 12) as f32 / 16_777_216.0)
                .collect();
            given[factor].iter_mut().zip(&delta).for_each(|(sum, value)| *sum += f64::from(*value));
            let amount = if round == 0 { Amount::Values(17) } else { Amount::Bytes(budget + 10 * maps.len() as u64) };
            let plan = Plan { amount, values, decay: Decay::NONE };
            let sent = residuals[factor].send(&delta, layout, plan).unwrap();
            let update = decode(layout, &sent.payload).unwrap();
            prop_assert_eq!(update.positions.len(), sent.nonzeros);
            prop_assert!(decode(other, &sent.payload).is_err());
            for (at, value) in update.positions.iter().zip(&update.values) {
                arrived[factor][*at as usize] += f64::from(crate::grid::Steps::of(*value).unwrap().to_f32());
            }
            let mut sum = Sum::empty(Round(round.into()), shape(layout));
            let sparse = SumValues::Sparse { positions: &update.positions, values: &update.values };
            sum.add(sparse, Examples::new(3).unwrap()).unwrap();
            let bytes = format::encode(Kind::Sum, &sum);
            prop_assert_eq!(format::decode(shape(layout), &bytes).unwrap(), (Kind::Sum, sum.clone()));
            prop_assert!(format::decode(shape(other), &bytes).is_err());
            prop_assert!(sum.merge(&Sum::empty(Round(round.into()), shape(other))).is_err());
        }
        for factor in [0, 1] {
            for ((arrived, kept), given) in arrived[factor].iter().zip(residuals[factor].values()).zip(&given[factor]) {
                prop_assert_eq!(arrived + f64::from(*kept), *given);
            }
        }
    }
}

#[test]
fn two_factors_of_one_length_are_two_layouts() {
    let [a, b] = layouts(&[(4, 4), (6, 6)]);
    assert_eq!((a.parameters(), b.parameters()), (10, 10));
    assert_ne!(a.id(), b.id());
    let sent = encode(&a, &[3, 4], &[1.0, -2.0], Values::Float32).unwrap().bytes;
    assert_eq!(sent.len() as u64, payload_bytes(&a, &[3, 4], Values::Float32).unwrap());
    let update = Update { positions: vec![3, 4], values: vec![1.0, -2.0] };
    assert_eq!(decode(&a, &sent), Ok(update));
    assert!(decode(&b, &sent).is_err());
    assert_eq!(
        choose(&[0.0, 5.0, 0.0, 0.0, -6.0, 0.0, 0.0, 0.0, 0.0, 1.0], Amount::Values(2), &a, Values::Bits8),
        Ok(vec![1, 4])
    );
}

/// Nothing trained at all: no parameter, and still a payload and a sum.
#[test]
fn an_adapter_without_parameters_is_empty_not_wrong() {
    let layout = Layout::new(&[0, 0, 0]).unwrap();
    let mut residual = Residual::empty(0);
    let plan = Plan { amount: Amount::Values(5), values: Values::Levels2, decay: Decay::NONE };
    let sent = residual.send(&[], &layout, plan).unwrap();
    assert_eq!(decode(&layout, &sent.payload), Ok(Update { positions: vec![], values: vec![] }));
    let mut sum = Sum::empty(Round(0), shape(&layout));
    sum.add(SumValues::Dense(&[]), Examples::new(1).unwrap()).unwrap();
    let bytes = format::encode(Kind::Sum, &sum);
    assert_eq!(format::decode(shape(&layout), &bytes), Ok((Kind::Sum, sum)));
}
