//! Every format at many rates: lengths, levels, and what happens to files that are none or not whole.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss
)]

mod wav;

use std::path::{Path, PathBuf};

use headwater_datasets::audio::{AudioError, AudioReader, CHUNK, Container, fuzz_audio};
use proptest::prelude::*;
use wav::{Encoding, Wav};

fn sample(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/samples").join(name)
}

/// All samples, and the error that ended them, if any.
fn decode(reader: Result<AudioReader, AudioError>) -> (Vec<f32>, Option<AudioError>) {
    let mut reader = match reader {
        Ok(reader) => reader,
        Err(error) => return (Vec::new(), Some(error)),
    };
    let mut all: Vec<f32> = Vec::new();
    loop {
        match reader.next_chunk() {
            Ok(Some(chunk)) => {
                assert!(!chunk.is_empty() && chunk.len() <= CHUNK);
                assert_eq!(all.len() % CHUNK, 0, "a short chunk that is not the last");
                all.extend_from_slice(chunk);
            }
            Ok(None) => return (all, None),
            Err(error) => {
                assert!(matches!(reader.next_chunk(), Ok(None)), "nothing comes after an error");
                return (all, Some(error));
            }
        }
    }
}

fn decode_bytes(bytes: Vec<u8>) -> (Vec<f32>, Option<AudioError>) {
    decode(AudioReader::from_bytes(bytes))
}

/// The largest distance from a 440 Hz sine at half of full scale, over the middle of the sound.
fn distance_from_tone(samples: &[f32]) -> f32 {
    let ideal = |n: usize| 0.5 * (std::f64::consts::TAU * 440.0 * n as f64 / 16_000.0).sin() as f32;
    (1600..samples.len() - 1600).map(|n| (samples[n] - ideal(n)).abs()).fold(0.0, f32::max)
}

#[test]
fn compressed_formats_give_the_tone_that_went_in() {
    let check = |name: &str, container: Container, rate: u32, channels: usize, tolerance: f32| {
        let reader = AudioReader::open(&sample(name)).unwrap();
        assert_eq!(
            (reader.container(), reader.source_rate(), reader.channels()),
            (container, rate, channels),
            "{name}"
        );
        let (samples, error) = decode(Ok(reader));
        assert!(error.is_none(), "{name}: {error:?}");
        assert_eq!(samples.len(), 16_000, "{name}");
        let distance = distance_from_tone(&samples);
        assert!(distance < tolerance, "{name}: off by {distance}");
    };
    check("tone-16000-1.flac", Container::Flac, 16_000, 1, 1e-4);
    check("tone-8000-1.flac", Container::Flac, 8_000, 1, 1e-3);
    check("tone-44100-2.flac", Container::Flac, 44_100, 2, 1e-3);
    check("tone-12000-6.flac", Container::Flac, 12_000, 6, 1e-3);
    check("tone-44100-2.ogg", Container::Ogg, 44_100, 2, 0.03);
    check("tone-22050-1.ogg", Container::Ogg, 22_050, 1, 0.03);
    check("tone-44100-2.mp3", Container::Mp3, 44_100, 2, 0.03);
    check("tone-8000-1.mp3", Container::Mp3, 8_000, 1, 0.03);
    check("tone.opus.ogg", Container::Ogg, 48_000, 1, 0.03);
    check("tone-8000-1.aiff", Container::Aiff, 8_000, 1, 1e-3);
    check("tone-8000-1.caf", Container::Caf, 8_000, 1, 1e-3);
    check("tone-8000-1.rf64.wav", Container::Wav, 8_000, 1, 1e-3);
    check("tone-8000-1.alaw.wav", Container::Wav, 8_000, 1, 0.03);
}

#[test]
fn wav_of_every_encoding_rate_and_number_of_channels() {
    for encoding in Encoding::ALL {
        for (rate, channels) in
            [(8_000, 1), (11_025, 2), (16_000, 1), (22_050, 1), (44_100, 2), (48_000, 8), (96_000, 3)]
        {
            let wav = Wav::tone(encoding, rate, channels);
            let (samples, error) = decode_bytes(wav.bytes());
            assert!(error.is_none(), "{encoding:?} {rate} {channels}: {error:?}");
            assert_eq!(samples.len(), 16_000, "{encoding:?} {rate} {channels}");
            let distance = distance_from_tone(&samples);
            let step = if encoding == Encoding::Int8 { 0.01 } else { 1e-3 };
            assert!(distance < step, "{encoding:?} {rate} {channels}: off by {distance}");
        }
    }
}

