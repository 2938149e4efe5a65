//! The worth of adapters: perplexities of held-out texts, by device and round.
//!
//! In: sums of nats. Out: perplexities. The global adapter that came of a round is measured by the devices that begin the next one with
//! it. It must not know how a loss is computed.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::outcome::DeviceRound;

/// Perplexities of one model or another on the same tokens.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Perplexity {
    /// Of the base alone.
    pub base: Option<f64>,
    /// Of the global adapter that came of the round.
    pub global: Option<f64>,
    /// Of each device's own adapter after its steps of the round.
    pub personal: Option<f64>,
}

/// Nats over tokens of each model; `global` may stand on other tokens than the rest.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Nats {
    /// Tokens of base and personal.
    pub tokens: u64,
    /// With the base alone.
    pub base: f64,
    /// With the own adapter.
    pub personal: f64,
    /// Tokens of global.
    pub global_tokens: u64,
    /// With the global adapter that came of the round.
    pub global: f64,
}

impl Nats {
    /// Adds those of another device.
    pub fn add(&mut self, other: &Nats) {
        self.tokens += other.tokens;
        self.base += other.base;
        self.personal += other.personal;
        self.global_tokens += other.global_tokens;
        self.global += other.global;
    }

    /// As perplexities.
    pub fn perplexity(&self) -> Perplexity {
        let of = |nats: f64, tokens: u64| (tokens > 0).then(|| (nats / tokens as f64).exp());
        Perplexity {
            base: of(self.base, self.tokens),
            global: of(self.global, self.global_tokens),
            personal: of(self.personal, self.tokens),
        }
    }
}

/// The devices that trained in a round, with what came of it.
pub type Round<'o> = BTreeMap<&'o str, (&'o DeviceRound, Nats)>;

/// By round: the devices that trained.
pub fn rounds(devices: &[DeviceRound]) -> BTreeMap<u64, Round<'_>> {
    let at: BTreeMap<(u64, &str), &DeviceRound> =
        devices.iter().map(|d| ((d.round, d.device.as_str()), d)).collect();
    let mut rounds: BTreeMap<u64, Round<'_>> = BTreeMap::new();
    for device in devices.iter().filter(|d| d.losses.is_some()) {
        let next = at.get(&(device.round + 1, device.device.as_str()));
        let nats = Nats {
            tokens: device.tokens,
            base: device.base,
            personal: device.own,
            global_tokens: next.map_or(0, |next| next.tokens),
            global: next.map_or(0.0, |next| next.start),
        };
        rounds.entry(device.round).or_default().insert(&device.device, (device, nats));
    }
    rounds
}

/// The sum over a round's devices.
pub fn sum(round: &Round<'_>) -> Nats {
    let mut sum = Nats::default();
    round.values().for_each(|(_, nats)| sum.add(nats));
    sum
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_global_adapter_is_measured_by_the_next_round() {
        let of = |device: &str, round: u64, nats: [f64; 3], trained: bool| DeviceRound {
            device: device.into(),
            round,
            tokens: 10,
            base: nats[0],
            start: nats[1],
            own: nats[2],
            losses: trained.then_some((1.0, 0.5)),
            ..DeviceRound::default()
        };
        let devices = [
            of("ann", 0, [20.0, 20.0, 10.0], true),
            of("bob", 0, [40.0, 40.0, 30.0], true),
            of("ann", 1, [20.0, 5.0, 5.0], false),
        ];
        let rounds = rounds(&devices);
        assert_eq!(rounds.len(), 1, "a round without training is none");
        let sum = sum(&rounds[&0]).perplexity();
        let expected =
            Perplexity { base: Some(3_f64.exp()), global: Some(0.5_f64.exp()), personal: Some(2_f64.exp()) };
        assert_eq!(sum, expected);
    }
}
