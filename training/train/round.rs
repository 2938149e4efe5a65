//! Devices with their texts in, one update each out: the order of examples, the steps, the losses before and after. What
//! comes out depends on the group's members, options and round alone: the same bytes each time. Knows no epochs.

use super::base::Base;
use super::chance::{Chance, Purpose};
use super::error::Result;
use super::lora::{Factors, Layout};
use super::trainer::{DroppedUpdate, Member, TrainOptions, Trainer};

/// A device's update of a round.
#[derive(Debug, Clone, PartialEq)]
pub struct Update {
    /// The adapter's change, in canonical order; exactly 0 for what the round does not train.
    pub delta: Vec<f32>,
    /// Mean loss over its examples with the start adapter and with the new one, in nats a token, if they were asked for.
    pub losses: Option<(f64, f64)>,
    /// The number of examples.
    pub examples: usize,
    /// The factors that the round trained.
    pub factors: Factors,
}

/// Trains a group for one round.
pub fn train(
    base: &Base,
    layout: &Layout,
    options: &TrainOptions,
    round: u64,
    members: &[Member<'_>],
) -> Result<Vec<std::result::Result<Update, DroppedUpdate>>> {
    let mut trainer = Trainer::new(base, layout, options, round, members)?;
    let every = all(options.batch, members);
    let before = if options.losses { Some(trainer.losses(&every)?) } else { None };
    let mut orders: Vec<Order> = members.iter().map(|m| Order::new(options.seed, m, round)).collect();
    for _ in 0..options.steps {
        let mut batches = Vec::with_capacity(options.accumulation);
        for _ in 0..options.accumulation {
            batches.push(orders.iter_mut().map(|order| order.take(options.batch)).collect::<Vec<_>>());
        }
        trainer.step(&batches)?;
    }
    let after = if options.losses { Some(trainer.losses(&every)?) } else { None };
    let (steps, factors) = (trainer.steps(), trainer.factors());
    let each = trainer.adapters().into_iter().zip(members).enumerate();
    let losses = |device: usize| {
        let of = |losses: &Option<Vec<(f64, f64)>>| losses.as_ref()?.get(device).map(|(mean, _)| *mean);
        Some((of(&before)?, of(&after)?))
    };
    Ok(each.map(|(device, (flat, member))| update(flat?, member, losses(device), (steps, factors))).collect())
}

/// Each member's loss over all its examples with its start adapter, nothing trained: (mean in nats a token, tokens' weight).
pub fn losses(
    base: &Base,
    layout: &Layout,
    options: &TrainOptions,
    members: &[Member<'_>],
) -> Result<Vec<(f64, f64)>> {
    Trainer::new(base, layout, options, 0, members)?.losses(&all(options.batch, members))
}

/// The nats of each example of a device with its start adapter, summed by weight, nothing trained. As many examples as fit a
/// tile of the options are passed together, whatever their batches are.
pub fn nats(base: &Base, layout: &Layout, options: &TrainOptions, member: Member<'_>) -> Result<Vec<f64>> {
    let mut batches: Vec<Vec<usize>> = Vec::new();
    let mut room = 0;
    for (at, example) in member.examples.iter().enumerate() {
        let tokens = example.tokens.len();
        if let Some(batch) = batches.last_mut().filter(|_| tokens <= room) {
            batch.push(at);
        } else {
            batches.push(vec![at]);
            room = options.tile;
        }
        room = room.saturating_sub(tokens);
    }
    Trainer::new(base, layout, options, 0, &[member])?.nats(&batches)
}

fn update(
    flat: &[f32],
    member: &Member<'_>,
    losses: Option<(f64, f64)>,
    (steps, factors): (u64, Factors),
) -> std::result::Result<Update, DroppedUpdate> {
    let delta: Vec<f32> = flat.iter().zip(member.start).map(|(new, old)| new - old).collect();
    let sum: f64 = delta.iter().map(|d| f64::from(d.abs())).sum();
    let (before, after) = losses.unwrap_or_default();
    for (value, what) in [(sum, "adapter"), (before, "loss before"), (after, "loss after")] {
        if !value.is_finite() {
            return Err(DroppedUpdate { step: steps, what });
        }
    }
    Ok(Update { delta, losses, examples: member.examples.len(), factors })
}

/// All examples in their own order, `size` a device in a batch.
fn all(size: usize, members: &[Member<'_>]) -> Vec<Vec<Vec<usize>>> {
    let most = members.iter().map(|m| m.examples.len()).max().unwrap_or(0);
    let batch = |start: usize| {
        let of = |m: &Member<'_>| (start..(start + size).min(m.examples.len())).collect::<Vec<_>>();
        members.iter().map(of).collect::<Vec<_>>()
    };
    (0..most).step_by(size.max(1)).map(batch).collect()
}

/// One device's examples, pass after pass, each in an order of chance.
struct Order {
    chance: Chance,
    pass: u64,
    length: usize,
    left: std::vec::IntoIter<usize>,
}

impl Order {
    fn new(seed: u64, member: &Member<'_>, round: u64) -> Order {
        let chance = Chance::new(Purpose::Order, &[seed, member.key, round]);
        Order { chance, pass: 0, length: member.examples.len(), left: Vec::new().into_iter() }
    }

    /// The next `size` places; fewer only where a device has fewer examples.
    fn take(&mut self, size: usize) -> Vec<usize> {
        let size = size.min(self.length);
        let mut taken = Vec::with_capacity(size);
        while taken.len() < size {
            if let Some(place) = self.left.next() {
                taken.push(place);
            } else {
                self.left = self.chance.at(self.pass).order(self.length).into_iter();
                self.pass += 1;
            }
        }
        taken
    }
}
