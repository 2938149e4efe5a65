//! The verb `test`: the tests inside pipeline files.
//!
//! In: pipeline files with `[[test]]`. Out: for each test whether what came is what was expected, with what differs; on request
//! the file with what came instead, and a report for machines. Exit code: 0 all passed, 1 not, 2 could not look.

mod bless;
mod compare;
mod junit;
mod rows;
mod work;

use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::Instant;

use clap::{Args, ValueHint};
use headwater_contract::StageFactory;
use headwater_runtime::check::{self, Settings};
use headwater_runtime::diagnostic::count;

use crate::colour::style;
use crate::exit::Exit;
use crate::pipeline::{answer, could_not_look};

/// The arguments of the verb.
#[derive(Clone, Debug, Args)]
pub struct TestArgs {
    /// The pipeline files
    #[arg(required = true, value_hint = ValueHint::FilePath)]
    pub files: Vec<PathBuf>,
    /// Only tests whose name holds these words
    #[arg(long, value_name = "WORDS")]
    pub name: Option<String>,
    /// Write what came into the files, in the place of the rows and counts that were expected
    #[arg(long)]
    pub bless: bool,
    /// Also write a report as JUnit XML
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub junit: Option<PathBuf>,
}

/// The end of one test.
struct Ended {
    name: String,
    seconds: f64,
    /// The differences, or the reason why it could not be run; none if it passed.
    wrong: Vec<String>,
}

/// The tests of one file.
struct Tested {
    file: String,
    ended: Vec<Ended>,
}

/// Runs the tests of all files; gives the exit code.
pub fn run(args: &TestArgs, kinds: &[StageFactory], out: &mut dyn Write) -> Exit {
    let (mut code, mut text, mut all, mut unread) = (Exit::Fine, String::new(), Vec::new(), Vec::new());
    for file in &args.files {
        match test_file(file, args, kinds) {
            Ok(tested) => {
                text += &printed(&tested);
                all.push(tested);
            }
            Err(failed) => {
                code = code.max(failed);
                // The report for machines must not look as if all was well.
                let wrong = vec!["it could not be run: see the messages".to_owned()];
                let ended = vec![Ended { name: "the file".into(), seconds: 0.0, wrong }];
                unread.push(Tested { file: file.display().to_string(), ended });
            }
        }
    }
    let ended = || all.iter().flat_map(|tested| &tested.ended);
    let failed = ended().filter(|ended| !ended.wrong.is_empty()).count();
    let many = |n: usize| format!("{n} test{}", if n == 1 { "" } else { "s" });
    text += &format!("{}: {} passed, {failed} failed\n", many(ended().count()), ended().count() - failed);
    if let Some(words) = args.name.as_ref().filter(|_| ended().next().is_none() && unread.is_empty()) {
        eprintln!("error: no test has a name with `{words}` in it");
        code = Exit::CouldNotLook;
    }
    all.extend(unread);
    if let Some(path) = &args.junit
        && let Err(error) = std::fs::write(path, junit::report(&all))
    {
        eprintln!("error: {} cannot be written: {error}", path.display());
        code = Exit::CouldNotLook;
    }
    answer(out, &text, code.max(if failed > 0 { Exit::Failed } else { Exit::Fine }))
}

fn printed(tested: &Tested) -> String {
    let mut text = format!("{}\n", tested.file);
    if tested.ended.is_empty() {
        text += "  no tests\n";
    }
    for Ended { name, wrong, .. } in &tested.ended {
        text += &format!("  {}  {name}\n", if wrong.is_empty() { "ok  " } else { "FAIL" });
        wrong.iter().flat_map(|what| what.lines()).for_each(|line| text += &format!("        {line}\n"));
    }
    text
}

/// Runs the tests of a file, one after the other.
fn test_file(path: &Path, args: &TestArgs, kinds: &[StageFactory]) -> Result<Tested, Exit> {
    let file = path.display().to_string();
    let text = std::fs::read_to_string(path).map_err(|error| could_not_look(path, &error))?;
    let checked = check::check(&file, &text, kinds, &Settings { environment: true, ..Settings::default() });
    if count(&checked.diagnostics).0 > 0 {
        eprint!("{}", checked.draw(&text, style(&std::io::stderr())));
        return Err(Exit::Failed);
    }
    let folder = path.parent().unwrap_or(Path::new(""));
    let (mut ended, mut edits) = (Vec::new(), Vec::new());
    for case in &checked.tests {
        if args.name.as_ref().is_some_and(|words| !case.name.contains(words.as_str())) {
            continue;
        }
        let begun = Instant::now();
        let file = work::File { name: &file, text: &text, folder };
        let wrong = match work::run(case, &file, kinds) {
            Err(why) => vec![why],
            Ok(came) => {
                let mut wrong = Vec::new();
                for (expect, came) in case.expects.iter().zip(&came) {
                    match compare::Wanted::of(expect, folder) {
                        Ok(wanted) if args.bless => {
                            let left = bless::edits(expect, &wanted, came, folder, &mut edits);
                            wrong.extend(left.map_or_else(|why| vec![why], |()| wanted.patterns_in(came)));
                        }
                        Ok(wanted) => wrong.extend(wanted.differences(came)),
                        Err(why) => wrong.push(why),
                    }
                }
                wrong
            }
        };
        ended.push(Ended { name: case.name.clone(), seconds: begun.elapsed().as_secs_f64(), wrong });
    }
    if !edits.is_empty() {
        eprintln!("wrote {}: look at what changed before you keep it", path.display());
        let written = std::fs::write(path, bless::edited(&text, edits));
        written.map_err(|error| {
            eprintln!("error: {} cannot be written: {error}", path.display());
            Exit::CouldNotLook
        })?;
    }
    Ok(Tested { file, ended })
}
