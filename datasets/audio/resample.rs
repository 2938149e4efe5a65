//! Any sample rate to 16 kHz: blocks of fixed size through rubato's synchronous FFT resampler.
//!
//! The input is cut into blocks by count alone, so the output does not depend on how it arrived. The
//! resampler's delay is taken off the start and flushed at the end: frame `n` of the input is heard at
//! second `n / rate` of the output, and `n` frames in give `ceil(n * 16000 / rate)` frames out.

use rubato::audioadapter_buffers::direct::InterleavedSlice;
use rubato::{Fft, FixedSync, Indexing, Resampler};
use thiserror::Error;

use super::SAMPLE_RATE;

/// Blocks per second of input. Longer blocks give a steeper filter: at a tenth of a second the pass band
/// reaches 7.9 kHz at any source rate, and memory stays in kilobytes.
const BLOCKS_PER_SECOND: usize = 10;

/// Rates that recorders have, with a margin on both sides. Below, a small file could stand for days.
const RATES: std::ops::RangeInclusive<u32> = 1_000..=384_000;

/// A sample rate that cannot be resampled: outside 1,000..=384,000 Hz.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("{0} samples per second")]
pub struct RateError(pub u32);

/// A resampler of one mono stream to 16 kHz.
pub struct ToSixteenKilohertz {
    rate: u32,
    /// `None` at 16 kHz, where samples pass as they are.
    fft: Option<Fft<f32>>,
    /// Input that does not fill a block yet.
    pending: Vec<f32>,
    block_out: Vec<f32>,
    /// Output frames still to be dropped: the resampler's delay.
    delay: usize,
    frames_in: u64,
    frames_out: u64,
}

impl ToSixteenKilohertz {
    /// A resampler from this rate.
    pub fn new(rate: u32) -> Result<Self, RateError> {
        let mut fft = None;
        if rate != SAMPLE_RATE {
            let block = block(rate);
            let made = if RATES.contains(&rate) {
                Fft::new_custom(
                    rate as usize,
                    SAMPLE_RATE as usize,
                    block,
                    1,
                    1,
                    rubato::WindowFunction::BlackmanHarris2,
                    FixedSync::Both,
                )
                .ok()
            } else {
                None
            };
            fft = Some(made.ok_or(RateError(rate))?);
        }
        let delay = fft.as_ref().map_or(0, Resampler::output_delay);
        let block_out = vec![0.0; fft.as_ref().map_or(0, Resampler::output_frames_max)];
        Ok(Self { rate, fft, pending: Vec::new(), block_out, delay, frames_in: 0, frames_out: 0 })
    }

    /// The rate of what it takes.
    pub fn rate(&self) -> u32 {
        self.rate
    }

    /// Takes mono samples at the source's rate; appends what they complete to `out`.
    pub fn push(&mut self, samples: &[f32], out: &mut Vec<f32>) -> Result<(), RateError> {
        self.frames_in += samples.len() as u64;
        let Some(block) = self.fft.as_ref().map(Resampler::input_frames_next) else {
            self.frames_out += samples.len() as u64;
            out.extend_from_slice(samples);
            return Ok(());
        };
        self.pending.extend_from_slice(samples);
        let mut pending = std::mem::take(&mut self.pending);
        let whole = pending.len() - pending.len() % block;
        for full in pending.get(..whole).unwrap_or_default().chunks_exact(block) {
            self.block(full, None, u64::MAX, out)?;
        }
        pending.drain(..whole);
        self.pending = pending;
        Ok(())
    }

    /// Flushes the tail: after it, exactly `ceil(n * 16000 / rate)` frames have come out.
    pub fn finish(&mut self, out: &mut Vec<f32>) -> Result<(), RateError> {
        let expected = (self.frames_in * u64::from(SAMPLE_RATE)).div_ceil(u64::from(self.rate));
        let mut tail = std::mem::take(&mut self.pending);
        let mut left = tail.len();
        let Some(block) = self.fft.as_ref().map(Resampler::input_frames_next) else { return Ok(()) };
        tail.resize(block, 0.0);
        while self.frames_out < expected {
            self.block(&tail, Some(left), expected, out)?;
            left = 0;
        }
        Ok(())
    }

    /// One block of input (`valid` frames of it, the rest silence), as far as the output's `end`.
    fn block(
        &mut self,
        block: &[f32],
        valid: Option<usize>,
        end: u64,
        out: &mut Vec<f32>,
    ) -> Result<(), RateError> {
        let failed = RateError(self.rate);
        let Some(fft) = &mut self.fft else { return Ok(()) };
        let frames = self.block_out.len();
        let input = InterleavedSlice::new(block, 1, block.len()).map_err(|_| failed)?;
        let mut output = InterleavedSlice::new_mut(&mut self.block_out, 1, frames).map_err(|_| failed)?;
        let indexing = Indexing { partial_len: valid, ..Indexing::default() };
        let (_, made) = fft.process_into_buffer(&input, &mut output, Some(&indexing)).map_err(|_| failed)?;
        let skipped = self.delay.min(made);
        self.delay -= skipped;
        let room = usize::try_from(end - self.frames_out).unwrap_or(usize::MAX);
        let taken = room.min(made - skipped);
        let fresh = self.block_out.iter().skip(skipped).take(taken);
        // The filter may overshoot a full-scale edge by a few per cent.
        out.extend(fresh.map(|sample| sample.clamp(-1.0, 1.0)));
        self.frames_out += taken as u64;
        Ok(())
    }
}

