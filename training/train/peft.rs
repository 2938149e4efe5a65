//! A flat adapter in, the two files of a PEFT folder out, and back: adapter_config.json and adapter_model.safetensors,
//! as bytes. The same adapter gives the same bytes: no dates, no machine. Reads and writes no file.

use std::collections::{BTreeMap, HashMap};

use half::f16;
use safetensors::{Dtype, SafeTensors, tensor::TensorView};
use serde_json::{Value, json};

use super::error::{Result, TrainError};
use super::lora::{Layout, LoraOptions, Site};
use super::shape::{Module, Shape};

/// The files of a PEFT folder.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PeftFiles {
    /// adapter_config.json.
    pub config: Vec<u8>,
    /// adapter_model.safetensors.
    pub weights: Vec<u8>,
}

/// Writes an adapter. `base` is the name that PEFT shows for the base model.
pub fn write(
    shape: &Shape,
    options: &LoraOptions,
    layout: &Layout,
    flat: &[f32],
    base: &str,
) -> Result<PeftFiles> {
    layout.check("the adapter", flat.len())?;
    let mut parts = Vec::new();
    for site in &layout.sites {
        let a = (site.a.clone(), [layout.rank, site.input], 'A');
        let b = (site.b.clone(), [site.output, layout.rank], 'B');
        for (range, sizes, factor) in [a, b] {
            let values = flat.get(range).unwrap_or_default();
            let bytes: Vec<u8> = values.iter().flat_map(|v| v.to_le_bytes()).collect();
            parts.push((name(site, factor), sizes, bytes));
        }
    }
    let failed = |e: safetensors::SafeTensorError| TrainError::value("the adapter", e, "a safetensors file");
    let mut views = Vec::new();
    for (name, sizes, bytes) in &parts {
        let view = TensorView::new(Dtype::F32, sizes.to_vec(), bytes).map_err(failed)?;
        views.push((name.as_str(), view));
    }
    let metadata = HashMap::from([("format".to_owned(), "pt".to_owned())]);
    let weights = safetensors::serialize(views, Some(metadata)).map_err(failed)?;
    let mut config = serde_json::to_vec_pretty(&config(shape, options, layout, base))
        .map_err(|e| TrainError::value("the adapter's configuration", e, "JSON"))?;
    config.push(b'\n');
    Ok(PeftFiles { config, weights })
}

/// Reads an adapter that must have exactly this layout: rank, scaling and names. That it is a plain LoRA with finite numbers is
/// known to the caller.
pub fn read(layout: &Layout, config: &[u8], weights: &[u8]) -> Result<Vec<f32>> {
    check_config(layout, config)?;
    let file = SafeTensors::deserialize(weights)
        .map_err(|e| TrainError::value("adapter_model.safetensors", e, "a safetensors file"))?;
    let mut left: BTreeMap<String, TensorView<'_>> = file.tensors().into_iter().collect();
    let mut flat = vec![0.0; layout.length];
    for site in &layout.sites {
        let a = (&site.a, [layout.rank, site.input], 'A');
        let b = (&site.b, [site.output, layout.rank], 'B');
        for (range, sizes, factor) in [a, b] {
            let name = name(site, factor);
            let wrong = |reason: String| TrainError::Weight { name: name.clone(), reason };
            let view = left.remove(&name).ok_or_else(|| wrong("it is not in the adapter".into()))?;
            if view.shape() != sizes {
                return Err(wrong(format!("its sizes are {:?}; expected {sizes:?}", view.shape())));
            }
            let values = decode(&view).ok_or_else(|| {
                wrong(format!("its values are {:?}; expected F32, F16 or BF16", view.dtype()))
            })?;
            for (into, value) in flat.get_mut(range.clone()).unwrap_or_default().iter_mut().zip(values) {
                *into = value;
            }
        }
    }
    match left.into_keys().next() {
        Some(name) => Err(TrainError::Weight { name, reason: "no such part is in this layout".into() }),
        None => Ok(flat),
    }
}

fn name(site: &Site, factor: char) -> String {
    format!("base_model.model.{}.lora_{factor}.weight", site.module.path(site.layer))
}

fn config(shape: &Shape, options: &LoraOptions, layout: &Layout, base: &str) -> Value {
    let mut by_layer: BTreeMap<usize, Vec<Module>> = BTreeMap::new();
    for site in &layout.sites {
        by_layer.entry(site.layer).or_default().push(site.module);
    }
    // Short names where all layers are alike; else the full name of each map.
    let first = by_layer.values().next().cloned().unwrap_or_default();
    let alike = by_layer.values().all(|modules| *modules == first);
    let targets: Vec<String> = if alike {
        first.into_iter().map(|module| module.name().to_owned()).collect()
    } else {
        layout.sites.iter().map(|site| site.module.path(site.layer)).collect()
    };
    let some_layers = alike && by_layer.len() < shape.layers;
    let alpha = if options.alpha.fract() == 0.0 {
        // 64.0 is written as 64, as PEFT does.
        format!("{:.0}", options.alpha).parse::<i64>().map_or(json!(options.alpha), |whole| json!(whole))
    } else {
        json!(options.alpha)
    };
    json!({
        "peft_type": "LORA",
        "task_type": "CAUSAL_LM",
        "base_model_name_or_path": base,
        "revision": null,
        "inference_mode": true,
        "r": options.r,
        "lora_alpha": alpha,
        "lora_dropout": options.dropout,
        "use_rslora": options.rslora,
        "use_dora": false,
        "target_modules": targets,
        "layers_to_transform": some_layers.then(|| by_layer.keys().collect::<Vec<_>>()),
        "layers_pattern": null,
        "rank_pattern": {},
        "alpha_pattern": {},
        "modules_to_save": null,
        "bias": "none",
        "fan_in_fan_out": false,
        "init_lora_weights": true,
    })
}

fn check_config(layout: &Layout, bytes: &[u8]) -> Result<()> {
    let wrong = |what: &str, found: String, expected: String| {
        TrainError::value(format!("{what} in adapter_config.json"), found, expected)
    };
    let config: Value =
        serde_json::from_slice(bytes).map_err(|e| wrong("the text", e.to_string(), "JSON".into()))?;
    let get = |key: &str| config.get(key).cloned().unwrap_or(Value::Null);
    let rank = get("r").as_u64().unwrap_or(0);
    if rank != layout.rank as u64 {
        return Err(wrong("r", get("r").to_string(), layout.rank.to_string()));
    }
    let alpha = get("lora_alpha").as_f64().unwrap_or(0.0);
    let root = if get("use_rslora") == true { (rank as f64).sqrt() } else { rank as f64 };
    if (alpha / root - layout.scaling).abs() > 1e-9 * layout.scaling {
        let expected = format!("the scaling {}", layout.scaling);
        return Err(wrong("lora_alpha and use_rslora", format!("the scaling {}", alpha / root), expected));
    }
    Ok(())
}

fn decode(view: &TensorView<'_>) -> Option<Vec<f32>> {
    let bytes = view.data();
    let halves = || bytes.as_chunks::<2>().0.iter().map(|b| u16::from_le_bytes(*b));
    match view.dtype() {
        Dtype::F32 => Some(bytes.as_chunks::<4>().0.iter().map(|b| f32::from_le_bytes(*b)).collect()),
        Dtype::BF16 => Some(halves().map(|h| f32::from_bits(u32::from(h) << 16)).collect()),
        Dtype::F16 => Some(halves().map(|h| f16::from_bits(h).to_f32()).collect()),
        _ => None,
    }
}
