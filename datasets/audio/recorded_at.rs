//! When a recording was made, by what its own file says.
//!
//! The bytes of a file flow in; a time flows out, or nothing where the file says none. It reads the tags that recorders write: `bext` and
//! `ICRD` of WAV, the header of a film in M4A, `DateUTC` of WebM, `TDRC` (or `TYER`, `TDAT` and `TIME`) of MP3. A time without a zone is read as UTC. A
//! date without a time of day says nothing: it would put all recordings of a day at midnight.
//!
//! Knows nothing of names or dates of files, and decodes nothing.

use std::io::{Read, Seek, SeekFrom};
use std::path::Path;

use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::TimeZone;

/// Steps from one part of a file to the next, at most: a file of a thousand tiny parts is no recorder's.
const STEPS: usize = 1_000;

/// The longest tag that is read.
const TAG: u64 = 1 << 20;

/// When the recording at a path was made, as far as its file says so.
pub fn recorded_at(path: &Path) -> Option<Timestamp> {
    of(&mut crate::regular::open(path).ok()?)
}

/// The same of any source of bytes.
fn of<R: Read + Seek>(source: &mut R) -> Option<Timestamp> {
    let head = bytes(source, 0, 12)?;
    match &head[..] {
        [b'R', b'I' | b'F', b'F' | b'6', b'F' | b'4', _, _, _, _, b'W', b'A', b'V', b'E'] => wav(source),
        [_, _, _, _, b'f', b't', b'y', b'p', ..] => mp4(source),
        [0x1a, 0x45, 0xdf, 0xa3, ..] => matroska(source),
        [b'I', b'D', b'3', ..] => id3(source),
        _ => None,
    }
    // The moments from which clocks that were never set count are no times of recordings.
    .filter(|time| time.as_second() > 86_400)
}

/// So many bytes at a place; nothing where the file has fewer.
fn bytes<R: Read + Seek>(source: &mut R, at: u64, count: u64) -> Option<Vec<u8>> {
    source.seek(SeekFrom::Start(at)).ok()?;
    let mut bytes = Vec::new();
    source.take(count).read_to_end(&mut bytes).ok()?;
    (bytes.len() as u64 == count).then_some(bytes)
}

/// A time as a tag writes it, with a zone or without.
fn written(text: &str) -> Option<Timestamp> {
    let text = text.trim_end_matches('\0').trim();
    if let Ok(time) = text.parse::<Timestamp>() {
        return Some(time);
    }
    let civil: DateTime = text.contains(':').then(|| text.parse().ok())??;
    civil.to_zoned(TimeZone::UTC).ok().map(|zoned| zoned.timestamp())
}

fn wav<R: Read + Seek>(source: &mut R) -> Option<Timestamp> {
    let mut at = 12;
    for _ in 0..STEPS {
        let head = bytes(source, at, 8)?;
        let (id, size) = (head.get(..4)?, u64::from(u32::from_le_bytes(head.get(4..8)?.try_into().ok()?)));
        match id {
            b"bext" => {
                // The date begins behind a description (256 bytes), an originator and its reference (32 each).
                let stamp = bytes(source, at + 8 + 320, 18)?;
                let digits = |range: std::ops::Range<usize>| std::str::from_utf8(stamp.get(range)?).ok();
                let date = [digits(0..4)?, digits(5..7)?, digits(8..10)?].join("-");
                let time = [digits(10..12)?, digits(13..15)?, digits(16..18)?].join(":");
                return written(&format!("{date}T{time}"));
            }
            b"LIST" if size <= TAG => {
                let list = bytes(source, at + 8, size)?;
                if let Some(time) = info_date(&list) {
                    return Some(time);
                }
            }
            _ => {}
        }
        at += 8 + size + size % 2;
    }
    None
}

