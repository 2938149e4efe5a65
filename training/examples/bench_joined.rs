//! Joined step against one by one: CPU seconds a step for a group of devices on a model of slm-nano's shape
//! and random weights (a step's time does not depend on them), or on SmolLM2-135M as smollm2_prepare.py leaves it; AdamW,
//! A and B. bench_peft.py does the same work. Usage: bench_joined [devices] [model: nano | small | FOLDER[:f32 | :stored]] [tokens of a pass]

mod smollm2;

use std::error::Error;
use std::time::Duration;

use headwater_training::train::base::{Base, Weights, one_thread_a_lane};
use headwater_training::train::batch::Example;
use headwater_training::train::chance::{Chance, Purpose};
use headwater_training::train::lora::{Layers, Layout, LoraOptions, Method, Targets};
use headwater_training::train::shape::{Module, Scaling, Shape};
use headwater_training::train::stored::{Storage, Stored};
use headwater_training::train::trainer::{Member, TrainOptions, Trainer};
use smollm2::cpu;

struct Random(Shape);

impl Weights for Random {
    fn tensor(&self, name: &str) -> Result<Stored, String> {
        let shape = &self.0;
        let sizes = if name.contains("norm") {
            vec![shape.hidden]
        } else if let Some(module) = Module::ALL.into_iter().find(|m| name.contains(m.name())) {
            let (input, output) = module.widths(shape);
            vec![output, input]
        } else {
            vec![shape.vocabulary, shape.hidden]
        };
        let chance = Chance::new(Purpose::Init, &[name.len() as u64]);
        let scale = if name.contains("norm") { 0.0 } else { 2.0 * (shape.hidden as f64).powf(-0.5) };
        let offset = if name.contains("norm") { 1.0 } else { 0.0 };
        #[allow(clippy::cast_possible_truncation)]
        let value = |i: u64| ((chance.uniform(i) - 0.5) * scale + offset) as f32;
        let count = sizes.iter().product::<i64>().unsigned_abs();
        Ok(Stored::f32(sizes, &(0..count).map(value).collect::<Vec<_>>()))
    }
}

fn random(vocabulary: i64, hidden: i64, intermediate: i64, layers: usize) -> smollm2::Anything<Base> {
    let shape = Shape {
        vocabulary,
        hidden,
        intermediate,
        layers,
        heads: 4,
        kv_heads: 2,
        head_dim: hidden / 4,
        norm_eps: 1e-5,
        rope_theta: 1e4,
        rope_scaling: Scaling::Default,
        tied: true,
        qkv_bias: false,
    };
    Ok(Base::load(&shape, &Random(shape.clone()), Storage::F32)?)
}

fn main() -> Result<(), Box<dyn Error>> {
    one_thread_a_lane();
    let mut arguments = std::env::args().skip(1);
    let devices: usize = arguments.next().map_or(Ok(16), |n| n.parse())?;
    let model = arguments.next().unwrap_or_default();
    let tile: Option<usize> = arguments.next().map(|n| n.parse()).transpose()?;
    let base = match model.as_str() {
        "" | "nano" => random(2048, 160, 432, 6)?,
        "small" => random(8192, 256, 704, 8)?,
        folder => {
            let (folder, storage) = folder.rsplit_once(':').unwrap_or((folder, "stored"));
            smollm2::open(folder, storage)?
        }
    };
    let shape = base.shape().clone();
    let (vocabulary, repeats) = (shape.vocabulary, if shape.layers > 8 { 3 } else { 8 });
    let query_value = || Targets::Names(vec!["q_proj".into(), "v_proj".into()]);
    for (names, targets, layers, checkpoint, cache_prefix) in [
        ("q,v", query_value(), Layers::All, false, None),
        ("all-linear", Targets::AllLinear, Layers::All, false, None),
        ("all-linear, checkpointed", Targets::AllLinear, Layers::All, true, None),
        ("all-linear, top:2", Targets::AllLinear, Layers::Top(2), false, None),
        ("all-linear, top:2, cached", Targets::AllLinear, Layers::Top(2), false, Some(1 << 26)),
    ] {
        let lora = LoraOptions { r: 8, alpha: 16.0, rslora: false, dropout: 0.0, targets, layers };
        let layout = Layout::new(&shape, &lora)?;
        let start = layout.init(1);
        for (b, t) in [(2usize, 48usize), (1, 24)] {
            let chance = Chance::new(Purpose::Order, &[9]);
            let text = |n: u64| {
                let token = |i: u64| u32::try_from(chance.bits(n * 1000 + i) % vocabulary.unsigned_abs());
                (0..t as u64).map(token).collect::<Result<Vec<_>, _>>().map(Example::plain)
            };
            let texts = (0..devices as u64)
                .map(|d| (0..b as u64).map(|i| text(d * 10 + i)).collect::<Result<Vec<_>, _>>())
                .collect::<Result<Vec<_>, _>>()?;
            let members: Vec<_> =
                (0..).zip(&texts).map(|(key, examples)| Member { key, start: &start, examples }).collect();
            let options = TrainOptions {
                method: Method::Both,
                steps: 1000,
                checkpoint,
                cache_prefix,
                tile: tile.unwrap_or(TrainOptions::default().tile),
                ..TrainOptions::default()
            };
            let places: Vec<usize> = (0..b).collect();
            let mut joined = Trainer::new(&base, &layout, &options, 0, &members)?;
            let mut alone = members
                .iter()
                .map(|m| Trainer::new(&base, &layout, &options, 0, std::slice::from_ref(m)))
                .collect::<Result<Vec<_>, _>>()?;
            let (mut together, mut apart, mut gap) = (Duration::MAX, Duration::MAX, 0.0f64);
            for _ in 0..repeats {
                let start = cpu();
                let one = joined.step(&[vec![places.clone(); devices]])?;
                if one.iter().any(Option::is_none) {
                    return Err("a device was dropped".into());
                }
                together = together.min(cpu() - start);
                let start = cpu();
                let mut other = Vec::new();
                for trainer in &mut alone {
                    other.extend(trainer.step(&[vec![places.clone()]])?);
                }
                apart = apart.min(cpu() - start);
                for (a, b) in one.into_iter().flatten().zip(other.into_iter().flatten()) {
                    gap = gap.max((a - b).abs() / b);
                }
            }
            println!(
                "{names:25} D={devices} B={b} T={t}: joined {:7.1} ms, one by one {:7.1} ms of CPU: {:.2} times; \
                 losses differ by {gap:.0e}",
                together.as_secs_f64() * 1e3,
                apart.as_secs_f64() * 1e3,
                apart.as_secs_f64() / together.as_secs_f64()
            );
        }
    }
    Ok(())
}
