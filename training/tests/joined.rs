//! Devices trained together against each alone; the same bytes each time; a device that fails, alone.
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
use headwater_training::train::batch::Example;
use headwater_training::train::lora::{Layout, LoraOptions, Method};
use headwater_training::train::round;
use headwater_training::train::trainer::{DroppedUpdate, Member, TrainOptions, Trainer};
use setting::{Case, cases};

/// Texts of a device: parts of the case's, of different number and length.
fn texts(case: &Case, device: usize) -> Vec<Example> {
    let own = |(i, e): (usize, &Example)| {
        let keep = e.tokens.len() - (i + device) % 4;
        Example { tokens: e.tokens[..keep].to_vec(), weights: e.weights[..keep].to_vec() }
    };
    case.examples.iter().enumerate().skip(device % 3).take(5 + device % 4).map(own).collect()
}

fn starts(case: &Case, devices: usize) -> Vec<Vec<f32>> {
    // B is not zero: each device starts elsewhere.
    let start = |device: usize| {
        let shift = |(i, v): (usize, &f32)| v + 0.02 * (((i * 7 + device * 13) % 11) as f32 - 5.0);
        case.start.iter().enumerate().map(shift).collect()
    };
    (0..devices).map(start).collect()
}

fn members<'a>(starts: &'a [Vec<f32>], texts: &'a [Vec<Example>]) -> Vec<Member<'a>> {
    let each = (10..).zip(starts.iter().zip(texts));
    each.map(|(key, (start, examples))| Member { key, start, examples }).collect()
}

fn options(case: &Case) -> TrainOptions {
    TrainOptions { batch: 2, accumulation: 2, steps: 20, warm_up: 0, ..case.options.clone() }
}

fn relative(a: f64, b: f64) -> f64 {
    (a - b).abs() / b.abs().max(1e-9)
}

#[test]
fn joined_gradients_are_those_of_training_alone() {
    one_thread_a_lane();
    for (case, base) in cases() {
        let layout = Layout { dropout: 0.3, ..case.layout.clone() };
        let mut worst = 0.0f32;
        let starts = starts(&case, 5);
        let texts: Vec<_> = (0..5).map(|d| texts(&case, d)).collect();
        let members = members(&starts, &texts);
        // One step of plain descent at rate 1: what the adapter moves by is the gradient.
        let rule = headwater_training::train::optimiser::Rule::Sgd { momentum: 0.0, weight_decay: 0.0 };
        let options = TrainOptions { rule, rate: 1.0, clip: None, warm_up: 0, ..case.options.clone() };
        let batches = |places: &[usize]| -> Vec<Vec<Vec<usize>>> {
            vec![places.iter().map(|d| vec![d % 2, 2]).collect(), places.iter().map(|_| vec![1]).collect()]
        };
        let run = |members: &[Member<'_>], places: &[usize]| -> Vec<Vec<f32>> {
            let mut trainer = Trainer::new(&base, &layout, &options, case.round, members).unwrap();
            trainer.step(&batches(places)).unwrap();
            let adapters = trainer.adapters();
            let moved = adapters.into_iter().zip(members);
            moved.map(|(a, m)| a.unwrap().iter().zip(m.start).map(|(n, o)| n - o).collect()).collect()
        };
        let together = run(&members, &[0, 1, 2, 3, 4]);
        for (d, joined) in together.iter().enumerate() {
            let alone = &run(&members[d..=d], &[d])[0];
            let largest = alone.iter().map(|g| g.abs()).fold(0.0, f32::max);
            let gap = joined.iter().zip(alone).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max) / largest;
            worst = worst.max(gap);
            assert!(largest > 0.0 && gap < 1e-5, "{} device {d}: gap {gap} of {largest}", case.name);
        }
        println!("{}: largest gap {worst:.1e} of the largest gradient", case.name);
    }
}

#[test]
fn joined_losses_are_those_of_training_alone_after_twenty_steps() {
    one_thread_a_lane();
    for (case, base) in cases() {
        let starts = starts(&case, 4);
        let texts: Vec<_> = (0..4).map(|d| texts(&case, d)).collect();
        let members = members(&starts, &texts);
        let options = options(&case);
        let together = round::train(&base, &case.layout, &options, case.round, &members).unwrap();
        let mut worst = 0.0f64;
        for (d, joined) in together.iter().enumerate() {
            let alone = round::train(&base, &case.layout, &options, case.round, &members[d..=d]).unwrap();
            let (joined, alone) = (joined.as_ref().unwrap(), alone[0].as_ref().unwrap());
            let ((before, after), (_, alone)) = (joined.losses.unwrap(), alone.losses.unwrap());
            let gap = relative(after, alone);
            worst = worst.max(gap);
            assert!(gap < 1e-4, "{} device {d}: {after} against {alone}", case.name);
            assert!(after < before, "{} device {d} learned nothing", case.name);
        }
        println!("{}: largest gap {worst:.1e} of the loss after 20 steps", case.name);
    }
}

