//! The options in, the frozen base in memory out, with the layout of its adapters and the adapter to begin with.
//!
//! In: options with the path of a model. Out: handles on one set of weights, one for each thread. It must not know rows or rounds.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::{Mutex, PoisonError};

use headwater_contract::prelude::*;
use headwater_contract::units::Bytes;
use headwater_training::train::base::{Base as Frozen, Weights};
use headwater_training::train::error::TrainError;
use headwater_training::train::lora::{
    Layers as LoraLayers, Layout, LoraOptions, Method as LoraMethod, Targets,
};
use headwater_training::train::peft::PeftFiles;
use headwater_training::train::rules::Rule;
use headwater_training::train::schedule::Schedule as RateSchedule;
use headwater_training::train::shape::{Scaling, Shape};
use headwater_training::train::stored::{Storage as Kept, Stored};
use headwater_training::train::trainer::TrainOptions as Recipe;
use headwater_vault::KeyFile;

use super::job::Adapter;
use super::model::Base as Files;
use super::model::config::{Architecture, RopeScaling};
use super::model::tokenizer::TextTokens;
use super::model::weights::Weights as ModelWeights;
use super::personal::{Personal, PersonalAdapters};
use super::publish::{self, PeftFolder, Publisher};
use super::{Layers, Method, Optimiser, Schedule, Storage, TrainOptions};

