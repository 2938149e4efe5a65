//! Kinds that exercise what no built-in stage does yet: two inputs, two outputs, updates, options that are times and sizes.

use std::time::Duration;

use headwater_contract::columns::{u32_list, uint64};
use headwater_contract::prelude::*;
use headwater_contract::units::Bytes;

macro_rules! never_built {
    (stage $config:ty, $kind:literal, |$self:ident| $signature:expr) => {
        impl StageConfig for $config {
            const KIND: &'static str = $kind;
            fn signature(&self) -> Signature {
                let $self = self;
                $signature
            }
            fn build(&self, _: BuildContext<'_>) -> Result<impl Stage> {
                Err::<Never, _>(StageError::new("only checked, never run"))
            }
        }
    };
}

struct Never;

impl Stage for Never {
    fn batch(&mut self, _: usize, _: &RecordBatch, _: &mut Outbox<'_>) -> Result {
        Ok(())
    }
}

options! {
    /// Keeps rows for a while, then forgets them: it ends a pipeline.
    pub struct Discard {
        /// How long rows are kept.
        after: Duration = Duration::from_secs(90);
        /// How many bytes are kept.
        keep: Bytes = Bytes(16 << 20);
        /// Whether to count them.
        count: bool = true;
    }
}

never_built!(stage Discard, "discard", |_config| Signature::sink([]));

options! {
    /// Adds to each text of `in` what `notes` says of the same device.
    pub struct Join {
        /// The key of both.
        by: String = "device".into();
    }
}

never_built!(stage Join, "join", |config| {
    let key = || Routing::ByKey(config.by.clone().into());
    Signature::map([utf8("text")], [utf8("note")]).routing(key()).input(Input::new("notes", [utf8("text")]).routing(key()))
});

options! {
    /// Sends long texts one way and short ones the other.
    pub struct Split {
        /// The shortest long text.
        at: u32 = 80, in 1 ..= 100000, unit "characters";
    }
}

never_built!(stage Split, "split", |_config| {
    let same = || headwater_contract::Rows::Input { minus: Vec::new(), plus: Vec::new() };
    Signature::map([utf8("text")], []).output(Output::new("short", same()))
});

options! {
    /// Learns from redacted texts.
    pub struct Train {}
}

never_built!(stage Train, "learner", |_config| {
    let update = headwater_contract::Rows::Exactly(vec![f32_list("delta")]);
    let mut signature = Signature::map([utf8("text")], []);
    signature.outputs = vec![Output::new("update", update).label(LabelRule::Trainer)];
    let adapter = Input::new("adapter", [f32_list("adapter")]).routing(Routing::Broadcast).feedback();
    signature.routing(Routing::ByKey("device".into())).input(adapter).state(1, &[])
});

options! {
    /// Sums updates.
    pub struct Aggregate {}
}

never_built!(stage Aggregate, "adder", |_config| {
    let adapter = headwater_contract::Rows::Exactly(vec![f32_list("adapter")]);
    let mut signature = Signature::map([f32_list("delta")], []).routing(Routing::Gather);
    signature.outputs = vec![Output::new("adapter", adapter).label(LabelRule::RootAggregate)];
    signature
});

options! {
    /// Learns from the texts of members.
    pub struct Tune {}
}

never_built!(stage Tune, "tuner", |_config| {
    let update = vec![uint64("round"), uint64("examples"), u32_list("tensors"), f32_list("delta")];
    let mut signature = Signature::map([utf8("text")], []);
    signature.inputs = vec![Input::new("in", [utf8("text")]).routing(Routing::ByKey("device".into())).members()];
    signature.outputs =
        vec![Output::new("update", headwater_contract::Rows::Exactly(update)).label(LabelRule::Trainer)];
    signature.state(1, &[])
});

options! {
    /// Reads of texts whether a device consents.
    pub struct Notices {}
}

never_built!(stage Notices, "notices", |_config| {
    let mut signature = Signature::map([utf8("text")], []);
    let consent = Field::new("consent", DataType::Boolean, true);
    signature.outputs = vec![Output::new("out", headwater_contract::Rows::Exactly(vec![consent])).optional()];
    signature
});

options! {
    /// Reads of texts where a device is.
    pub struct Moves {}
}

never_built!(stage Moves, "moves", |_config| {
    let mut signature = Signature::map([utf8("text")], []);
    let moves = vec![utf8("gateway"), utf8("consent")];
    signature.outputs = vec![Output::new("out", headwater_contract::Rows::Exactly(moves)).optional()];
    signature
});

/// These kinds.
pub const KINDS: &[StageFactory] = &[
    StageFactory::stage::<Discard>(),
    StageFactory::stage::<Join>(),
    StageFactory::stage::<Split>(),
    StageFactory::stage::<Train>(),
    StageFactory::stage::<Aggregate>(),
    StageFactory::stage::<Tune>(),
    StageFactory::stage::<Notices>(),
    StageFactory::stage::<Moves>(),
];
