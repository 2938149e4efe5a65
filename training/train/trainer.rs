//! A group of devices, step by step: examples in, adapters moved. Clipping, accumulation and the optimiser's memory are
//! each device's own. A device whose loss or gradient is not a number is dropped for the round; the others' bytes do
//! not depend on that, since its rows stay in the batch. Knows no transport and no aggregation.

use super::base::Base;
use super::batch::Example;
use super::error::{Result, TrainError};
use super::lora::{Factors, Layout, Method};
use super::optimiser::{Optimiser, Rule};
use super::prefix::Prefix;
use super::schedule::Schedule;
use super::spare::Spare;
use super::step::{DropoutPlace, JoinedPass};

/// The options of a round.
#[derive(Debug, Clone, PartialEq)]
pub struct TrainOptions {
    /// See [`Method`].
    pub method: Method,
    /// See [`Rule`].
    pub rule: Rule,
    /// The highest learning rate.
    pub rate: f64,
    /// See [`Schedule`].
    pub schedule: Schedule,
    /// Steps in which the learning rate rises.
    pub warm_up: u64,
    /// Steps of a round.
    pub steps: u64,
    /// Examples a device in a batch.
    pub batch: usize,
    /// Batches a step.
    pub accumulation: usize,
    /// A longer gradient is shortened to this, for each device.
    pub clip: Option<f64>,
    /// Of order and dropout.
    pub seed: u64,
    /// Tokens whose logits exist at a time.
    pub chunk: usize,
    /// Tokens that are passed together: as many devices as fit are one pass, at least one. More of them gain nothing once
    /// the products are large, and what one operation leaves is then no longer near for the next.
    pub tile: usize,
    /// Keep only the layers' inputs for the way back: less memory, a quarter more time.
    pub checkpoint: bool,
    /// Keep what the frozen lower layers say about each example, up to so many bytes: 4 * hidden a token.
    pub cache_prefix: Option<usize>,
    /// Report each device's loss over its examples before and after: two more passes over them.
    pub losses: bool,
}

impl Default for TrainOptions {
    fn default() -> TrainOptions {
        TrainOptions {
            method: Method::RoLora,
            rule: Rule::adamw(),
            rate: 5e-3,
            schedule: Schedule::Constant,
            warm_up: 0,
            steps: 4,
            batch: 4,
            accumulation: 1,
            clip: Some(1.0),
            seed: 0,
            chunk: 256,
            tile: 512,
            checkpoint: false,
            cache_prefix: None,
            losses: true,
        }
    }
}

/// One device of a group.
#[derive(Debug, Clone, Copy)]
pub struct Member<'a> {
    /// A stable hash of its name: what its randomness is drawn by.
    pub key: u64,
    /// The adapter it starts from.
    pub start: &'a [f32],
    /// Its texts.
    pub examples: &'a [Example],
}

/// Why a device's round came to nothing.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct DroppedUpdate {
    /// The step (from 0), or the number of steps if it happened after the last.
    pub step: u64,
    /// The value that was not finite.
    pub what: &'static str,
}

struct State {
    flat: Vec<f32>,
    optimiser: Optimiser,
    dropped: Option<DroppedUpdate>,
}

/// A group within a round.
pub struct Trainer<'a> {
    pub(super) joined: JoinedPass<'a>,
    options: &'a TrainOptions,
    factors: Factors,
    round: u64,
    step: u64,
    keys: Vec<u64>,
    states: Vec<State>,
}

impl<'a> Trainer<'a> {
    /// The optimisers start with no memory.
    pub fn new(
        base: &'a Base,
        layout: &'a Layout,
        options: &'a TrainOptions,
        round: u64,
        members: &[Member<'a>],
    ) -> Result<Trainer<'a>> {
        check(options)?;
        let untrained = members.iter().any(|member| layout.is_untrained(member.start));
        let factors = options.method.factors(round, untrained);
        let mut states = Vec::with_capacity(members.len());
        for member in members {
            layout.check("a device's adapter", member.start.len())?;
            let optimiser = Optimiser::new(options.rule, layout.matrices(factors));
            states.push(State { flat: member.start.to_vec(), optimiser, dropped: None });
        }
        let joined = JoinedPass {
            base,
            layout,
            chunk: options.chunk,
            checkpoint: options.checkpoint,
            tile: options.tile,
            examples: members.iter().map(|m| m.examples).collect(),
            spare: Spare::default(),
            kept: options.cache_prefix.map(Prefix::new),
        };
        let keys = members.iter().map(|m| m.key).collect();
        Ok(Trainer { joined, options, factors, round, step: 0, keys, states })
    }

