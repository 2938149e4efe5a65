//! Runs one test: the stages between what it feeds and what it expects, in this process, with a folder of its own.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use arrow::array::RecordBatch;
use headwater_contract::{HostEnv, StageFactory};
use headwater_runtime::case::{Case, ExpectAt};
use headwater_runtime::check::{self, Settings};
use headwater_runtime::diagnostic::Style;
use headwater_runtime::pipeline;
use headwater_runtime::plan::{OutPort, Plan, PortRef};
use headwater_runtime::run::{self, RunOptions, Tap};
use headwater_runtime::slice::{Place, PortRows, slice};

use super::rows::{Row, batch_of, json_of, rows_of};
use crate::run::private_folder;

/// The param that says where a pipeline writes: tests write into a folder of their own.
const STATE: &str = "state";

/// The file that a test stands in.
pub(super) struct File<'a> {
    pub(super) name: &'a str,
    pub(super) text: &'a str,
    pub(super) folder: &'a Path,
}

/// A folder that goes with the test.
struct Own(PathBuf);

impl Drop for Own {
    fn drop(&mut self) {
        // It holds what the test wrote, which is not needed.
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// Runs a test; gives the rows that came, by expectation.
pub(super) fn run(case: &Case, file: &File<'_>, kinds: &[StageFactory]) -> Result<Vec<Vec<Row>>, String> {
    let own =
        Own(private_folder().map_err(|error| format!("a folder for the test cannot be made: {error}"))?);
    let plan = plan_of(case, file, kinds, &own.0)?;
    let fed = case.feeds.iter().map(|feed| {
        let port = plan.port(&feed.port).ok_or_else(|| format!("there is no port {}", feed.port))?;
        let (schema, _) = plan.rows_of(port).ok_or_else(|| format!("there is no port {}", feed.port))?;
        let rows = rows_of(&feed.rows, file.folder)?;
        let batch =
            batch_of(rows, &schema, &plan.port_name(port)).map_err(|e| format!("feed.{}: {e}", feed.port))?;
        Ok(PortRows { port, rows: batch.into_iter().collect() })
    });
    let fed = fed.collect::<Result<Vec<_>, String>>()?;
    let looked = case.expects.iter().map(|expect| place_of(&plan, expect)).collect::<Result<Vec<_>, _>>()?;
    let looked: Vec<Vec<PortRef>> = looked.into_iter().map(|place| place.ports(&plan)).collect();
    let seen = collect(plan, fed, &looked.concat(), &own.0)?;
    let rows = looked.iter().map(|ports| {
        let batches: Vec<RecordBatch> =
            ports.iter().filter_map(|port| seen.get(port)).flatten().cloned().collect();
        json_of(&batches)
    });
    rows.collect()
}

/// The plan of the file as the test sets it.
fn plan_of(case: &Case, file: &File<'_>, kinds: &[StageFactory], own: &Path) -> Result<Plan, String> {
    let mut params = case.params.clone();
    let declared = pipeline::parse(file.text).pipeline.params;
    if declared.iter().any(|param| param.key == STATE) && !params.iter().any(|(name, _)| name == STATE) {
        params.push((STATE.into(), own.join("written").display().to_string()));
    }
    let settings = Settings { params, set: case.set.clone(), environment: true };
    let checked = check::check(file.name, file.text, kinds, &settings);
    let drawn = checked.draw(file.text, Style::Plain);
    checked.plan.ok_or(drawn)
}

/// The place that an expectation names: a port, or what reaches a stage that may end a pipeline.
fn place_of(plan: &Plan, expect: &ExpectAt) -> Result<Place, String> {
    let name = &expect.place;
    if let Some(at) = plan.stages.iter().position(|stage| stage.id == *name) {
        let signature = plan.stages.get(at).map(|stage| &stage.signature);
        let ends = signature.is_some_and(|s| !s.inputs.is_empty() && !s.outputs.iter().any(|o| o.required));
        if ends {
            return Ok(Place::Arrivals(at));
        }
    }
    plan.port(name).map(Place::Port).ok_or_else(|| format!("there is no port {name}"))
}

type CollectedRows = BTreeMap<PortRef, Vec<RecordBatch>>;

/// Runs the part of the plan that is needed; gives what passed at the ports.
fn collect(plan: Plan, fed: Vec<PortRows>, ports: &[PortRef], own: &Path) -> Result<CollectedRows, String> {
    let (plan, names) = slice(plan, fed, ports);
    let site = HostEnv { state: own.join("state"), key_file: own.join("root.key"), is_peer: false };
    let all = |failures: Vec<_>| {
        let lines: Vec<String> =
            failures.iter().map(headwater_runtime::instance::Failure::to_string).collect();
        lines.join("\n")
    };
    run::ready(&plan, &site).map_err(all)?;
    let seen: Arc<Mutex<CollectedRows>> = Arc::default();
    let mut options = RunOptions::new(&plan, site);
    options.digests = false;
    options.taps = names.into_iter().map(|(port, at)| tap(port, at, &seen)).collect();
    run::run(Arc::new(plan), options).map_err(|failure| failure.to_string())?;
    let seen = seen.lock().map_err(|_| "a thread died while it looked at rows")?;
    Ok(seen.clone())
}

fn tap(of: PortRef, (stage, port): (String, OutPort), seen: &Arc<Mutex<CollectedRows>>) -> Tap {
    let seen = seen.clone();
    let look = move |rows: &RecordBatch| {
        if let Ok(mut seen) = seen.lock() {
            seen.entry(of).or_default().push(rows.clone());
        }
    };
    Tap { stage, port, inspect: Arc::new(look) }
}
