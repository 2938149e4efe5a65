//! A closed round on a thread of its own: shares of devices in, updates and evaluations out.
//!
//! In: texts as tokens, by group, and the adapters to begin with. Out: for each device its update and its evaluation. The
//! same in, the same bits out, wherever it runs. It must not know rows, epochs or what becomes of updates.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use headwater_contract::hash;
use headwater_contract::prelude::*;
use headwater_training::train::base::{Base, one_thread_a_lane};
use headwater_training::train::batch::Example;
use headwater_training::train::round::{self, Update};
use headwater_training::train::trainer::{DroppedUpdate, Member, TrainOptions as Recipe};

use super::base::{LoadedBase, wrong};
use super::texts::Share;

/// An adapter in canonical order, shared by those that begin with it.
pub(super) type Adapter = Arc<Vec<f32>>;

/// A device's update, or why it came to nothing.
pub(super) type UpdateResult = std::result::Result<Update, DroppedUpdate>;

/// One round to train.
pub(super) struct Job {
    pub(super) round: u64,
    pub(super) shares: BTreeMap<u32, Vec<Share>>,
    /// The adapter that every device begins with.
    pub(super) start: Adapter,
    /// The personal adapters that some devices begin with instead.
    pub(super) own: BTreeMap<String, Adapter>,
    /// True if an adapter is measured that no device trains: not if it was measured before on the same texts.
    pub(super) measure_all: bool,
}

/// The result of one device's round.
pub(super) struct DeviceResult {
    pub(super) name: String,
    /// Its texts below this number are trained on.
    pub(super) upto: u64,
    /// Nothing for a device that only measured.
    pub(super) update: Option<UpdateResult>,
    pub(super) evaluation: Option<Evaluation>,
}

/// Sums of nats over held-out tokens.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Evaluation {
    pub(super) tokens: u64,
    pub(super) base: f64,
    pub(super) start: f64,
    pub(super) own: f64,
}

/// All devices of a round, by name, and the CPU time that it took.
pub(super) struct Outcome {
    pub(super) trained: Vec<DeviceResult>,
    pub(super) cpu: Duration,
}

/// A job at work.
pub(super) struct Running(JoinHandle<Result<Outcome>>);

impl Running {
    /// Starts the thread.
    pub(super) fn start(base: Arc<LoadedBase>, job: Job) -> Result<Running> {
        let thread = std::thread::Builder::new().name(format!("hw-round-{}", job.round));
        let work = move || {
            one_thread_a_lane();
            let trained = run(&base, &job)?;
            let cpu = rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime);
            let cpu = Duration::try_from(cpu).unwrap_or_default();
            Ok(Outcome { trained, cpu })
        };
        let started = thread.spawn(work);
        started.map(Running).map_err(|e| StageError::new(format!("no thread could be started: {e}")))
    }

    /// Waits for its end.
    pub(super) fn wait(self) -> Result<Outcome> {
        self.0.join().unwrap_or_else(|_| Err(StageError::new("the thread that trained a round panicked")))
    }
}

fn run(base: &LoadedBase, job: &Job) -> Result<Vec<DeviceResult>> {
    let frozen = base.share();
    let mut trained = Vec::new();
    for (number, shares) in &job.shares {
        trained.extend(Group { number: *number, base, frozen: &frozen, job, shares }.run()?);
    }
    trained.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(trained)
}

/// Devices that are computed together.
struct Group<'a> {
    number: u32,
    base: &'a LoadedBase,
    frozen: &'a Base,
    job: &'a Job,
    shares: &'a [Share],
}

