//! The last eight layers with the lower ones' output kept, against all layers, on SmolLM2-135M: CPU seconds of training
//! until held-out perplexity is as low. One learning rate for both ways would favour one of them: each takes its best
//! of three. Evaluation is not counted. What it reads is made by smollm2_prepare.py and smollm2_texts.py.
//! Usage: bench_top FOLDER TEXTS.json [all-linear | qv] [steps]

mod smollm2;

use std::error::Error;
use std::time::Duration;

use headwater_training::train::base::{Base, one_thread_a_lane};
use headwater_training::train::batch::Example;
use headwater_training::train::lora::{Layers, Layout, LoraOptions, Method, Targets};
use headwater_training::train::trainer::{Member, TrainOptions, Trainer};
use serde_json::Value;
use smollm2::{Anything, chance, cpu, open};

/// Steps between measurements of the held-out perplexity.
const POLL_INTERVAL: u64 = 4;
const BATCH: usize = 4;

struct Way {
    name: &'static str,
    layers: Layers,
    cache_prefix: Option<usize>,
}

struct Texts {
    train: Vec<Vec<u32>>,
    heldout: Vec<Vec<u32>>,
}

fn read(path: &str) -> Anything<Vec<(String, Texts)>> {
    let all: serde_json::Map<String, Value> = serde_json::from_slice(&std::fs::read(path)?)?;
    let part = |texts: &Value, split: &str| -> Anything<Vec<Vec<u32>>> {
        Ok(serde_json::from_value(texts.get(split).ok_or("no such split")?.clone())?)
    };
    let one = |(device, texts): (&String, &Value)| {
        Ok((device.clone(), Texts { train: part(texts, "train")?, heldout: part(texts, "heldout")? }))
    };
    all.iter().map(one).collect()
}

/// (step, CPU seconds of training, held-out perplexity).
fn curve(
    base: &Base,
    way: &Way,
    targets: &Targets,
    rate: f64,
    steps: u64,
    texts: &Texts,
) -> Anything<Vec<(u64, f64, f64)>> {
    let (targets, layers) = (targets.clone(), way.layers);
    let lora = LoraOptions { r: 8, alpha: 16.0, rslora: false, dropout: 0.0, targets, layers };
    let layout = Layout::new(base.shape(), &lora)?;
    let start = layout.init(1);
    let examples: Vec<_> = texts.train.iter().chain(&texts.heldout).cloned().map(Example::plain).collect();
    let member = Member { key: 1, start: &start, examples: &examples };
    let options = TrainOptions {
        method: Method::Both,
        rate,
        steps,
        cache_prefix: way.cache_prefix,
        ..TrainOptions::default()
    };
    let mut trainer = Trainer::new(base, &layout, &options, 0, &[member])?;
    let of_train = texts.train.len();
    let heldout: Vec<usize> = (of_train..examples.len()).collect();
    let heldout: Vec<_> = heldout.chunks(8).map(|places| vec![places.to_vec()]).collect();
    let mut order = Vec::new();
    let (mut spent, mut found) = (Duration::ZERO, Vec::new());
    for step in 0..=steps {
        if step % POLL_INTERVAL == 0 {
            let losses = trainer.losses(&heldout)?;
            let (loss, _) = losses.first().copied().ok_or("no loss")?;
            found.push((step, spent.as_secs_f64(), loss.exp()));
        }
        if order.len() < BATCH {
            order = chance(step).order(of_train);
        }
        let places = order.split_off(order.len() - BATCH);
        let before = cpu();
        trainer.step(&[vec![places]])?;
        spent += cpu() - before;
    }
    Ok(found)
}

fn main() -> Result<(), Box<dyn Error>> {
    one_thread_a_lane();
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let word = |at: usize, or: &'static str| arguments.get(at).map_or(or, String::as_str).to_owned();
    let base = open(&word(0, "smollm2"), "stored")?;
    let all_texts = read(&word(1, "texts.json"))?;
    let targets = match word(2, "all-linear").as_str() {
        "qv" => Targets::Names(vec!["q_proj".into(), "v_proj".into()]),
        _ => Targets::AllLinear,
    };
    let steps: u64 = word(3, "48").parse()?;
    let ways = [
        Way { name: "all layers", layers: Layers::All, cache_prefix: None },
        Way { name: "top:8, kept", layers: Layers::Top(8), cache_prefix: Some(1 << 28) },
    ];
    for (device, texts) in &all_texts {
        let mut best = Vec::new();
        for way in &ways {
            let mut curves = Vec::new();
            for rate in [2e-3, 5e-3, 1e-2] {
                let points = curve(&base, way, &targets, rate, steps, texts)?;
                let words: Vec<_> = points.iter().map(|(_, s, p)| format!("{s:.1}s {p:.2}")).collect();
                println!("{device} {:12} rate {rate}: {}", way.name, words.join(", "));
                curves.push(points);
            }
            best.push(curves);
        }
        let lowest = |curves: &[Vec<(u64, f64, f64)>]| {
            curves.iter().flatten().map(|(_, _, p)| *p).fold(f64::INFINITY, f64::min)
        };
        // The lowest that both ways reach, and points on the way there.
        let floor = best.iter().map(|curves| lowest(curves)).fold(0.0, f64::max);
        for goal in [floor * 3.0, floor * 2.0, floor * 1.5, floor * 1.2, floor] {
            let seconds = |curves: &Vec<Vec<(u64, f64, f64)>>| {
                let there = curves.iter().filter_map(|points| points.iter().find(|(_, _, p)| *p <= goal));
                there.map(|(_, s, _)| *s).fold(f64::INFINITY, f64::min)
            };
            if let [all, top] = best.iter().map(seconds).collect::<Vec<_>>()[..] {
                println!(
                    "{device} to perplexity {goal:6.2}: all layers {all:6.1} s, top:8 {top:6.1} s of CPU: {:.2}",
                    top / all
                );
            }
        }
    }
    Ok(())
}
