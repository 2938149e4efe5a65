//! The rows of a device beside the state: in the stores of a pipeline, and in recordings below its state folder.
//!
//! In: a pipeline and the device's name. Out: its keys there deleted, and how many rows that closed. It must not know how rows are sealed.

use std::path::PathBuf;

use headwater_contract::{HostEnv, Result};
use headwater_runtime::plan::Plan;
use headwater_vault::{KeyFile, Recording, Store, StoreOptions, real_disk};

use super::{Case, Receipt};
use crate::recording;
use headwater_stages::vault_error::of_vault;

/// The stores of a pipeline, each with its root key.
pub(crate) fn stores_of(plan: &Plan, site: &HostEnv) -> Vec<(PathBuf, KeyFile)> {
    let text = |options: &toml::Table, name: &str| Some(PathBuf::from(options.get(name)?.as_str()?));
    let stores = plan.stages.iter().filter(|stage| stage.kind.name() == "store");
    let store = |options| {
        let key = text(options, "key_file").unwrap_or_else(|| site.key_file.clone());
        Some((text(options, "path")?, KeyFile::at(&key)))
    };
    stores.filter_map(|stage| store(&stage.options)).collect()
}

/// Forgets the device in every store of the pipeline.
pub(super) fn stores(case: &Case<'_>, receipt: &mut Receipt) -> Result {
    for (path, key) in stores_of(case.plan, case.site) {
        if !path.exists() {
            receipt.line("store", format!("{}: it was never made", path.display()));
            continue;
        }
        let mut store = Store::open(&path, &key, StoreOptions::default()).map_err(of_vault)?;
        let gone = store.forget(case.device).map_err(of_vault)?;
        receipt.found(gone.rows);
        let text = format!(
            "{}: {} rows are unreadable for good, {} segments with {} bytes removed",
            path.display(),
            gone.rows,
            gone.segments,
            gone.bytes
        );
        receipt.line("store", text);
    }
    Ok(())
}

/// Forgets the device in every recording below the state folder.
pub(super) fn recordings(case: &Case<'_>, receipt: &mut Receipt) -> Result {
    for folder in recording::below(case.site)? {
        let key = KeyFile::at(&case.site.key_file);
        let known = Recording::forget(&folder, &key, real_disk(), case.device).map_err(of_vault)?;
        receipt.found(u64::from(known));
        let text = if known { "its rows are unreadable for good" } else { "it has no rows there" };
        receipt.line("recording", format!("{}: {text}", folder.display()));
    }
    Ok(())
}
