//! A kind of stage as a value: name, options, and how to plan one.
//!
//! In: a type that is a [`StageConfig`] or a [`SourceConfig`]. Out: a value without its type, so that check, help, schema
//! and the engine treat built-in stages and users' own alike.

use std::path::PathBuf;

use arrow::datatypes::SchemaRef;

use crate::error::Result;
use crate::options::{ConfigError, OptionSpec};
use crate::signature::Signature;
use crate::source::{Boundedness, Source, SourceConfig, SourceContext};
use crate::stage::{BuildContext, HostEnv, Stage, StageConfig};
use crate::state::{HeldBack, StateTable};

/// A stage whose options are read: what a plan holds.
pub trait PlannedStage: Send + Sync {
    /// Returns its inputs and outputs.
    fn signature(&self) -> Signature;
    /// Returns the errors of the options together.
    fn validate(&self) -> Vec<ConfigError>;
    /// Returns true if it could run here and now.
    ///
    /// # Errors
    /// A model, a file or a device is missing.
    fn ready(&self, host: &HostEnv) -> Result;
    /// Files and folders that shape what it computes.
    fn models(&self) -> Vec<PathBuf>;
    /// The option by which every instance keeps files in the state folder, if one says so.
    fn keeps_files(&self) -> Option<&'static str>;
    /// Folders that grow while it runs.
    fn fills(&self) -> Vec<PathBuf>;
    /// The input that a saved state holds back.
    ///
    /// # Errors
    /// The state is of another version.
    fn held_back(&self, saved: &StateTable) -> Result<HeldBack>;
    /// Builds an instance.
    ///
    /// # Errors
    /// It cannot be built.
    fn build(&self, cx: BuildContext<'_>) -> Result<Box<dyn Stage>>;
}

impl<C: StageConfig> PlannedStage for C {
    fn signature(&self) -> Signature {
        StageConfig::signature(self)
    }
    fn validate(&self) -> Vec<ConfigError> {
        StageConfig::validate(self)
    }
    fn ready(&self, host: &HostEnv) -> Result {
        StageConfig::ready(self, host)
    }
    fn models(&self) -> Vec<PathBuf> {
        StageConfig::models(self)
    }
    fn keeps_files(&self) -> Option<&'static str> {
        StageConfig::keeps_files(self)
    }
    fn fills(&self) -> Vec<PathBuf> {
        StageConfig::fills(self)
    }
    fn held_back(&self, saved: &StateTable) -> Result<HeldBack> {
        StageConfig::held_back(self, saved)
    }
    fn build(&self, cx: BuildContext<'_>) -> Result<Box<dyn Stage>> {
        Ok(Box::new(StageConfig::build(self, cx)?))
    }
}

/// A source whose options are read.
pub trait PlannedSource: Send + Sync {
    /// Returns its outputs.
    fn signature(&self) -> Signature;
    /// Where its input ends, if it does.
    fn boundedness(&self) -> Boundedness;
    /// Returns the errors of the options together.
    fn validate(&self) -> Vec<ConfigError>;
    /// Returns true if its input is there.
    ///
    /// # Errors
    /// A model, a file or a device is missing.
    fn ready(&self, host: &HostEnv) -> Result;
    /// Opens it.
    ///
    /// # Errors
    /// It cannot be opened.
    fn open(&self, cx: SourceContext<'_>) -> Result<Box<dyn Source>>;
}

/// Gives a `SourceConfig` its object-safe face; a type that is a stage already has its own.
struct OpenedBy<C>(C);

impl<C: SourceConfig> PlannedSource for OpenedBy<C> {
    fn signature(&self) -> Signature {
        self.0.signature()
    }
    fn boundedness(&self) -> Boundedness {
        self.0.boundedness()
    }
    fn validate(&self) -> Vec<ConfigError> {
        self.0.validate()
    }
    fn ready(&self, host: &HostEnv) -> Result {
        self.0.ready(host)
    }
    fn open(&self, cx: SourceContext<'_>) -> Result<Box<dyn Source>> {
        Ok(Box::new(self.0.open(cx)?))
    }
}

/// A stage or source whose options are read.
pub enum Role {
    /// It has inputs.
    Stage(Box<dyn PlannedStage>),
    /// It takes rows in.
    Source(Box<dyn PlannedSource>),
}

impl Role {
    /// Returns its inputs and outputs.
    pub fn signature(&self) -> Signature {
        match self {
            Role::Stage(stage) => stage.signature(),
            Role::Source(source) => source.signature(),
        }
    }

    /// Returns the errors of the options together.
    pub fn validate(&self) -> Vec<ConfigError> {
        match self {
            Role::Stage(stage) => stage.validate(),
            Role::Source(source) => source.validate(),
        }
    }

