//! Golden cases read into what training takes.
#![allow(dead_code)]

use std::path::PathBuf;

use headwater_dtype::Dtype;
use headwater_training::train::base::{Base, Weights};
use headwater_training::train::batch::Example;
use headwater_training::train::lora::{Layers, Layout, LoraOptions, Method, Targets};
use headwater_training::train::optimiser::Rule;
use headwater_training::train::peft;
use headwater_training::train::schedule::Schedule;
use headwater_training::train::shape::{Scaling, Shape};
use headwater_training::train::stored::{Storage, Stored};
use headwater_training::train::trainer::TrainOptions;
use safetensors::SafeTensors;
use serde_json::Value;

pub fn folder() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/golden")
}

pub struct File(Vec<u8>);

impl File {
    pub fn open(path: PathBuf) -> File {
        File(std::fs::read(path).unwrap())
    }
}

impl Weights for File {
    fn tensor(&self, name: &str) -> Result<Stored, String> {
        let file = SafeTensors::deserialize(&self.0).map_err(|e| e.to_string())?;
        let view = file.tensor(name).map_err(|e| e.to_string())?;
        let sizes = view.shape().iter().map(|s| *s as i64).collect();
        Ok(Stored { sizes, dtype: Dtype::F32, bytes: view.data().to_vec() })
    }
}

pub struct Case {
    pub name: String,
    pub shape: Shape,
    pub lora: LoraOptions,
    pub layout: Layout,
    pub options: TrainOptions,
    pub round: u64,
    pub start: Vec<f32>,
    pub examples: Vec<Example>,
    pub steps: Vec<Vec<Vec<usize>>>,
    pub losses: Vec<f64>,
}

impl Case {
    pub fn base(&self, model: &str) -> Base {
        let file = File::open(folder().join(format!("{model}.safetensors")));
        Base::load(&self.shape, &file, Storage::F32).unwrap()
    }
}

pub fn cases() -> Vec<(Case, Base)> {
    let text = std::fs::read_to_string(folder().join("cases.json")).unwrap();
    let all: Vec<Value> = serde_json::from_str(&text).unwrap();
    all.iter()
        .map(|v| {
            let case = case(v);
            let base = case.base(v["model"].as_str().unwrap());
            (case, base)
        })
        .collect()
}

fn case(v: &Value) -> Case {
    let s = &v["shape"];
    let i = |v: &Value| v.as_i64().unwrap();
    let f = |v: &Value| v.as_f64().unwrap();
    let rope = &s["rope"];
    let shape = Shape {
        vocabulary: i(&s["vocabulary"]),
        hidden: i(&s["hidden"]),
        intermediate: i(&s["intermediate"]),
        layers: i(&s["layers"]) as usize,
        heads: i(&s["heads"]),
        kv_heads: i(&s["kv_heads"]),
        head_dim: i(&s["head_dim"]),
        norm_eps: f(&s["norm_eps"]),
        rope_theta: f(&rope["rope_theta"]),
        rope_scaling: match rope["rope_type"].as_str().unwrap() {
            "linear" => Scaling::Linear { factor: f(&rope["factor"]) },
            "llama3" => Scaling::Llama3 {
                factor: f(&rope["factor"]),
                low: f(&rope["low_freq_factor"]),
                high: f(&rope["high_freq_factor"]),
                original: f(&rope["original_max_position_embeddings"]),
            },
            _ => Scaling::Default,
        },
        tied: s["tied"].as_bool().unwrap(),
        qkv_bias: s["qkv_bias"].as_bool().unwrap(),
    };
    let names = v["targets"].as_array();
    let lora = LoraOptions {
        r: i(&v["r"]),
        alpha: f(&v["alpha"]),
        rslora: v["rslora"].as_bool().unwrap(),
        dropout: 0.0,
        targets: names.map_or(Targets::AllLinear, |all| {
            Targets::Names(all.iter().map(|n| n.as_str().unwrap().to_owned()).collect())
        }),
        layers: match i(&v["top"]) {
            0 => Layers::All,
            top => Layers::Top(top as usize),
        },
    };
    let (kind, o) = v["rule"].as_object().unwrap().iter().next().unwrap();
    let weight_decay = f(&o["weight_decay"]);
    let rule = match kind.as_str() {
        "adamw" => {
            Rule::AdamW { beta1: f(&o["beta1"]), beta2: f(&o["beta2"]), eps: f(&o["eps"]), weight_decay }
        }
        "sgd" => Rule::Sgd { momentum: f(&o["momentum"]), weight_decay },
        "adafactor" => {
            Rule::Adafactor { beta2_decay: f(&o["beta2_decay"]), clip: f(&o["clip"]), weight_decay }
        }
        _ => Rule::Lion { beta1: f(&o["beta1"]), beta2: f(&o["beta2"]), weight_decay },
    };
    let (method, round) = match v["factors"].as_str().unwrap() {
        "AB" => (Method::Both, 0),
        "B" => (Method::Ffa, 0),
        _ => (Method::RoLora, 1),
    };
    let layout = Layout::new(&shape, &lora).unwrap();
    let name = v["name"].as_str().unwrap().to_owned();
    let read = |file: &str| std::fs::read(folder().join(&name).join(file)).unwrap();
    let start =
        peft::read(&layout, &read("adapter_config.json"), &read("adapter_model.safetensors")).unwrap();
    let places = |v: &Value| v.as_array().unwrap().iter().map(|n| i(n) as usize).collect::<Vec<_>>();
    Case {
        options: TrainOptions {
            method,
            rule,
            rate: f(&v["rate"]),
            schedule: match v["schedule"].as_str().unwrap() {
                "cosine" => Schedule::Cosine,
                "linear" => Schedule::Linear,
                _ => Schedule::Constant,
            },
            warm_up: v["warm_up"].as_u64().unwrap(),
            steps: 20,
            clip: v["clip"].as_f64(),
            chunk: 7,
            ..TrainOptions::default()
        },
        examples: v["examples"]
            .as_array()
            .unwrap()
            .iter()
            .map(|e| Example {
                tokens: e["tokens"].as_array().unwrap().iter().map(|t| i(t) as u32).collect(),
                weights: e["weights"].as_array().unwrap().iter().map(|w| f(w) as f32).collect(),
            })
            .collect(),
        steps: v["steps"]
            .as_array()
            .unwrap()
            .iter()
            .map(|s| s.as_array().unwrap().iter().map(places).collect())
            .collect(),
        losses: v["losses"].as_array().unwrap().iter().map(f).collect(),
        name,
        shape,
        lora,
        layout,
        round,
        start,
    }
}
