//! A base kept as its file stores it against the same numbers kept as f32; a base rounded to 16 bits against one that is
//! not; a quantised weight of another size.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss
)]

mod setting;

use headwater_dtype::Dtype;
use headwater_training::train::base::{Base, Weights, one_thread_a_lane};
use headwater_training::train::chance::{Chance, Purpose};
use headwater_training::train::round::{self, Update};
use headwater_training::train::shape::Module;
use headwater_training::train::stored::{Storage, Stored};
use headwater_training::train::trainer::{Member, TrainOptions};
use setting::{Case, cases};

/// Weights of chance in any number format; rows of whole blocks.
struct Chances<'a> {
    case: &'a Case,
    dtype: Dtype,
}

impl Weights for Chances<'_> {
    fn tensor(&self, name: &str) -> Result<Stored, String> {
        let shape = &self.case.shape;
        let module = Module::ALL.into_iter().find(|m| name.contains(m.name()));
        let chance = Chance::new(Purpose::Init, &name.bytes().map(u64::from).collect::<Vec<_>>());
        let value = |i: u64| (chance.uniform(i) - 0.5) as f32 * 0.3;
        if name.ends_with("bias") || name.contains("norm") {
            let width = module.map_or(shape.hidden, |m| m.widths(shape).1);
            return Ok(Stored::f32(
                vec![width],
                &(0..width as u64).map(|i| 1.0 + value(i)).collect::<Vec<_>>(),
            ));
        }
        let (input, output) = module.map_or((shape.hidden, shape.vocabulary), |m| m.widths(shape));
        let (weights, size) = (self.dtype.block(), self.dtype.block_bytes());
        let blocks = (input * output) as usize / weights;
        let block = |at: u64| -> Vec<u8> {
            // Scales as f16: 2^-7 to 2^-6, and minima from 0 to below -2^-4.
            let d = (0x2000 | (chance.bits(at) as u16 & 0x3FF)).to_le_bytes();
            let m = (0xAC00 | (chance.bits(at) >> 16) as u16 & 0x3FF).to_le_bytes();
            let quants = |count: u64| (0..count).map(move |i| chance.bits(at * 99 + i + 7) as u8);
            match self.dtype {
                Dtype::F32 => value(at).to_le_bytes().to_vec(),
                Dtype::Bf16 => ((value(at).to_bits() >> 16) as u16).to_le_bytes().to_vec(),
                Dtype::F16 => {
                    let (sign, size) =
                        ((chance.bits(at) as u16 & 1) << 15, chance.bits(at + 1) as u16 & 0x3FF);
                    (sign | 0x2C00 | size).to_le_bytes().to_vec()
                }
                Dtype::Q8_0 => d.into_iter().chain(quants(32).map(|q| (q as i8 / 16) as u8)).collect(),
                Dtype::Q4_0 => d.into_iter().chain(quants(16)).collect(),
                Dtype::Q4_1 => d.into_iter().chain(m).chain(quants(16)).collect(),
            }
        };
        let bytes: Vec<u8> = (0..blocks as u64).flat_map(block).collect();
        assert_eq!(bytes.len(), blocks * size);
        Ok(Stored { sizes: vec![output, input], dtype: self.dtype, bytes })
    }
}

/// The golden cases, widened to whole blocks.
fn wide() -> Vec<Case> {
    let widen = |(mut case, _): (Case, Base)| {
        case.shape.hidden = 64;
        case.shape.intermediate = 96;
        case.shape.head_dim = 64 / case.shape.heads;
        case.layout = headwater_training::train::lora::Layout::new(&case.shape, &case.lora).unwrap();
        // B is not zero: rounds that train A alone learn from the first step on.
        case.start = (0u32..).zip(case.layout.init(3)).map(|(i, v)| v + 0.01 * (i % 5) as f32).collect();
        case
    };
    cases().into_iter().map(widen).collect()
}

fn trained(case: &Case, dtype: Dtype, storage: Storage, checkpoint: bool) -> Update {
    let base = Base::load(&case.shape, &Chances { case, dtype }, storage).unwrap();
    let members = [Member { key: 1, start: &case.start, examples: &case.examples }];
    let options = TrainOptions { steps: 3, batch: 2, warm_up: 0, checkpoint, ..case.options.clone() };
    round::train(&base, &case.layout, &options, case.round, &members).unwrap().remove(0).unwrap()
}

#[test]
fn a_base_kept_as_stored_trains_to_the_bytes_of_one_kept_as_f32() {
    one_thread_a_lane();
    for case in wide() {
        for dtype in Dtype::ALL {
            let expected = trained(&case, dtype, Storage::F32, false);
            assert!(expected.delta.iter().any(|d| *d != 0.0), "{} {dtype:?} learned nothing", case.name);
            for checkpoint in [false, true] {
                let found = trained(&case, dtype, Storage::AsStored, checkpoint);
                assert!(found == expected, "{} {dtype:?} checkpoint {checkpoint}", case.name);
            }
        }
    }
}

#[test]
fn rounding_to_16_bits_changes_losses_by_no_more_than_it_may() {
    one_thread_a_lane();
    for case in wide() {
        // bf16 has 8 bits: weights differ by up to 2^-9 of their size, and errors of many weights mostly cancel.
        let (exact, rounded) = (
            trained(&case, Dtype::F32, Storage::F32, false),
            trained(&case, Dtype::F32, Storage::Bf16, false),
        );
        let ((exact, _), (rounded, _)) = (exact.losses.unwrap(), rounded.losses.unwrap());
        let gap = (exact - rounded).abs() / exact;
        println!("{}: {gap:.1e}", case.name);
        assert!(gap > 0.0 && gap < 2e-3, "{}: {gap}", case.name);
        // What was bf16 is rounded to itself.
        let kept = trained(&case, Dtype::Bf16, Storage::Bf16, false);
        assert!(kept == trained(&case, Dtype::Bf16, Storage::F32, false), "{}", case.name);
    }
}

#[test]
fn a_row_that_is_no_whole_number_of_blocks_is_refused_by_name() {
    let mut case = wide().remove(0);
    case.shape.intermediate = 80;
    let error = Base::load(&case.shape, &Chances { case: &case, dtype: Dtype::Q8_0 }, Storage::AsStored);
    let error = error.unwrap_err().to_string();
    let expected =
        "weight model.layers.0.mlp.down_proj.weight: a row has 80 values; Q8_0 keeps 32 in a block";
    assert_eq!(error, expected);
}
