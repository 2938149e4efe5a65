//! Several channels to one: all of them, or one alone.
//!
//! Interleaved samples of any number of channels flow in; mono samples flow out, some later than they came. Channels are averaged, so that full scale
//! stays full scale. A channel that is another one upside down (a plug wired wrong, a balanced line recorded as stereo) would silence it: it is
//! turned over first. The output depends on the samples alone, not on how they arrive.
//!
//! Knows nothing of files.

/// Blocks per second in which it is decided which way round a channel is.
const BLOCKS_PER_SECOND: u32 = 10;

/// The weight of earlier blocks in the decision.
const MEMORY: f64 = 0.8;

/// The correlation at which a channel counts as upside down, and the one at which it no longer does.
const TURNED: f64 = -0.9;
const UPRIGHT: f64 = -0.5;

/// A sample that is NaN or infinite.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct NotFinite {
    /// Frame since the last one that was given in before.
    pub(super) frame: usize,
    pub(super) channel: usize,
}

/// Mixes several channels into one.
pub(super) struct Mixer {
    /// The one that is heard alone.
    only: Option<usize>,
    channels: usize,
    /// Frames in a block.
    block: usize,
    /// Frames that do not fill a block yet.
    pending: Vec<f32>,
    /// Statistics of every channel but the first, against the sum of those before it.
    known: Vec<ChannelStats>,
}

/// Sums of products, and what was made of them.
#[derive(Clone, Copy)]
struct ChannelStats {
    across: f64,
    before: f64,
    own: f64,
    /// The sign of the channel: 1, or -1 upside down. Nothing before the first block.
    sign: Option<f32>,
}

impl Mixer {
    /// A mixer that averages all channels, or takes one alone (from 0).
    pub(super) fn new(only: Option<usize>) -> Self {
        Self { only, channels: 0, block: 0, pending: Vec::new(), known: Vec::new() }
    }

    /// The number of channels and the rate change (at the start, and between streams): what is pending comes out.
    pub(super) fn set(&mut self, channels: usize, rate: u32, mono: &mut Vec<f32>) {
        self.finish(mono);
        self.channels = channels;
        self.block = (rate / BLOCKS_PER_SECOND).max(1) as usize;
        self.known =
            vec![ChannelStats { across: 0.0, before: 0.0, own: 0.0, sign: None }; channels.saturating_sub(1)];
    }

    /// Takes interleaved samples; gives the frames before a sample that is no number.
    pub(super) fn push(&mut self, interleaved: &[f32], mono: &mut Vec<f32>) -> Result<(), NotFinite> {
        if self.channels == 0 {
            return Ok(());
        }
        let bad = interleaved.iter().position(|sample| !sample.is_finite());
        let whole = bad.map_or(interleaved.len(), |at| at - at % self.channels);
        // Float files may exceed full scale; clamped here, no later sum can overflow.
        let fresh = interleaved.iter().take(whole).map(|sample| sample.clamp(-1.0, 1.0));
        if let Some(only) = self.only {
            mono.extend(fresh.skip(only).step_by(self.channels));
        } else if self.channels == 1 {
            mono.extend(fresh);
        } else {
            self.pending.extend(fresh);
            let block = self.block * self.channels;
            let mut pending = std::mem::take(&mut self.pending);
            let whole = pending.len() - pending.len() % block;
            pending.drain(..whole).as_slice().chunks_exact(block).for_each(|block| self.mix(block, mono));
            self.pending = pending;
        }
        match bad {
            None => Ok(()),
            Some(at) => Err(NotFinite { frame: at / self.channels, channel: at % self.channels }),
        }
    }

    /// Gives what is pending.
    pub(super) fn finish(&mut self, mono: &mut Vec<f32>) {
        let pending = std::mem::take(&mut self.pending);
        if !pending.is_empty() {
            self.mix(&pending, mono);
        }
    }

    fn mix(&mut self, block: &[f32], mono: &mut Vec<f32>) {
        let (channels, start) = (self.channels, mono.len());
        let frames = block.len() / channels;
        // A channel is turned over within a hundredth of a second: at once, it would click.
        let ramp = (self.block / 10).clamp(1, frames.max(1));
        let channel = |index: usize| block.iter().skip(index).step_by(channels);
        mono.extend(channel(0));
        for (index, known) in (1..channels).zip(&mut self.known) {
            let sums = mono.get_mut(start..).unwrap_or_default();
            let was = known.sign;
            let sign = known.decide(sums, channel(index));
            let turns = was.is_some_and(|was| was != sign);
            for (frame, (sum, sample)) in sums.iter_mut().zip(channel(index)).enumerate() {
                let gain = if turns && frame < ramp {
                    sign * (2.0 * (frame as f32 / ramp as f32) - 1.0)
                } else {
                    sign
                };
                *sum += gain * sample;
            }
        }
        let share = 1.0 / channels as f32;
        mono.iter_mut().skip(start).for_each(|sum| *sum = (*sum * share).clamp(-1.0, 1.0));
    }
}

