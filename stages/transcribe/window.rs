//! A recording in, the windows that are transcribed one by one out: at most 30 s each, cut where it is quietest.

use std::ops::Range;

use super::folder::{FRAMES_PER_POSITION, HOP, SAMPLE_RATE};

/// Samples of one encoder position (20 ms).
pub const POSITION: usize = HOP * FRAMES_PER_POSITION;
/// A cut window keeps at least this much space for silence after it.
const ROOM: usize = SAMPLE_RATE;
/// A cut is looked for in this last part of a window.
const SEARCH: usize = 8 * SAMPLE_RATE;
/// The length of a stretch of sound that is judged as one (200 ms).
const STRETCH: usize = SAMPLE_RATE / 5;

/// Splits `samples` into windows of at most `full` samples. One that fits is left whole; longer ones are cut in the
/// middle of the quietest 200 ms of a window's last 8 s (the earliest, of equals).
pub fn split(samples: &[f32], full: usize) -> Vec<Range<usize>> {
    let mut windows = Vec::new();
    let mut start = 0;
    while samples.len() - start > full {
        let latest = start + full.saturating_sub(ROOM).max(STRETCH);
        let earliest = latest.saturating_sub(SEARCH).max(start + STRETCH);
        let cut = quietest(samples, earliest, latest);
        windows.push(start..cut);
        start = cut;
    }
    windows.push(start..samples.len());
    windows
}

fn quietest(samples: &[f32], earliest: usize, latest: usize) -> usize {
    let energy = |at: usize| -> f64 {
        let stretch = samples.get(at - STRETCH / 2..at + STRETCH / 2).unwrap_or_default();
        stretch.iter().map(|s| f64::from(*s) * f64::from(*s)).sum()
    };
    let candidates = (earliest..=latest).step_by(POSITION).map(|at| (at, energy(at)));
    candidates.min_by(|a, b| a.1.total_cmp(&b.1).then(a.0.cmp(&b.0))).map_or(latest, |(at, _)| at)
}

/// The length to which a window of `length` samples is padded: `silence` seconds more, in whole encoder positions,
/// at most `full`.
pub fn padded(length: usize, silence: f32, full: usize) -> usize {
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
    let silence = (silence.clamp(0.0, 30.0) * SAMPLE_RATE as f32) as usize;
    (length + silence).div_ceil(POSITION).saturating_mul(POSITION).min(full)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const FULL: usize = 30 * SAMPLE_RATE;

    #[test]
    fn cuts_fall_into_pauses() {
        let mut samples = vec![0.5f32; 70 * SAMPLE_RATE];
        samples[25 * SAMPLE_RATE..26 * SAMPLE_RATE].fill(0.0);
        samples[52 * SAMPLE_RATE..53 * SAMPLE_RATE].fill(0.01);
        let windows = split(&samples, FULL);
        assert_eq!(windows.len(), 3);
        assert!((25 * SAMPLE_RATE..26 * SAMPLE_RATE).contains(&windows[0].end), "{windows:?}");
        assert!((52 * SAMPLE_RATE..53 * SAMPLE_RATE).contains(&windows[1].end), "{windows:?}");
        assert_eq!(split(&samples[..FULL], FULL), [0..FULL]);
        assert_eq!(split(&[], FULL), [0..0]);
    }

    #[test]
    fn padding_is_whole_positions() {
        for (length, silence, expected) in [
            (0, 1.0, 16_000),
            (1, 1.0, 16_320),
            (16_000, 1.0, 32_000),
            (FULL - 1, 1.0, FULL),
            (FULL, 0.0, FULL),
            (16_000, f32::NAN, 16_000),
        ] {
            assert_eq!(padded(length, silence, FULL), expected, "{length} + {silence}");
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(16))]
        #[test]
        fn windows_tile_the_recording(length in 0usize..200 * SAMPLE_RATE, loud in 0usize..5) {
            let samples: Vec<f32> = (0..length).map(|i| (i / 4000 % (loud + 1)) as f32).collect();
            let windows = split(&samples, FULL);
            prop_assert_eq!(windows[0].start, 0);
            prop_assert_eq!(windows[windows.len() - 1].end, length);
            prop_assert!(windows.windows(2).all(|w| w[0].end == w[1].start));
            prop_assert!(windows.iter().all(|w| w.len() <= FULL));
            prop_assert!(length <= FULL || windows.iter().all(|w| !w.is_empty()));
        }
    }
}
