//! Samples in, the log-mel spectrogram that Whisper was trained on out.
//!
//! Equal within 1e-4 to transformers' WhisperFeatureExtractor (frames of 400 samples every 160, periodic Hann window,
//! reflected ends, power spectrum, Slaney mel bands, log10, floor 8 below the maximum, (x + 4) / 4). Silence is
//! padded to the samples, never to the spectrum: the floor depends on the whole window.

use std::sync::Arc;

use realfft::{RealFftPlanner, RealToComplex};

use super::folder::{HOP, SAMPLE_RATE};

const FRAME: usize = 400;
const BINS: usize = FRAME / 2 + 1;
/// The smallest power that has a logarithm here.
const LEAST_POWER: f32 = 1e-10;
/// The spectrum is cut off this many decades below its maximum.
const DECADES: f32 = 8.0;

/// The plan of the transform, for one number of bands.
pub struct LogMel {
    bands: Vec<Band>,
    window: Vec<f32>,
    transform: Arc<dyn RealToComplex<f32>>,
}

/// One triangular filter: its weights from bin `first` on.
struct Band {
    first: usize,
    weights: Vec<f32>,
}

impl std::fmt::Debug for LogMel {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("LogMel").field("bands", &self.bands.len()).finish()
    }
}

impl LogMel {
    /// Plans the transform for `bands` mel bands (80 or 128).
    pub fn new(bands: usize) -> LogMel {
        let window = (0..FRAME).map(|i| {
            let turn = 2.0 * std::f64::consts::PI * i as f64 / FRAME as f64;
            narrow(0.5 - 0.5 * turn.cos())
        });
        LogMel {
            bands: mel_bands(bands),
            window: window.collect(),
            transform: RealFftPlanner::<f32>::new().plan_fft_forward(FRAME),
        }
    }

    /// The spectrogram, [bands][frames], of `samples` (16 kHz) followed by silence up to `padded` samples; one frame
    /// for every 160 of them. What lies beyond `padded` is dropped.
    pub fn spectrogram(&self, samples: &[f32], padded: usize) -> Vec<f32> {
        let frames = padded / HOP;
        let signal = reflected(samples, padded);
        let mut input = self.transform.make_input_vec();
        let mut spectrum = self.transform.make_output_vec();
        let mut scratch = self.transform.make_scratch_vec();
        let mut power = vec![0f32; BINS];
        let mut out = vec![LEAST_POWER.log10(); self.bands.len() * frames];
        for (frame, piece) in signal.windows(FRAME).step_by(HOP).take(frames).enumerate() {
            if piece.iter().all(|s| *s == 0.0) {
                continue;
            }
            for ((value, sample), weight) in input.iter_mut().zip(piece).zip(&self.window) {
                *value = sample * weight;
            }
            // The buffers have the lengths that the plan itself made them with.
            if self.transform.process_with_scratch(&mut input, &mut spectrum, &mut scratch).is_err() {
                continue;
            }
            for (p, bin) in power.iter_mut().zip(&spectrum) {
                *p = bin.norm_sqr();
            }
            for (band, slot) in self.bands.iter().zip(out.iter_mut().skip(frame).step_by(frames)) {
                *slot = band.energy(&power).max(LEAST_POWER).log10();
            }
        }
        let floor = out.iter().copied().fold(f32::MIN, f32::max) - DECADES;
        for value in &mut out {
            *value = (value.max(floor) + 4.0) / 4.0;
        }
        out
    }
}

impl Band {
    fn energy(&self, power: &[f32]) -> f32 {
        power.iter().skip(self.first).zip(&self.weights).map(|(p, w)| p * w).sum()
    }
}

/// The samples, silence up to `padded`, and half a frame mirrored at either end.
fn reflected(samples: &[f32], padded: usize) -> Vec<f32> {
    const HALF: usize = FRAME / 2;
    let mut signal = vec![0f32; padded + FRAME];
    for (slot, sample) in signal.iter_mut().skip(HALF).take(padded).zip(samples) {
        *slot = *sample;
    }
    for i in 0..HALF {
        let (left, right) = (signal.get(2 * HALF - i).copied(), signal.get(HALF + padded - 2 - i).copied());
        if let (Some(slot), Some(value)) = (signal.get_mut(i), left) {
            *slot = value;
        }
        if let (Some(slot), Some(value)) = (signal.get_mut(HALF + padded + i), right) {
            *slot = value;
        }
    }
    signal
}