impl ChannelStats {
    /// Which way round the channel is in a block, beside the sum of those before it.
    fn decide<'s>(&mut self, sums: &[f32], own: impl Iterator<Item = &'s f32>) -> f32 {
        let (mut across, mut before, mut power) = (0.0, 0.0, 0.0);
        for (sum, own) in sums.iter().zip(own) {
            let (sum, own) = (f64::from(*sum), f64::from(*own));
            across += sum * own;
            before += sum * sum;
            power += own * own;
        }
        self.across = MEMORY * self.across + across;
        self.before = MEMORY * self.before + before;
        self.own = MEMORY * self.own + power;
        let scale = (self.before * self.own).sqrt();
        let sign = self.sign.unwrap_or(1.0);
        let sign = if self.across < TURNED * scale {
            -1.0
        } else if self.across > UPRIGHT * scale {
            1.0
        } else {
            sign
        };
        self.sign = Some(sign);
        sign
    }
}

#[cfg(test)]
#[allow(clippy::cast_possible_truncation)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const RATE: u32 = 8_000;

    /// Frames of channels that are each some of a voice and some of a noise.
    fn frames(count: usize, channels: &[(f32, f32)]) -> Vec<f32> {
        let mut state = 1_u32;
        let mut noise = || {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            f64::from(state >> 8) as f32 / (1 << 23) as f32 - 1.0
        };
        let voice =
            |n: usize| (0.5 * (std::f64::consts::TAU * 200.0 * n as f64 / f64::from(RATE)).sin()) as f32;
        (0..count)
            .flat_map(|n| channels.iter().map(|(v, z)| v * voice(n) + z * noise()).collect::<Vec<_>>())
            .collect()
    }

    fn mixed(only: Option<usize>, channels: usize, interleaved: &[f32], pieces: &[usize]) -> Vec<f32> {
        let (mut mixer, mut mono) = (Mixer::new(only), Vec::new());
        mixer.set(channels, RATE, &mut mono);
        let (mut rest, mut sizes) = (interleaved, pieces.iter().cycle());
        while !rest.is_empty() {
            let (piece, more) = rest.split_at((sizes.next().unwrap() * channels).clamp(channels, rest.len()));
            mixer.push(piece, &mut mono).unwrap();
            rest = more;
        }
        mixer.finish(&mut mono);
        mono
    }

    fn level(samples: &[f32]) -> f32 {
        (samples.iter().map(|s| s * s).sum::<f32>() / samples.len() as f32).sqrt()
    }

    #[test]
    fn no_channel_silences_another() {
        let voice = level(&frames(RATE as usize, &[(1.0, 0.0)]));
        let check = |channels: &[(f32, f32)], expected: f32| {
            let mono = mixed(None, channels.len(), &frames(RATE as usize, channels), &[1000]);
            let found = level(&mono) / voice;
            assert!((found - expected).abs() < 0.05, "{channels:?}: {found}");
        };
        check(&[(1.0, 0.0), (1.0, 0.0)], 1.0);
        check(&[(1.0, 0.0), (-1.0, 0.0)], 1.0);
        check(&[(1.0, 0.02), (-0.5, 0.02)], 0.75);
        check(&[(0.0, 0.0), (1.0, 0.0)], 0.5);
        check(&[(1.0, 0.0), (0.0, 0.0)], 0.5);
        // Of a film in 5.1: front, centre, deep, behind.
        check(&[(0.0, 0.0), (0.0, 0.0), (1.0, 0.0), (0.0, 0.0), (0.0, 0.0), (0.0, 0.0)], 1.0 / 6.0);
        check(&[(0.0, 0.0), (0.0, 0.0), (1.0, 0.0), (0.0, 0.0), (-1.0, 0.0), (1.0, 0.0)], 0.5);
    }

    /// Those that have nothing to do with each other are taken as they are.
    #[test]
    fn channels_of_two_speakers_are_averaged() {
        let interleaved = frames(RATE as usize, &[(0.0, 0.5), (0.3, 0.5)]);
        let mono = mixed(None, 2, &interleaved, &[1000]);
        let plain: Vec<f32> = interleaved.chunks_exact(2).map(|frame| (frame[0] + frame[1]) * 0.5).collect();
        assert_eq!(mono, plain);
    }

    /// In the middle of a recording, too, and without a click.
    #[test]
    fn a_channel_that_turns_over_is_followed() {
        let (upright, turned) =
            (frames(4_000, &[(1.0, 0.0), (1.0, 0.0)]), frames(4_000, &[(1.0, 0.0), (-1.0, 0.0)]));
        let mono = mixed(None, 2, &[upright.clone(), turned, upright].concat(), &[1000]);
        let silent = mono.chunks(400).filter(|block| level(block) < 0.2).count();
        assert!(silent <= 10, "{silent} twentieths of a second are silent");
        let step = mono.windows(2).map(|two| (two[1] - two[0]).abs()).fold(0.0, f32::max);
        assert!(step < 0.6, "a step of {step}");
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(32))]
        #[test]
        fn output_does_not_depend_on_the_pieces(
            count in 0usize..5_000,
            channels in prop::collection::vec((-1.0f32..1.0, 0.0f32..0.3), 1..5),
            only in prop::option::of(0usize..5),
            pieces in prop::collection::vec(1usize..2_000, 1..6),
        ) {
            let interleaved = frames(count, &channels);
            let only = only.filter(|only| *only < channels.len());
            let whole = mixed(only, channels.len(), &interleaved, &[count.max(1)]);
            prop_assert_eq!(whole.len(), count);
            prop_assert_eq!(mixed(only, channels.len(), &interleaved, &pieces), whole);
        }
    }
}
