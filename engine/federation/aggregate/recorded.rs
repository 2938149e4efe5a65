//! Single updates that were recorded, and what forgetting one device takes out of the sums that hold them.
//!
//! In: updates with device, round and decoded values. Out: sums by round and shape, and for a device the corrections: what it gave
//! to each of them. It must not know where updates are kept, nor what is made of the sums.

use std::collections::BTreeMap;

use super::history::{History, HistoryError};
use super::robust::clip_norm;
use super::{Examples, Refusal, Round, Shape, Sum, Values};

/// One device's update of a round, as it counted.
#[derive(Clone, Debug, PartialEq)]
pub struct RecordedUpdate {
    /// The device.
    pub device: Box<str>,
    /// Its round.
    pub round: Round,
    /// Of which tensors.
    pub shape: Shape,
    /// For how many examples it counted: after any cap.
    pub examples: Examples,
    /// The norm that it was shortened to, if there was one.
    pub max_norm: Option<f64>,
    /// Where its values stand in the flat vector, ascending.
    pub positions: Vec<u32>,
    /// The values as they were decoded.
    pub values: Vec<f32>,
}

impl RecordedUpdate {
    /// Returns its summand in the sum of its round: by itself, a sum of one update.
    ///
    /// # Errors
    /// When it could not have counted.
    pub fn sum(&self) -> Result<Sum, Refusal> {
        let mut values = self.values.clone();
        if let Some(most) = self.max_norm {
            clip_norm(&mut values, most)?;
        }
        let mut sum = Sum::empty(self.round, self.shape);
        sum.add(Values::Sparse { positions: &self.positions, values: &values }, self.examples)?;
        Ok(sum)
    }
}

/// The sums of recorded updates, by round and layout: what a root that saw them closed.
///
/// # Errors
/// When an update could not have counted, or a round cannot hold its examples.
pub fn sums<'a>(recorded: impl IntoIterator<Item = &'a RecordedUpdate>) -> Result<Vec<Sum>, Refusal> {
    let mut sums = BTreeMap::<(Round, [u8; 8]), Sum>::new();
    for update in recorded {
        let empty = || Sum::empty(update.round, update.shape);
        let sum = sums.entry((update.round, update.shape.layout)).or_insert_with(empty);
        sum.merge(&update.sum()?)?;
    }
    Ok(sums.into_values().collect())
}

/// The sums of a device by round and shape: taken out of the totals, the rest is as if it had never been there.
///
/// # Errors
/// When one of its updates could not have counted.
pub fn corrections<'a>(
    recorded: impl IntoIterator<Item = &'a RecordedUpdate>,
    device: &str,
) -> Result<Vec<Sum>, Refusal> {
    sums(recorded.into_iter().filter(|update| &*update.device == device))
}

/// The record of forgetting a device.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Receipt {
    /// The rounds from whose sums it was taken out.
    pub rounds: Vec<Round>,
    /// From which of them on the server's steps were computed again.
    pub replayed_from: Option<Round>,
}

/// Forgets a device at rest: takes its recorded updates out of a history and computes the server's steps again. `name` says who
/// forgets, so that the same is not done twice; a history in which it was done is left as it is, with an empty receipt.
///
/// Its direct part is gone from every sum and every step, to the bit. What others learned while they trained on adapters
/// that held it is not.
///
/// # Errors
/// When an update could not have counted, or the history does not hold it. The history is then as it was before.
pub fn forget<'a>(
    history: &mut History,
    recorded: impl IntoIterator<Item = &'a RecordedUpdate>,
    device: &str,
    name: &str,
) -> Result<Receipt, HistoryError> {
    let mut next = history.clone();
    let mut receipt = Receipt { rounds: Vec::new(), replayed_from: None };
    for part in corrections(recorded, device)? {
        let round = part.round();
        let id = format!("{name}/{}/{:016x}", round.0, u64::from_be_bytes(part.shape().layout));
        if next.take_out(&id, &part)? {
            receipt.rounds.push(round);
        }
    }
    receipt.rounds.dedup();
    receipt.replayed_from = receipt.rounds.first().copied();
    next.replay()?;
    *history = next;
    Ok(receipt)
}

