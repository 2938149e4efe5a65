//! The check of an adapter in PEFT's layout against a base, the same of `adapter import` and of the stage.
//!
//! In: the two files of its folder, and the architecture of the base. Out: what the adapter is, or everything that is wrong
//! with it. It must not know how adapters are trained: this is built without LibTorch too.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use headwater_contract::StageError;
use safetensors::tensor::{Dtype, SafeTensors, TensorView};
use serde_json::{Value, json};

use super::model::config::Architecture;
use super::model::detected_format::SAFETENSORS;
use super::model::problem::{self, Problem, Problems, few};
use super::model::weights::names;
use super::registry::{CONFIG, WEIGHTS};

/// The description of an adapter.
#[derive(Clone, Debug, PartialEq)]
pub struct AdapterSummary {
    /// Its rank.
    pub rank: usize,
    /// The factor of the low-rank part: alpha / rank, or by alpha / sqrt(rank) with `rslora`.
    pub alpha: f64,
    /// See `alpha`.
    pub rslora: bool,
    /// The linear maps that it changes, by layer: `self_attn.q_proj`.
    maps: BTreeMap<usize, BTreeSet<String>>,
    /// Layers of the base.
    layers: usize,
    /// Numbers in it.
    pub parameters: usize,
}

/// The prefix and suffix of the name of a map.
const PREFIX: &str = "base_model.model.";
const FACTORS: [&str; 2] = [".lora_A.weight", ".lora_B.weight"];

/// Checks an adapter for a base of this architecture.
///
/// # Errors
/// Everything that is wrong with it.
pub fn check(
    folder: &Path,
    architecture: &Architecture,
    config: &[u8],
    weights: &[u8],
) -> Result<AdapterSummary, StageError> {
    let mut problems = Problems::default();
    let described = inspect(architecture, config, weights, &mut problems);
    match described {
        Some(described) if problems.is_empty() => Ok(described),
        _ => {
            let lines: String = problems.list().iter().map(|problem| format!("\n  {problem}")).collect();
            Err(StageError::new(format!("`{}` is no adapter for this base:{lines}", folder.display())))
        }
    }
}

fn inspect(
    architecture: &Architecture,
    config: &[u8],
    weights: &[u8],
    problems: &mut Problems,
) -> Option<AdapterSummary> {
    let settings =
        problem::json(CONFIG, config, problems).and_then(|config| Settings::read(&config, problems));
    let file = match SafeTensors::deserialize(weights) {
        Ok(file) => file,
        Err(error) => {
            if !problems.add_mistaken(WEIGHTS, weights, SAFETENSORS) {
                problems.add(WEIGHTS, "", format!("what cannot be read ({error})"), SAFETENSORS);
            }
            return None;
        }
    };
    let settings = settings?;
    let mut tensors = Tensors { settings: &settings, problems, maps: BTreeMap::new(), parameters: 0 };
    tensors.inspect(architecture, file.tensors());
    let Tensors { maps, parameters, .. } = tensors;
    let Settings { rank, alpha, rslora, .. } = settings;
    Some(AdapterSummary { rank, alpha, rslora, maps, layers: architecture.layers, parameters })
}

/// The content of adapter_config.json.
struct Settings {
    rank: usize,
    alpha: f64,
    rslora: bool,
    /// True if it says that ranks differ, which is wrong already.
    patterned: bool,
}

impl Settings {
    fn read(config: &Value, problems: &mut Problems) -> Option<Self> {
        let get = |key: &str| config.get(key).unwrap_or(&Value::Null);
        if get("peft_type") != "LORA" {
            problems.push(Problem {
                file: CONFIG.into(),
                item: "peft_type".into(),
                found: get("peft_type").to_string(),
                expected: "\"LORA\"".into(),
                help: "only LoRA is trained and averaged here".into(),
            });
            return None;
        }
        let rank = get("r").as_u64().and_then(|r| usize::try_from(r).ok()).filter(|r| (1..=4096).contains(r));
        if rank.is_none() {
            problems.add(CONFIG, "r", get("r").to_string(), "the rank, 1 to 4096");
        }
        let alpha = get("lora_alpha").as_f64().filter(|alpha| *alpha > 0.0 && alpha.is_finite());
        if alpha.is_none() {
            problems.add(CONFIG, "lora_alpha", get("lora_alpha").to_string(), "a number above 0");
        }
        let before = problems.list().len();
        plain(config, problems);
        let patterned = problems.list().iter().skip(before).any(|problem| problem.item == "rank_pattern");
        Some(Settings { rank: rank?, alpha: alpha?, rslora: get("use_rslora") == true, patterned })
    }
}

