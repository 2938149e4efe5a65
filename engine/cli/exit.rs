//! The ends of the program: the exit codes of all verbs, in one place.
//!
//! In: what became of a verb. Out: its exit code, after a message where it failed. docs/exit-codes.md is this list for people.

use std::fmt;
use std::process::ExitCode;

use crate::output;

/// The end of a verb. A later one is worse.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Exit {
    /// It did what was asked.
    Fine,
    /// It found mistakes, or failed.
    Failed,
    /// There was nothing to look at.
    CouldNotLook,
    /// A run of which another process was lost.
    Lost,
    /// An evaluation that missed its bar.
    NotGoodEnough,
    /// A run that a second signal stopped.
    StoppedAtOnce,
}

impl Exit {
    /// All of them, in the order of their codes.
    pub const ALL: [Exit; 6] =
        [Exit::Fine, Exit::Failed, Exit::CouldNotLook, Exit::Lost, Exit::NotGoodEnough, Exit::StoppedAtOnce];

    /// The code that the shell sees.
    pub const fn code(self) -> u8 {
        match self {
            Exit::Fine => 0,
            Exit::Failed => 1,
            Exit::CouldNotLook => 2,
            Exit::Lost => 3,
            Exit::NotGoodEnough => 4,
            // 128 and the number of SIGINT, as shells count.
            Exit::StoppedAtOnce => 130,
        }
    }

    /// Returns the meaning for people.
    pub const fn meaning(self) -> &'static str {
        match self {
            Exit::Fine => "done; for `check`, `verify` and their like: nothing is wrong",
            Exit::Failed => {
                "mistakes were found, the verb failed, or a run came to the end of its input and every input was rejected"
            }
            Exit::CouldNotLook => {
                "nothing could be done: wrong arguments, a file or store that is not there, a key that cannot be read"
            }
            Exit::Lost => {
                "a process of the cluster was lost, or a supervised run was not restarted: the limit of restarts is reached"
            }
            Exit::NotGoodEnough => {
                "`eval`: a condition of `--fail-if` holds, or `--fail-on-regression` found one"
            }
            Exit::StoppedAtOnce => {
                "a run was stopped at once by a second signal; what was committed is safe, the next run resumes from there"
            }
        }
    }

    /// The one that a process of this program ended with.
    pub fn of_code(code: i32) -> Option<Self> {
        Self::ALL.into_iter().find(|exit| i32::from(exit.code()) == code)
    }

    /// By whether something was found to be wrong.
    pub const fn of_mistakes(found: bool) -> Self {
        if found { Exit::Failed } else { Exit::Fine }
    }
}

/// All codes, for the help.
pub(crate) fn list() -> String {
    let line = |exit: Exit| format!("\n  {:<3}  {}", exit.code(), exit.meaning());
    Exit::ALL.into_iter().fold("Exit codes:".to_owned(), |list, exit| list + &line(exit))
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        ExitCode::from(exit.code())
    }
}

/// Says why a verb could not be carried out. Where the standard output failed that is the reason, which is said at the very end, if at all.
pub(crate) fn fails(error: &(impl fmt::Display + ?Sized), exit: Exit) -> Exit {
    if output::has_failed() {
        return Exit::Fine;
    }
    eprintln!("error: {error}");
    exit
}

/// The exit code of a verb whose output could not be written: a full disk is a failure of the verb, and any other error is `exit`.
pub(crate) fn of_output(error: &std::io::Error, exit: Exit) -> Exit {
    use std::io::ErrorKind::{QuotaExceeded, StorageFull};
    if matches!(error.kind(), StorageFull | QuotaExceeded) { Exit::Failed } else { exit }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_those_that_the_page_lists() {
        let page = include_str!("../../docs/exit-codes.md");
        let listed: Vec<&str> =
            page.lines().filter(|line| line.starts_with("| ") && !line.starts_with("| code")).collect();
        let known: Vec<String> =
            Exit::ALL.iter().map(|exit| format!("| {} | {} |", exit.code(), exit.meaning())).collect();
        assert_eq!(listed, known, "docs/exit-codes.md and `Exit` differ");
        let codes = Exit::ALL.map(Exit::code);
        assert!(codes.windows(2).all(|two| two[0] < two[1]), "{codes:?}");
        // What `match` forces to be named above, is in the list too.
        assert_eq!(Exit::ALL.map(|exit| exit as usize), [0, 1, 2, 3, 4, 5]);
    }
}
