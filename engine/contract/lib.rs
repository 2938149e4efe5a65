//! The imports of a stage's author: the whole contract between a stage and the engine.
//!
//! In: nothing. Out: the types a stage is written against ([`Stage`], [`Source`], [`Signature`], [`StageFactory`]) and a
//! [`conformance`] kit that holds a stage to them. It must not know the engine that runs stages, any other stage, or
//! any library that only one stage needs: no timely, no tract, no LibTorch.
//!
//! ```
//! use headwater_contract::prelude::*;
//!
//! options! {
//!     /// Writes texts in capitals.
//!     pub struct Shout {
//!         /// How many exclamation marks to add.
//!         marks: u32 = 1, in 0 ..= 9;
//!     }
//! }
//!
//! impl StageConfig for Shout {
//!     const KIND: &'static str = "shout";
//!     fn signature(&self) -> Signature {
//!         Signature::map([utf8("text")], [utf8("text")])
//!     }
//!     fn build(&self, cx: BuildContext<'_>) -> Result<impl Stage> {
//!         Ok(Shouter { marks: "!".repeat(self.marks as usize), schema: cx.output(0)? })
//!     }
//! }
//!
//! struct Shouter { marks: String, schema: SchemaRef }
//!
//! impl Stage for Shouter {
//!     fn batch(&mut self, _: Port, batch: &RecordBatch, out: &mut Outbox<'_>) -> Result {
//!         let texts = text_column(&batch, "text")?;
//!         let loud: StringArray =
//!             texts.iter().map(|t| t.map(|t| t.to_uppercase() + &self.marks)).collect();
//!         out.send(with_columns(&batch, &self.schema, [("text", Arc::new(loud) as ArrayRef)])?);
//!         Ok(())
//!     }
//! }
//!
//! const KIND: StageFactory = StageFactory::stage::<Shout>();
//! assert_eq!(KIND.name(), "shout");
//! ```

pub mod columns;
mod command;
pub mod conformance;
pub mod digest;
pub mod error;
pub mod factory;
pub mod hash;
pub mod identity;
pub mod options;
pub mod signature;
pub mod source;
pub mod stage;
pub mod state;
pub mod testing;
pub mod units;

pub use command::quoted;
pub use error::{Result, StageError};
pub use factory::{PlannedSource, PlannedStage, Role, StageFactory};
pub use identity::{Escaped, RowId};
pub use options::{ConfigError, OptionSpec, OptionType, Options, Shape};
pub use signature::{
    Erasure, Input, Label, LabelRule, Order, Output, Routing, Rows, SchemaMismatch, Signature, StateFormat,
    Work,
};
pub use source::{Boundedness, EpochEnd, Feed, FeedSink, Position, Source, SourceConfig, SourceContext};
pub use stage::{Barrier, BuildContext, Emit, HostEnv, Outbox, Port, Rejected, Stage, StageConfig};
pub use state::{HeldBack, Owner, StateTable, StateWriter};

/// Everything that a stage's file usually needs, in one line.
pub mod prelude {
    pub use crate::columns::{
        f32_list, float32, text_column, timestamp_us, uint32, uint64, utf8, with_columns,
    };
    pub use crate::{
        Barrier, Boundedness, BuildContext, ConfigError, Feed, HeldBack, HostEnv, Input, Label, LabelRule,
        Options, Order, Outbox, Output, Owner, Port, Position, Result, Routing, Rows, Signature, Source,
        SourceConfig, SourceContext, Stage, StageConfig, StageError, StageFactory, StateTable, StateWriter,
        Work, choice, identity, options,
    };
    pub use arrow::array::{Array, ArrayRef, RecordBatch, StringArray};
    pub use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
    pub use std::sync::Arc;
}

#[doc(hidden)]
pub use toml;
