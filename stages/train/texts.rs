//! Texts of devices, as tokens: new, older, and held out.
//!
//! In: tokens of texts with device and round. Out: who takes part in a round, with what texts. What is drawn depends on seed,
//! device and round alone. It must not know training, nor the texts themselves.

use std::collections::{BTreeMap, VecDeque};

use headwater_contract::hash;
use headwater_training::train::batch::Example;
use headwater_training::train::chance::{Chance, Purpose};

/// One text.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct TextRecord {
    /// Its number among all texts of the device.
    pub(super) number: u64,
    /// The round that was open when it came.
    pub(super) round: u64,
    /// True if it is never trained on.
    pub(super) held_out: bool,
    pub(super) tokens: Vec<u32>,
}

/// All that is kept of one device.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Device {
    /// The number of its next text.
    pub(super) next: u64,
    /// Texts below this number were trained on in the round they were new in.
    pub(super) trained: u64,
    /// In the order of their numbers.
    pub(super) texts: VecDeque<TextRecord>,
}

/// The selection of texts.
#[derive(Clone, Copy, Debug)]
pub(super) struct Choice {
    pub(super) min_examples: usize,
    pub(super) rehearse: f64,
    pub(super) evaluate: usize,
    pub(super) seed: u64,
}

/// The texts of one device for one round. Without examples it only measures.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Share {
    pub(super) name: String,
    /// A stable hash of the name: what its randomness is drawn by.
    pub(super) key: u64,
    pub(super) examples: Vec<Example>,
    pub(super) held_out: Vec<Example>,
    /// The number below which texts are trained on after this share.
    pub(super) trained: u64,
}

impl Device {
    /// Takes a text in; gives its number.
    pub(super) fn hear(&mut self, round: u64, held_out: bool, tokens: Vec<u32>) -> u64 {
        let number = self.next;
        self.next += 1;
        self.texts.push_back(TextRecord { number, round, held_out, tokens });
        number
    }

    /// Returns true if `most` texts wait already: of those that it is to learn from, or of those that are held out.
    pub(super) fn is_full(&self, held_out: bool, most: usize) -> bool {
        let waits =
            |said: &&TextRecord| said.held_out == held_out && (held_out || said.number >= self.trained);
        self.texts.iter().filter(waits).count() >= most
    }

    /// Forgets the oldest texts beyond what is kept; gives their numbers.
    pub(super) fn forget(&mut self, remember: usize, evaluate: usize) -> Vec<u64> {
        let trained = self.trained;
        let older = |said: &TextRecord| !said.held_out && said.number < trained;
        let count = |is: &dyn Fn(&TextRecord) -> bool| self.texts.iter().filter(|said| is(said)).count();
        let mut surplus = count(&older).saturating_sub(remember);
        let mut unused = count(&|said| said.held_out).saturating_sub(evaluate);
        let mut gone = Vec::new();
        self.texts.retain(|said| {
            let left = if said.held_out { &mut unused } else { &mut surplus };
            let goes = *left > 0 && (said.held_out || older(said));
            if goes {
                *left -= 1;
                gone.push(said.number);
            }
            !goes
        });
        gone
    }

    /// The share of this device in a round that is closed.
    fn share(&self, name: &str, round: u64, choice: &Choice) -> Share {
        let key = hash::stable(name.as_bytes());
        let closed = || self.texts.iter().filter(|said| said.round <= round);
        let train = || closed().filter(|said| !said.held_out);
        let mut new: Vec<&TextRecord> = train().filter(|said| said.number >= self.trained).collect();
        let older: Vec<&TextRecord> = train().filter(|said| said.number < self.trained).collect();
        let mut trained = self.trained;
        if new.len() < choice.min_examples {
            new.clear();
        } else {
            trained = new.last().map_or(trained, |said| said.number + 1);
            let wanted = whole(new.len() as f64 * choice.rehearse).min(older.len());
            let order = Chance::new(Purpose::Rehearse, &[choice.seed, key, round]).order(older.len());
            new.extend(order.into_iter().take(wanted).filter_map(|at| older.get(at).copied()));
        }
        let held_out: Vec<&TextRecord> = closed().filter(|said| said.held_out).collect();
        let measured = held_out.len().saturating_sub(choice.evaluate);
        let example = |said: &&TextRecord| Example::plain(said.tokens.clone());
        Share {
            name: name.to_owned(),
            key,
            examples: new.iter().map(example).collect(),
            held_out: held_out.iter().skip(measured).map(example).collect(),
            trained,
        }
    }
}

