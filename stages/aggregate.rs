//! Aggregation: the updates of a round become one exact sum, and at the root a step of the global adapter.
//!
//! In: payloads of single updates, or sums of a lower tier, with their round and examples; at the root, if asked for, what devices
//! measured on held-out text; and devices to be forgotten. Out: by group one sum (docs/formats/sums.md), and corrections; of all
//! together, the adapter after the step. Sums are of whole numbers, so flat and hierarchical aggregation agree to the bit, in
//! any order. What cannot count is rejected with its reason. It must not know how updates were compressed, nor what their
//! parameters mean.
//!
//! # Forgetting
//!
//! With `keep_updates` the stage that reads single updates keeps them, each under its device, and has an input `forget`: a row asks for
//! its device to be forgotten, an epoch later, at the next end of a round. What the device gave is then no longer kept; a correction
//! for each of its rounds goes up, passes every tier once, and at the root is taken out of the stored sums. All steps are computed
//! again from them, and the adapter, if it is another one, is published again. A device that kept the earlier adapter can see the
//! difference; and what others learned from it stays.
//!
//! Under `trimmed_mean` and `median` the root itself keeps the updates, and makes the middle of each of the device's rounds again.

mod evaluate;
mod group;
mod root;
mod rows;
mod running;
mod saved;
mod update_store;
mod uplink;

use headwater_contract::columns::{binary, u32_list};
use headwater_contract::{Erasure, choice, prelude::*};
use headwater_federation::aggregate::judge::Condition;

choice! {
    /// How the updates of a round move the adapter.
    pub enum Rule {
        /// Their mean by itself: FedAvg.
        Mean = "mean",
        /// Their mean with momentum: FedAvgM.
        Momentum = "momentum",
        /// Their mean with Adam's two means: FedAdam.
        Adam = "adam",
        /// For each parameter the mean without the largest and the smallest values; only where single updates are read.
        TrimmedMean = "trimmed_mean",
        /// For each parameter the value in the middle; only where single updates are read.
        Median = "median",
    }
}

options! {
    /// Adds up the updates of a round exactly; the one that reads all of them moves the global adapter.
    pub struct Aggregate {
        /// The column that names the groups, such as "gateway": one sum for each. Without it there is one group, the root.
        by: Option<String>;
        /// The root moves the adapter only when so many devices took part in one round; until then its sum waits.
        min_devices: u64 = 2, in 1 ..= 1000000000;
        /// The root moves the adapter only when so many updates are there, of this round and of those that wait.
        min_updates: u64 = 1, in 1 ..= 1000000000;
        /// The root moves the adapter only when so many devices were there in the round: with an update, or with an evaluation.
        min_available: u64 = 1, in 1 ..= 1000000000;
        /// The share of devices that is drawn for each round. Updates of others are rejected.
        fraction: f64 = 1.0, in 0.000001 ..= 1.0;
        /// Another seed draws other devices.
        seed: u64 = 0;
        /// After so many closed rounds updates are rejected.
        rounds: Option<u64>, in 1 ..= 1000000000;
        /// An update counts for at most so many examples.
        max_weight: u32 = 65536, in 1 ..= 65536;
        /// An update of a greater Euclidean norm is shortened to it.
        max_norm: Option<f64>;
        /// How the updates of a round move the adapter.
        rule: Rule = Rule::Mean;
        /// What the mean, or what the rule makes of it, is multiplied by.
        lr: f64 = 1.0, in 0.000001 ..= 1000.0;
        /// The momentum of "momentum".
        momentum: f64 = 0.9, in 0.0 ..= 0.999999;
        /// The share that "trimmed_mean" excludes at either end.
        trim: f64 = 0.1, in 0.0 ..= 0.499999;
        /// When the adapter of a round may stay, such as "heldout_ppl <= 1.02 * previous": judged by the input `evaluation`.
        accept_if: Option<String>;
        /// So many devices must have measured, or nothing is said of a round. With it the stage has an input `evaluation`.
        min_eval: Option<u64>, in 1 ..= 1000000000;
        /// Keeps the updates of single devices, so that a device can be forgotten: with it the stage has an input `forget`.
        keep_updates: bool = false;
        /// In place of exact sums, groups send this share of the parameters of their means, and the rest in later rounds.
        up_ratio: Option<f64>, in 0.000001 ..= 1.0;
    }
}