/// The reason why a text is rejected: a short stable word, and the reason.
pub(super) type Refused = (&'static str, String);

/// A base model, ready to train on.
pub(super) struct LoadedBase {
    frozen: Mutex<Frozen>,
    pub(super) tokens: TextTokens,
    pub(super) layout: Layout,
    pub(super) recipe: Recipe,
    /// The adapter before the first round.
    pub(super) start: Vec<f32>,
    pub(super) peft: PeftFolder,
    pub(super) publisher: Option<Publisher>,
    /// Opened by the first instance that keeps personal adapters.
    personal: Mutex<Option<PersonalAdapters>>,
    /// The loss of the base alone on each group's held-out texts, with a hash of the texts: it changes only with them.
    measured: Mutex<BTreeMap<u32, (u64, Vec<f64>)>>,
}

impl LoadedBase {
    pub(super) fn load(options: &TrainOptions) -> Result<Self> {
        let files = Files::open(&options.model).map_err(|e| StageError::new(e.to_string()))?;
        let shape = shape(&files.architecture);
        let context = files.architecture.context;
        if options.max_tokens > context {
            let found = format!("`max_tokens` is {}", options.max_tokens);
            return Err(
                StageError::new(found).expected(format!("at most {context}, what the model was made for"))
            );
        }
        let lora = lora(options);
        let kept = match options.storage {
            Storage::AsStored => Kept::AsStored,
            Storage::Bf16 => Kept::Bf16,
            Storage::F32 => Kept::F32,
        };
        let layout = Layout::new(&shape, &lora).map_err(wrong)?;
        let frozen = Frozen::load(&shape, &NamedWeights(&files.weights), kept).map_err(wrong)?;
        let fingerprint = || files.weights.fingerprint().map_err(|e| StageError::new(e.to_string()));
        let start = match &options.adapter {
            Some(folder) => publish::read(folder, &layout, (&files.architecture, &fingerprint()?))?,
            None => layout.init(options.seed),
        };
        let publisher = match &options.publish {
            Some(folder) => Some(Publisher::new(folder, fingerprint()?)),
            None => None,
        };
        let peft = PeftFolder { shape, lora, base: name(&options.model) };
        let frozen = Mutex::new(frozen);
        Ok(LoadedBase {
            frozen,
            tokens: files.tokens,
            layout,
            recipe: recipe(options),
            start,
            peft,
            publisher,
            personal: Mutex::default(),
            measured: Mutex::default(),
        })
    }

    /// Keeps devices' personal adapters, encrypted; all instances of the stage write to one log.
    pub(super) fn keep_own(
        &self,
        folder: &Path,
        key: &Path,
        adapters: impl Iterator<Item = (String, u64, Adapter)>,
    ) -> Result {
        let mut kept = Vec::new();
        for (device, round, adapter) in adapters {
            let PeftFiles { config, weights } = self.peft.files(&self.layout, &adapter)?;
            kept.push((device, Personal { round, config, weights }));
        }
        self.with_personal(folder, key, |personal| personal.put(kept))
    }

    /// Deletes a device's personal adapter.
    pub(super) fn forget_own(&self, folder: &Path, key: &Path, device: &str) -> Result {
        if !folder.exists() {
            return Ok(());
        }
        self.with_personal(folder, key, |personal| personal.forget(device))
    }

    fn with_personal(
        &self,
        folder: &Path,
        key: &Path,
        work: impl FnOnce(&mut PersonalAdapters) -> Result,
    ) -> Result {
        let mut personal = self.personal.lock().unwrap_or_else(PoisonError::into_inner);
        if personal.is_none() {
            let key = KeyFile::at(key);
            key.read_or_create().map_err(|e| StageError::new(e.to_string()))?;
            *personal = Some(PersonalAdapters::open(folder, &key)?);
        }
        personal.as_mut().map_or(Ok(()), work)
    }

    /// A text's tokens between those that begin and end a text, at most so many, and whether it had to be cut.
    pub(super) fn text_tokens(
        &self,
        text: &str,
        most: usize,
    ) -> std::result::Result<(Vec<u32>, bool), Refused> {
        if text.trim().is_empty() {
            return Err(("empty_text", "the text is empty; expected words".into()));
        }
        let inner = self.tokens.encode(text).map_err(|e| ("no_tokens", e.to_string()))?;
        let special = self.tokens.special();
        // A model without a token of its own for it has learned that texts follow an end.
        let begins = special.bos.filter(|bos| special.add_bos || special.eos.contains(bos));
        let mut tokens: Vec<u32> =
            begins.into_iter().chain(inner).chain(special.eos.first().copied()).collect();
        let cut = tokens.len() > most;
        tokens.truncate(most);
        if tokens.len() < 2 {
            return Err(("empty_text", "the text has no two tokens to learn from".into()));
        }
        Ok((tokens, cut))
    }

    /// Returns true if an adapter changes nothing yet: all its B are zero.
    pub(super) fn is_untrained(&self, adapter: &[f32]) -> bool {
        self.layout.is_untrained(adapter)
    }

    /// The loss of the base alone on a group's texts; computed once.
    pub(super) fn measured(
        &self,
        group: u32,
        texts: u64,
        compute: impl FnOnce() -> Result<Vec<f64>>,
    ) -> Result<Vec<f64>> {
        let known = || self.measured.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, nats)) = known().get(&group).filter(|(of, _)| *of == texts) {
            return Ok(nats.clone());
        }
        let nats = compute()?;
        known().insert(group, (texts, nats.clone()));
        Ok(nats)
    }

    /// The weights, for the thread that asks.
    pub(super) fn share(&self) -> Frozen {
        self.frozen.lock().unwrap_or_else(PoisonError::into_inner).share()
    }
}

/// An error of training as one of the stage: it names weights, options and steps, never a value of a text.
pub(super) fn wrong(error: TrainError) -> StageError {
    StageError::new(error.to_string())
}

struct NamedWeights<'a>(&'a ModelWeights);

impl Weights for NamedWeights<'_> {
    fn tensor(&self, name: &str) -> std::result::Result<Stored, String> {
        let tensor = self.0.tensor(name).map_err(|e| e.to_string())?;
        let sizes = tensor.shape().iter().map(|size| i64::try_from(*size).unwrap_or(i64::MAX)).collect();
        Ok(Stored { sizes, dtype: tensor.dtype(), bytes: tensor.bytes().to_vec() })
    }
}