/// Triangles on Slaney's mel scale, each of unit area, from 0 Hz to half the sample rate (as librosa.filters.mel).
fn mel_bands(count: usize) -> Vec<Band> {
    let top = hertz_to_mel(SAMPLE_RATE as f64 / 2.0);
    let corner = |i: usize| mel_to_hertz(top * i as f64 / (count + 1) as f64);
    let bin_width = SAMPLE_RATE as f64 / FRAME as f64;
    let triangle = |band: usize| {
        let (low, middle, high) = (corner(band), corner(band + 1), corner(band + 2));
        let weight = move |bin: usize| {
            let f = bin as f64 * bin_width;
            let height = ((f - low) / (middle - low)).min((high - f) / (high - middle)).max(0.0);
            narrow(height * 2.0 / (high - low))
        };
        let first = (0..BINS).find(|bin| weight(*bin) > 0.0).unwrap_or(0);
        let weights = (first..BINS).map(weight).take_while(|w| *w > 0.0).collect();
        Band { first, weights }
    };
    (0..count).map(triangle).collect()
}

/// Linear below 1000 Hz (200/3 Hz a mel), logarithmic above (27 mels for a factor of 6.4).
fn hertz_to_mel(hertz: f64) -> f64 {
    if hertz < 1000.0 { 3.0 * hertz / 200.0 } else { 15.0 + (hertz / 1000.0).ln() * 27.0 / 6.4f64.ln() }
}

fn mel_to_hertz(mel: f64) -> f64 {
    if mel < 15.0 { 200.0 * mel / 3.0 } else { 1000.0 * (6.4f64.ln() / 27.0 * (mel - 15.0)).exp() }
}

#[allow(clippy::cast_possible_truncation)]
fn narrow(value: f64) -> f32 {
    value as f32
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_mel_scale_is_its_own_inverse() {
        for hertz in [0.0, 40.0, 999.0, 1000.0, 1001.0, 4000.0, 8000.0] {
            let back = mel_to_hertz(hertz_to_mel(hertz));
            assert!((back - hertz).abs() < 1e-6, "{hertz} -> {back}");
        }
    }

    #[test]
    fn a_tone_stands_in_its_band() {
        // Bands of 80 are 0.546 mel wide below 1000 Hz: 440 Hz = 6.6 mel lies nearest to the middle of band 11.
        let check = |hertz: f32, band: usize| {
            let tone: Vec<f32> = (0..16_000)
                .map(|i| (2.0 * std::f32::consts::PI * hertz * i as f32 / 16_000.0).sin() * 0.5)
                .collect();
            let mel = LogMel::new(80).spectrogram(&tone, 32_000);
            assert_eq!(mel.len(), 80 * 200);
            let column: Vec<f32> = (0..80).map(|b| mel[b * 200 + 50]).collect();
            let loudest = (0..80).max_by(|a, b| column[*a].total_cmp(&column[*b])).unwrap();
            assert!(loudest.abs_diff(band) <= 1, "{hertz} Hz in band {loudest}");
            let silence = mel[150];
            let floor = mel.iter().copied().fold(f32::MAX, f32::min);
            assert_eq!(silence, floor);
            let top = mel.iter().copied().fold(f32::MIN, f32::max);
            assert!((top - floor - 2.0).abs() < 1e-5, "8 decades / 4 between {floor} and {top}");
        };
        check(440.0, 11);
        check(880.0, 23);
    }

    #[test]
    fn the_end_of_what_fits_is_the_end() {
        let noise: Vec<f32> =
            (0u32..48_000).map(|i| ((i.wrapping_mul(2_654_435_761) >> 8) as f32 / 1e7).sin()).collect();
        let mel = LogMel::new(80);
        assert_eq!(mel.spectrogram(&noise, 32_000), mel.spectrogram(&noise[..32_000], 32_000));
        assert!(mel.spectrogram(&[], 16_000).iter().all(|v| *v == -1.5)); // (-10 + 4) / 4: no signal at all
    }
}