#[test]
fn channels_are_averaged_and_full_scale_is_kept() {
    let frames = vec![vec![1.0, 0.0], vec![1.0, 1.0], vec![-1.0, -1.0], vec![0.5, -0.5], vec![3.0, 3.0]];
    let wav = Wav { encoding: Encoding::Float32, rate: 16_000, frames };
    assert_eq!(decode_bytes(wav.bytes()).0, [0.5, 1.0, -1.0, 0.0, 1.0]);
}

#[test]
fn files_that_are_no_audio_say_what_they_are() {
    let check = |bytes: &[u8], code: &str, words: &str| {
        let error = decode_bytes(bytes.to_vec()).1.expect(words);
        assert_eq!(error.code(), code, "{error}");
        assert!(error.to_string().contains(words), "{error}");
        fuzz_audio(bytes);
    };
    check(b"", "file_empty", "0 bytes");
    check(b"my number is 555", "not_audio", "this is text");
    check("größer".as_bytes(), "not_audio", "this is text");
    check(&[0; 4096], "not_audio", "tags or silence without a recording");
    check(&[0xff; 4096], "not_audio", "unknown kind");
    check(&std::fs::read(sample("red.png")).unwrap(), "not_audio", "a PNG image");
    check(b"PK\x03\x04aaaaaaaaaaaa", "not_audio", "a ZIP archive");
    check(b"\0\0\0\x20ftypM4A ", "audio_corrupt", "missing");
    check(b"FORM\0\0\0\0ILBMBMHD", "not_audio", "an IFF file that is not AIFF");
    check(b"#!AMR\n", "audio_unsupported", "AMR is not supported");
    check(b"riff\x2e\x91\xcf\x11\xa5\xd6", "audio_unsupported", "Sony Wave64 (W64) is not supported");
    check(b".snd\0\0\0\x18", "audio_unsupported", "Sun audio (AU) is not supported");
    check(&[&[0xd1][..], &[0x5a; 32]].concat().repeat(20), "audio_unsupported", "GSM 06.10 is not supported");
    check(&std::fs::read(sample("tone-8000-1.gsm.wav")).unwrap(), "audio_unsupported", "WAV with GSM 06.10");
    check(b"RIFF\0\0\0\0AVI LIST", "not_audio", "AVI");
    check(b"RIFF", "audio_truncated", "cut off after 0.000 s");
    check(b"fLaC", "audio_truncated", "cut off after 0.000 s");
    check(b"OggS", "audio_truncated", "cut off after 0.000 s");
    let empty = Wav { encoding: Encoding::Int16, rate: 16_000, frames: Vec::new() };
    check(&empty.bytes_of(1), "audio_without_samples", "no samples");
}

#[test]
fn what_cannot_be_opened_says_why() {
    let check = |path: &Path, code: &str| assert_eq!(AudioReader::open(path).err().unwrap().code(), code);
    check(Path::new("/nowhere/x.wav"), "file_missing");
    check(Path::new(env!("CARGO_MANIFEST_DIR")), "not_a_file");
    check(&sample("make.sh"), "not_audio");
}

/// The first part of every format: what came before the cut is given, then the reason.
#[test]
fn cut_off_files_are_named_as_such() {
    let wav = Wav::tone(Encoding::Int16, 44_100, 2).bytes();
    let files = [
        "tone-44100-2.flac",
        "tone-16000-1.flac",
        "tone-44100-2.ogg",
        "tone-22050-1.ogg",
        "tone-44100-2.mp3",
        "tone-44100-2.aac",
        "tone-44100-2.mp2",
        "tone.opus.ogg",
        "tone-8000-1.aiff",
        "tone-8000-1.caf",
        "tone-8000-1.rf64.wav",
    ];
    let files = files.map(|name| (name, std::fs::read(sample(name)).unwrap()));
    for (name, bytes) in files.into_iter().chain([("wav", wav)]) {
        for tenths in 1..10 {
            let (samples, error) = decode_bytes(bytes[..bytes.len() * tenths / 10].to_vec());
            let error = error.unwrap_or_else(|| panic!("{name} at {tenths}/10 passed as whole"));
            let said = error.seconds_read();
            assert!(
                ["audio_truncated", "audio_corrupt"].contains(&error.code()),
                "{name} at {tenths}/10: {error}"
            );
            assert!(
                (samples.len() as f64 / 16_000.0 - said).abs() < 0.01,
                "{name} at {tenths}/10: {} of {said}",
                samples.len()
            );
            assert!(samples.len() < 16_000, "{name} at {tenths}/10");
        }
    }
}