/// The creation date in a list of a WAV file.
fn info_date(list: &[u8]) -> Option<Timestamp> {
    let mut rest = list.strip_prefix(b"INFO")?;
    loop {
        let (head, behind) = rest.split_at_checked(8)?;
        let size = usize::try_from(u32::from_le_bytes(head.get(4..8)?.try_into().ok()?)).ok()?;
        let (value, behind) = behind.split_at_checked(size)?;
        if head.starts_with(b"ICRD") {
            return written(std::str::from_utf8(value).ok()?);
        }
        rest = behind.get(size % 2..)?;
    }
}

fn mp4<R: Read + Seek>(source: &mut R) -> Option<Timestamp> {
    /// From 1904-01-01, where these clocks begin, to 1970-01-01.
    const BEFORE_1970: i64 = 2_082_844_800;
    let mut at = 0;
    for _ in 0..STEPS {
        let head = bytes(source, at, 8)?;
        let size = u64::from(u32::from_be_bytes(head.get(..4)?.try_into().ok()?));
        let (size, begins) = match size {
            1 => (u64::from_be_bytes(bytes(source, at + 8, 8)?.try_into().ok()?), 16),
            size => (size, 8),
        };
        match head.get(4..8)? {
            b"moov" => at += begins,
            b"mvhd" => {
                let version = bytes(source, at + begins, 4)?;
                let seconds = if version.first() == Some(&1) {
                    i64::from_be_bytes(bytes(source, at + begins + 4, 8)?.try_into().ok()?)
                } else {
                    i64::from(u32::from_be_bytes(bytes(source, at + begins + 4, 4)?.try_into().ok()?))
                };
                return Timestamp::from_second(seconds.checked_sub(BEFORE_1970)?).ok();
            }
            _ if size < begins => return None,
            _ => at = at.checked_add(size)?,
        }
    }
    None
}

fn matroska<R: Read + Seek>(source: &mut R) -> Option<Timestamp> {
    const SEGMENT: u64 = 0x1853_8067;
    const INFO: u64 = 0x1549_a966;
    const CLUSTER: u64 = 0x1f43_b675;
    const DATE_UTC: u64 = 0x4461;
    /// From 1970-01-01 to 2001-01-01, where these clocks begin.
    const AFTER_1970: i64 = 978_307_200;
    let mut at = 0;
    for _ in 0..STEPS {
        let (id, id_length) = ebml_number(source, at, false)?;
        let (size, size_length) = ebml_number(source, at + id_length, true)?;
        let begins = at + id_length + size_length;
        match id {
            SEGMENT | INFO => at = begins,
            CLUSTER => return None,
            DATE_UTC => {
                let nanos = i64::from_be_bytes(bytes(source, begins, 8)?.try_into().ok()?);
                let time = Timestamp::from_nanosecond(i128::from(nanos)).ok()?;
                return (nanos != 0)
                    .then(|| time.checked_add(jiff::SignedDuration::from_secs(AFTER_1970)).ok())?;
            }
            _ => at = begins.checked_add(size)?,
        }
    }
    None
}

/// A number of variable length, whose first byte holds its length; with or without the marker bit.
fn ebml_number<R: Read + Seek>(source: &mut R, at: u64, bare: bool) -> Option<(u64, u64)> {
    let first = *bytes(source, at, 1)?.first()?;
    let length = u64::from(first.leading_zeros()) + 1;
    let all = bytes(source, at, length.min(8))?;
    let number = all.iter().fold(0, |number, byte| number << 8 | u64::from(*byte));
    let mark = 1_u64.checked_shl(u32::try_from(7 * length).ok()?)?;
    Some((if bare { number & (mark - 1) } else { number }, length))
}

