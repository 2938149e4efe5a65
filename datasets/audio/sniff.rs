//! The format of a file by its first bytes, so that a photograph is called a photograph.
//!
//! Decoders search for a frame anywhere in a file, and random bytes hold MP3 frame headers; therefore a
//! file counts as audio only when it starts as one, or with the end of a frame that others follow.

use std::io::{self, Read, Seek, SeekFrom};

use symphonia::core::io::MediaSource;

use super::chunks::{self, Layout};
use super::frames::{self, Head, Layer};
use super::patched::PatchedReader;
use super::{AudioError, Container, codecs};

/// Bytes checked: a row of the longest frames behind the end of one.
const HEAD: usize = 1 << 16;

/// Bytes of tags and silence that are passed over, at most, in steps.
const STEPS: usize = 64;

/// Signatures of what people put beside recordings, at their offset.
const NO_AUDIO: &[(usize, &[u8], &str)] = &[
    (0, b"\x89PNG\r\n\x1a\n", "a PNG image"),
    (0, b"\xff\xd8\xff", "a JPEG image"),
    (0, b"GIF8", "a GIF image"),
    (0, b"%PDF-", "a PDF document"),
    (0, b"PK\x03\x04", "a ZIP archive"),
    (0, b"\x1f\x8b", "a gzip archive"),
    (0, b"\x7fELF", "an ELF program"),
    (0, b"SQLite format 3\0", "an SQLite database"),
    (0, b"PAR1", "a Parquet file"),
    (0, b"PARE", "an encrypted Parquet file"),
];

/// Signatures of recordings that nothing here decodes.
const FOREIGN: &[(usize, &[u8], &str)] = &[
    (0, b"#!AMR", "AMR"),
    (0, b"#!EVS", "EVS"),
    (0, b"#!SILK", "SILK"),
    (1, b"#!SILK", "SILK"),
    (0, b".snd", "Sun audio (AU)"),
    (0, b"riff\x2e\x91\xcf\x11", "Sony Wave64 (W64)"),
    (0, b"\x30\x26\xb2\x75\x8e\x66\xcf\x11", "Windows Media"),
    (0, b"MAC ", "Monkey's Audio"),
    (0, b"wvpk", "WavPack"),
    (0, b"MPCK", "Musepack"),
    (0, b"TTA1", "True Audio"),
];

/// A source at the start of its recording.
pub(super) struct Start {
    pub(super) source: Box<dyn MediaSource>,
    pub(super) container: Container,
    /// The remark on a file that is decodable nevertheless.
    pub(super) remark: Option<String>,
    /// Bytes of samples that the header promises and that there are, where there are fewer.
    pub(super) short: Option<(u64, u64)>,
}

/// Finds what a source begins as.
pub(super) fn start(mut source: Box<dyn MediaSource>) -> Result<Start, AudioError> {
    let mut at = 0;
    let mut head = read(&mut source, at)?;
    if head.is_empty() {
        return Err(AudioError::Empty);
    }
    let mut found = container(&head)?;
    for _ in 0..STEPS {
        let passed = if found.is_none() { frames::front(&head) } else { 0 };
        if passed == 0 {
            break;
        }
        at += passed;
        head = read(&mut source, at)?;
        found = container(&head)?;
    }
    let found = found.or_else(|| frame(&head));
    let Some(container) = found else {
        let found = match () {
            () if is_gsm(&head) => return Err(AudioError::Foreign { what: "GSM 06.10" }),
            () if at > 0 && head.is_empty() => "tags or silence without a recording",
            () if is_text(&head) => "text",
            () => "a file of unknown kind",
        };
        return Err(AudioError::NotAudio { found });
    };
    let mut layout = Layout::default();
    if at == 0 && matches!(container, Container::Wav | Container::Aiff) {
        let length = source.seek(SeekFrom::End(0)).map_err(AudioError::Unreadable)?;
        layout = chunks::layout(&mut source, length).unwrap_or_default();
    }
    if let Some(format) = layout.format.filter(|format| !codecs::DECODED.contains(format)) {
        return Err(AudioError::Unsupported { container, what: codecs::wav(format).to_owned() });
    }
    if container == Container::Ogg
        && let Some(what) = codecs::ogg(head.get(28..).unwrap_or_default())
    {
        return Err(AudioError::Unsupported { container, what: what.to_owned() });
    }
    let remark = layout.open_ended.map(|why| format!("{why}: heard to the end of the file"));
    let source = PatchedReader::new(source, at, layout.patches).map_err(AudioError::Unreadable)?;
    Ok(Start { source: Box::new(source), container, remark, short: layout.short })
}

