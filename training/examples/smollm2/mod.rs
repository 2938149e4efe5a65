//! The parts that the benches on SmolLM2 share: its weights as smollm2_prepare.py leaves them, an adapter, texts of chance, the
//! process's time and memory.
#![allow(dead_code)]

use std::collections::HashMap;
use std::error::Error;
use std::time::Duration;

use headwater_dtype::Dtype;
use headwater_training::train::base::{Base, Weights};
use headwater_training::train::batch::Example;
use headwater_training::train::chance::{Chance, Purpose};
use headwater_training::train::lora::{Layers, Layout, LoraOptions, Targets};
use headwater_training::train::shape::{Scaling, Shape};
use headwater_training::train::stored::{Storage, Stored};
use rustix::time::{ClockId, clock_gettime};
use safetensors::SafeTensors;
use serde_json::Value;

pub type Anything<T> = Result<T, Box<dyn Error>>;

struct File {
    bytes: Vec<u8>,
    formats: HashMap<String, String>,
}

impl Weights for File {
    fn tensor(&self, name: &str) -> Result<Stored, String> {
        let file = SafeTensors::deserialize(&self.bytes).map_err(|e| e.to_string())?;
        let view = file.tensor(name).map_err(|e| e.to_string())?;
        let dtype = self.formats.get(name).ok_or("no dtype is given")?;
        let (dtype, sizes): (String, Vec<i64>) = serde_json::from_str(dtype).map_err(|e| e.to_string())?;
        let dtype = match dtype.as_str() {
            "F32" => Dtype::F32,
            "F16" => Dtype::F16,
            "BF16" => Dtype::Bf16,
            "Q8_0" => Dtype::Q8_0,
            "Q4_0" => Dtype::Q4_0,
            "Q4_1" => Dtype::Q4_1,
            other => return Err(format!("its dtype is {other}")),
        };
        Ok(Stored { sizes, dtype, bytes: view.data().to_vec() })
    }
}

/// `storage`: f32, bf16 or stored.
pub fn open(folder: &str, storage: &str) -> Anything<Base> {
    let folder = std::path::Path::new(folder).join("stored");
    let text: Value = serde_json::from_slice(&std::fs::read(folder.join("shape.json"))?)?;
    let number = |key: &str| text.get(key).and_then(Value::as_i64).ok_or(format!("no {key} in shape.json"));
    let real = |key: &str| text.get(key).and_then(Value::as_f64).ok_or(format!("no {key} in shape.json"));
    let shape = Shape {
        vocabulary: number("vocabulary")?,
        hidden: number("hidden")?,
        intermediate: number("intermediate")?,
        layers: usize::try_from(number("layers")?)?,
        heads: number("heads")?,
        kv_heads: number("kv_heads")?,
        head_dim: number("head_dim")?,
        norm_eps: real("norm_eps")?,
        rope_theta: real("rope_theta")?,
        rope_scaling: Scaling::Default,
        tied: text.get("tied").and_then(Value::as_bool).unwrap_or(true),
        qkv_bias: false,
    };
    let bytes = std::fs::read(folder.join("weights.safetensors"))?;
    let (_, metadata) = SafeTensors::read_metadata(&bytes)?;
    let formats = metadata.metadata().clone().unwrap_or_default();
    let storage = match storage {
        "f32" => Storage::F32,
        "bf16" => Storage::Bf16,
        _ => Storage::AsStored,
    };
    Ok(Base::load(&shape, &File { bytes, formats }, storage)?)
}

/// r = 8 on queries and values.
pub fn lora(shape: &Shape, layers: Layers) -> Anything<Layout> {
    let targets = Targets::Names(vec!["q_proj".into(), "v_proj".into()]);
    let options = LoraOptions { r: 8, alpha: 16.0, rslora: false, dropout: 0.0, targets, layers };
    Ok(Layout::new(shape, &options)?)
}

/// `b` texts of `t` tokens: token i of text n of device d is (d * 131 + n * 31 + i * 7) % 997 + 100, in Python as well.
pub fn texts(shape: &Shape, device: usize, b: usize, t: usize) -> Anything<Vec<Example>> {
    let below = usize::try_from(shape.vocabulary)?;
    let token = |n: usize, i: usize| u32::try_from(((device * 131 + n * 31 + i * 7) % 997 + 100) % below);
    let text = |n: usize| (0..t).map(|i| token(n, i)).collect::<Result<Vec<_>, _>>().map(Example::plain);
    Ok((0..b).map(text).collect::<Result<Vec<_>, _>>()?)
}

/// User and system time of this process.
pub fn cpu() -> Duration {
    let time = clock_gettime(ClockId::ProcessCPUTime);
    Duration::new(time.tv_sec.unsigned_abs(), u32::try_from(time.tv_nsec).unwrap_or(0))
}

/// The most memory this process had, in MB (10^6 bytes).
pub fn peak() -> Anything<f64> {
    let text = std::fs::read_to_string("/proc/self/status")?;
    let line = text.lines().find_map(|line| line.strip_prefix("VmHWM:")).ok_or("no VmHWM")?;
    Ok(line.trim().trim_end_matches(" kB").trim().parse::<f64>()? * 1024.0 / 1e6)
}

pub fn chance(seed: u64) -> Chance {
    Chance::new(Purpose::Order, &[seed])
}