fn id3<R: Read + Seek>(source: &mut R) -> Option<Timestamp> {
    let head = bytes(source, 0, 10)?;
    let (version, size) = (*head.get(3)?, syncsafe(head.get(6..10)?));
    let (mut at, end) = (10, 10 + size);
    let (mut year, mut day, mut time) = (None, None, None);
    for _ in 0..STEPS {
        if at + 10 > end || !(3..=4).contains(&version) {
            break;
        }
        let head = bytes(source, at, 10)?;
        let size = head.get(4..8)?;
        let size = if version == 4 {
            syncsafe(size)
        } else {
            size.iter().fold(0, |sum, byte| sum << 8 | u64::from(*byte))
        };
        let mut text = || latin(&bytes(source, at + 10, size.min(64))?);
        match head.get(..4)? {
            b"TDRC" => return written(&text()?),
            b"TYER" => year = text(),
            b"TDAT" => day = text(),
            b"TIME" => time = text(),
            [0, ..] => break,
            _ => {}
        }
        at += 10 + size;
    }
    let (year, day, time) = (year?, day?, time?);
    let (day, month) = day.split_at_checked(2)?;
    let (hour, minute) = time.split_at_checked(2)?;
    written(&format!("{year}-{month}-{day}T{hour}:{minute}"))
}

fn syncsafe(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0, |sum, byte| sum << 7 | u64::from(byte & 0x7f))
}

/// The plain letters of a text of ID3, in whichever encoding: a date has no others.
fn latin(frame: &[u8]) -> Option<String> {
    let (_, text) = frame.split_first()?;
    Some(
        text.iter()
            .filter(|byte| byte.is_ascii_graphic() || **byte == b' ')
            .map(|byte| char::from(*byte))
            .collect(),
    )
}

#[cfg(test)]
mod tests {
    use std::io::Cursor;

    use proptest::prelude::*;

    use super::*;

    fn describe(bytes: &[u8]) -> String {
        of(&mut Cursor::new(bytes)).map_or_else(|| "nothing".to_owned(), |time| time.to_string())
    }

    fn chunk(id: &[u8], body: &[u8]) -> Vec<u8> {
        [id, &u32::try_from(body.len()).unwrap().to_le_bytes(), body, &[0][..body.len() % 2]].concat()
    }

    fn wave(chunks: &[Vec<u8>]) -> Vec<u8> {
        [b"RIFF\0\0\0\0WAVE", &chunks.concat()[..]].concat()
    }

    fn bext(stamp: &str) -> Vec<u8> {
        chunk(b"bext", &[&[0; 320], stamp.as_bytes(), &[0; 280]].concat())
    }

    #[test]
    fn a_wav_says_it_in_bext_or_icrd() {
        let check = |chunks: &[Vec<u8>], expected: &str| assert_eq!(describe(&wave(chunks)), expected);
        let (fmt, data) = (chunk(b"fmt ", &[0; 16]), chunk(b"data", &[0; 7]));
        check(&[bext("2026-03-0208:15:00"), data.clone()], "2026-03-02T08:15:00Z");
        check(&[fmt.clone(), data.clone(), bext("2026:03:0208-15-00")], "2026-03-02T08:15:00Z");
        check(&[bext("2026-03-3208:15:00")], "nothing");
        check(&[bext("\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0")], "nothing");
        check(&[bext("1970-01-0100:00:00")], "nothing");
        let list = |date: &[u8]| {
            chunk(b"LIST", &[b"INFO", &chunk(b"INAM", b"abc")[..], &chunk(b"ICRD", date)].concat())
        };
        check(&[fmt.clone(), list(b"2026-03-02T08:15:00\0"), data.clone()], "2026-03-02T08:15:00Z");
        check(&[list(b"2026-03-02 08:15:00+02:00")], "2026-03-02T06:15:00Z");
        check(&[list(b"2026-03-02")], "nothing");
        check(&[list(b"2026")], "nothing");
        check(&[fmt, data], "nothing");
    }

