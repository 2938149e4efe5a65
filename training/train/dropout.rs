//! A place in, a mask out: which elements of a low-rank part's input are dropped, as in PEFT (Srivastava et al.:
//! Dropout, 2014; what stays is divided by 1 - p). Drawn by (seed, device, round, step, layer, map, row, position), so
//! that a device drops the same elements whichever devices train beside it. p counts in steps of 2^-16.

use tch::Tensor;

use super::chance::{Chance, Purpose};
use super::error::{ErrorContext, Result};
use super::shape::Module;

/// The masks of one joined batch.
#[derive(Debug)]
pub(super) struct Dropout {
    p: f64,
    /// Of each device, down to the step.
    devices: Vec<Chance>,
    /// The first row's number, counted over the batches of a step.
    first_row: u64,
}

impl Dropout {
    /// None without dropout. `devices` are the keys of a group's devices.
    pub(super) fn new(
        p: f64,
        seed: u64,
        devices: &[u64],
        round: u64,
        step: u64,
        first_row: u64,
    ) -> Option<Dropout> {
        let chance = |device: &u64| Chance::new(Purpose::Dropout, &[seed, *device, round, step]);
        (p > 0.0).then(|| Dropout { p, devices: devices.iter().map(chance).collect(), first_row })
    }

    /// `[M, width]`, for the tokens of each device's rows.
    pub(super) fn mask(
        &self,
        layer: usize,
        module: Module,
        lengths: &[Vec<i64>],
        width: i64,
    ) -> Result<Tensor> {
        let keep = super::rules::narrow(1.0 / (1.0 - self.p));
        let limit = self.p * 65_536.0;
        let mut values = Vec::new();
        let row_width = usize::try_from(width).unwrap_or(0);
        for (device, rows) in self.devices.iter().zip(lengths) {
            let chance = device.at(layer as u64).at(module as u64);
            for (row, length) in (0u64..).zip(rows) {
                let chance = chance.at(self.first_row + row);
                for position in 0..length.unsigned_abs() {
                    let chance = chance.at(position);
                    let end = values.len() + row_width;
                    for index in 0..width.unsigned_abs().div_ceil(4) {
                        let bits = chance.bits(index);
                        for lane in [bits, bits >> 16, bits >> 32, bits >> 48] {
                            values.push(if ((lane & 0xFFFF) as f64) < limit { 0.0 } else { keep });
                        }
                    }
                    values.truncate(end);
                }
            }
        }
        Tensor::f_from_slice(&values).and_then(|t| t.f_reshape([-1, width])).doing("making a mask of dropout")
    }
}