#[test]
fn a_wav_whose_header_promises_nothing_ends_where_it_ends() {
    let mut bytes = Wav::tone(Encoding::Int16, 16_000, 1).bytes();
    bytes[4..8].copy_from_slice(&u32::MAX.to_le_bytes());
    bytes[40..44].copy_from_slice(&u32::MAX.to_le_bytes());
    let (samples, error) = decode_bytes(bytes);
    assert!(error.is_none(), "{error:?}");
    assert_eq!(samples.len(), 16_000);
}

/// One flipped byte among the samples (the first half of a small FLAC file may be padding): FLAC and Ogg carry checksums and must notice.
#[test]
fn damage_is_noticed_where_the_format_can() {
    for name in ["tone-44100-2.flac", "tone-16000-1.flac", "tone-44100-2.ogg"] {
        let whole = std::fs::read(sample(name)).unwrap();
        for tenths in 5..10 {
            let mut bytes = whole.clone();
            bytes[whole.len() * tenths / 10] ^= 0x55;
            let (_, error) = decode_bytes(bytes);
            assert!(error.is_some(), "{name}: a flip at {tenths}/10 went unnoticed");
        }
    }
}

#[test]
fn samples_that_are_no_numbers_are_named_by_place() {
    for (bad, encoding) in [
        (f64::NAN, Encoding::Float32),
        (f64::INFINITY, Encoding::Float64),
        (f64::NEG_INFINITY, Encoding::Float32),
        (1e300, Encoding::Float64),
    ] {
        let mut wav = Wav::tone(encoding, 16_000, 2);
        wav.frames[8_000][1] = bad;
        let (samples, error) = decode_bytes(wav.bytes());
        let error = error.unwrap();
        assert!(matches!(error, AudioError::NotFinite { frame: 8_000, channel: 1, .. }), "{error:?}");
        assert_eq!(samples.len(), 8_000);
        assert!(samples.iter().all(|sample| sample.is_finite()));
    }
}

#[test]
fn rates_that_no_recorder_has_are_refused() {
    for rate in [1, 500, 1_000_000, u32::MAX] {
        let mut wav = Wav::tone(Encoding::Int16, 16_000, 1);
        wav.rate = rate;
        let error = decode_bytes(wav.bytes()).1.unwrap();
        assert_eq!(error.code(), "audio_unsupported", "{rate}: {error}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    /// Files with some bytes changed and the end cut off: whatever comes out, nothing panics.
    #[test]
    fn mangled_files_never_panic(
        name in prop::sample::select(vec![
            "tone-16000-1.flac", "tone-44100-2.ogg", "tone-8000-1.mp3", "tone-44100-2.mp2", "tone-44100-2.aac", "tone-44100-2.m4a",
            "tone-48000-2.webm", "tone.opus.ogg", "tone-8000-1.aiff", "tone-8000-1.caf", "tone-8000-1.ima.wav", "tone-8000-1.ms.wav", "wav",
        ]),
        flips in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..20),
        cut in any::<prop::sample::Index>(),
    ) {
        let mut bytes = match name {
            "wav" => Wav::tone(Encoding::Int24, 22_050, 2).bytes(),
            name => std::fs::read(sample(name)).unwrap(),
        };
        for (at, value) in flips {
            let at = at.index(bytes.len());
            bytes[at] = value;
        }
        bytes.truncate(cut.index(bytes.len()).max(1));
        fuzz_audio(&bytes);
    }

    #[test]
    fn any_bytes_never_panic(
        head in prop::sample::select(vec![&b""[..], b"RIFF", b"fLaC\0\0\0\x22", b"OggS\0\x02", b"ID3\x04", b"\xff\xfb\x90", b"\xff\xf1\x50\x80",
            b"caff\0\x01\0\0desc", b"FORM\0\0\0\0AIFFCOMM", b"\0\0\0\x08ftyp\0\0\0\x08moov", b"\x1a\x45\xdf\xa3\x80\x18\x53\x80\x67"]),
        body in prop::collection::vec(any::<u8>(), 0..600),
    ) {
        fuzz_audio(&[head, &body[..]].concat());
    }
}
