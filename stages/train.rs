//! Personalization: adapters of many devices, trained on redacted text over one frozen base model.
//!
//! In: redacted texts of devices, and the global adapter that came of the round before. Out: for each device that took part in
//! a round one update (the change of its adapter), and what held-out texts say about the base, the global adapter and the
//! device's own. It must not know other stages, nor how updates travel and are added up.
//!
//! **Rounds.** At the barrier that ends a round, the round's texts wait. At the end of the next epoch, when what that barrier led to
//! has come back, a job starts on a thread of its own with the newest global adapter; it runs while the next round is collected.
//! At the next mark the stage first starts a job that still waits, then waits for it, sends its updates, and takes the closed
//! round. At most one round is pending, and a pending round is state: after a crash it is run again, to the same bits.
//!
//! **Forgetting.** A device that is to be forgotten takes no part in a round that has not started; one that has is sent without
//! its update. Then its texts and its personal adapter are gone. What others learned from adapters that it helped to make stays.
//!
//! **Groups.** Devices are joined in groups by a stable hash: a group trains in one joined step. How a sum is rounded depends on
//! what is computed together, so groups depend on the file alone and all devices of one are on one worker.

#[cfg(feature = "train")]
mod adapter;
#[cfg(feature = "train")]
mod base;
#[cfg(feature = "train")]
mod job;
#[cfg(feature = "train")]
mod learner;
#[cfg(feature = "train")]
pub mod memorisation;
pub mod model;
pub mod peft;
pub mod personal;
#[cfg(feature = "train")]
mod publish;
pub mod registry;
#[cfg(feature = "train")]
mod state;
#[cfg(feature = "train")]
mod texts;

use std::path::PathBuf;
#[cfg(feature = "train")]
use std::sync::OnceLock;

use headwater_contract::columns::u32_list;
use headwater_contract::options::OptionSpec;
use headwater_contract::units::Bytes;
use headwater_contract::{OptionType, Shape, choice, prelude::*};

choice! {
    /// Which of an adapter's two factors a round trains.
    pub enum Method {
        /// B in even rounds, A in odd ones: the mean of updates is the update of the mean. B in all as long as it is zero.
        RoLora = "rolora",
        /// B alone; A stays as it was drawn.
        Ffa = "ffa",
        /// Both in every round.
        Both = "both",
    }
}

choice! {
    /// The optimiser.
    pub enum Optimiser {
        /// Adam with decoupled weight decay.
        AdamW = "adamw",
        /// Stochastic gradient descent, with momentum 0.9.
        Sgd = "sgd",
        /// Adafactor: moments by rows and columns.
        Adafactor = "adafactor",
        /// Lion: the sign of a moment.
        Lion = "lion",
    }
}

choice! {
    /// The schedule of the learning rate over a round.
    pub enum Schedule {
        /// It stays.
        Constant = "constant",
        /// Down to 0 in a straight line.
        Linear = "linear",
        /// Down to 0 by half a cosine.
        Cosine = "cosine",
    }
}

choice! {
    /// The adapter that a device begins a round with.
    pub enum Start {
        /// The newest global adapter.
        Global = "global",
        /// Its personal adapter of the round before: no federation.
        Personal = "own",
    }
}

choice! {
    /// The storage of the frozen base in memory; the arithmetic is that of f32 in every case.
    pub enum Storage {
        /// As the file has it, turned into f32 for each use: the least memory, the file's numbers.
        AsStored = "as stored",
        /// Rounded to bf16 once.
        Bf16 = "bf16",
        /// Turned into f32 once: the most memory, the least work.
        F32 = "f32",
    }
}

/// Which layers get an adapter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Layers {
    /// Every one.
    All,
    /// The last so many.
    Top(usize),
}

impl OptionType for Layers {
    fn shape() -> Shape {
        Shape::Text
    }
    fn read(value: &headwater_contract::toml::Value) -> std::result::Result<Self, String> {
        let top = |text: &str| text.strip_prefix("top:").and_then(|n| n.parse().ok()).filter(|n| *n > 0);
        match value.as_str() {
            Some("all") => Ok(Layers::All),
            Some(text) if top(text).is_some() => Ok(Layers::Top(top(text).unwrap_or(1))),
            _ => Err("expected \"all\" or \"top:N\", such as \"top:8\"".into()),
        }
    }
    fn show(&self) -> String {
        match self {
            Layers::All => "\"all\"".into(),
            Layers::Top(n) => format!("\"top:{n}\""),
        }
    }
}