/// The shares of a round, by group; devices in the order of their names.
pub(super) fn shares(
    devices: &BTreeMap<String, Device>,
    round: u64,
    choice: &Choice,
    groups: u32,
) -> BTreeMap<u32, Vec<Share>> {
    let mut by_group: BTreeMap<u32, Vec<Share>> = BTreeMap::new();
    for (name, device) in devices {
        let share = device.share(name, round, choice);
        if !share.examples.is_empty() || !share.held_out.is_empty() {
            by_group.entry(hash::group(name, groups)).or_default().push(share);
        }
    }
    by_group
}

/// Rounded down; a share of a count of texts in memory.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "`as` saturates, and texts are counted in memory"
)]
fn whole(count: f64) -> usize {
    count.max(0.0) as usize
}

#[cfg(test)]
mod tests {
    use super::*;

    fn device(texts: &[(u64, bool)], trained: u64) -> Device {
        let mut device = Device { trained, ..Device::default() };
        for (at, (round, held_out)) in (0u32..).zip(texts) {
            device.hear(*round, *held_out, vec![at]);
        }
        device
    }

    fn first_tokens(examples: &[Example]) -> Vec<u32> {
        examples.iter().map(|example| example.tokens[0]).collect()
    }

    const CHOICE: Choice = Choice { min_examples: 1, rehearse: 0.0, evaluate: 9, seed: 0 };

    #[test]
    fn a_round_has_what_is_new_and_closed() {
        let check = |texts: &[(u64, bool)], trained: u64, choice: Choice, train: &[u32], held: &[u32]| {
            let share = device(texts, trained).share("d", 1, &choice);
            assert_eq!(first_tokens(&share.examples), train, "{texts:?} from {trained}");
            assert_eq!(first_tokens(&share.held_out), held, "{texts:?} from {trained}");
        };
        let texts = [(0, false), (0, true), (1, false), (1, false), (2, false), (2, true)];
        check(&texts, 0, CHOICE, &[0, 2, 3], &[1]);
        check(&texts, 1, CHOICE, &[2, 3], &[1]);
        check(&texts, 4, CHOICE, &[], &[1]);
        // Too few: they wait, and count again in a later round.
        check(&texts, 1, Choice { min_examples: 3, ..CHOICE }, &[], &[1]);
        check(&texts, 0, Choice { min_examples: 3, ..CHOICE }, &[0, 2, 3], &[1]);
        check(&texts, 0, Choice { evaluate: 0, ..CHOICE }, &[0, 2, 3], &[]);
        check(&[(0, true), (0, true), (1, true)], 0, Choice { evaluate: 2, ..CHOICE }, &[], &[1, 2]);
    }

    #[test]
    fn older_texts_are_drawn_by_seed_device_and_round() {
        let texts: Vec<(u64, bool)> = (0..40).map(|_| (0, false)).chain((0..8).map(|_| (1, false))).collect();
        let draw = |name: &str, seed: u64, rehearse: f64| {
            let choice = Choice { rehearse, seed, ..CHOICE };
            first_tokens(&device(&texts, 40).share(name, 1, &choice).examples)
        };
        let drawn = draw("d", 7, 0.5);
        assert_eq!(drawn[..8], [40, 41, 42, 43, 44, 45, 46, 47]);
        assert_eq!(drawn.len(), 12);
        assert!(drawn[8..].iter().all(|token| *token < 40));
        assert_eq!(drawn, draw("d", 7, 0.5));
        assert_ne!(drawn, draw("d", 8, 0.5));
        assert_ne!(drawn, draw("e", 7, 0.5));
        assert_eq!(draw("d", 7, 99.0).len(), 48, "each at most once");
    }

    #[test]
    fn the_oldest_go_first_and_nothing_unlearnt_goes() {
        let mut device = device(&[(0, false), (0, true), (0, false), (0, false), (1, true), (1, false)], 4);
        assert_eq!(device.forget(1, 1), [0, 1, 2]);
        let left: Vec<u64> = device.texts.iter().map(|said| said.number).collect();
        assert_eq!(left, [3, 4, 5]);
        assert!(device.forget(0, 1) == [3] && device.forget(0, 1).is_empty());
    }
}
