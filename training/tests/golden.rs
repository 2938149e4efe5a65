//! Loss trajectories against PEFT and PyTorch: tests/golden/golden_peft.py made the numbers.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss
)]

mod setting;

use headwater_training::train::base::{Base, one_thread_a_lane};
use headwater_training::train::peft;
use headwater_training::train::trainer::{Member, TrainOptions, Trainer};
use setting::{Case, cases};

fn trajectory(case: &Case, base: &Base, options: &TrainOptions) -> Vec<f64> {
    let member = Member { key: 1, start: &case.start, examples: &case.examples };
    let mut trainer = Trainer::new(base, &case.layout, options, case.round, &[member]).unwrap();
    let step = |batches: &Vec<Vec<usize>>| {
        let joined: Vec<_> = batches.iter().map(|b| vec![b.clone()]).collect();
        trainer.step(&joined).unwrap()[0].unwrap()
    };
    case.steps.iter().map(step).collect()
}

fn gap(found: &[f64], expected: &[f64]) -> f64 {
    assert_eq!(found.len(), expected.len());
    found.iter().zip(expected).map(|(f, e)| (f - e).abs()).fold(0.0, f64::max)
}

#[test]
fn trajectories_are_those_of_peft() {
    one_thread_a_lane();
    for (case, base) in cases() {
        for (checkpoint, cache_prefix) in
            [(false, None), (true, None), (false, Some(1 << 20)), (true, Some(2000))]
        {
            let options = TrainOptions { checkpoint, cache_prefix, ..case.options.clone() };
            let gap = gap(&trajectory(&case, &base, &options), &case.losses);
            println!("{} checkpoint {checkpoint} cache {cache_prefix:?}: largest gap {gap:.1e}", case.name);
            assert!(gap < 1e-4, "{}: {gap}", case.name);
        }
    }
}

#[test]
fn an_adapter_comes_back_from_its_files_and_they_are_always_the_same() {
    for (case, _) in cases() {
        let write = || peft::write(&case.shape, &case.lora, &case.layout, &case.start, "a-base").unwrap();
        let files = write();
        assert_eq!(files, write());
        assert_eq!(peft::read(&case.layout, &files.config, &files.weights).unwrap(), case.start);
    }
}

#[test]
fn an_adapter_of_another_shape_is_refused_by_name() {
    let all = cases();
    let (one, other) = (&all[0].0, &all[3].0);
    let files = peft::write(&one.shape, &one.lora, &one.layout, &one.start, "a-base").unwrap();
    let error = peft::read(&other.layout, &files.config, &files.weights).unwrap_err().to_string();
    assert!(error.contains("r in adapter_config.json is 4; expected 2"), "{error}");
    let config = String::from_utf8(files.config).unwrap();
    {
        let (from, to, expected) = (
            "\"use_rslora\": false",
            "\"use_rslora\": true",
            "lora_alpha and use_rslora in adapter_config.json is the scaling 4",
        );
        let wrong = config.replace(from, to);
        assert_ne!(wrong, config);
        let error = peft::read(&one.layout, wrong.as_bytes(), &files.weights).unwrap_err().to_string();
        assert!(error.contains(expected), "{error}");
    }
}

/// Leaves trained adapters in target/tmp for `golden_peft.py check target/tmp`, which loads them with PEFT.
#[test]
fn a_trained_adapter_is_written_for_peft() {
    one_thread_a_lane();
    for (case, base) in cases() {
        let member = Member { key: 1, start: &case.start, examples: &case.examples };
        let mut trainer = Trainer::new(&base, &case.layout, &case.options, case.round, &[member]).unwrap();
        for batches in &case.steps {
            trainer.step(&batches.iter().map(|b| vec![b.clone()]).collect::<Vec<_>>()).unwrap();
        }
        let all: Vec<usize> = (0..case.examples.len()).collect();
        let (loss, _) = trainer.losses(&[vec![all]]).unwrap()[0];
        let flat = trainer.adapters()[0].unwrap();
        let files = peft::write(&case.shape, &case.lora, &case.layout, flat, "a-base").unwrap();
        assert_eq!(peft::read(&case.layout, &files.config, &files.weights).unwrap(), flat, "{}", case.name);
        assert_ne!(flat, case.start, "{}: the steps moved nothing", case.name);
        assert!(loss.is_finite() && loss > 0.0, "{}: {loss}", case.name);
        let folder = std::path::Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("peft-{}", case.name));
        std::fs::create_dir_all(&folder).unwrap();
        std::fs::write(folder.join("adapter_config.json"), files.config).unwrap();
        std::fs::write(folder.join("adapter_model.safetensors"), files.weights).unwrap();
        std::fs::write(folder.join("loss"), loss.to_string()).unwrap();
    }
}