/// Refuses what would change the meaning of the same weights.
fn plain(config: &Value, problems: &mut Problems) {
    const MERGE: &str = "merge it into its base with PEFT's merge_and_unload, and take that as the base";
    let mut refuse = |key: &str, found: &Value, expected: &str, help: &str| {
        problems.push(Problem {
            file: CONFIG.into(),
            item: key.to_owned(),
            found: found.to_string(),
            expected: expected.to_owned(),
            help: help.to_owned(),
        });
    };
    for (key, plain, help) in [
        ("bias", json!("none"), MERGE),
        ("fan_in_fan_out", json!(false), ""),
        ("modules_to_save", Value::Null, MERGE),
        ("rank_pattern", json!({}), "one rank holds for all maps here"),
        ("alpha_pattern", json!({}), "one alpha holds for all maps here"),
        ("lora_bias", json!(false), MERGE),
        ("layer_replication", Value::Null, MERGE),
        ("trainable_token_indices", Value::Null, MERGE),
        ("target_parameters", Value::Null, MERGE),
        ("alora_invocation_tokens", Value::Null, ""),
    ] {
        let found = config.get(key).unwrap_or(&Value::Null);
        if *found != plain && !found.is_null() {
            refuse(key, found, &plain.to_string(), help);
        }
    }
    // Each further kind of LoRA has a switch of its own; rsLoRA's changes the scaling alone.
    for (key, found) in config.as_object().into_iter().flatten() {
        if key.starts_with("use_") && key != "use_rslora" && *found == true {
            refuse(key, found, "false", MERGE);
        }
    }
    // Other ways to begin move a part of the base into the adapter: it means nothing on the base as it is.
    let begun = config.get("init_lora_weights").unwrap_or(&Value::Null);
    if begun.as_str().is_some_and(|way| !["gaussian", "eva", "orthogonal"].contains(&way)) {
        let help =
            "PEFT's save_pretrained(path_initial_model_for_weight_conversion=...) makes a plain LoRA of it";
        refuse("init_lora_weights", begun, "a way that leaves the base alone", help);
    }
}

/// The tensors of an adapter against the base.
struct Tensors<'a> {
    settings: &'a Settings,
    problems: &'a mut Problems,
    maps: BTreeMap<usize, BTreeSet<String>>,
    parameters: usize,
}

