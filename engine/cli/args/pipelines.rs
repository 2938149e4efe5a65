//! Which arguments mean a pipeline.
//!
//! In: the arguments as they were given. Out: the same with a file where a pipeline's file is meant, and a name where its name is. It must
//! not know how one is found: that is `named`.

use std::path::PathBuf;

use headwater_contract::StageError;

use super::{AdapterVerb, QuarantineVerb, ReplayVerb, Verb};
use crate::site::Settings;
use crate::{adapter, named};

impl Verb {
    /// Puts the file in place of each word by which a pipeline's file is meant, and the name where its name is.
    pub(super) fn find_pipelines(&mut self, settings: &Settings) -> Result<(), StageError> {
        let (mut files, mut names): (Vec<&mut PathBuf>, Vec<&mut String>) = (Vec::new(), Vec::new());
        match self {
            Verb::Run(run) | Verb::Replay(ReplayVerb { run, .. }) => files.push(&mut run.file),
            Verb::Quarantine(QuarantineVerb::Retry { run, .. }) => files.push(&mut run.file),
            Verb::Forget(forget) | Verb::Adapter(AdapterVerb::Forget(forget)) => {
                files.push(&mut forget.run.file);
            }
            Verb::Check(args) => {
                files.push(&mut args.pipeline.file);
                files.extend(&mut args.more);
            }
            Verb::Plan(args) => files.push(&mut args.pipeline.file),
            Verb::Graph(args) => files.push(&mut args.pipeline.file),
            Verb::Test(args) => files.extend(&mut args.files),
            Verb::Eval(args) => files.push(&mut args.file),
            Verb::Tap(args) => names.push(&mut args.pipeline),
            Verb::State(verb) => names.push(verb.pipeline()),
            Verb::Quarantine(QuarantineVerb::Ls { pipeline } | QuarantineVerb::Show { pipeline, .. }) => {
                names.push(pipeline);
            }
            Verb::Adapter(AdapterVerb::Published(adapter::AdapterVerb::Own { pipeline, .. })) => {
                names.push(pipeline);
            }
            _ => {}
        }
        for file in files {
            *file = named::file_of(file)?;
        }
        for name in names {
            *name = named::name_of(name, settings)?;
        }
        Ok(())
    }
}
