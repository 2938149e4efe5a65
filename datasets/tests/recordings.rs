//! Recordings as they lie on phones, exchanges and the disks of recorders that were killed.
#![allow(
    dead_code,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss
)]

mod wav;

use std::path::Path;

use headwater_datasets::audio::{AudioReader, Container};
use wav::{Encoding, Wav};

fn sample(name: &str) -> Vec<u8> {
    std::fs::read(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/samples").join(name)).unwrap()
}

/// The result of decoding a recording.
struct DecodeResult {
    samples: Vec<f32>,
    remark: String,
    failure: String,
}

fn decode(bytes: Vec<u8>) -> DecodeResult {
    let mut result = DecodeResult { samples: Vec::new(), remark: String::new(), failure: String::new() };
    let mut reader = match AudioReader::from_bytes(bytes) {
        Ok(reader) => reader,
        Err(error) => return DecodeResult { failure: error.to_string(), ..result },
    };
    reader.remark().unwrap_or_default().clone_into(&mut result.remark);
    loop {
        match reader.next_chunk() {
            Ok(Some(chunk)) => result.samples.extend_from_slice(chunk),
            Ok(None) => return result,
            Err(error) => result.failure = error.to_string(),
        }
    }
}

/// The power of a signal over that of its distance from another, in decibels.
fn ratio(signal: &[f32], other: &[f32]) -> f64 {
    let power = |samples: &mut dyn Iterator<Item = f32>| samples.map(|s| f64::from(s).powi(2)).sum::<f64>();
    let distance = power(&mut signal.iter().zip(other).map(|(a, b)| a - b));
    10.0 * (power(&mut signal.iter().copied()) / distance.max(1e-12)).log10()
}

/// opusdec is the reference: the same samples within what 16 bits hold, in every mode of Opus.
#[test]
fn opus_is_decoded_as_opusdec_does() {
    for mode in ["silk", "hybrid", "celt"] {
        let ours = decode(sample(&format!("speech-{mode}.opus")));
        let reference = decode(sample(&format!("speech-{mode}.opusdec.flac")));
        assert_eq!((ours.failure.as_str(), ours.remark.as_str()), ("", ""), "{mode}");
        assert_eq!(ours.samples.len(), reference.samples.len(), "{mode}");
        let decibels = ratio(&ours.samples, &reference.samples);
        assert!(decibels > 60.0, "{mode}: {decibels:.1} dB");
    }
}

/// A tone of 440 Hz at half of full scale, somewhere in what comes out: encoders put something in front.
#[test]
fn the_tone_is_in_every_format() {
    let check = |name: &str, container: Container, tolerance: f64| {
        let reader = AudioReader::from_bytes(sample(name)).unwrap();
        assert_eq!(reader.container(), container, "{name}");
        let DecodeResult { samples, remark, failure } = decode(sample(name));
        assert_eq!((remark.as_str(), failure.as_str()), ("", ""), "{name}");
        assert!((16_000..18_500).contains(&samples.len()), "{name}: {}", samples.len());
        // The middle half, as a sum of sine and cosine.
        let middle = &samples[4_000..12_000];
        let turn = |n: usize| std::f64::consts::TAU * 440.0 * n as f64 / 16_000.0;
        let part = |wave: &dyn Fn(f64) -> f64| {
            let sum: f64 = middle.iter().enumerate().map(|(n, s)| f64::from(*s) * wave(turn(n))).sum();
            2.0 * sum / middle.len() as f64
        };
        let (sine, cosine) = (part(&f64::sin), part(&f64::cos));
        let level = sine.hypot(cosine);
        assert!((level - 0.5).abs() < tolerance, "{name}: a level of {level}");
        let rest =
            |(n, s): (usize, &f32)| (f64::from(*s) - sine * turn(n).sin() - cosine * turn(n).cos()).abs();
        let worst = middle.iter().enumerate().map(rest).fold(0.0, f64::max);
        assert!(worst < 2.0 * tolerance, "{name}: off by {worst}");
    };
    check("tone-44100-2.m4a", Container::Mp4, 0.02);
    check("tone-44100-2.aac", Container::Aac, 0.02);
    check("tone-44100-2.mp2", Container::Mp2, 0.02);
    check("tone-48000-2.webm", Container::WebM, 0.03);
    check("tone-8000-1.ima.wav", Container::Wav, 0.02);
    check("tone-8000-1.ms.wav", Container::Wav, 0.03);
    check("tone-8000-1.caf", Container::Caf, 0.001);
}

#[test]
fn what_is_not_decoded_is_named() {
    let mut m4a = sample("tone-44100-2.m4a");
    // The configuration of AAC-LC becomes one of spectral band replication over AAC-LC.
    let at = m4a.windows(5).position(|five| five == [0x12, 0x10, 0x56, 0xe5, 0]).unwrap();
    m4a[at..at + 5].copy_from_slice(&[0x2b, 0x92, 0x08, 0, 0]);
    let check = |bytes: Vec<u8>, expected: &str| {
        let error = AudioReader::from_bytes(bytes).err().unwrap();
        assert!(error.is_convertible(), "{error}");
        assert_eq!((error.code(), error.to_string().as_str()), ("audio_unsupported", expected));
    };
    check(m4a, "MP4 with HE-AAC is not supported");
    check(sample("tone-8000-1.gsm.wav"), "WAV with GSM 06.10 is not supported");
    let mut unfinished = sample("tone-44100-2.m4a");
    unfinished.truncate(9_000);
    let error = AudioReader::from_bytes(unfinished).err().unwrap().to_string();
    assert!(error.ends_with("its index (moov) is missing: it was never finished"), "{error}");
    let mut opus = sample("tone.opus.ogg");
    opus[28..36].copy_from_slice(b"Speex   ");
    check(opus, "Ogg with Speex is not supported");
}

/// A header of 44 bytes, then the samples; sizes as recorders leave them.
#[test]
fn sizes_of_a_wav_that_do_not_hold() {
    let whole = Wav::tone(Encoding::Int16, 16_000, 1).bytes();
    let size = whole.len() as u32 - 44;
    let expected = decode(whole.clone()).samples;
    let list = b"LIST\x0a\0\0\0INFOabcdef";
    let open = "its header gives no length: heard to the end of the file";
    let check = |riff: u32, data: u32, behind: &[u8], remark: &str| {
        let mut bytes = [&whole[..], behind].concat();
        bytes[4..8].copy_from_slice(&riff.to_le_bytes());
        bytes[40..44].copy_from_slice(&data.to_le_bytes());
        let result = decode(bytes);
        assert_eq!(result.failure, "", "{riff} {data}");
        assert_eq!(result.remark, remark, "{riff} {data}");
        let samples = if remark.is_empty() { &expected[..] } else { &result.samples[..expected.len()] };
        assert!(result.samples.starts_with(samples) && samples == expected, "{riff} {data}");
        assert!(result.samples.len() <= expected.len() + behind.len() / 2, "{riff} {data}");
    };
    // The size of the whole does not matter.
    for riff in [0, 36, size + 28, size + 36, 0x8000_0024, u32::MAX] {
        check(riff, size, b"", "");
        check(riff, size, list, "");
    }
    // No size of the samples.
    for data in [0, 0x7fff_0000, 0x7fff_ffff, 0x8000_0000, 0xffff_f000, u32::MAX] {
        for riff in [0, 36, size + 36, u32::MAX] {
            check(riff, data, b"", open);
        }
    }
    // What can stand behind the samples is none.
    check(0, size, b"ID3\x04\0\0\0\0\0\x7f_____________", "");
    check(0, size, &[b"TAG", &[b'x'; 125][..]].concat(), "");
    check(0, size, b"\0\0\0\0", "");
    check(
        0,
        size,
        &[7; 2000],
        "2000 bytes follow behind the length that its header gives: heard to the end of the file",
    );
    // No samples at all.
    let empty = [&whole[..40], &0u32.to_le_bytes()[..], list].concat();
    assert_eq!(decode(empty).failure, "the WAV file holds no samples");
    // A size that can be meant is a promise, and all that is there is heard.
    let cut = decode(whole[..44 + 20_002].to_vec());
    assert_eq!(cut.samples, expected[..10_001]);
    assert_eq!(cut.failure, "the WAV file is cut off after 0.625 s of the 1.000 s that its header promises");
}

#[test]
fn sizes_of_other_chunks_that_do_not_hold() {
    let check = |name: &str, mark: &[u8], sizes: &[&[u8]], behind: usize| {
        let whole = sample(name);
        let expected = decode(whole.clone()).samples;
        let at = whole.windows(mark.len()).position(|four| four == mark).unwrap() + behind;
        for size in sizes {
            let mut bytes = whole.clone();
            bytes[4..8].fill(0);
            bytes[at..at + size.len()].copy_from_slice(size);
            let result = decode(bytes);
            assert_eq!(result.failure, "", "{name} {size:?}");
            assert!(
                result.remark.contains("heard to the end of the file"),
                "{name} {size:?}: {}",
                result.remark
            );
            assert!(result.samples.starts_with(&expected[..15_900]), "{name} {size:?}");
        }
    };
    check("tone-8000-1.aiff", b"SSND", &[&[0; 4], &[0xff; 4], &[0x7f, 0xff, 0xff, 0xff], &[0, 0, 1, 8]], 4);
    check("tone-8000-1.rf64.wav", b"ds64", &[&[0; 8], &[0xff; 8]], 16);
    check("tone-8000-1.ima.wav", b"data", &[&[0; 4], &[0xff; 4], &[0, 0, 0, 0x80]], 4);
}

/// An ID3 tag of a size.
fn id3(size: usize) -> Vec<u8> {
    let safe: Vec<u8> = (0..4).rev().map(|part| (size >> (7 * part) & 0x7f) as u8).collect();
    [&b"ID3\x03\0\0"[..], &safe, &vec![b'x'; size]].concat()
}

#[test]
fn tags_and_padding_of_an_mp3_are_passed_over() {
    let mp3 = sample("tone-44100-2.mp3");
    let expected = decode(mp3.clone()).samples;
    assert_eq!(expected.len(), 16_000);
    let ape = |is_header: bool| {
        let flags: u32 = if is_header { 0xa000_0000 } else { 0x8000_0000 };
        let numbers = [2000, 32 + 20, 1, flags].map(u32::to_le_bytes).concat();
        [b"APETAGEX", &numbers[..], &[0; 8]].concat()
    };
    let item = vec![b'i'; 20];
    let id1 = [b"TAG", &[b'x'; 125][..]].concat();
    let check = |front: &[u8], behind: &[u8]| {
        let result = decode([front, &mp3[..], behind].concat());
        assert_eq!((result.failure.as_str(), result.remark.as_str()), ("", ""));
        assert!(result.samples == expected, "{} samples", result.samples.len());
    };
    check(&id3(99), b"");
    check(&id3(200_000), &id1);
    check(&[id3(99), id3(10)].concat(), b"");
    check(&[id3(99), vec![0; 1500]].concat(), b"");
    let zeros = vec![0; 70_000];
    check(&zeros, &zeros);
    check(b"", &[ape(true), item.clone(), ape(false), id1.clone()].concat());
    check(b"", &[item, ape(false), id1].concat());
    check(b"", b"LYRICSBEGINwords000011LYRICS200");
}

#[test]
fn what_an_mp3_does_not_promise_is_not_missed() {
    let result = decode(sample("speech-22050-1.vbr.mp3"));
    assert_eq!((result.failure.as_str(), result.remark.as_str()), ("", ""));
    assert_eq!(result.samples.len(), 55_589);
}

#[test]
fn holes_cuts_and_splices_of_an_mp3() {
    // Of Xing's frame and 41 or so of sound, 209 bytes each at 64 kbit/s.
    let (mp3, other) = (sample("tone-44100-2.mp3"), sample("tone-8000-1.mp3"));
    let whole = decode(mp3.clone()).samples.len();
    let middle = mp3.len() / 2;
    let failure = |bytes: Vec<u8>, least: usize| {
        let result = decode(bytes);
        assert!((least..whole + 17_000).contains(&result.samples.len()), "{}", result.samples.len());
        result.failure
    };
    let mut hole = mp3.clone();
    hole[middle..middle + 900].fill(0);
    let message = failure(hole, whole - 4_000);
    assert!(
        message.starts_with("the MP3 data is damaged at 0.") && message.ends_with("bytes are no frames"),
        "{message}"
    );
    let mut holes = mp3.clone();
    for at in [middle / 2, middle, middle * 3 / 2] {
        holes[at..at + 700].fill(0x55);
    }
    let message = failure(holes, whole - 9_000);
    assert!(
        message.contains("and at 2 more places: ") && message.ends_with("bytes are no frames"),
        "{message}"
    );
    // Without the frame that says how long it is, only a truncated frame shows that the end is missing.
    let head = mp3.windows(2).skip(40).position(|two| two == [0xff, mp3[1]]).unwrap() + 40;
    let bare = &mp3[head..];
    let message = failure(bare[..bare.len() - 50].to_vec(), whole - 1_000);
    assert!(
        message.starts_with("the MP3 file is cut off after ") && !message.contains("promises"),
        "{message}"
    );
    let begun = decode(bare[77..].to_vec());
    assert_eq!(begun.failure, "");
    assert!(begun.remark.starts_with("it begins in the middle of a frame: its first "), "{}", begun.remark);
    // Two of different rates, with tags between them, are heard one after the other.
    let spliced = decode([&mp3[..], &id3(50), &other].concat());
    assert_eq!(spliced.failure, "");
    assert_eq!(spliced.samples.len(), whole + decode(other).samples.len());
}