    #[test]
    fn an_m4a_says_it_in_the_header_of_the_film() {
        let atom = |id: &[u8], body: &[u8]| {
            [&u32::try_from(body.len() + 8).unwrap().to_be_bytes(), id, body].concat()
        };
        let check = |mvhd: &[u8], expected: &str| {
            let film = [
                atom(b"ftyp", b"M4A \0\0\0\0"),
                atom(b"mdat", &[7; 99]),
                atom(b"moov", &atom(b"mvhd", mvhd)),
            ];
            assert_eq!(describe(&film.concat()), expected);
        };
        let seconds = 1_772_439_300_i64 + 2_082_844_800;
        let short = u32::try_from(seconds).unwrap().to_be_bytes();
        check(&[&[0; 4], &short[..], &[0; 92]].concat(), "2026-03-02T08:15:00Z");
        check(&[&[1, 0, 0, 0], &seconds.to_be_bytes()[..], &[0; 92]].concat(), "2026-03-02T08:15:00Z");
        check(&[0; 100], "nothing");
        check(&[0; 3], "nothing");
    }

    #[test]
    fn a_webm_says_it_in_its_info() {
        let head = b"\x1a\x45\xdf\xa3\x84\0\0\0\0";
        let nanos = (1_772_439_300_i64 - 978_307_200) * 1_000_000_000;
        let check = |date: i64, expected: &str| {
            let date = [b"\x44\x61\x88", &date.to_be_bytes()[..]].concat();
            // Of unknown length, as browsers write it.
            let segment = b"\x18\x53\x80\x67\x01\xff\xff\xff\xff\xff\xff\xff";
            let info = [b"\x15\x49\xa9\x66", &[0x80 | 16][..], b"\x2a\xd7\xb1\x82\0\0", &date[..10]].concat();
            let all = [&head[..], segment, &info[..info.len() - 10], &date].concat();
            assert_eq!(describe(&all), expected);
        };
        check(nanos, "2026-03-02T08:15:00Z");
        check(0, "nothing");
        assert_eq!(describe(head), "nothing");
    }

    #[test]
    fn an_mp3_says_it_in_id3() {
        let frame = |id: &[u8], text: &[u8]| {
            [id, &u32::try_from(text.len() + 1).unwrap().to_be_bytes(), b"\0\0\0", text].concat()
        };
        let check = |version: u8, frames: &[Vec<u8>], expected: &str| {
            let body = [&frames.concat()[..], &[0; 40]].concat();
            let size = u8::try_from(body.len()).unwrap();
            let tag = [b"ID3", &[version, 0, 0, 0, 0, size >> 7, size & 0x7f][..], &body, b"\xff\xfb\x90\0"]
                .concat();
            assert_eq!(describe(&tag), expected);
        };
        let name = frame(b"TIT2", b"memo");
        check(4, &[name.clone(), frame(b"TDRC", b"2026-03-02T08:15:00")], "2026-03-02T08:15:00Z");
        check(4, &[frame(b"TDRC", b"2026-03-02 08:15")], "2026-03-02T08:15:00Z");
        check(4, &[frame(b"TDRC", b"2026-03-02")], "nothing");
        check(4, &[frame(b"TDRC", b"1999")], "nothing");
        let parts = [frame(b"TYER", b"2026"), frame(b"TDAT", b"0203"), frame(b"TIME", b"0815")];
        check(3, &parts, "2026-03-02T08:15:00Z");
        check(3, &parts[..2], "nothing");
        check(2, &parts, "nothing");
        check(4, &[], "nothing");
    }

    proptest! {
        #[test]
        fn any_bytes_say_a_time_or_nothing(
            head in prop::sample::select(vec![
                &b"RIFF\0\0\0\0WAVE"[..], b"RIFF\0\0\0\0WAVEbext\0\0\0\0", b"RIFF\0\0\0\0WAVELIST\x10\0\0\0INFOICRD",
                b"\0\0\0\x08ftyp\0\0\0\x08moov\0\0\0\x08mvhd", b"\0\0\0\x08ftyp\0\0\0\x01", b"\x1a\x45\xdf\xa3\x80\x44\x61", b"ID3\x04\0\0\0\0\x7f\x7fTDRC",
            ]),
            body in prop::collection::vec(any::<u8>(), 0..400),
        ) {
            describe(&[head, &body[..]].concat());
        }
    }
}
