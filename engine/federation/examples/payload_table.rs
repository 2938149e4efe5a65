//! Prints what a value of a payload costs, how far that is from the bounds, what the levels lose, and how fast it goes.
//!
//! `cargo run --release --example payload_table`
//!
//! The bound of positions is log2 C(n, k) / k: no code does better on average when every set of k positions is as likely. Supports
//! are drawn again from a fixed seed: uniform; and clustered, where one row in eight of 512 parameters holds nearly all values.
#![allow(clippy::print_stdout, clippy::cast_possible_truncation)]

use std::error::Error;
use std::time::Instant;

use headwater_federation::compress::payload::{Layout, Values, decode, encode};
use headwater_federation::compress::top_k::{Amount, choose};

const PARAMETERS: u32 = 1_000_000;
const ROW: u32 = 512;

fn main() -> Result<(), Box<dyn Error>> {
    println!(
        "support    tensors density values   | bits/value = position + value  bound  over bound | error of power | encode decode MB/s of f32 (M values/s)"
    );
    for tensors in [1, 56] {
        let layout = layout(tensors)?;
        for (name, clustered) in [("uniform", false), ("clustered", true)] {
            for density in [0.01, 0.001] {
                let positions = support(density, clustered);
                for how in Values::ALL {
                    row(name, &layout, density, &positions, how)?;
                }
            }
        }
    }
    selection()
}

fn layout(tensors: u32) -> Result<Layout, Box<dyn Error>> {
    let each = PARAMETERS / tensors;
    let mut lengths = vec![each; tensors as usize];
    lengths.extend(Some(PARAMETERS - each * tensors).filter(|rest| *rest > 0));
    Layout::new(&lengths).ok_or_else(|| "too many parameters".into())
}

/// A counter-based generator: SplitMix64.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// From 0 to below 1.
    fn unit(&mut self) -> f64 {
        (self.next() >> 11) as f64 / (1_u64 << 53) as f64
    }

    /// Of standard deviation 1: Box and Muller.
    fn normal(&mut self) -> f64 {
        let radius = (-2.0 * (1.0 - self.unit()).ln()).sqrt();
        radius * (std::f64::consts::TAU * self.unit()).cos()
    }
}

fn support(density: f64, clustered: bool) -> Vec<u32> {
    let mut random = Random(7);
    let mut rate = density;
    let mut positions = Vec::new();
    for position in 0..PARAMETERS {
        if clustered && position % ROW == 0 {
            rate = density * if random.unit() < 0.125 { 7.0 } else { 1.0 / 7.0 };
        }
        if random.unit() < rate {
            positions.push(position);
        }
    }
    positions
}

/// log2 C(n, k).
fn log2_choices(n: u32, k: u32) -> f64 {
    (0..k).map(|i| (f64::from(n - i) / f64::from(k - i)).log2()).sum()
}

fn row(
    name: &str,
    layout: &Layout,
    density: f64,
    positions: &[u32],
    how: Values,
) -> Result<(), Box<dyn Error>> {
    let mut random = Random(11);
    // The tail of a normal distribution, as a selection of the largest leaves it.
    let values: Vec<f32> = std::iter::repeat_with(|| random.normal())
        .filter(|value| value.abs() > if density > 0.005 { 2.5 } else { 3.2 })
        .map(|value| value as f32 * 0.003)
        .take(positions.len())
        .collect();
    let payload = encode(layout, positions, &values, how)?;
    let k = positions.len() as f64;
    let bits = payload.bytes.len() as f64 * 8.0 / k;
    let value_bits = f64::from(how.bits());
    let bound = log2_choices(PARAMETERS, u32::try_from(positions.len())?) / k;
    let over = (bits / (bound + value_bits) - 1.0) * 100.0;
    let power: f64 = values.iter().map(|v| f64::from(*v).powi(2)).sum();
    let lost: f64 = values.iter().zip(&payload.values).map(|(v, s)| f64::from(v - s).powi(2)).sum();
    let encoded = seconds(|| encode(layout, positions, &values, how).map(drop))?;
    let decoded = seconds(|| decode(layout, &payload.bytes).map(drop))?;
    let dense = f64::from(PARAMETERS) * 4.0 / 1e6;
    println!(
        "{name:<10} {:>7} {density:<7} {:<8} | {bits:>9.3}  = {:>7.3} + {value_bits:<2}    {:>8.3} {over:>+8.2} % | {:>13.5} | {:>8.0} {:>8.0} ({:.0}, {:.0})",
        layout.lengths().len(),
        format!("{how:?}"),
        bits - value_bits,
        bound + value_bits,
        lost / power,
        dense / encoded,
        dense / decoded,
        k / encoded / 1e6,
        k / decoded / 1e6,
    );
    Ok(())
}

/// The best of some runs.
fn seconds<E>(run: impl Fn() -> Result<(), E>) -> Result<f64, E> {
    let mut best = f64::INFINITY;
    for _ in 0..15 {
        let begun = Instant::now();
        run()?;
        best = best.min(begun.elapsed().as_secs_f64());
    }
    Ok(best)
}

/// The time of choosing, for a density and for a budget of bytes.
fn selection() -> Result<(), Box<dyn Error>> {
    let layout = layout(56)?;
    let mut random = Random(3);
    let values: Vec<f32> = (0..PARAMETERS).map(|_| random.normal() as f32 * 0.003).collect();
    for (name, amount) in [
        ("10,000 values", Amount::Values(10_000)),
        ("16 KiB", Amount::Bytes(16_384)),
        ("4 KiB", Amount::Bytes(4096)),
    ] {
        let positions = choose(&values, amount, &layout, Values::Levels2)?;
        let taken = seconds(|| choose(&values, amount, &layout, Values::Levels2).map(drop))?;
        let kept: Vec<f32> = positions.iter().filter_map(|at| values.get(*at as usize).copied()).collect();
        let bytes = encode(&layout, &positions, &kept, Values::Levels2)?.bytes.len();
        println!("choose {name}: {} values, {bytes} bytes, {:.1} ms", positions.len(), taken * 1e3);
    }
    Ok(())
}