fn shape(a: &Architecture) -> Shape {
    let wide = |size: usize| i64::try_from(size).unwrap_or(i64::MAX);
    let rope_scaling = match &a.rope_scaling {
        RopeScaling::Default => Scaling::Default,
        RopeScaling::Linear { factor } => Scaling::Linear { factor: f64::from(*factor) },
        RopeScaling::Llama3 { factor, low, high, original_context } => Scaling::Llama3 {
            factor: f64::from(*factor),
            low: f64::from(*low),
            high: f64::from(*high),
            original: *original_context as f64,
        },
        RopeScaling::Divisors(by) => Scaling::Divisors(by.clone()),
    };
    Shape {
        vocabulary: wide(a.vocab),
        hidden: wide(a.hidden),
        intermediate: wide(a.intermediate),
        layers: a.layers,
        heads: wide(a.heads),
        kv_heads: wide(a.kv_heads),
        head_dim: wide(a.head_dim),
        norm_eps: f64::from(a.rms_eps),
        rope_theta: f64::from(a.rope_theta),
        rope_scaling,
        tied: a.tied,
        qkv_bias: a.qkv_bias,
    }
}

fn lora(options: &TrainOptions) -> LoraOptions {
    let every = options.target_modules.iter().any(|name| name == "all-linear");
    LoraOptions {
        r: i64::from(options.r),
        alpha: options.alpha,
        rslora: options.rslora,
        dropout: options.dropout,
        targets: if every { Targets::AllLinear } else { Targets::Names(options.target_modules.clone()) },
        layers: match options.layers {
            Layers::All => LoraLayers::All,
            Layers::Top(n) => LoraLayers::Top(n),
        },
    }
}

fn recipe(options: &TrainOptions) -> Recipe {
    let weight_decay = options.weight_decay;
    Recipe {
        method: match options.method {
            Method::RoLora => LoraMethod::RoLora,
            Method::Ffa => LoraMethod::Ffa,
            Method::Both => LoraMethod::Both,
        },
        rule: match options.optimiser {
            Optimiser::AdamW => Rule::AdamW { beta1: 0.9, beta2: 0.999, eps: 1e-8, weight_decay },
            Optimiser::Sgd => Rule::Sgd { momentum: 0.9, weight_decay },
            Optimiser::Adafactor => Rule::Adafactor { beta2_decay: -0.8, clip: 1.0, weight_decay },
            Optimiser::Lion => Rule::Lion { beta1: 0.9, beta2: 0.99, weight_decay },
        },
        rate: options.lr,
        schedule: match options.schedule {
            Schedule::Constant => RateSchedule::Constant,
            Schedule::Linear => RateSchedule::Linear,
            Schedule::Cosine => RateSchedule::Cosine,
        },
        warm_up: options.warm_up,
        steps: options.steps,
        batch: options.batch,
        accumulation: options.accumulation,
        clip: (options.clip > 0.0).then_some(options.clip),
        seed: options.seed,
        chunk: options.chunk,
        checkpoint: options.checkpoint,
        cache_prefix: options.cache_prefix.map(|Bytes(bytes)| usize::try_from(bytes).unwrap_or(usize::MAX)),
        ..Recipe::default()
    }
}

