//! The verb `new`: a commented pipeline to start from.
//!
//! In: a folder. Out: `pipeline.toml` in it. Nothing is ever overwritten.

use std::io::Write;
use std::path::PathBuf;

use clap::{Args, ValueHint};
use headwater_contract::Kind;

use crate::pipeline::{COULD_NOT_LOOK, FINE, answer};

/// What the command line says.
#[derive(Clone, Debug, Default, Args)]
pub struct NewArgs {
    /// The folder; it is made if it is not there
    #[arg(value_hint = ValueHint::DirPath)]
    pub dir: PathBuf,
}

/// The pipeline that is written, but for its name.
const TEMPLATE: &str = include_str!("new/pipeline.toml");

/// The text of a new pipeline of that name.
pub fn text(name: &str) -> String {
    TEMPLATE.replace("my-pipeline", name)
}

/// Writes a pipeline to start from; gives the exit code.
pub fn run(args: &NewArgs, _: &[Kind], out: &mut dyn Write) -> u8 {
    let file = args.dir.join("pipeline.toml");
    let made = std::fs::create_dir_all(&args.dir)
        .and_then(|()| std::fs::File::create_new(&file))
        .and_then(|mut handle| handle.write_all(text(&name_for(args)).as_bytes()));
    let shown = file.display();
    match made {
        Ok(()) => {
            let next =
                format!("{shown} is written. Next:\n\n  headwater check {shown}\n  headwater run {shown}\n");
            answer(out, &next, FINE)
        }
        Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => {
            eprintln!("error: `{shown}` is there already, and is left as it is; name another folder");
            COULD_NOT_LOOK
        }
        Err(error) => {
            eprintln!("error: `{shown}` cannot be written: {error}");
            COULD_NOT_LOOK
        }
    }
}

/// The folder's name, as far as it can name a pipeline.
fn name_for(args: &NewArgs) -> String {
    let name = args.dir.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    let fits = headwater_runtime::check::ids::is_pipeline_name(&name);
    if fits { name } else { "my-pipeline".to_owned() }
}
