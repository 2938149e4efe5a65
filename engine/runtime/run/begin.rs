//! What a run begins with: what an earlier life left, opened sources, threads of stages.
//!
//! In: a plan and options. Out: what the threads of the run share. Home takes from the state folder, and gives the other
//! processes of a cluster what their workers hold. It must not know timely.

use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex, OnceLock};

use headwater_contract::units::Epoch;
use headwater_contract::{Role, Site, SourceContext, Work};

use super::{RunOptions, Shared, failure, members};
use crate::caught::{Panicked, quietly};
use crate::cluster::{self, Member};
use crate::commit::{self, Commits, Life, Portion, Restored};
use crate::instance::{Builder, Failure};
use crate::offload::Pool;
use crate::plan::Plan;
use crate::relations;

pub(super) fn share(plan: Arc<Plan>, mut options: RunOptions) -> Result<Shared, Failure> {
    let end = Arc::<OnceLock<Epoch>>::default();
    if let Some(member) = &options.cluster {
        let watch = options.watch.get_or_insert_default().clone();
        member.attach(options.metrics.clone(), options.stopping.clone(), end.clone(), watch);
    }
    let Begun { restored, commits, committing } =
        begin(&plan, options.life.take(), options.cluster.as_deref())?;
    let mut pools = Vec::new();
    let mut sources = Vec::new();
    let reads = !options.site.away && !restored.closes_only;
    for (index, stage) in plan.stages.iter().enumerate() {
        pools.push(pool(&plan, index, &options.site)?);
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
                site: &options.site,
            };
            match quietly(|| source.open(cx)) {
                Ok(opened) => sources.push((index, opened.map_err(|e| failure(&stage.id, e.to_string()))?)),
                Err(Panicked) => return Err(failure(&stage.id, "it panicked while it was opened")),
            }
        }
    }
    let digests = plan.stages.iter().map(|_| Mutex::default()).collect();
    let members = if options.site.away { Ok(Vec::new()) } else { members(&plan) };
    let members = members
        .map_err(|wrong| wrong.into_iter().next().unwrap_or_else(|| failure(relations::NAME, "no table")))?;
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

/// What a run begins with.
struct Begun {
    restored: Restored,
    commits: Option<Commits>,
    committing: bool,
}

/// Takes what an earlier life left: from the state folder at home, which gives the other processes their portions.
fn begin(plan: &Plan, life: Option<Life>, cluster: Option<&Member>) -> Result<Begun, Failure> {
    if let Some(member) = cluster.filter(|member| !member.is_home()) {
        let portion = Portion::decode(&member.portion()?).ok_or_else(|| {
            failure(cluster::NAME, "home gave something else than what this process begins with")
        })?;
        let committing = portion.commits;
        let restored = Restored::elsewhere(Epoch(member.begin()), portion);
        return Ok(Begun { restored, commits: None, committing });
    }
    let (restored, commits) = match life {
        Some(life) => {
            let (restored, commits) = life.share(plan);
            (restored, Some(commits))
        }
        None => (Restored::default(), None),
    };
    let committing = commits.is_some();
    if let Some(member) = cluster {
        let workers = member.workers_of(member.processes()).start;
        for process in 1..member.processes() {
            let portion = restored.portion(plan, &member.workers_of(process), workers, committing);
            let bytes = portion.encode().map_err(|e| failure(commit::NAME, e.to_string()))?;
            member.hand(process, &bytes)?;
        }
    }
    Ok(Begun { restored, commits, committing })
}

fn pool(plan: &Arc<Plan>, index: usize, site: &Site) -> Result<Option<Pool>, Failure> {
    let Some(stage) = plan.stages.get(index) else { return Ok(None) };
    let Work::Rows(threads) = stage.signature.work else { return Ok(None) };
    let builders = (0..threads.max(1)).filter_map(|_| Builder::new(plan, index, site)).collect();
    Pool::start(&stage.id, builders)
        .map(Some)
        .map_err(|e| failure(&stage.id, format!("no thread could be started: {e}")))
}
