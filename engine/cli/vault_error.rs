//! What the vault says, as the program says it.
//!
//! In: an error of the vault. Out: the same words as a stage's error, marked where the disk was full: a run waits then for room and goes
//! on from the last commit. It must not know what was to be kept.

use headwater_contract::StageError;

/// The vault's error in its own words.
pub(crate) fn of_vault(error: headwater_vault::Error) -> StageError {
    let stage_error = StageError::new(error.to_string());
    if error.is_disk_full() { stage_error.for_want_of_disk_space() } else { stage_error }
}
