//! Prints the CPU seconds that one round of aggregation takes: 100 devices, 1,000,000 parameters, dense and with 1 % of the values.
//!
//! `examples/round_numpy.py` runs it, does the same sums in numpy's floats, and prints the ratios.
#![allow(clippy::print_stdout)]

use std::error::Error;

use headwater_federation::aggregate::format::{self, Kind};
use headwater_federation::aggregate::robust::{Trim, median, trimmed_mean};
use headwater_federation::aggregate::root::{Quorum, Root};
use headwater_federation::aggregate::server::{Rule, Server};
use headwater_federation::aggregate::{Examples, Round, Shape, Sum, Values};
use headwater_federation::compress::payload::{self, Layout, decode, encode};

const DEVICES: u64 = 100;
const PARAMETERS: u32 = 1_000_000;

struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    fn value(&mut self) -> f32 {
        ((self.next() >> 40) as f32 / 16_777_216.0 - 0.5) * 0.02
    }
}

fn main() -> Result<(), Box<dyn Error>> {
    let layout = Layout::new(&[PARAMETERS]).ok_or("too many parameters")?;
    let shape = Shape { parameters: PARAMETERS, layout: layout.id() };
    let mut random = Random(99);
    let dense: Vec<Vec<f32>> =
        (0..DEVICES).map(|_| (0..PARAMETERS).map(|_| random.value()).collect()).collect();
    let mut payloads = Vec::new();
    for _ in 0..DEVICES {
        let positions: Vec<u32> = (0..PARAMETERS).filter(|_| random.next().is_multiple_of(100)).collect();
        let values: Vec<f32> = positions.iter().map(|_| random.value()).collect();
        payloads.push(encode(&layout, &positions, &values, payload::Values::Levels2)?.bytes);
    }

    let sum = timed("dense: add 100 updates", || {
        let mut sum = Sum::empty(Round(1), shape);
        for (examples, update) in (1..).zip(&dense) {
            sum.add(Values::Dense(update), Examples::new(examples)?)?;
        }
        Ok(sum)
    })?;
    finish("dense", &sum)?;

    let sum = timed("1 %: decode and add 100 payloads", || {
        let mut sum = Sum::empty(Round(1), shape);
        for (examples, bytes) in (1..).zip(&payloads) {
            let update = decode(&layout, bytes)?;
            let values = Values::Sparse { positions: &update.positions, values: &update.values };
            sum.add(values, Examples::new(examples)?)?;
        }
        Ok(sum)
    })?;
    finish("1 %", &sum)?;

    let gateways = timed("1 %: the same at 10 gateways of 10 devices", || {
        let mut gateways = Vec::new();
        for payloads in payloads.chunks(10) {
            let mut sum = Sum::empty(Round(1), shape);
            for bytes in payloads {
                let update = decode(&layout, bytes)?;
                let values = Values::Sparse { positions: &update.positions, values: &update.values };
                sum.add(values, Examples::new(7)?)?;
            }
            gateways.push(format::encode(Kind::Sum, &sum));
        }
        Ok(gateways)
    })?;
    println!("  bytes from 10 gateways: {}", gateways.iter().map(Vec::len).sum::<usize>());
    timed("1 %: read and merge 10 gateways", || {
        let mut sum = Sum::empty(Round(1), shape);
        for bytes in &gateways {
            sum.merge(&format::decode(shape, bytes)?.1)?;
        }
        Ok(sum)
    })?;

    let views: Vec<Values<'_>> = dense.iter().map(|update| Values::Dense(update)).collect();
    let trim = Trim::new(0.1).ok_or("no share")?;
    timed("dense: trimmed mean", || Ok(trimmed_mean(&views, PARAMETERS, trim)?))?;
    timed("dense: median", || Ok(median(&views, PARAMETERS)?))?;
    Ok(())
}

/// The step at the root, and the sum on the wire.
fn finish(name: &str, sum: &Sum) -> Result<(), Box<dyn Error>> {
    let start = vec![0.0; PARAMETERS as usize];
    timed(&format!("{name}: mean and step at the root"), || {
        let server = Server::new(Rule::Momentum { momentum: 0.9 }, 1.0)?;
        let quorum = Quorum { devices: 2, updates: 2, available: 2 };
        let mut root = Root::new(server, quorum, sum.shape(), start.clone())?;
        root.close(sum, 100)?;
        Ok(root)
    })?;
    let bytes = timed(&format!("{name}: write the sum"), || Ok(format::encode(Kind::Sum, sum)))?;
    println!("  bytes: {}", bytes.len());
    timed(&format!("{name}: read the sum"), || Ok(format::decode(sum.shape(), &bytes)?))?;
    Ok(())
}

/// Seconds that this thread was on a CPU: what else the machine does is not in them.
fn cpu() -> Result<f64, Box<dyn Error>> {
    let stat = std::fs::read_to_string("/proc/thread-self/schedstat")?;
    let nanoseconds: f64 = stat.split_whitespace().next().ok_or("no schedstat")?.parse()?;
    Ok(nanoseconds / 1e9)
}

/// The best of five runs, printed.
fn timed<T>(name: &str, run: impl Fn() -> Result<T, Box<dyn Error>>) -> Result<T, Box<dyn Error>> {
    let mut best = f64::INFINITY;
    let mut last = None;
    for _ in 0..5 {
        let begun = cpu()?;
        last = Some(run()?);
        best = best.min(cpu()? - begun);
    }
    println!("{name}: {best:.4} s");
    last.ok_or_else(|| "never run".into())
}