impl Group<'_> {
    fn run(&self) -> Result<Vec<DeviceResult>> {
        let mut updates = self.train()?;
        let mut evaluations = self.evaluate(&updates)?;
        evaluations.retain(|name, e| {
            if !e.own.is_finite() && updates.get(name).is_some_and(std::result::Result::is_ok) {
                let step = self.base.recipe.steps;
                updates.insert(name.clone(), Err(DroppedUpdate { step, what: "held-out loss" }));
            }
            [e.base, e.start, e.own].iter().all(|nats| nats.is_finite())
        });
        let trained = |share: &Share| DeviceResult {
            name: share.name.clone(),
            upto: share.trained,
            update: updates.remove(&share.name),
            evaluation: evaluations.remove(&share.name),
        };
        Ok(self.shares.iter().map(trained).collect())
    }

    fn start_of(&self, share: &Share) -> &[f32] {
        self.job.own.get(&share.name).unwrap_or(&self.job.start)
    }

    fn train(&self) -> Result<BTreeMap<String, UpdateResult>> {
        let taking: Vec<&Share> = self.shares.iter().filter(|share| !share.examples.is_empty()).collect();
        if taking.is_empty() {
            return Ok(BTreeMap::new());
        }
        let members: Vec<Member<'_>> =
            taking.iter().map(|share| member(share, self.start_of(share), &share.examples)).collect();
        // Held-out texts say more than those that were trained on: the latter are measured only for want of the former.
        let losses = taking.iter().any(|share| share.held_out.is_empty());
        let recipe = Recipe { losses, ..self.base.recipe.clone() };
        let updates =
            round::train(self.frozen, &self.base.layout, &recipe, self.job.round, &members).map_err(wrong)?;
        Ok(taking.iter().map(|share| share.name.clone()).zip(updates).collect())
    }

    /// The evaluation on held-out texts. A device's personal adapter is the one that it trained in this round; of a device that did not, the
    /// one that it would begin with.
    fn evaluate(&self, updates: &BTreeMap<String, UpdateResult>) -> Result<BTreeMap<String, Evaluation>> {
        let measuring: Vec<&Share> = self.shares.iter().filter(|share| !share.held_out.is_empty()).collect();
        if measuring.is_empty() || (!self.job.measure_all && updates.is_empty()) {
            return Ok(BTreeMap::new());
        }
        let none = vec![0.0; self.base.layout.length];
        let base =
            self.base.measured(self.number, of_texts(&measuring), || self.nats(&measuring, |_| &none))?;
        let untrained = measuring.iter().all(|share| self.base.is_untrained(self.start_of(share)));
        let start =
            if untrained { base.clone() } else { self.nats(&measuring, |share| self.start_of(share))? };
        let own: BTreeMap<&str, Vec<f32>> = measuring
            .iter()
            .filter_map(|share| {
                let update = updates.get(&share.name)?.as_ref().ok()?;
                let moved =
                    self.start_of(share).iter().zip(&update.delta).map(|(start, delta)| start + delta);
                Some((share.name.as_str(), moved.collect()))
            })
            .collect();
        let own = if own.is_empty() {
            start.clone()
        } else {
            self.nats(&measuring, |share| {
                own.get(share.name.as_str()).map_or_else(|| self.start_of(share), Vec::as_slice)
            })?
        };
        let each = measuring.iter().zip(base).zip(start).zip(own);
        Ok(each
            .map(|(((share, base), start), own)| {
                (share.name.clone(), Evaluation { tokens: predicted(&share.held_out), base, start, own })
            })
            .collect())
    }

    /// Nats over all held-out tokens of each device, in one joined pass.
    fn nats<'b>(
        &'b self,
        measuring: &'b [&Share],
        adapter: impl Fn(&'b Share) -> &'b [f32],
    ) -> Result<Vec<f64>> {
        let members: Vec<Member<'_>> =
            measuring.iter().map(|share| member(share, adapter(share), &share.held_out)).collect();
        let LoadedBase { layout, recipe, .. } = self.base;
        let losses = round::losses(self.frozen, layout, recipe, &members).map_err(wrong)?;
        Ok(losses.into_iter().map(|(mean, weight)| mean * weight).collect())
    }
}

/// A hash of all held-out texts, and whose they are.
fn of_texts(measuring: &[&Share]) -> u64 {
    let tokens =
        |share: &&Share| share.held_out.iter().flat_map(|text| text.tokens.clone()).collect::<Vec<u32>>();
    let each = measuring
        .iter()
        .flat_map(|share| std::iter::once(share.key).chain(tokens(share).into_iter().map(u64::from)));
    each.fold(1, hash::mix)
}

fn member<'a>(share: &Share, start: &'a [f32], examples: &'a [Example]) -> Member<'a> {
    Member { key: share.key, start, examples }
}

/// The number of predicted tokens of examples.
fn predicted(examples: &[Example]) -> u64 {
    examples.iter().map(|e| e.tokens.len().saturating_sub(1) as u64).sum()
}
