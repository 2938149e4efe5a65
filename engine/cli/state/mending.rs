//! The damages of a state, with the command that mends them.
//!
//! In: an error of the vault, and the site. Out: the same with a command that works as it is printed. It must not know what was damaged.

use std::path::Path;

use headwater_contract::{HostEnv, StageError, quoted};
use headwater_vault::{Error, KeyFile};

use headwater_stages::vault_error::of_vault;

/// Adds to the damage of a state the verb that mends it.
pub(super) fn of_state(error: Error, mending: &str) -> StageError {
    let mends = matches!(error, Error::Damaged { .. } | Error::Absent { .. });
    let error_of_vault = of_vault(error);
    if mends { with_help(error_of_vault, mending) } else { error_of_vault }
}

/// The error with the command that mends it.
pub(super) fn with_help(error: StageError, mending: &str) -> StageError {
    error.help(format!("`{mending}` goes back to what is whole"))
}

/// The error of a folder in a pipeline's state, with the command that mends it.
pub(crate) fn of_damage(error: Error, folder: &Path, key: &KeyFile) -> StageError {
    of_state(error, &command(folder.parent().unwrap_or(folder), key.path()))
}

/// The command that mends the state of a pipeline.
pub(super) fn mending(host: &HostEnv) -> String {
    command(&host.state, &host.key_file)
}

fn command(state: &Path, key_file: &Path) -> String {
    let name = state.file_name().unwrap_or_default().to_string_lossy();
    let folder = state.parent().unwrap_or(state).to_string_lossy();
    let key = key_file.to_string_lossy();
    format!(
        "headwater state repair {} --state {} --key-file {}",
        quoted(&name),
        quoted(&folder),
        quoted(&key)
    )
}