    /// One step over `batches`: in each, the places of every device's examples. Returns each device's loss before the
    /// step; none for a device without anything to learn from, or dropped.
    pub fn step(&mut self, batches: &[Vec<Vec<usize>>]) -> Result<Vec<Option<f64>>> {
        for chosen in batches {
            if chosen.len() != self.states.len() {
                let expected = self.states.len().to_string();
                return Err(TrainError::value("the number of devices of a batch", chosen.len(), expected));
            }
        }
        let place = DropoutPlace {
            p: self.joined.layout.dropout,
            seed: self.options.seed,
            devices: &self.keys,
            round: self.round,
            step: self.step,
        };
        let flats: Vec<&[f32]> = self.states.iter().map(|s| s.flat.as_slice()).collect();
        let gradients = self.joined.gradients(batches, &flats, self.factors, &place)?;
        let o = self.options;
        let rate = o.rate * o.schedule.factor(self.step, o.steps, o.warm_up);
        let mut losses = Vec::with_capacity(gradients.len());
        for (state, mut gradient) in self.states.iter_mut().zip(gradients) {
            if state.dropped.is_some() || gradient.weight <= 0.0 {
                losses.push(None);
                continue;
            }
            let norm = state.optimiser.clip(&mut gradient.flat, o.clip);
            let finite = [(gradient.loss, "loss"), (norm, "gradient")];
            if let Some((_, what)) = finite.iter().find(|(value, _)| !value.is_finite()) {
                state.dropped = Some(DroppedUpdate { step: self.step, what });
                losses.push(None);
                continue;
            }
            state.optimiser.step(rate, &mut state.flat, &gradient.flat);
            losses.push(Some(gradient.loss));
        }
        self.step += 1;
        Ok(losses)
    }

    /// Each device's loss over `batches` with its adapter as it is: (mean, weight).
    pub fn losses(&mut self, batches: &[Vec<Vec<usize>>]) -> Result<Vec<(f64, f64)>> {
        let flats: Vec<&[f32]> = self.states.iter().map(|s| s.flat.as_slice()).collect();
        self.joined.losses(batches, &flats)
    }

    /// The loss of each example of a group's only device with its adapter as it is, summed by weight, in nats.
    pub(super) fn nats(&mut self, batches: &[Vec<usize>]) -> Result<Vec<f64>> {
        let flat = self.states.first().map(|state| state.flat.as_slice()).unwrap_or_default();
        self.joined.nats(batches, flat)
    }

    /// The adapters as they are, or why a device has none.
    pub fn adapters(&self) -> Vec<std::result::Result<&[f32], DroppedUpdate>> {
        self.states.iter().map(|s| s.dropped.map_or(Ok(s.flat.as_slice()), Err)).collect()
    }

    /// The factors that it trains.
    pub fn factors(&self) -> Factors {
        self.factors
    }

    /// Steps taken.
    pub fn steps(&self) -> u64 {
        self.step
    }
}

fn check(options: &TrainOptions) -> Result<()> {
    if !(options.rate > 0.0 && options.rate.is_finite()) {
        return Err(TrainError::value("the learning rate", options.rate, "a number above 0"));
    }
    if options.batch == 0 || options.accumulation == 0 || options.chunk == 0 {
        return Err(TrainError::value("batch, accumulation or chunk", 0, "at least 1"));
    }
    if let Some(clip) = options.clip.filter(|clip| clip.is_nan() || *clip <= 0.0) {
        return Err(TrainError::value("clip", clip, "a number above 0"));
    }
    Ok(())
}
