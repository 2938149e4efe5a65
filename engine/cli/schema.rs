//! The verb `schema`: the JSON Schema of pipeline files.
//!
//! In: the kinds. Out: a schema that editors complete and check with, made of the definitions that `check` uses.

use std::io::Write;

use clap::Args;
use headwater_contract::StageFactory;
use headwater_runtime::schema;

use crate::exit::Exit;
use crate::pipeline::answer;

/// The arguments of the verb: none.
#[derive(Clone, Debug, Default, Args)]
pub struct SchemaArgs {}

/// Prints the schema; gives the exit code.
pub fn run(_: &SchemaArgs, kinds: &[StageFactory], out: &mut dyn Write) -> Exit {
    answer(out, &format!("{:#}\n", schema::schema(kinds)), Exit::Fine)
}