#[test]
fn a_round_gives_the_same_bytes_each_time_and_on_any_thread() {
    let (case, base) = cases().swap_remove(0);
    let layout = &Layout { dropout: 0.1, ..case.layout.clone() };
    let starts = starts(&case, 3);
    let texts: Vec<_> = (0..3).map(|d| texts(&case, d)).collect();
    let options = TrainOptions { steps: 4, cache_prefix: Some(1 << 20), ..options(&case) };
    let run = |base: &Base| {
        one_thread_a_lane();
        round::train(base, layout, &options, 2, &members(&starts, &texts)).unwrap()
    };
    let first = run(&base);
    assert_eq!(first, run(&base));
    let other = base.share();
    let elsewhere = std::thread::scope(|scope| {
        let (starts, texts, options) = (&starts, &texts, &options);
        let lane = scope.spawn(move || {
            one_thread_a_lane();
            round::train(&other, layout, options, 2, &members(starts, texts)).unwrap()
        });
        lane.join().unwrap()
    });
    assert_eq!(first, elsewhere);
}

#[test]
fn a_device_that_is_not_a_number_is_dropped_and_the_others_go_on() {
    one_thread_a_lane();
    let (case, base) = cases().swap_remove(0);
    let healthy = starts(&case, 3);
    let texts: Vec<_> = (0..3).map(|d| texts(&case, d)).collect();
    let options = TrainOptions { steps: 3, ..options(&case) };
    let run = |starts: &[Vec<f32>]| {
        round::train(&base, &case.layout, &options, 0, &members(starts, &texts)).unwrap()
    };
    let good = run(&healthy);
    for bad in [f32::NAN, f32::INFINITY, 1e30] {
        let mut starts = healthy.clone();
        starts[1].fill(bad);
        let found = run(&starts);
        assert_eq!(found[1], Err(DroppedUpdate { step: 0, what: "loss" }), "{bad}");
        assert_eq!([&found[0], &found[2]], [&good[0], &good[2]], "{bad}");
    }
}

#[test]
fn a_round_trains_its_factors_alone() {
    let (case, base) = cases().swap_remove(0);
    let layout = Layout::new(&case.shape, &LoraOptions { r: 2, ..case.lora.clone() }).unwrap();
    let starts = vec![layout.init(5), layout.init(5)];
    let texts: Vec<_> = (0..2).map(|d| texts(&case, d)).collect();
    for (method, round, a, b) in [
        (Method::RoLora, 0, false, true),
        (Method::Ffa, 1, false, true),
        // In the first round of `both`, B is zero until the first step: A moves from the second on.
        (Method::Both, 0, true, true),
    ] {
        let options = TrainOptions { method, steps: 3, ..options(&case) };
        for update in round::train(&base, &layout, &options, round, &members(&starts, &texts)).unwrap() {
            let delta = update.unwrap().delta;
            for site in &layout.sites {
                let moved = |r: &std::ops::Range<usize>| delta[r.clone()].iter().any(|d| *d != 0.0);
                assert_eq!((moved(&site.a), moved(&site.b)), (a, b), "{method:?} {site:?}");
            }
        }
    }
}

#[test]
fn a_device_with_fewer_texts_or_none_keeps_its_place() {
    let (case, base) = cases().swap_remove(0);
    let starts = starts(&case, 3);
    let texts = vec![texts(&case, 0), Vec::new(), texts(&case, 2)[..1].to_vec()];
    let options = TrainOptions { steps: 3, ..options(&case) };
    let found = round::train(&base, &case.layout, &options, 0, &members(&starts, &texts)).unwrap();
    let none = found[1].as_ref().unwrap();
    assert!(none.examples == 0 && none.delta.iter().all(|d| *d == 0.0));
    assert!(found[2].as_ref().unwrap().delta.iter().any(|d| *d != 0.0));
}

#[test]
fn the_nats_of_each_text_are_those_it_has_alone() {
    one_thread_a_lane();
    for (case, base) in cases() {
        let (starts, texts) = (starts(&case, 2), texts(&case, 1));
        let longest = texts.iter().map(|e| e.tokens.len()).max().unwrap();
        for tile in [1, longest, 3 * longest, 512] {
            let options = TrainOptions { tile, ..options(&case) };
            let member = Member { key: 1, start: &starts[1], examples: &texts };
            let nats = round::nats(&base, &case.layout, &options, member).unwrap();
            assert_eq!(nats.len(), texts.len());
            for (at, nats) in nats.iter().enumerate() {
                let member = Member { key: 1, start: &starts[1], examples: &texts[at..=at] };
                let (mean, weight) = round::losses(&base, &case.layout, &options, &[member]).unwrap()[0];
                let gap = relative(*nats, mean * weight);
                assert!(gap < 1e-5, "{} text {at}, tile {tile}: {nats} and {}", case.name, mean * weight);
            }
        }
    }
}
