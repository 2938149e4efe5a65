//! The start of a run: the state of an earlier attempt, opened sources, threads of stages.
//!
//! In: a plan and options. Out: what the threads of the run share. The coordinator takes from the state folder, and gives the other
//! processes of a cluster what their workers hold. It must not know timely.

use std::collections::BTreeMap;
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex, OnceLock};

use headwater_contract::units::Epoch;
use headwater_contract::{HostEnv, Role, SourceContext, Work};

use super::{Notes, RunOptions, Shared, failure, members};
use crate::caught::{Panicked, quietly};
use crate::cluster::{self, Member};
use crate::commit::{self, Attempt, Commits, Restored, StatePartitions};
use crate::digest::RunningDigest;
use crate::instance::{Builder, Failure};
use crate::membership;
use crate::offload::Pool;
use crate::plan::{Plan, PlanStage};

pub(super) fn share(plan: Arc<Plan>, mut options: RunOptions) -> Result<Shared, Failure> {
    let end = Arc::<OnceLock<Epoch>>::default();
    if let Some(member) = &options.cluster {
        let watch = options.watch.get_or_insert_default().clone();
        let notes = options.notes.clone();
        member.attach(options.metrics.clone(), options.stopping.clone(), end.clone(), watch, notes);
    }
    let Begun { restored, commits, committing } =
        begin(&plan, options.attempt.take(), options.cluster.as_deref(), &options.notes)?;
    let mut pools = Vec::new();
    let mut sources = Vec::new();
    let reads = !options.host.is_peer && !restored.closes_only;
    for (index, stage) in plan.stages.iter().enumerate() {
        pools.push(pool(&plan, index, &options.host)?);
        if let (Role::Source(source), true) = (&stage.role, reads) {
            let schema = stage
                .outputs
                .first()
                .map(|o| o.schema.clone())
                .ok_or_else(|| failure(&stage.id, "a source without output"))?;
            let cx = SourceContext {
                id: &stage.id,
                pipeline: &plan.name,
                schema,
                position: restored.position(&stage.id),
                saved: &restored.saved(&stage.id),
                host: &options.host,
            };
            match quietly(|| source.open(cx)) {
                Ok(opened) => sources.push((index, opened.map_err(|e| failure(&stage.id, e.to_string()))?)),
                Err(Panicked) => return Err(failure(&stage.id, "it panicked while it was opened")),
            }
        }
    }
    let digest = |stage: &PlanStage| Mutex::new(RunningDigest::from(restored.digest(&stage.id)));
    let digests = plan.stages.iter().map(digest).collect();
    let members = if options.host.is_peer { Ok(Vec::new()) } else { members(&plan) };
    let members = members
        .map_err(|wrong| wrong.into_iter().next().unwrap_or_else(|| failure(membership::NAME, "no table")))?;
    Ok(Shared {
        plan,
        options,
        pools,
        members,
        digests,
        sources: Mutex::new(sources),
        restored,
        commits,
        committing,
        end,
        intake: OnceLock::new(),
        failure: Mutex::new(None),
        failed: AtomicBool::new(false),
    })
}

/// The state with which a run begins.
struct Begun {
    restored: Restored,
    commits: Option<Commits>,
    committing: bool,
}

/// Takes what an earlier attempt left: from the state folder on the coordinator, which gives the other processes their partitions.
fn begin(
    plan: &Plan,
    attempt: Option<Attempt>,
    cluster: Option<&Member>,
    notes: &BTreeMap<String, Arc<dyn Notes>>,
) -> Result<Begun, Failure> {
    if let Some(member) = cluster.filter(|member| !member.is_coordinator()) {
        let partitions = StatePartitions::decode(&member.partitions()?).ok_or_else(|| {
            failure(cluster::NAME, "the coordinator sent something else than the state of this process")
        })?;
        let wrong = |name: &str| failure(cluster::NAME, format!("the coordinator sent no valid {name}"));
        for (name, brief) in &partitions.notes {
            notes.get(name).map_or(Ok(()), |notes| notes.take_brief(brief)).map_err(|_| wrong(name))?;
        }
        let committing = partitions.commits;
        let restored = Restored::elsewhere(Epoch(member.begin()), partitions);
        return Ok(Begun { restored, commits: None, committing });
    }
    let (restored, commits) = match attempt {
        Some(attempt) => {
            let (restored, commits) = attempt.share(plan);
            (restored, Some(commits))
        }
        None => (Restored::default(), None),
    };
    let committing = commits.is_some();
    if let Some(member) = cluster {
        let workers = member.workers_of(member.processes()).start;
        for process in 1..member.processes() {
            let notes = notes.iter().map(|(name, notes)| (name.clone(), notes.brief())).collect();
            let partitions = restored.partitions(plan, &member.workers_of(process), workers, committing);
            let partitions = StatePartitions { notes, ..partitions };
            let bytes = partitions.encode().map_err(|e| failure(commit::NAME, e.to_string()))?;
            member.hand(process, &bytes)?;
        }
    }
    Ok(Begun { restored, commits, committing })
}

fn pool(plan: &Arc<Plan>, index: usize, host: &HostEnv) -> Result<Option<Pool>, Failure> {
    let Some(stage) = plan.stages.get(index) else { return Ok(None) };
    let Work::Pool(threads) = stage.signature.work else { return Ok(None) };
    let builders = (0..threads.max(1)).filter_map(|_| Builder::new(plan, index, host)).collect();
    Pool::start(&stage.id, builders)
        .map(Some)
        .map_err(|e| failure(&stage.id, format!("no thread could be started: {e}")))
}
