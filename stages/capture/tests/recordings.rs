//! Recordings as users have them: among other things, in other formats, with headers that do not hold.

use std::os::unix::fs::symlink;
use std::os::unix::net::UnixListener;
use std::path::PathBuf;

use super::*;

fn samples(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../datasets/tests/samples").join(name)
}

/// A folder `den` with these recordings in it.
fn den(files: &[(&str, &[u8])]) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    fs::create_dir(folder.path().join("den")).unwrap();
    for (name, bytes) in files {
        fs::write(folder.path().join("den").join(name), bytes).unwrap();
    }
    folder
}

/// Place and content of the rows that a folder of recordings gives.
fn heard(folder: &Path, options: &str) -> Vec<String> {
    let capture = capture(&format!("path = '{}'\n{options}", folder.display()));
    SourceConfig::ready(&capture, &HostEnv::default()).unwrap();
    let (output, result) = run(&capture, None, None);
    result.unwrap();
    output.rows
}

/// Neither a pipe into which nothing is written, nor a device without an end, holds up what lies beside it.
#[test]
fn what_is_no_file_is_rejected_and_all_else_is_heard() {
    let speech = fs::read(samples("speech-16000-1.ogg")).unwrap();
    let folder = den(&[("1.ogg", &speech), ("7.ogg", &speech)]);
    let at = |name: &str| folder.path().join("den").join(name);
    let made = std::process::Command::new("mkfifo").args([at("2.wav"), at("manifest.toml")]).status();
    assert!(made.unwrap().success());
    let _socket = UnixListener::bind(at("3.wav")).unwrap();
    symlink("/dev/zero", at("4.wav")).unwrap();
    symlink("2.wav", at("5.wav")).unwrap();
    symlink("1.ogg", at("6.ogg")).unwrap();
    let rows = heard(folder.path(), "");
    let actual: Vec<_> = rows.iter().map(|row| row.rsplit(' ').next().unwrap()).collect();
    let not = "not_a_file";
    assert_eq!(actual, ["samples", not, not, not, not, "samples", "samples", not], "{rows:?}");
    let pipe = |options: &str| {
        let capture = capture(&format!("path = '{}'\n{options}", at("2.wav").display()));
        SourceConfig::ready(&capture, &HostEnv::default()).map_err(|error| error.to_string())
    };
    assert_eq!(pipe(""), Ok(()), "a recording is opened when its turn comes");
    for format in ["jsonl", "csv", "parquet"] {
        let error = pipe(&format!("format = '{format}'")).unwrap_err();
        assert!(error.contains("this is a named pipe, but a regular file is needed"), "{error}");
    }
}

/// 16-bit WAV of channels that are equally long.
fn channels(channels: &[&[f32]]) -> Vec<u8> {
    let frames = channels[0].len();
    let interleaved: Vec<f32> =
        (0..frames).flat_map(|n| channels.iter().map(move |channel| channel[n])).collect();
    let mut bytes = wav(&interleaved);
    let count = channels.len() as u16;
    bytes[22..24].copy_from_slice(&count.to_le_bytes());
    bytes[28..32].copy_from_slice(&(32_000 * u32::from(count)).to_le_bytes());
    bytes[32..34].copy_from_slice(&(2 * count).to_le_bytes());
    bytes
}

/// Two who speak one after the other, each on a channel of its own; the first one twice.
fn call() -> Vec<u8> {
    let (speech, pause) = (read(&samples("speech-16000-1.ogg")), vec![0.0; 16_000 * 3]);
    let silence = vec![0.0; speech.len()];
    let left = [&speech[..], &pause, &silence, &pause, &speech].concat();
    let right = [&silence[..], &pause, &speech, &pause, &silence].concat();
    channels(&[&left, &right])
}

/// Identities, parts and kinds of content of what is heard.
fn rows_of(output: &CaptureOutput) -> Vec<String> {
    let content = |row: &String| row.rsplit(' ').next().unwrap().to_owned();
    let seq = |row: &String| row.split(' ').nth(1).unwrap().to_owned();
    let mut parts = output.parts.iter();
    let part =
        |row: &String| if row.ends_with("samples") { parts.next().unwrap().to_string() } else { "-".into() };
    output
        .rows
        .iter()
        .zip(output.rows.iter().map(part))
        .map(|(row, part)| format!("{} {part} {}", seq(row), content(row)))
        .collect()
}

