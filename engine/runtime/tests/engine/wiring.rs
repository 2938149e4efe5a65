//! Plans written by hand, and runs of them that cannot hang for ever.

use std::sync::Arc;
use std::time::Duration;

use arrow::datatypes::SchemaRef;
use headwater_contract::signature::REJECTED;
use headwater_contract::units::Bytes;
use headwater_contract::{HostEnv, Label, Signature, StageFactory};
use headwater_runtime::commit::CommitRule;
use headwater_runtime::instance::Failure;
use headwater_runtime::plan::{
    EpochRule, OutPort, Plan, PlanInput, PlanOutput, PlanStage, PortRef, RejectedTo, Tier,
};
use headwater_runtime::run::{Report, RunOptions, run};

/// A plan in the making: stages are added after those they read.
pub struct Draft {
    plan: Plan,
}

/// Epochs of so many rows.
pub fn rows(rows: u64) -> EpochRule {
    EpochRule::Rows(rows)
}

/// Epochs of so many seconds of captured time.
pub fn seconds(seconds: u64) -> EpochRule {
    EpochRule::Every(Duration::from_secs(seconds))
}

impl Draft {
    pub fn new(epoch: EpochRule) -> Self {
        let plan = Plan {
            name: "test".into(),
            epoch,
            round: None,
            flush: 0,
            epoch_bytes: Bytes(1 << 20),
            window: 4,
            commit: CommitRule::Epochs(1),
            members: None,
            record: Vec::new(),
            stages: Vec::new(),
        };
        Draft { plan }
    }

    pub fn window(mut self, window: u64) -> Self {
        self.plan.window = window;
        self
    }

    pub fn commit(&mut self, rule: CommitRule) {
        self.plan.commit = rule;
    }

    pub fn epoch_bytes(mut self, bytes: u64) -> Self {
        self.plan.epoch_bytes = Bytes(bytes);
        self
    }

    /// A stage that reads ports by name at its only input: `"id"`, `"id.port"`, `"id.rejected"`.
    pub fn stage(self, id: &str, kind: StageFactory, options: &str, from: &[&str]) -> Self {
        self.joined(id, kind, options, &[from])
    }

    pub fn source(self, id: &str, kind: StageFactory, options: &str) -> Self {
        self.joined(id, kind, options, &[])
    }

    /// A stage with a list of ports for each of its inputs.
    pub fn joined(mut self, id: &str, kind: StageFactory, options: &str, from: &[&[&str]]) -> Self {
        let options: toml::Table = options.parse().unwrap();
        let role = kind.plan(&options).unwrap_or_else(|errors| panic!("`{id}`: {errors:?}"));
        let signature = role.signature();
        assert_eq!(signature.inputs.len(), from.len(), "inputs of `{id}`");
        let inputs: Vec<PlanInput> = signature
            .inputs
            .iter()
            .zip(from)
            .map(|(input, from)| {
                let from: Vec<PortRef> = from.iter().map(|name| self.port(name)).collect();
                let (schema, label) = self.arrives(&from);
                PlanInput { name: input.name.to_string(), from, schema, label, asks: None }
            })
            .collect();
        let schemas: Vec<SchemaRef> = inputs.iter().map(|i| i.schema.clone()).collect();
        let outputs = signature
            .apply(&schemas)
            .unwrap_or_else(|misfits| panic!("`{id}`: {misfits:?}"))
            .into_iter()
            .zip(&signature.outputs)
            .map(|(schema, output)| {
                let label = output.label.apply(inputs.iter().map(|i| i.label));
                PlanOutput { name: output.name.to_string(), schema, label, read: false }
            })
            .collect();
        let rejected = Signature::rejected(&schemas);
        let (id, tier, rejected_to) = (id.to_owned(), Tier::Gateway, RejectedTo::Quarantine);
        self.plan.stages.push(PlanStage {
            id,
            kind,
            role,
            signature,
            tier,
            inputs,
            outputs,
            rejected,
            rejected_to,
            options,
        });
        self
    }

    /// The last stage's rejected rows are dropped.
    pub fn dropping(mut self) -> Self {
        self.plan.stages.last_mut().unwrap().rejected_to = RejectedTo::Drop;
        self
    }

    pub fn plan(self) -> Arc<Plan> {
        Arc::new(self.plan)
    }

    fn port(&mut self, name: &str) -> PortRef {
        let (id, port) = name.split_once('.').unwrap_or((name, ""));
        let stage =
            self.plan.stages.iter().position(|s| s.id == id).unwrap_or_else(|| panic!("no stage `{id}`"));
        let found = &mut self.plan.stages[stage];
        if port == REJECTED {
            found.rejected_to = RejectedTo::Readers;
            return PortRef { stage, port: OutPort::Rejected };
        }
        let index =
            if port.is_empty() { 0 } else { found.outputs.iter().position(|o| o.name == port).unwrap() };
        found.outputs[index].read = true;
        PortRef { stage, port: OutPort::Out(index) }
    }

    fn arrives(&self, from: &[PortRef]) -> (SchemaRef, Label) {
        let of = |at: &PortRef| {
            let stage = &self.plan.stages[at.stage];
            match at.port {
                OutPort::Out(port) => (stage.outputs[port].schema.clone(), stage.outputs[port].label),
                OutPort::Rejected => (stage.rejected.clone(), stage.input_label()),
            }
        };
        let all: Vec<_> = from.iter().map(of).collect();
        assert!(
            all.iter().all(|(schema, _)| schema.fields() == all[0].0.fields()),
            "a union of different columns"
        );
        (all[0].0.clone(), all.iter().map(|(_, label)| *label).max().unwrap())
    }
}

/// The time after which a whole run counts as hung. Nothing else depends on it.
const HUNG: Duration = Duration::from_mins(1);

/// Runs a plan; a run that does not return fails the test instead of blocking it.
pub fn finish(plan: &Arc<Plan>, options: RunOptions) -> Result<Report, Failure> {
    let (done, waiting) = std::sync::mpsc::channel();
    let plan = plan.clone();
    std::thread::spawn(move || done.send(run(plan, options)).unwrap_or(()));
    waiting.recv_timeout(HUNG).expect("the run hangs, or died")
}

/// Options for so many workers and nothing else.
pub fn workers(plan: &Plan, workers: usize) -> RunOptions {
    RunOptions { workers, ..RunOptions::new(plan, HostEnv::default()) }
}

/// Runs on so many workers to the end, which must come.
pub fn complete(plan: &Arc<Plan>, count: usize) -> Report {
    let report =
        finish(plan, workers(plan, count)).unwrap_or_else(|failure| panic!("{count} workers: {failure}"));
    assert!(!report.stopped);
    report
}
