//! One device on SmolLM2-135M, LoRA r=8 on queries and values: memory and tokens a CPU second. What it reads is made by
//! smollm2_prepare.py. Usage: bench_smollm2 FOLDER [storage: f32 | bf16 | stored] [checkpoint] [B] [T] [steps]

mod smollm2;

use std::error::Error;

use headwater_training::train::base::one_thread_a_lane;
use headwater_training::train::lora::{Layers, Method};
use headwater_training::train::trainer::{Member, TrainOptions, Trainer};
use smollm2::{cpu, lora, open, peak, texts};

fn main() -> Result<(), Box<dyn Error>> {
    one_thread_a_lane();
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let word = |at: usize, or: &'static str| arguments.get(at).map_or(or, String::as_str).to_owned();
    let base = open(&word(0, "smollm2"), &word(1, "stored"))?;
    let loaded = peak()?;
    let checkpoint = word(2, "no") == "checkpoint";
    let (b, t, steps): (usize, usize, u32) =
        (word(3, "4").parse()?, word(4, "256").parse()?, word(5, "4").parse()?);
    let layout = lora(base.shape(), Layers::All)?;
    let start = layout.init(1);
    let examples = texts(base.shape(), 0, b, t)?;
    let member = Member { key: 1, start: &start, examples: &examples };
    let options = TrainOptions { method: Method::Both, checkpoint, ..TrainOptions::default() };
    let mut trainer = Trainer::new(&base, &layout, &options, 0, &[member])?;
    let places = vec![vec![(0..b).collect()]];
    let mut losses = vec![trainer.step(&places)?];
    let before = cpu();
    for _ in 0..steps {
        losses.push(trainer.step(&places)?);
    }
    let seconds = (cpu() - before).as_secs_f64() / f64::from(steps);
    println!(
        "ours {:7} checkpoint {checkpoint:5} B={b} T={t}: {:7.1} tokens a CPU second ({seconds:.2} s a step), peak {:.0} MB \
         ({loaded:.0} after loading), losses {:.4?}",
        word(1, "stored"),
        (b * t) as f64 / seconds,
        peak()?,
        losses.into_iter().flatten().flatten().collect::<Vec<_>>()
    );
    Ok(())
}