/// The short name of a base: the last part of its path.
fn name(model: &Path) -> String {
    model.file_name().map_or_else(|| model.display().to_string(), |name| name.to_string_lossy().into_owned())
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use headwater_training::train::base::one_thread_a_lane;
    use headwater_training::train::logits::logits;
    use serde_json::Value;

    use super::super::model::config;
    use super::super::model::problem::Problems;
    use super::*;

    fn at(path: &str) -> PathBuf {
        Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(path)
    }

    fn json(path: &Path) -> Value {
        serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap()
    }

    fn tokens(list: &Value) -> Vec<u32> {
        list.as_array().unwrap().iter().map(|id| u32::try_from(id.as_u64().unwrap()).unwrap()).collect()
    }

    /// The largest gap between logits and those that transformers gave, `[place][column]`; without columns, all of them.
    fn gap(found: &[f32], expected: &Value, columns: Option<&[usize]>) -> f64 {
        let rows = expected.as_array().unwrap();
        let width = found.len() / rows.len();
        let mut worst: f64 = 0.0;
        for (place, row) in rows.iter().enumerate() {
            for (at, value) in row.as_array().unwrap().iter().enumerate() {
                let column = columns.map_or(at, |columns| columns[at]);
                let gap = f64::from(found[place * width + column]) - value.as_f64().unwrap();
                worst = worst.max(gap.abs());
            }
        }
        worst
    }

    #[test]
    fn logits_of_every_variant_are_those_of_transformers() {
        one_thread_a_lane();
        for variant in [
            "llama-tied",
            "llama-untied",
            "llama-head-dim",
            "rope-linear",
            "rope-llama3",
            "rope-llama3-v5",
            "mistral",
            "qwen2",
            "sharded",
            "f16",
            "bf16",
        ] {
            let folder = at("tests/golden/slm").join(variant);
            let mut problems = Problems::default();
            let architecture = config::from_json(&json(&folder.join("config.json")), &mut problems).unwrap();
            let weights = ModelWeights::open_folder(&folder, &architecture, &mut problems).unwrap();
            let golden = json(&folder.join("golden.json"));
            for kept in [Kept::AsStored, Kept::F32] {
                let frozen = Frozen::load(&shape(&architecture), &NamedWeights(&weights), kept).unwrap();
                let texts =
                    golden["inputs"].as_array().unwrap().iter().zip(golden["logits"].as_array().unwrap());
                for (input, expected) in texts {
                    let found = logits(&frozen, None, &tokens(input)).unwrap();
                    let gap = gap(&found, expected, None);
                    assert!(gap < 1e-4, "{variant}, {kept:?}: {gap}");
                }
            }
        }
    }

    #[test]
    fn logits_of_slm_nano_are_those_of_transformers() {
        logits_are_those("datasets/models/slm-nano", "slm-nano.json");
    }

    #[test]
    #[ignore = "needs `headwater model get smollm2-135m` (98 MB)"]
    fn logits_of_smollm2_are_those_of_transformers() {
        logits_are_those("datasets/models/smollm2-135m/SmolLM2-135M-Instruct.Q4_1.gguf", "smollm2.json");
    }

    /// Of texts, in some columns of the vocabulary.
    fn logits_are_those(model: &str, golden: &str) {
        one_thread_a_lane();
        let files = Files::open(&at(model)).unwrap();
        let frozen =
            Frozen::load(&shape(&files.architecture), &NamedWeights(&files.weights), Kept::AsStored).unwrap();
        let golden = json(&at("tests/golden/slm").join(golden));
        let columns: Vec<usize> = tokens(&golden["columns"]).into_iter().map(|c| c as usize).collect();
        for text in golden["texts"].as_array().unwrap() {
            assert_eq!(files.tokens.encode(text["text"].as_str().unwrap()).unwrap(), tokens(&text["ids"]));
            let found = logits(&frozen, None, &tokens(&text["ids"])).unwrap();
            let gap = gap(&found, &text["logits"], Some(&columns));
            assert!(gap < 1e-4, "{gap}");
        }
    }

    /// An adapter as PEFT wrote it, on the model it was made for: taken in, it means what it means in PEFT.
    #[test]
    fn an_adapter_of_peft_gives_pefts_logits() {
        one_thread_a_lane();
        let (folder, adapter) = (at("tests/golden/slm/llama-tied"), at("tests/golden/slm/lora"));
        let mut problems = Problems::default();
        let architecture = config::from_json(&json(&folder.join("config.json")), &mut problems).unwrap();
        let weights = ModelWeights::open_folder(&folder, &architecture, &mut problems).unwrap();
        let frozen = Frozen::load(&shape(&architecture), &NamedWeights(&weights), Kept::AsStored).unwrap();
        let lora = LoraOptions {
            r: 4,
            alpha: 8.0,
            rslora: false,
            dropout: 0.0,
            targets: Targets::AllLinear,
            layers: LoraLayers::All,
        };
        let layout = Layout::new(&shape(&architecture), &lora).unwrap();
        let base = (&architecture, &weights.fingerprint().unwrap());
        let flat = publish::read(&adapter, &layout, base).unwrap();
        let golden = json(&adapter.join("golden.json"));
        let input = tokens(&golden["input"]);
        let found = logits(&frozen, Some((&layout, &flat)), &input).unwrap();
        let gap_to_peft = gap(&found, &golden["logits"], None);
        assert!(gap_to_peft < 1e-4, "{gap_to_peft}");
        let without = logits(&frozen, None, &input).unwrap();
        assert!(gap(&without, &golden["logits"], None) > 0.1, "the adapter changes something");
    }
}