fn read(source: &mut Box<dyn MediaSource>, at: u64) -> Result<Vec<u8>, AudioError> {
    let mut head = Vec::new();
    let mut read_start = || -> io::Result<()> {
        source.seek(SeekFrom::Start(at))?;
        source.by_ref().take(HEAD as u64).read_to_end(&mut head)?;
        Ok(())
    };
    read_start().map_err(AudioError::Unreadable)?;
    Ok(head)
}

/// Which container the bytes start as, if they start as one; an error for what starts as something else.
fn container(head: &[u8]) -> Result<Option<Container>, AudioError> {
    let starts = |at: usize, mark: &[u8]| head.get(at..).is_some_and(|rest| rest.starts_with(mark));
    let listed = |list: &'static [(usize, &[u8], &'static str)]| {
        list.iter().find(|(at, mark, _)| starts(*at, mark)).map(|(_, _, name)| *name)
    };
    if let Some(found) = listed(NO_AUDIO) {
        return Err(AudioError::NotAudio { found });
    }
    if let Some(what) = listed(FOREIGN) {
        return Err(AudioError::Foreign { what });
    }
    let form = head.get(8..12);
    let not = |found: &'static str| Err(AudioError::NotAudio { found });
    Ok(match head {
        [b'R', b'I', b'F', b'F', ..] => match form {
            Some(b"WAVE") | None => Some(Container::Wav),
            Some(b"AVI ") => return not("an AVI film"),
            Some(b"WEBP") => return not("a WebP image"),
            Some(_) => return not("a RIFF file that is not WAVE"),
        },
        [b'R', b'F', b'6', b'4', ..] | [b'B', b'W', b'6', b'4', ..] => Some(Container::Wav),
        [b'F', b'O', b'R', b'M', ..] => match form {
            Some(b"AIFF" | b"AIFC") | None => Some(Container::Aiff),
            Some(_) => return not("an IFF file that is not AIFF"),
        },
        [b'c', b'a', b'f', b'f', ..] => Some(Container::Caf),
        [b'f', b'L', b'a', b'C', ..] => Some(Container::Flac),
        [b'O', b'g', b'g', b'S', ..] => Some(Container::Ogg),
        [0x1a, 0x45, 0xdf, 0xa3, ..] => Some(Container::WebM),
        [_, _, _, _, b'f', b't', b'y', b'p', ..] => Some(Container::Mp4),
        _ => None,
    })
}

/// The frames that bytes start as: one, or the end of one and others behind it.
fn frame(head: &[u8]) -> Option<Container> {
    let first =
        Head::read(head).or_else(|| Head::read(head.get(frames::sync(head, head.len() < HEAD)?..)?))?;
    Some(match first.layer {
        Layer::Two => Container::Mp2,
        Layer::Three => Container::Mp3,
        Layer::Aac => Container::Aac,
    })
}

/// Frames of 33 bytes, as telephone exchanges write them: each begins with the same four bits.
fn is_gsm(head: &[u8]) -> bool {
    let frames = head.chunks_exact(33);
    frames.len() >= 8 && frames.into_iter().all(|frame| frame.first().is_some_and(|first| first >> 4 == 0xd))
}

/// UTF-8 without control characters; a character cut by the end of the head is forgiven.
fn is_text(head: &[u8]) -> bool {
    let text = match std::str::from_utf8(head) {
        Ok(text) => text,
        Err(error) if error.error_len().is_none() => {
            head.get(..error.valid_up_to()).and_then(|valid| std::str::from_utf8(valid).ok()).unwrap_or("")
        }
        Err(_) => return false,
    };
    !text.is_empty() && !text.chars().any(|c| c.is_control() && !matches!(c, '\n' | '\r' | '\t'))
}
