//! What the first bytes of a file say it is, so that a photograph is called a photograph.
//!
//! Decoders search for a frame anywhere in a file, and random bytes hold MP3 frame headers; therefore a
//! file counts as audio only when it starts as one.

use super::{AudioError, Container};

/// Bytes looked at.
pub(super) const HEAD: usize = 512;

/// Signatures of what people put beside recordings, at their offset.
const FOREIGN: &[(usize, &[u8], &str)] = &[
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
    (0, b"\x1a\x45\xdf\xa3", "a Matroska or WebM file"),
    (0, b"caff", "a Core Audio file"),
    (0, b"FORM", "an AIFF or other IFF file"),
    (0, b"RF64", "an RF64 file (WAV beyond 4 GiB)"),
    (0, b"#!AMR", "an AMR file"),
    (0, b".snd", "a Sun audio file"),
    (0, b"\x30\x26\xb2\x75", "a Windows Media file"),
    (4, b"ftyp", "an MP4, M4A or QuickTime file"),
    (28, b"OpusHead", "Opus in Ogg"),
];

/// Which of the four formats the bytes start as; else what they look like.
pub(super) fn audio(head: &[u8]) -> Result<Container, AudioError> {
    if head.is_empty() {
        return Err(AudioError::Empty);
    }
    if let Some((_, _, found)) = FOREIGN.iter().find(|(at, mark, _)| starts(head, *at, mark)) {
        return Err(AudioError::NotAudio { found });
    }
    if starts(head, 0, b"RIFF") {
        return match head.get(8..12) {
            Some(b"WAVE") | None => Ok(Container::Wav),
            Some(b"AVI ") => Err(AudioError::NotAudio { found: "an AVI film" }),
            Some(b"WEBP") => Err(AudioError::NotAudio { found: "a WebP image" }),
            Some(_) => Err(AudioError::NotAudio { found: "a RIFF file that is not WAVE" }),
        };
    }
    if starts(head, 0, b"fLaC") {
        return Ok(Container::Flac);
    }
    if starts(head, 0, b"OggS") {
        return Ok(Container::Ogg);
    }
    if starts(head, 0, b"ID3") || mpeg_layer_three(head) {
        return Ok(Container::Mp3);
    }
    Err(AudioError::NotAudio { found: if is_text(head) { "text" } else { "a file of unknown kind" } })
}

fn starts(head: &[u8], at: usize, mark: &[u8]) -> bool {
    head.get(at..).is_some_and(|rest| rest.starts_with(mark))
}

/// The header of an MPEG audio frame, layer III, with no reserved value (ISO/IEC 11172-3, 2.4.1.3).
fn mpeg_layer_three(head: &[u8]) -> bool {
    let [first, second, third, ..] = head else { return false };
    let sync = *first == 0xff && second & 0xe0 == 0xe0;
    let version = second >> 3 & 0b11;
    let layer = second >> 1 & 0b11;
    sync && version != 0b01 && layer == 0b01 && third >> 4 != 0b1111 && third >> 2 & 0b11 != 0b11
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
