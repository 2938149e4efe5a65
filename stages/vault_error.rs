//! Errors of the vault as errors of a stage, for every stage that keeps rows and for the program's verbs.
//!
//! In: an error of the vault. Out: its words as a stage's error, marked where the disk was full: a run waits then for disk space and
//! goes on from the last commit. It must not know what was to be kept.

use headwater_contract::StageError;

/// Returns the vault's error in its own words.
pub fn of_vault(error: headwater_vault::Error) -> StageError {
    let stage_error = StageError::new(error.to_string());
    if error.is_disk_full() {
        stage_error
            .help("nothing is lost: a run resumes once disk space is available")
            .for_want_of_disk_space()
    } else {
        stage_error
    }
}