#[test]
fn channels_are_heard_as_one_apart_or_alone() {
    let folder = den(&[("1.wav", &call()), ("2.ogg", &fs::read(samples("speech-16000-1.ogg")).unwrap())]);
    let check = |options: &str, expected: &[&str]| {
        let capture = capture(&format!("path = '{}'\n{options}", folder.path().display()));
        let (whole, result) = run(&capture, None, None);
        result.unwrap();
        assert_eq!(rows_of(&whole), expected, "{options}");
        for left_after in 1..=whole.positions.len() {
            let (first, _) = run(&capture, None, Some(left_after));
            let (rest, result) = run(&capture, first.positions.last().cloned(), None);
            result.unwrap();
            assert_eq!(
                [&first.rows[..], &rest.rows[..]].concat(),
                whole.rows,
                "{options}, left after {left_after}"
            );
        }
        whole.reasons
    };
    check("", &["0 0 samples", "1 0 samples", "2 0 samples", "1000000 0 samples"]);
    check("channels = 'split'", &["0 0 samples", "1 0 samples", "2 1 samples", "1000000 0 samples"]);
    check("channels = 1", &["0 0 samples", "1 0 samples", "1000000 0 samples"]);
    let reasons = check("channels = 2", &["0 0 samples", "1000000 - channel_missing"]);
    assert!(
        reasons[0].ends_with("2.ogg: the Ogg file has 1 channel, but channel 2 is asked for"),
        "{reasons:?}"
    );
}

/// A break is reported once, whatever the number of channels.
#[test]
fn a_call_that_is_cut_off_is_told_once() {
    let call = call();
    let folder = den(&[("1.wav", &call[..call.len() * 2 / 3])]);
    let (output, result) =
        run(&capture(&format!("path = '{}'\nchannels = 'split'", folder.path().display())), None, None);
    result.unwrap();
    assert_eq!(rows_of(&output), ["0 0 samples", "1 1 samples", "2 - audio_truncated"]);
    assert!(
        output.reasons[0].ends_with("; the 2 utterances heard before that are kept"),
        "{:?}",
        output.reasons
    );
}

/// A plug wired the wrong way round silences no speaker, nor does a film's sound in which only the middle speaks.
#[test]
fn a_voice_is_heard_on_whichever_channels_it_is() {
    let speech = read(&samples("speech-16000-1.ogg"));
    let turned: Vec<f32> = speech.iter().map(|sample| -sample).collect();
    let none = vec![0.0; speech.len()];
    let files: [(&str, &[&[f32]]); 5] = [
        ("1.wav", &[&speech]),
        ("2.wav", &[&speech, &turned]),
        ("3.wav", &[&none, &speech]),
        ("4.wav", &[&turned, &none, &speech]),
        ("5.wav", &[&none, &none, &speech, &none, &none, &none]),
    ];
    let files: Vec<_> = files.into_iter().map(|(name, parts)| (name, channels(parts))).collect();
    let files: Vec<_> = files.iter().map(|(name, bytes)| (*name, &bytes[..])).collect();
    let rows = heard(den(&files).path(), "");
    assert_eq!(rows.len(), 5, "{rows:?}");
    assert!(rows.iter().all(|row| row.ends_with("samples")), "{rows:?}");
}

/// A recorder that was killed left no size; what cannot be decoded is named with the command that converts it.
#[test]
fn recordings_of_others() {
    let mut killed = wav(&read(&samples("speech-16000-1.ogg")));
    killed[4..8].fill(0);
    killed[40..44].fill(0);
    let folder = den(&[
        ("1.wav", &killed),
        ("it's.amr", b"#!AMR\n\x3c"),
        ("z.gsm.wav", &fs::read(samples("tone-8000-1.gsm.wav")).unwrap()),
    ]);
    let (output, result) = run(&capture(&format!("path = '{}'", folder.path().display())), None, None);
    result.unwrap();
    assert_eq!(
        rows_of(&output),
        ["0 0 samples", "1000000 - audio_unsupported", "2000000 - audio_unsupported"]
    );
    let at = folder.path().join("den").display().to_string();
    let actual = [
        format!(
            "{at}/it's.amr: AMR is not supported; convert it: ffmpeg -i '{at}/it'\\''s.amr' '{at}/it'\\''s.flac'"
        ),
        format!(
            "{at}/z.gsm.wav: WAV with GSM 06.10 is not supported; convert it: ffmpeg -i '{at}/z.gsm.wav' '{at}/z.gsm.flac'"
        ),
    ];
    assert_eq!(output.reasons, actual);
}
