//! When a file was captured that has no manifest and no column of times.
//!
//! In: a path. Out: a time that the file itself gives, never one that is made up: a stamp in its name (`2026-03-02T08-15-00.wav`,
//! `REC_20260302-081500.mp3`, `20260302081500.flac`), else the time that a recorder wrote into it, else its
//! modification time. The last two can differ from machine to machine: the caller remembers the answer. It must not know what the
//! file holds beside its time.

use std::fs;
use std::path::Path;
use std::sync::LazyLock;
use std::time::{SystemTime, UNIX_EPOCH};

use headwater_contract::units::Micros;
use headwater_datasets::audio::recorded_at;
use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::TimeZone;
use regex::Regex;

static STAMP: LazyLock<Option<Regex>> = LazyLock::new(|| {
    let date = r"(\d{4})([-_.]?)(\d{2})[-_.]?(\d{2})";
    let time = r"(\d{2})[-_.:]?(\d{2})[-_.:]?(\d{2})";
    Regex::new(&format!(r"(?:^|\D){date}(?:[T _-]?){time}(?:\D|$)")).ok()
});

/// When a file's content begins. A file that is not there gives the time at which it was looked for: nothing else is known of it.
pub fn captured_at(file: &Path, zone: &TimeZone) -> Micros {
    let local = |time: DateTime| zone.to_timestamp(time).ok().map(Timestamp::as_microsecond);
    let made = || recorded_at(file).map(Timestamp::as_microsecond);
    let modified = || fs::metadata(file).and_then(|meta| meta.modified()).ok().map(since_1970);
    let found = named(file).and_then(local).or_else(made).or_else(modified);
    Micros(found.unwrap_or_else(|| since_1970(SystemTime::now())))
}

fn since_1970(time: SystemTime) -> i64 {
    let micros = |length: std::time::Duration| i64::try_from(length.as_micros()).unwrap_or(i64::MAX);
    time.duration_since(UNIX_EPOCH).map_or_else(|before| -micros(before.duration()), micros)
}

/// The stamp in a file's name.
fn named(file: &Path) -> Option<DateTime> {
    let name = file.file_stem()?.to_str()?;
    let found = STAMP.as_ref()?.captures(name)?;
    let number = |group: usize| found.get(group)?.as_str().parse::<i8>().ok();
    let year = found.get(1)?.as_str().parse::<i16>().ok()?;
    DateTime::new(year, number(3)?, number(4)?, number(5)?, number(6)?, number(7)?, 0).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn stamps_of_names() {
        let check = |name: &str, expected: Option<&str>| {
            assert_eq!(named(Path::new(name)).map(|time| time.to_string()).as_deref(), expected, "{name}");
        };
        let stamp = Some("2026-03-02T08:15:00");
        check("a/2026-03-02T08:15:00Z.wav", stamp);
        check("a/2026-03-02T08-15-00.flac", stamp);
        check("REC_20260302-081500.mp3", stamp);
        check("REC_20260302_081500_left.mp3", stamp);
        check("20260302081500.ogg", stamp);
        check("2026-03-02 08.15.00.ogg", stamp);
        check("0001.wav", None);
        check("20260302.wav", None);
        check("20261302081500.wav", None);
        check("120260302081500.wav", None);
        check("2026-03-02T25-15-00.wav", None);
        // The folder's name is no stamp of the recording.
        check("20260302081500/x.wav", None);
    }

    #[test]
    fn what_a_file_says_of_its_time() {
        let folder = tempfile::tempdir().unwrap();
        let put = |name: &str, bytes: &[u8], modified: SystemTime| {
            let path = folder.path().join(name);
            fs::write(&path, bytes).unwrap();
            fs::File::options().append(true).open(&path).unwrap().set_modified(modified).unwrap();
            captured_at(&path, &TimeZone::UTC).0
        };
        let at = |seconds: u64| UNIX_EPOCH + Duration::from_secs(seconds);
        assert_eq!(put("x.wav", b"", at(7)), 7_000_000);
        assert_eq!(put("x.wav", b"", UNIX_EPOCH - Duration::from_secs(7)), -7_000_000);
        assert_eq!(put("19700101-000009.wav", b"", at(7)), 9_000_000);
        let mut bext = vec![0; 602];
        bext[320..338].copy_from_slice(b"1970-01-1100:00:08");
        let size = u32::try_from(bext.len()).unwrap().to_le_bytes();
        let wav = [&b"RIFF\0\0\0\0WAVEbext"[..], &size, &bext].concat();
        assert_eq!(put("x.wav", &wav, at(7)), 864_008_000_000);
        assert_eq!(put("19700101-000009.wav", &wav, at(7)), 9_000_000);
        let before = since_1970(SystemTime::now());
        assert!(captured_at(&folder.path().join("absent.wav"), &TimeZone::UTC).0 >= before);
        let east = TimeZone::fixed(jiff::tz::offset(1));
        assert_eq!(captured_at(Path::new("19700101-010009.wav"), &east), Micros(9_000_000));
    }
}
