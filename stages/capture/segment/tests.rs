#![allow(clippy::cast_possible_truncation)]

use proptest::prelude::*;

use super::*;

/// Hears a voice wherever it is loud: so the tests decide where speech is.
struct Loudness;

impl Voice for Loudness {
    fn score(&mut self, frame: &[f32]) -> f32 {
        assert_eq!(frame.len(), FRAME);
        frame.iter().fold(0.0, |loudest, sample| sample.abs().max(loudest))
    }
}

/// Stretches of milliseconds at a loudness.
fn sound(stretches: &[(usize, f32)]) -> Vec<f32> {
    stretches.iter().flat_map(|(ms, loudness)| std::iter::repeat_n(*loudness, ms * 16)).collect()
}

fn segments(samples: &[f32], pieces: &[usize]) -> Vec<Segment> {
    let mut segmenter = Segmenter::with_voice(Loudness);
    let (mut all, mut rest, mut sizes) = (Vec::new(), samples, pieces.iter().cycle());
    while !rest.is_empty() {
        let (piece, more) = rest.split_at((*sizes.next().unwrap()).clamp(1, rest.len()));
        segmenter.push(piece, &mut |segment| all.push(segment));
        rest = more;
    }
    segmenter.finish(&mut |segment| all.push(segment));
    all
}

/// Begin and end of each utterance in milliseconds.
fn cuts(stretches: &[(usize, f32)]) -> Vec<(u64, u64)> {
    let samples = sound(stretches);
    segments(&samples, &[1000])
        .into_iter()
        .map(|segment| {
            let (start, length) = (segment.start as usize, segment.samples.len());
            assert_eq!(segment.samples, samples[start..start + length], "samples as they were");
            (segment.start / 16, (start + length) as u64 / 16)
        })
        .collect()
}

const SAY: f32 = 0.9;

#[test]
fn utterances_are_trimmed_and_long_pauses_end_them() {
    let check = |stretches: &[(usize, f32)], expected: &[(u64, u64)]| {
        let parts = cuts(stretches);
        let close = |a: &(u64, u64), b: &(u64, u64)| a.0.abs_diff(b.0) <= 16 && a.1.abs_diff(b.1) <= 16;
        let same = parts.len() == expected.len() && parts.iter().zip(expected).all(|(a, b)| close(a, b));
        assert!(same, "{stretches:?}: {parts:?} instead of {expected:?}");
    };
    check(&[], &[]);
    check(&[(5, SAY)], &[]);
    check(&[(5_000, 0.0)], &[]);
    // A click is no word; three frames are.
    check(&[(1_000, 0.0), (20, SAY), (3_000, 0.0)], &[]);
    check(&[(1_000, 0.0), (100, SAY), (3_000, 0.0)], &[(700, 1_400)]);
    check(&[(3_000, SAY)], &[(0, 3_000)]);
    check(&[(100, 0.0), (3_000, SAY), (100, 0.0)], &[(0, 3_200)]);
    check(&[(2_000, 0.0), (3_000, SAY), (2_000, 0.0)], &[(1_700, 5_300)]);
    // A breath between words, and hesitation in a dictated number, stay inside.
    check(&[(1_000, SAY), (1_900, 0.0), (1_000, SAY)], &[(0, 3_900)]);
    check(&[(1_000, SAY), (2_500, 0.0), (1_000, SAY)], &[(0, 1_300), (3_200, 4_500)]);
    // What is softer than an onset still belongs to the word before it, but opens nothing.
    check(&[(1_000, SAY), (1_000, 0.3), (3_000, 0.0)], &[(0, 2_300)]);
    check(&[(3_000, 0.3)], &[]);
    // The longer it gets, the shorter the pause that ends it.
    check(&[(16_000, SAY), (700, 0.0), (1_000, SAY)], &[(0, 16_300), (16_400, 17_700)]);
    check(&[(25_000, SAY), (300, 0.0), (1_000, SAY)], &[(0, 25_125), (25_125, 26_300)]);
}

#[test]
fn who_never_pauses_is_cut_where_it_is_least_voiced() {
    let parts = cuts(&[(26_000, SAY), (100, 0.3), (20_000, SAY)]);
    assert_eq!(parts.len(), 2, "{parts:?}");
    assert_eq!(parts[0].1, parts[1].0, "nothing is lost at a cut");
    assert!((26_000..26_112).contains(&parts[0].1), "{parts:?}");
    assert_eq!(parts[1].1, 46_100);
}

#[test]
fn a_cut_into_silence_leaves_no_empty_utterance() {
    let parts = cuts(&[(29_900, SAY), (60_000, 0.0)]);
    assert_eq!(parts.len(), 1, "{parts:?}");
}

/// Two hours: what is held never exceeds one utterance.
#[test]
fn memory_is_bounded_by_one_utterance() {
    let mut segmenter = Segmenter::with_voice(Loudness);
    let (mut longest, mut total) = (0, 0u64);
    let minute = sound(&[(45_000, SAY), (400, 0.0), (11_600, SAY), (3_000, 0.0)]);
    for _ in 0..120 {
        for piece in minute.chunks(4096) {
            segmenter.push(piece, &mut |segment| {
                longest = longest.max(segment.samples.len());
                total += segment.samples.len() as u64;
            });
            assert!(segmenter.capacity() <= 2 * LONGEST * FRAME, "{} samples", segmenter.capacity());
        }
    }
    assert!(longest <= 30 * 16_000, "an utterance of {longest} samples");
    assert!(total > 120 * 56 * 16_000, "{total} samples kept of two hours");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    /// Whatever is said: the pieces do not matter, utterances follow one another without overlap, none is
    /// longer than 30 s, and every voiced stretch longer than an onset is inside one.
    #[test]
    fn nothing_that_is_said_is_lost(
        stretches in prop::collection::vec((1usize..9_000, prop::sample::select(vec![0.0f32, 0.3, 0.9])), 1..14),
        pieces in prop::collection::vec(1usize..9_000, 1..5),
    ) {
        let samples = sound(&stretches);
        let parts = segments(&samples, &pieces);
        prop_assert_eq!(&parts, &segments(&samples, &[samples.len()]));
        let mut end = 0;
        let mut inside = vec![false; samples.len()];
        for segment in &parts {
            let start = segment.start as usize;
            prop_assert!(start >= end, "overlap");
            end = start + segment.samples.len();
            prop_assert!(segment.samples.len() <= 480_000);
            prop_assert_eq!(&segment.samples[..], &samples[start..end]);
            inside[start..end].fill(true);
        }
        let mut voiced = 0;
        for (n, sample) in samples.iter().enumerate() {
            voiced = if *sample >= VOICED { voiced + 1 } else { 0 };
            // An onset of three whole frames is certain after four frames' worth of samples.
            if voiced == (ONSET + 1) * FRAME {
                prop_assert!(inside[n + 1 - voiced..=n].iter().all(|kept| *kept), "lost before sample {}", n);
            } else if voiced > (ONSET + 1) * FRAME {
                prop_assert!(inside[n], "lost at sample {}", n);
            }
        }
    }
}