    /// Returns true if it could run here and now.
    ///
    /// # Errors
    /// A model, a file or a device is missing.
    pub fn ready(&self, host: &HostEnv) -> Result {
        match self {
            Role::Stage(stage) => stage.ready(host),
            Role::Source(source) => source.ready(host),
        }
    }

    /// Files and folders that shape what it computes. What a source reads is read on the coordinator alone, and is none of them.
    pub fn models(&self) -> Vec<PathBuf> {
        match self {
            Role::Stage(stage) => stage.models(),
            Role::Source(_) => Vec::new(),
        }
    }

    /// The option by which every instance keeps files in the state folder, if one says so.
    pub fn keeps_files(&self) -> Option<&'static str> {
        match self {
            Role::Stage(stage) => stage.keeps_files(),
            Role::Source(_) => None,
        }
    }

    /// The input that a saved state holds back. What a source keeps is no row.
    ///
    /// # Errors
    /// The state is of another version.
    pub fn held_back(&self, saved: &StateTable) -> Result<HeldBack> {
        match self {
            Role::Stage(stage) => stage.held_back(saved),
            Role::Source(_) => Ok(HeldBack::default()),
        }
    }

    /// Folders that grow while it runs.
    pub fn fills(&self) -> Vec<PathBuf> {
        match self {
            Role::Stage(stage) => stage.fills(),
            Role::Source(_) => Vec::new(),
        }
    }
}

/// A kind of stage, as a value.
#[derive(Clone, Copy)]
pub struct StageFactory {
    name: &'static str,
    source: bool,
    about: fn() -> &'static str,
    specs: fn() -> Vec<OptionSpec>,
    telling: fn(&str) -> &'static [&'static str],
    plan: fn(&toml::Table) -> std::result::Result<Role, Vec<ConfigError>>,
}

impl StageFactory {
    /// The kind of a stage type.
    pub const fn stage<C: StageConfig>() -> Self {
        StageFactory {
            name: C::KIND,
            source: false,
            about: C::about,
            specs: C::specs,
            telling: C::telling,
            plan: |table| C::from_table(table).map(|config| Role::Stage(Box::new(config))),
        }
    }

    /// The kind of a source type.
    pub const fn source<C: SourceConfig>() -> Self {
        StageFactory {
            name: C::KIND,
            source: true,
            about: C::about,
            specs: C::specs,
            telling: C::telling,
            plan: |table| C::from_table(table).map(|config| Role::Source(Box::new(OpenedBy(config)))),
        }
    }

    /// Returns the word for `type = "..."`.
    pub fn name(&self) -> &'static str {
        self.name
    }

    /// Returns true if it takes rows in, and so has no `from`.
    pub fn is_source(&self) -> bool {
        self.source
    }

    /// Returns a description in one or a few lines.
    pub fn about(&self) -> &'static str {
        (self.about)()
    }

    /// Its options, in the order of definition.
    pub fn options(&self) -> Vec<OptionSpec> {
        (self.specs)()
    }

    /// Values of an option, as TOML, between which the signature may differ in a way that its shape does not show.
    pub fn telling(&self, option: &str) -> &'static [&'static str] {
        (self.telling)(option)
    }

    /// Reads a table of options.
    ///
    /// # Errors
    /// Everything wrong with the table.
    pub fn plan(&self, table: &toml::Table) -> std::result::Result<Role, Vec<ConfigError>> {
        (self.plan)(table)
    }

    /// One of this kind with samples for the options that must be given: to show its ports in help.
    pub fn sample(&self) -> Option<Role> {
        let mut text = String::new();
        for spec in self.options().iter().filter(|spec| spec.required) {
            text += &format!("{} = {}\n", spec.name, spec.shape.sample());
        }
        self.plan(&text.parse().ok()?).ok()
    }

    /// Lines to paste into a pipeline file: options that must be given, the others commented with their defaults.
    pub fn snippet(&self, id: &str) -> String {
        let mut text = format!("[stage.{id}]\ntype = \"{}\"\n", self.name);
        if !self.source {
            text += "from = \"upstream\"\n";
        }
        for spec in self.options() {
            let value = spec.default.clone().unwrap_or_else(|| spec.shape.sample());
            let comment = if spec.required { "" } else { "# " };
            text += &format!("{comment}{} = {value}\n", spec.name);
        }
        text
    }
}

impl std::fmt::Debug for StageFactory {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "StageFactory({})", self.name)
    }
}

/// The columns of every output of a role, for inputs of these columns: a shorthand for tests.
///
/// # Errors
/// A column is missing.
pub fn outputs(role: &Role, inputs: &[SchemaRef]) -> Result<Vec<SchemaRef>> {
    role.signature().apply(inputs).map_err(|misfits| {
        let names: Vec<_> = misfits.into_iter().map(|m| m.column).collect();
        crate::StageError::new(format!("missing columns: {}", names.join(", ")))
    })
}