options! {
    /// Trains an adapter (LoRA) for each device on its redacted texts, round by round, and sends its update.
    pub struct TrainOptions {
        /// The base model: a folder in Hugging Face's layout, or a GGUF file.
        model: PathBuf;
        /// How the base is kept in memory: "as stored" in the file, "bf16" or "f32".
        storage: Storage = Storage::AsStored;
        /// The rank of the adapter.
        r: u32 = 8, in 1 ..= 4096;
        /// What the adapter adds is multiplied by alpha / r.
        alpha: f64 = 16.0, in 0.000001 ..= 1000000.0;
        /// By alpha / sqrt(r) instead.
        rslora: bool = false;
        /// The probability that an input of the adapter is dropped in training.
        dropout: f64 = 0.0, in 0.0 ..= 0.99;
        /// "all-linear", or names of linear maps: "q_proj", "mlp.up_proj", "model.layers.3.self_attn.q_proj".
        target_modules: Vec<String> = vec!["all-linear".to_owned()];
        /// Which layers get an adapter: "all" or "top:N".
        layers: Layers = Layers::All;
        /// Which factor a round trains.
        method: Method = Method::RoLora;
        /// How a gradient becomes a step.
        optimiser: Optimiser = Optimiser::AdamW;
        /// The highest learning rate.
        lr: f64 = 0.005, in 0.0000000001 ..= 100.0;
        /// How the learning rate changes over the steps of a round.
        schedule: Schedule = Schedule::Constant;
        /// Steps in which the learning rate rises.
        warm_up: u64 = 0;
        /// Weight decay, for each step and unit of learning rate.
        weight_decay: f64 = 0.0, in 0.0 ..= 100.0;
        /// Steps that a device takes in a round.
        steps: u64 = 4, in 1 ..= 1000000;
        /// Texts a device in a micro-batch.
        batch: usize = 4, in 1 ..= 4096;
        /// Micro-batches a step.
        accumulation: usize = 1, in 1 ..= 4096;
        /// A longer gradient is shortened to this length; 0 leaves it.
        clip: f64 = 1.0, in 0.0 ..= 1000000.0;
        /// A longer text is truncated.
        max_tokens: usize = 128, in 2 ..= 1000000, unit "tokens";
        /// A device takes part in a round when it said so many texts since it last did.
        min_examples: usize = 1, in 1 ..= 1000000;
        /// The limit of texts of a device that wait for training, and of texts held out; further texts are skipped.
        max_examples: usize = 4096, in 1 ..= 1000000, unit "texts";
        /// How much older text a round trains on beside the new, as a share of the new.
        rehearse: f64 = 0.25, in 0.0 ..= 100.0;
        /// Older texts that are kept of a device to rehearse.
        remember: usize = 2000, unit "texts";
        /// The share of texts that is never trained on, by a hash of their identity, where no column `split` says.
        holdout: f64 = 0.1, in 0.0 ..= 0.9;
        /// The newest held-out texts of a device that adapters are measured with; 0 measures nothing.
        evaluate: usize = 64, unit "texts";
        /// How many groups devices are joined in: each trains in one joined step.
        groups: u32 = 4, in 1 ..= 65536;
        /// What a device begins a round with.
        start: Start = Start::Global;
        /// Keep each device's personal adapter, as it was after its last round. It never leaves, and lies encrypted in the state.
        personal: bool = false;
        /// An adapter to begin with: a folder in PEFT's layout, made for this base.
        adapter: Option<PathBuf>;
        /// Where global adapters are published, each round's in a folder of its own.
        publish: Option<PathBuf>;
        /// Keep only the layers' inputs for the way back: less memory, a third more time.
        checkpoint: bool = false;
        /// Keep what the frozen layers below the adapter say about each text for a round, up to this size.
        cache_prefix: Option<Bytes>;
        /// Tokens whose logits exist at a time.
        chunk: usize = 256, in 1 ..= 1000000, unit "tokens";
        /// Of the first adapter, the order of texts, rehearsal and dropout.
        seed: u64 = 0;
    }
}

/// The options, and the base once it is loaded: all instances share it.
pub struct Train {
    options: TrainOptions,
    #[cfg(feature = "train")]
    base: OnceLock<Arc<base::LoadedBase>>,
}

impl Options for Train {
    fn about() -> &'static str {
        TrainOptions::about()
    }

    fn specs() -> Vec<OptionSpec> {
        TrainOptions::specs()
    }

    fn from_table(table: &headwater_contract::toml::Table) -> std::result::Result<Self, Vec<ConfigError>> {
        let options = TrainOptions::from_table(table)?;
        #[cfg(feature = "train")]
        return Ok(Train { options, base: OnceLock::new() });
        #[cfg(not(feature = "train"))]
        return Ok(Train { options });
    }
}

