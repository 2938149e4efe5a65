//! When a recording without a manifest was made.
//!
//! A file's modification time differs from machine to machine, and with it every digest. So only the name
//! counts: a stamp in it (`2026-03-02T08-15-00.wav`, `REC_20260302-081500.mp3`, `20260302081500.flac`;
//! read as UTC), else the recording's place: the n-th recording of a device begins n days after 1970-01-01.

use std::path::Path;
use std::sync::LazyLock;

use headwater_contract::units::Micros;
use jiff::civil::DateTime;
use jiff::tz::TimeZone;
use regex::Regex;

static STAMP: LazyLock<Option<Regex>> = LazyLock::new(|| {
    let date = r"(\d{4})([-_.]?)(\d{2})[-_.]?(\d{2})";
    let time = r"(\d{2})[-_.:]?(\d{2})[-_.:]?(\d{2})";
    Regex::new(&format!(r"(?:^|\D){date}(?:[T _-]?){time}(?:\D|$)")).ok()
});

/// When the `ordinal`-th recording of its device (from 0) begins.
pub fn captured_at(file: &Path, ordinal: u64) -> Micros {
    const DAY: i64 = 86_400_000_000;
    let later = || i64::try_from(ordinal).unwrap_or(i64::MAX).saturating_mul(DAY);
    Micros(stamp(file).unwrap_or_else(later))
}

fn stamp(file: &Path) -> Option<i64> {
    let name = file.file_stem()?.to_str()?;
    let found = STAMP.as_ref()?.captures(name)?;
    let number = |group: usize| found.get(group)?.as_str().parse::<i8>().ok();
    let year = found.get(1)?.as_str().parse::<i16>().ok()?;
    let civil = DateTime::new(year, number(3)?, number(4)?, number(5)?, number(6)?, number(7)?, 0).ok()?;
    civil.to_zoned(TimeZone::UTC).ok().map(|zoned| zoned.timestamp().as_microsecond())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stamps() {
        let check = |name: &str, expected: &str| {
            assert_eq!(
                {
                    let Micros(time) = captured_at(Path::new(name), 3);
                    jiff::Timestamp::from_microsecond(time).unwrap().to_string()
                },
                expected,
                "{name}"
            );
        };
        check("a/2026-03-02T08:15:00Z.wav", "2026-03-02T08:15:00Z");
        check("a/2026-03-02T08-15-00.flac", "2026-03-02T08:15:00Z");
        check("REC_20260302-081500.mp3", "2026-03-02T08:15:00Z");
        check("REC_20260302_081500_left.mp3", "2026-03-02T08:15:00Z");
        check("20260302081500.ogg", "2026-03-02T08:15:00Z");
        check("2026-03-02 08.15.00.ogg", "2026-03-02T08:15:00Z");
        // No stamp: the third day.
        check("0001.wav", "1970-01-04T00:00:00Z");
        check("20260302.wav", "1970-01-04T00:00:00Z");
        check("20261302081500.wav", "1970-01-04T00:00:00Z");
        check("120260302081500.wav", "1970-01-04T00:00:00Z");
        check("2026-03-02T25-15-00.wav", "1970-01-04T00:00:00Z");
        // The folder's name is no stamp of the recording.
        check("20260302081500/x.wav", "1970-01-04T00:00:00Z");
    }
}