/// The kind of this stage.
pub const KIND: StageFactory = StageFactory::stage::<Aggregate>();

/// The group of a root, and the device of the rows that it sends.
const ALL: &str = "all";

/// A rule over single updates.
#[derive(Clone, Copy, Debug)]
enum Robust {
    TrimmedMean(f64),
    Median,
}

impl Aggregate {
    fn robust(&self) -> Option<Robust> {
        match self.rule {
            Rule::TrimmedMean => Some(Robust::TrimmedMean(self.trim)),
            Rule::Median => Some(Robust::Median),
            Rule::Mean | Rule::Momentum | Rule::Adam => None,
        }
    }

    fn erasure(&self) -> Erasure {
        match (self.up_ratio, self.keep_updates) {
            (Some(_), _) => Erasure::Mixed("no `up_ratio`: exact sums can be corrected"),
            (None, true) => Erasure::TakenOut,
            (None, false) => Erasure::Corrected("`keep_updates = true`"),
        }
    }

    /// Returns true if devices' evaluations are read.
    fn evaluates(&self) -> bool {
        self.accept_if.is_some() || self.min_eval.is_some()
    }

    /// The devices that must have measured.
    fn min_eval(&self) -> u64 {
        self.min_eval.unwrap_or(2)
    }
}

impl StageConfig for Aggregate {
    const KIND: &'static str = "aggregate";

    fn signature(&self) -> Signature {
        let mut needs = vec![uint64("round"), uint64("examples"), u32_list("tensors"), binary("payload")];
        let (routing, to_all) = match &self.by {
            Some(column) => (Routing::ByKey(column.clone().into()), Routing::Broadcast),
            None => (Routing::Gather, Routing::Gather),
        };
        needs.extend(self.by.as_deref().map(utf8));
        let sums = Output::new("out", Rows::Exactly(rows::sum_columns())).optional();
        let mut signature = Signature::sink(needs)
            .routing(routing)
            .order(Order::Sorted)
            .output(sums)
            .state(2, &["by", "keep_updates"]);
        if self.by.is_none() {
            let adapter = Output::new("adapter", Rows::Exactly(rows::adapter_columns()));
            signature = signature.output(adapter.optional().label(LabelRule::RootAggregate));
            if self.evaluates() {
                let reports = Output::new("evaluated", Rows::Exactly(rows::report_columns()));
                signature = signature
                    .input(Input::new("evaluation", evaluate::columns()).routing(Routing::Gather))
                    .output(reports.optional());
            }
        }
        if self.keep_updates {
            signature = signature.input(Input::forget(to_all));
        }
        signature.erasure(self.erasure())
    }

    fn validate(&self) -> Vec<ConfigError> {
        let mut errors = Vec::new();
        if self.max_norm.is_some_and(|norm| !(norm > 0.0 && norm.is_finite())) {
            errors.push(ConfigError::new("max_norm", "expected a number above 0"));
        }
        if let Some(Err(error)) = self.accept_if.as_deref().map(Condition::parse) {
            errors.push(ConfigError::new("accept_if", error.to_string()));
        }
        if self.by.is_some() {
            let roots = [
                ("rule", self.robust().is_some(), "groups send sums on, which this rule cannot use"),
                ("accept_if", self.accept_if.is_some(), "groups have no adapter that could be judged"),
                ("min_eval", self.min_eval.is_some(), "groups have no adapter that could be measured"),
            ];
            let here = roots.into_iter().filter(|(_, given, _)| *given);
            errors.extend(here.map(|(option, _, what)| {
                ConfigError::new(option, what)
                    .help("move it to the stage that reads all updates, without `by`")
            }));
        }
        if self.up_ratio.is_some() && self.by.is_none() {
            errors.push(
                ConfigError::new("up_ratio", "the root sends nothing up")
                    .help("give `by`, or leave it out: at devices, `compress` does it"),
            );
        }
        if self.up_ratio.is_some() && self.keep_updates {
            errors.push(
                ConfigError::new(
                    "keep_updates",
                    "nothing can be taken out of means that were compressed again",
                )
                .help("leave out `up_ratio`, so that exact sums go up, or `keep_updates`"),
            );
        }
        errors
    }

    fn build(&self, cx: BuildContext<'_>) -> Result<impl Stage> {
        running::Aggregator::new(self, &cx)
    }
}

#[cfg(test)]
mod tests;
