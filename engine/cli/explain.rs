//! The verb `explain`: what a code means.
//!
//! In: a code, or nothing for the list of all. Out: cause, example, remedy.

use std::io::Write;

use clap::Args;
use headwater_runtime::explain::{ENTRIES, explain, similar};

use crate::exit::Exit;
use crate::pipeline::answer;
use crate::table::align;

/// The arguments of the verb.
#[derive(Clone, Debug, Default, Args)]
pub struct ExplainArgs {
    /// The code, such as H0203; without it all codes are listed
    pub code: Option<String>,
}

/// Explains a code; gives the exit code.
pub fn run(args: &ExplainArgs, out: &mut dyn Write) -> Exit {
    let Some(code) = &args.code else {
        let list: Vec<_> = ENTRIES.iter().map(|e| vec![e.code.to_owned(), e.title().to_owned()]).collect();
        return answer(out, &align(&list), Exit::Fine);
    };
    if let Some(entry) = explain(code) {
        return answer(out, entry.text, Exit::Fine);
    }
    match similar(code) {
        Some(near) => eprintln!("error: there is no code {code}; did you mean {near}?"),
        None => eprintln!("error: there is no code {code}; `headwater explain` lists all"),
    }
    Exit::CouldNotLook
}