impl Tensors<'_> {
    fn inspect(&mut self, architecture: &Architecture, tensors: Vec<(String, TensorView<'_>)>) {
        let widths: BTreeMap<String, [usize; 2]> = linear_maps(architecture);
        let mut pairs: BTreeMap<String, [Option<TensorView<'_>>; 2]> = BTreeMap::new();
        let mut others: BTreeMap<Other, Vec<String>> = BTreeMap::new();
        for (name, view) in tensors {
            let map = FACTORS.iter().zip(0..).find_map(|(factor, at)| {
                let map = name.strip_prefix(PREFIX)?.strip_suffix(factor)?;
                widths.contains_key(map).then_some((map, at))
            });
            match map {
                Some((map, at)) => {
                    if let Some(slot) = pairs.entry(map.to_owned()).or_default().get_mut::<usize>(at) {
                        *slot = Some(view);
                    }
                }
                None => others.entry(Other::of(&name)).or_default().push(name),
            }
        }
        let reported = !others.is_empty();
        for (other, mut names) in others {
            names.sort();
            other.tell(&names, self.problems);
        }
        if pairs.is_empty() && !reported {
            self.problems.add(WEIGHTS, "", "no tensor", "the factors A and B of at least one linear map");
        }
        self.fit(&widths, pairs);
    }

    fn fit(
        &mut self,
        widths: &BTreeMap<String, [usize; 2]>,
        pairs: BTreeMap<String, [Option<TensorView<'_>>; 2]>,
    ) {
        let (mut alone, mut types, mut unreal) = (Vec::new(), BTreeMap::<_, Vec<_>>::new(), Vec::new());
        let mut sizes: BTreeMap<(Vec<usize>, Vec<usize>), Vec<String>> = BTreeMap::new();
        for (map, pair) in pairs {
            let [output, input] = widths.get(&map).copied().unwrap_or_default();
            // Where the configuration says that ranks differ, which was reported, each pair has its own.
            let own = pair.iter().flatten().next().and_then(|view| view.shape().iter().min().copied());
            let rank = own.filter(|_| self.settings.patterned).unwrap_or(self.settings.rank);
            let expected = [[rank, input], [output, rank]];
            for ((factor, view), expected) in FACTORS.iter().zip(&pair).zip(expected) {
                let name = format!("{map}{factor}");
                let Some(view) = view else {
                    alone.push(name);
                    continue;
                };
                if view.shape() != expected {
                    sizes.entry((view.shape().to_vec(), expected.to_vec())).or_default().push(name);
                } else if !matches!(view.dtype(), Dtype::F32 | Dtype::F16 | Dtype::BF16) {
                    types.entry(format!("{:?}", view.dtype())).or_default().push(name);
                } else if !is_finite(view) {
                    unreal.push(name);
                }
                self.parameters += view.shape().iter().product::<usize>();
            }
            if let Some((layer, part)) = layer_of(&map) {
                self.maps.entry(layer).or_default().insert(part.to_owned());
            }
        }
        for ((found, expected), names) in sizes {
            let expected =
                format!("{expected:?}: the widths of this base, and the rank {}", self.settings.rank);
            self.problems.add(WEIGHTS, few(&names), format!("sizes {found:?}"), expected);
        }
        for (dtype, names) in types {
            self.problems.add(WEIGHTS, few(&names), format!("type {dtype}"), "F32, F16 or BF16");
        }
        for (names, found, expected) in [
            (alone, "no such tensor", "both factors, A and B, of each map"),
            (
                unreal,
                "values that are no finite numbers",
                "finite numbers: this adapter was lost in training",
            ),
        ] {
            if !names.is_empty() {
                self.problems.add(WEIGHTS, few(&names), found, expected);
            }
        }
    }
}

/// The linear maps of a base, with the sizes of their matrices.
fn linear_maps(architecture: &Architecture) -> BTreeMap<String, [usize; 2]> {
    let maps = names::expected(architecture).into_iter().filter_map(|(name, shape)| {
        let map = name.strip_suffix("_proj.weight").map(|map| format!("{map}_proj"))?;
        Some((map, <[usize; 2]>::try_from(shape).ok()?))
    });
    maps.collect()
}

/// The layer of a map, and what it is called in its layer.
fn layer_of(map: &str) -> Option<(usize, &str)> {
    let (layer, part) = map.strip_prefix("model.layers.")?.split_once('.')?;
    Some((layer.parse().ok()?, part))
}

fn is_finite(view: &TensorView<'_>) -> bool {
    let bytes = view.data();
    let halves = || bytes.as_chunks::<2>().0.iter().map(|b| u16::from_le_bytes(*b));
    // All bits of the exponent are set in infinities and in what is no number.
    match view.dtype() {
        Dtype::F32 => bytes.as_chunks::<4>().0.iter().all(|b| f32::from_le_bytes(*b).is_finite()),
        Dtype::BF16 => halves().all(|half| half & 0x7f80 != 0x7f80),
        _ => halves().all(|half| half & 0x7c00 != 0x7c00),
    }
}

/// The kind of a tensor that is not a factor of a map of the base.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Other {
    Magnitude,
    StateDict,
    Unprefixed,
    Ia3,
    Unknown,
}

impl Other {
    fn of(name: &str) -> Self {
        let factor = |name: &str| name.contains(".lora_A.") || name.contains(".lora_B.");
        match name {
            _ if name.contains("lora_magnitude_vector") => Other::Magnitude,
            _ if name.contains(".ia3_l") => Other::Ia3,
            _ if factor(name) && !FACTORS.iter().any(|factor| name.ends_with(factor)) => Other::StateDict,
            _ if factor(name) && !name.starts_with(PREFIX) => Other::Unprefixed,
            _ => Other::Unknown,
        }
    }

    fn tell(self, names: &[String], problems: &mut Problems) {
        const SAVED: &str = "save it with PEFT's save_pretrained";
        let (found, expected, help) = match self {
            Other::Magnitude => {
                ("magnitudes of DoRA", "plain LoRA", "merge it into its base with PEFT's merge_and_unload")
            }
            Other::Ia3 => {
                ("scales of IA3", "plain LoRA", "merge it into its base with PEFT's merge_and_unload")
            }
            Other::StateDict => {
                ("names of a model's state_dict", "names that end in lora_A.weight or lora_B.weight", SAVED)
            }
            Other::Unprefixed => {
                ("names without PEFT's prefix", "names that begin with base_model.model.", SAVED)
            }
            Other::Unknown => (
                "tensors that change no linear map of this base",
                "factors of its layers' linear maps alone",
                "",
            ),
        };
        problems.push(Problem {
            file: WEIGHTS.into(),
            item: few(names),
            found: found.into(),
            expected: expected.into(),
            help: help.into(),
        });
    }
}

impl AdapterSummary {
    /// The options of a `train` stage that continues with it, one a line.
    pub fn options(&self) -> String {
        let first = self.maps.values().next().cloned().unwrap_or_default();
        let alike = self.maps.values().all(|maps| *maps == first);
        let top = self.maps.keys().copied().eq(self.layers.saturating_sub(self.maps.len())..self.layers);
        let names: Vec<String> = if alike && top {
            first.iter().map(|part| part.rsplit('.').next().unwrap_or(part).to_owned()).collect()
        } else {
            let of_layer = |(layer, maps): (&usize, &BTreeSet<String>)| -> Vec<String> {
                maps.iter().map(|part| format!("model.layers.{layer}.{part}")).collect()
            };
            self.maps.iter().flat_map(of_layer).collect()
        };
        let mut lines = format!("r = {}\nalpha = {:?}\n", self.rank, self.alpha);
        if self.rslora {
            lines += "rslora = true\n";
        }
        lines += &format!("target_modules = {names:?}\n");
        if alike && top && self.maps.len() < self.layers {
            lines += &format!("layers = \"top:{}\"\n", self.maps.len());
        }
        lines
    }
}

#[cfg(test)]
mod tests;