/// About a tenth of a second of input that becomes a whole number of output frames. It is even, as the
/// filter's centre then lies on a frame: with an odd block, all would come half an input frame late.
fn block(rate: u32) -> usize {
    let (mut divisor, mut rest) = (rate, SAMPLE_RATE);
    while rest > 0 {
        (divisor, rest) = (rest, divisor % rest);
    }
    let unit = 2 * (rate / divisor.max(1)).max(1) as usize;
    (rate as usize / BLOCKS_PER_SECOND).div_ceil(unit) * unit
}

#[cfg(test)]
#[allow(clippy::cast_possible_truncation)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn resample(rate: u32, samples: &[f32], pieces: &[usize]) -> Vec<f32> {
        let mut resampler = ToSixteenKilohertz::new(rate).unwrap();
        let (mut out, mut rest, mut sizes) = (Vec::new(), samples, pieces.iter().cycle());
        while !rest.is_empty() {
            let (piece, more) = rest.split_at((*sizes.next().unwrap()).clamp(1, rest.len()));
            resampler.push(piece, &mut out).unwrap();
            rest = more;
        }
        resampler.finish(&mut out).unwrap();
        out
    }

    fn sine(rate: u32, hertz: f64, frames: usize) -> Vec<f32> {
        let step = std::f64::consts::TAU * hertz / f64::from(rate);
        (0..frames).map(|n| (0.5 * (step * n as f64).sin()) as f32).collect()
    }

    const ANY_RATE: [u32; 14] = [
        1_000, 7_999, 8_000, 11_025, 12_000, 16_000, 22_050, 24_000, 32_000, 44_100, 48_000, 96_000, 192_000,
        44_101,
    ];

    #[test]
    fn length_is_exact_at_any_rate() {
        for rate in ANY_RATE {
            for frames in [0usize, 1, 2, 160, 4_409, 4_410, 4_411, 50_000] {
                let expected = (frames as u64 * 16_000).div_ceil(u64::from(rate));
                let made = resample(rate, &vec![0.25; frames], &[1000]).len() as u64;
                assert_eq!(made, expected, "{frames} frames at {rate}");
            }
        }
    }

    /// A tone in the pass band comes out as the same tone, in phase: so the delay is compensated.
    #[test]
    fn a_tone_keeps_its_phase_and_level() {
        for rate in ANY_RATE.into_iter().filter(|rate| *rate >= 7_999) {
            for hertz in [100.0, 440.0, 3_000.0] {
                let out = resample(rate, &sine(rate, hertz, rate as usize * 2), &[777]);
                let ideal = sine(16_000, hertz, out.len());
                // The first and last 100 ms hold the filter's answer to a tone that starts from nothing.
                let middle = 1_600..out.len() - 1_600;
                let error = middle.clone().map(|n| (out[n] - ideal[n]).abs()).fold(0.0f32, f32::max);
                assert!(error < 2e-3, "{hertz} Hz at {rate}: off by {error}");
            }
        }
    }

    /// Tones that 16 kHz cannot hold are removed, not folded down.
    #[test]
    fn tones_above_eight_kilohertz_do_not_alias() {
        for (rate, hertz) in [(44_100, 9_000.0), (48_000, 12_000.0), (48_000, 20_000.0), (96_000, 40_000.0)] {
            let out = resample(rate, &sine(rate, hertz, rate as usize), &[1024]);
            let middle = &out[1_600..out.len() - 1_600];
            let power = middle.iter().map(|s| s * s).sum::<f32>() / middle.len() as f32;
            let decibels = 10.0 * (power / 0.125).log10();
            assert!(decibels < -80.0, "{hertz} Hz at {rate}: {decibels:.1} dB");
        }
    }

    #[test]
    fn rates_out_of_range_are_refused() {
        for rate in [0, 1, 999, 384_001, u32::MAX] {
            assert!(ToSixteenKilohertz::new(rate).is_err(), "{rate}");
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(24))]
        #[test]
        fn output_does_not_depend_on_the_pieces(
            rate in prop::sample::select(&ANY_RATE[..]),
            frames in 0usize..20_000,
            pieces in prop::collection::vec(1usize..5_000, 1..6),
        ) {
            let samples = sine(rate, 300.0, frames);
            prop_assert_eq!(resample(rate, &samples, &[frames.max(1)]), resample(rate, &samples, &pieces));
        }
    }
}