/// The kind of this stage.
pub const KIND: StageFactory = StageFactory::stage::<Train>();

/// The options without which a kept adapter or text means something else.
const SHAPING: &[&str] =
    &["model", "r", "alpha", "rslora", "target_modules", "layers", "method", "seed", "adapter", "max_tokens"];

fn update_columns() -> Vec<Field> {
    vec![
        uint64("round"),
        uint64("examples"),
        float32("loss_before"),
        float32("loss_after"),
        u32_list("tensors"),
        f32_list("delta"),
    ]
}

/// Sums of nats over the held-out tokens of a device: with the base alone, with the adapter that the round began with, and
/// with the device's own after the round.
fn evaluation_columns() -> Vec<Field> {
    let float64 = |name: &str| Field::new(name, DataType::Float64, false);
    vec![uint64("round"), uint64("tokens"), float64("base"), float64("start"), float64("own")]
}

impl StageConfig for Train {
    const KIND: &'static str = "train";

    fn signature(&self) -> Signature {
        let by_group = || Routing::ByGroup { column: "device".into(), groups: self.options.groups };
        let adapter = Input::new("adapter", [uint64("round"), u32_list("tensors"), f32_list("adapter")]);
        let evaluation = Output::new("evaluation", Rows::Exactly(evaluation_columns()));
        let text = Input::new("in", [utf8("text")]).routing(by_group()).members();
        let adapter = adapter.routing(Routing::Broadcast).feedback();
        let inputs = vec![text, adapter, Input::forget(by_group())];
        Signature { inputs, ..Signature::default() }
            .output(
                Output::new("update", Rows::Exactly(update_columns())).optional().label(LabelRule::Trainer),
            )
            .output(evaluation.optional().label(LabelRule::Trainer))
            .order(Order::Sorted)
            .work(Work::Thread)
            // One for the round that is trained while the next is collected, one to measure what came of the last.
            .round_delay(2)
            .state(1, SHAPING)
    }

    fn validate(&self) -> Vec<ConfigError> {
        let mut errors = Vec::new();
        if cfg!(not(feature = "train")) {
            errors.push(
                ConfigError::new("type", "this program was built without the feature `train`")
                    .help("run scripts/libtorch and build with the default features"),
            );
        }
        if self.options.target_modules.is_empty() {
            errors.push(ConfigError::new("target_modules", "expected \"all-linear\" or at least one name"));
        }
        errors
    }

    fn models(&self) -> Vec<PathBuf> {
        std::iter::once(self.options.model.clone()).chain(self.options.adapter.clone()).collect()
    }

    fn keeps_files(&self) -> Option<&'static str> {
        self.options.personal.then_some("personal")
    }

    fn fills(&self) -> Vec<PathBuf> {
        self.options.publish.iter().cloned().collect()
    }

    #[cfg(feature = "train")]
    fn ready(&self, _: &HostEnv) -> Result {
        self.base().map(drop)
    }

    #[cfg(feature = "train")]
    fn held_back(&self, saved: &StateTable) -> Result<HeldBack> {
        Ok(HeldBack { rows: Vec::new(), unfinished: state::SavedState::read(saved)?.untrained() })
    }

    #[cfg(feature = "train")]
    fn build(&self, cx: BuildContext<'_>) -> Result<impl Stage> {
        learner::Learner::new(self.options.clone(), self.base()?.clone(), &cx)
    }

    #[cfg(not(feature = "train"))]
    fn build(&self, _: BuildContext<'_>) -> Result<impl Stage> {
        Err::<Untrained, _>(StageError::new("this program was built without the feature `train`"))
    }
}

#[cfg(feature = "train")]
impl Train {
    fn base(&self) -> Result<&Arc<base::LoadedBase>> {
        if let Some(base) = self.base.get() {
            return Ok(base);
        }
        let base = Arc::new(base::LoadedBase::load(&self.options)?);
        Ok(self.base.get_or_init(|| base))
    }
}

/// Stands for the stage in builds without it; has no value.
#[cfg(not(feature = "train"))]
enum Untrained {}

#[cfg(not(feature = "train"))]
impl Stage for Untrained {
    fn batch(&mut self, _: Port, _: &RecordBatch, _: &mut Outbox<'_>) -> Result {
        match *self {}
    }
}

#[cfg(test)]
#[cfg(feature = "train")]
mod tests;
