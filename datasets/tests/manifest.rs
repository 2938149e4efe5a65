//! Manifests: what a good one gives, and the exact messages of wrong ones.
//!
//! Each `tests/manifests/NAME.toml` stands beside the `NAME.txt` it must give; `HEADWATER_BLESS=1` rewrites those.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::cast_possible_truncation
)]

use std::path::Path;

use headwater_datasets::manifest::{Entity, Manifest};
use proptest::prelude::*;

const GOOD: &str = r#"
format = "headwater-recordings"
version = 1

[[recording]]
file = "kitchen/0001.flac"
device = "kitchen"
captured_at = "2026-03-02T08:15:00+01:00"
seconds = 4
text = "my number is five five five oh one two three"
clean = true
voice = "slt"
sha256 = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
[[recording.entity]]
kind = "PHONE"
written = "555-0123"
spoken = "five five five oh one two three"

[[recording]]
file = "silence.wav"
device = "den"
captured_at = 2026-03-02T08:15:00.5Z
"#;

#[test]
fn a_good_manifest() {
    let manifest = Manifest::parse(Path::new("m.toml"), GOOD).unwrap();
    let [first, second] = &manifest.recordings[..] else { panic!("two recordings") };
    assert_eq!(first.file, Path::new("kitchen/0001.flac"));
    assert_eq!(first.captured_at.to_string(), "2026-03-02T07:15:00Z");
    assert_eq!((first.seconds, first.clean, first.line), (Some(4.0), true, 5));
    let entity = |kind: &str, written: &str, spoken: &str| Entity {
        kind: kind.into(),
        written: written.into(),
        spoken: spoken.into(),
    };
    assert_eq!(first.entities, [entity("PHONE", "555-0123", "five five five oh one two three")]);
    assert_eq!((second.text.as_deref(), second.clean, second.line), (None, false, 19));
    assert_eq!(second.captured_at.to_string(), "2026-03-02T08:15:00.5Z");
}

#[test]
fn a_data_set_is_a_manifest_too() {
    let head = "format = \"headwater-dataset\"\nversion = 1\nname = \"x\"\n";
    let row = |more: &str| format!("{head}[[row]]\ndevice = \"den\"\ntext = \"said\"\n{more}\n");
    let parse = |text: &str| Manifest::parse(Path::new("m.toml"), text);
    assert_eq!(parse(&row("")).unwrap().recordings, [], "a text is no recording");
    let read = parse(&row("file = \"a.wav\"\ncaptured_at = 2026-03-02T08:15:00Z")).unwrap();
    assert_eq!((read.recordings[0].device.as_str(), read.recordings[0].line), ("den", 4));
    let message = parse(&row("file = \"a.wav\"")).unwrap_err().to_string();
    assert_eq!(message, "m.toml:4:1: a recording that is captured needs `captured_at`");
    let message = parse(&row("file = \"/a.wav\"")).unwrap_err().to_string();
    assert!(message.contains("m.toml:7:8: `file` must be a relative path"), "{message}");
}

#[test]
fn wrong_manifests_give_their_messages() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/manifests");
    let mut names: Vec<_> = std::fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    names.retain(|path| path.extension().is_some_and(|suffix| suffix == "toml"));
    names.sort();
    assert!(names.len() >= 8, "{} manifests", names.len());
    for path in names {
        let name = path.file_name().unwrap();
        let text = std::fs::read_to_string(&path).unwrap();
        let message = match Manifest::parse(Path::new(name), &text) {
            Ok(manifest) => {
                panic!("{} was taken for good: {} recordings", path.display(), manifest.recordings.len())
            }
            Err(error) => format!("{error}\n"),
        };
        let golden = path.with_extension("txt");
        if std::env::var_os("HEADWATER_BLESS").is_some() {
            std::fs::write(&golden, &message).unwrap();
        }
        assert_eq!(message, std::fs::read_to_string(&golden).unwrap_or_default(), "{}", path.display());
    }
}

#[test]
fn an_absent_manifest_is_named() {
    let error = Manifest::read(Path::new("nowhere/manifest.toml")).unwrap_err().to_string();
    assert!(error.starts_with("nowhere/manifest.toml: cannot read the manifest"), "{error}");
}

proptest! {
    /// A good manifest with pieces cut out or put in: it is read, or every mistake has a place in the text.
    #[test]
    fn any_text_is_read_or_explained(from in 0..GOOD.len(), to in 0..GOOD.len(), put in "[\\PC\n]{0,8}") {
        let (from, to) = (from.min(to), from.max(to));
        let text = format!("{}{put}{}", &GOOD[..from], &GOOD[to..]);
        if let Err(headwater_datasets::manifest::ManifestError::Mistakes { mistakes }) = Manifest::parse(Path::new("m"), &text) {
            prop_assert!(!mistakes.is_empty());
            for mistake in mistakes {
                prop_assert!(mistake.line <= text.lines().count() + 1 && mistake.span.end <= text.len());
            }
        }
    }
}