#[cfg(test)]
mod tests {
    use super::super::history::Settings;
    use super::super::root::Quorum;
    use super::super::server::{Rule, Server};
    use super::*;
    use proptest::prelude::*;

    /// Two shapes in turn, as of two factors that train in alternate rounds.
    fn shape(round: u64) -> Shape {
        Shape { parameters: 6 + u32::from(round % 2 == 1), layout: [u8::from(round % 2 == 1); 8] }
    }

    fn recorded() -> impl Strategy<Value = RecordedUpdate> {
        let values = proptest::collection::btree_map(0..6_u32, -9.0..9.0_f32, 0..6);
        let norm = proptest::option::of(0.1..4.0_f64);
        (0..4_u8, 0..6_u64, 1..2000_u64, norm, values).prop_map(
            |(device, round, examples, max_norm, values)| {
                let (positions, values) = values.into_iter().unzip();
                RecordedUpdate {
                    device: format!("device-{device}").into(),
                    round: Round(round),
                    shape: shape(round),
                    examples: Examples::new(examples).unwrap(),
                    max_norm,
                    positions,
                    values,
                }
            },
        )
    }

    fn rule() -> impl Strategy<Value = Rule> {
        prop_oneof![
            Just(Rule::Mean),
            Just(Rule::Momentum { momentum: 0.9 }),
            Just(Rule::Adam { first: 0.9, second: 0.99, epsilon: 1e-3 }),
        ]
    }

    fn lived(settings: &Settings, recorded: &[&RecordedUpdate]) -> History {
        let mut history = History::new(settings.clone());
        for sum in sums(recorded.iter().copied()).unwrap() {
            let lengths = [sum.shape().parameters];
            history.close(&lengths, &sum, sum.devices()).unwrap();
        }
        history
    }

    proptest! {
        /// Sums and adapters after forgetting are those of the same updates without the device, to the bit; twice changes nothing.
        #[test]
        fn a_device_forgotten_at_rest_was_never_there(
            all in proptest::collection::vec(recorded(), 1..30),
            rule in rule(),
            (devices, updates, available) in (0..3_u64, 0..4_u64, 0..3_u64),
        ) {
            let quorum = Quorum { devices, updates, available };
            let settings = Settings { server: Server::new(rule, 0.7).unwrap(), quorum };
            let all: Vec<&RecordedUpdate> = all.iter().collect();
            let others: Vec<&RecordedUpdate> = all.iter().copied().filter(|u| &*u.device != "device-0").collect();
            let mut history = lived(&settings, &all);
            let receipt = forget(&mut history, all.iter().copied(), "device-0", "rest").unwrap();
            let expected = lived(&settings, &others);
            let gone: std::collections::BTreeSet<Round> =
                all.iter().filter(|u| &*u.device == "device-0").map(|u| u.round).collect();
            prop_assert_eq!(receipt.rounds, gone.into_iter().collect::<Vec<_>>());
            for round in 0..2 {
                let bits = |h: &History| h.adapter(shape(round).layout).map(|a| a.iter().map(|v| v.to_bits()).collect::<Vec<_>>());
                let zero = vec![0; shape(round).parameters as usize];
                // A shape of which nothing is left never moved.
                let expected = bits(&expected).or(bits(&history).map(|_| zero));
                prop_assert_eq!(bits(&history), expected);
            }
            for sum in sums(others.iter().copied()).unwrap() {
                let same = |h: &History| h.encoded(sum.round(), sum.shape().layout).map(<[u8]>::to_vec);
                prop_assert_eq!(same(&history), same(&expected));
            }
            let before = history.clone();
            let again = forget(&mut history, all.iter().copied(), "device-0", "rest").unwrap();
            prop_assert_eq!(again, Receipt { rounds: Vec::new(), replayed_from: None });
            prop_assert_eq!(history, before);
        }
    }
}
