//! Times as texts write them: a value in, microseconds since 1970 or what is wrong with it out.
//!
//! Without options a time is RFC 3339, and names its offset. Reasons quote no value.

use headwater_contract::ConfigError as BadOption;
use headwater_contract::units::Micros;
use jiff::civil::DateTime;
use jiff::fmt::strtime::BrokenDownTime;
use jiff::fmt::temporal::DateTimeParser;
use jiff::tz::TimeZone;
use jiff::{Timestamp, Zoned};

use super::{RecordError, When};

/// The format of times.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Times {
    form: Form,
    /// The zone of times that name none.
    zone: Option<TimeZone>,
}

#[derive(Debug, Clone, Default, PartialEq)]
enum Form {
    #[default]
    Rfc3339,
    /// Seconds since 1970, times so many.
    Unix(u32),
    /// As strptime knows it.
    Pattern(String),
}

/// Counts of seconds since 1970, and how many decimals of a second one is.
const UNIX: [(&str, u32); 3] = [("unix", 0), ("unix_ms", 3), ("unix_us", 6)];

/// The last instant that can be printed: the end of the year 9999 in every zone.
const LAST: &str = "9999-12-30T22:00:00Z";

impl Times {
    /// Times in this form and zone.
    ///
    /// # Errors
    /// The option that is wrong, and why.
    pub fn new(format: Option<&str>, zone: Option<&str>) -> Result<Self, BadOption> {
        let zone = zone.map(zone_of).transpose()?;
        let Some(format) = format else { return Ok(Self { form: Form::Rfc3339, zone }) };
        if let Some((_, decimals)) = UNIX.iter().find(|(word, _)| *word == format) {
            return Ok(Self { form: Form::Unix(*decimals), zone });
        }
        let error = |what: String| {
            BadOption::new("time_format", what).help(
                "such as \"%d/%m/%Y %H:%M:%S\"; \"unix\", \"unix_ms\" and \"unix_us\" are counts since 1970",
            )
        };
        let sample = jiff::fmt::strtime::format(format, &Zoned::new(Timestamp::UNIX_EPOCH, TimeZone::UTC))
            .map_err(|cause| error(format!("cannot be used: {cause}")))?;
        let parsed = BrokenDownTime::parse(format, &sample)
            .map_err(|cause| error(format!("cannot be read back: {cause}")))?;
        if parsed.to_timestamp().is_err() {
            parsed.to_date().map_err(|cause| error(format!("gives no date: {cause}")))?;
            if zone.is_none() {
                let what = "names no zone or offset (%z); expected `time_zone` beside it";
                return Err(BadOption::new("time_format", what).help("such as time_zone = \"Europe/Berlin\""));
            }
        }
        Ok(Self { form: Form::Pattern(format.to_owned()), zone })
    }

    /// Returns true if a time may be a number.
    pub fn are_numbers(&self) -> bool {
        matches!(self.form, Form::Unix(_))
    }

    /// The zone of times that name none.
    pub fn zone(&self) -> TimeZone {
        self.zone.clone().unwrap_or(TimeZone::UTC)
    }

    /// The instant in a column's value.
    pub fn instant(&self, when: &When, column: &str) -> Result<Micros, RecordError> {
        let error = |expected: &str| ("bad_time", format!("`{column}` {expected}"));
        let text = match when {
            When::ModificationTimes(text) => text.trim(),
            When::Micros(micros) => {
                let time = Timestamp::from_microsecond(*micros);
                return time.map(micros_of).map_err(|_| error("must be a time before the year 10000"));
            }
        };
        match &self.form {
            Form::Rfc3339 => self.rfc3339(text).map_err(|what| error(&what)),
            Form::Unix(decimals) => unix(text, *decimals).ok_or_else(|| {
                error("must be a count since 1970, as `time_format` says, before the year 10000")
            }),
            Form::Pattern(pattern) => self
                .by_pattern(pattern, text)
                .ok_or_else(|| error(&format!("must be a time of the form `time_format` says, {pattern:?}"))),
        }
    }

    fn rfc3339(&self, text: &str) -> Result<Micros, String> {
        if let Ok(time) = text.parse::<Timestamp>() {
            return Ok(micros_of(time));
        }
        let form = "must be a time and its offset (RFC 3339), such as 2026-03-02T08:15:00Z";
        let pieces = DateTimeParser::new().parse_pieces(text).map_err(|_| form)?;
        if pieces.offset().is_some() || pieces.time_zone_annotation().is_some() {
            return Err(if pieces.time().is_some() {
                format!("is out of range; expected a time up to {LAST}")
            } else {
                form.to_owned()
            });
        }
        if self.zone.is_none() {
            let what =
                "names no offset; expected one, such as 2026-03-02T08:15:00+01:00, or the option `time_zone`";
            return Err(what.to_owned());
        }
        let civil = DateTime::from_parts(pieces.date(), pieces.time().unwrap_or_default());
        self.in_zone(civil).ok_or_else(|| format!("is out of range; expected a time up to {LAST}"))
    }

    fn by_pattern(&self, pattern: &str, text: &str) -> Option<Micros> {
        let parsed = BrokenDownTime::parse(pattern, text).ok()?;
        if let Ok(time) = parsed.to_timestamp() {
            return Some(micros_of(time));
        }
        let time = parsed.to_time().unwrap_or_default();
        self.in_zone(DateTime::from_parts(parsed.to_date().ok()?, time))
    }

    fn in_zone(&self, civil: DateTime) -> Option<Micros> {
        self.zone().to_timestamp(civil).ok().map(micros_of)
    }
}

fn micros_of(time: Timestamp) -> Micros {
    Micros(time.as_microsecond())
}

/// The zone of that name.
fn zone_of(name: &str) -> Result<TimeZone, BadOption> {
    let offset = || {
        let pieces = format!("2000-01-01T00:00{name}");
        let pieces = DateTimeParser::new().parse_pieces(&pieces).ok()?;
        pieces.to_numeric_offset().map(TimeZone::fixed)
    };
    if name == "UTC" {
        return Ok(TimeZone::UTC);
    }
    TimeZone::get(name).ok().or_else(offset).ok_or_else(|| {
        BadOption::new("time_zone", "no such zone is known on this machine")
            .help("such as \"Europe/Berlin\" (of /usr/share/zoneinfo), \"+01:00\" or \"UTC\"")
    })
}

/// A decimal count since 1970, whose unit is so many decimals of a second, as microseconds rounded down.
fn unix(text: &str, decimals: u32) -> Option<Micros> {
    let (sign, digits) = text.strip_prefix('-').map_or((1, text), |rest| (-1, rest));
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
    let are_digits = |part: &str| part.bytes().all(|byte| byte.is_ascii_digit());
    if whole.is_empty() || !are_digits(whole) || !are_digits(fraction) {
        return None;
    }
    let wanted = 6_u32.checked_sub(decimals)?;
    let fraction: String = fraction.chars().chain(std::iter::repeat('0')).take(wanted as usize).collect();
    let micros = sign * format!("{whole}{fraction}").parse::<i128>().ok()?;
    Timestamp::from_microsecond(i64::try_from(micros).ok()?).ok().map(micros_of)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(times: &Times, text: &str) -> String {
        match times.instant(&When::ModificationTimes(text.to_owned()), "at") {
            Ok(Micros(micros)) => Timestamp::from_microsecond(micros).unwrap().to_string(),
            Err((code, what)) => format!("{code}: {what}"),
        }
    }

    #[test]
    fn times_without_options() {
        let check =
            |text: &str, expected: &str| assert_eq!(read(&Times::default(), text), expected, "{text}");
        let form = "bad_time: `at` must be a time and its offset (RFC 3339), such as 2026-03-02T08:15:00Z";
        let offset = "bad_time: `at` names no offset; expected one, such as 2026-03-02T08:15:00+01:00, or the option `time_zone`";
        let range = "bad_time: `at` is out of range; expected a time up to 9999-12-30T22:00:00Z";
        check("2026-03-02T08:00:00Z", "2026-03-02T08:00:00Z");
        check(" 2026-03-02T08:00:00+02:00 ", "2026-03-02T06:00:00Z");
        check("2026-03-02T08:00:00.123456789Z", "2026-03-02T08:00:00.123456Z");
        check("2026-03-02 08:00:00Z", "2026-03-02T08:00:00Z");
        check("2026-03-02T08:00:60Z", "2026-03-02T08:00:59Z");
        check("1969-12-31T23:59:59Z", "1969-12-31T23:59:59Z");
        check("2026-03-02 08:00:00", offset);
        check("2026-03-02", offset);
        check("9999-12-31T23:59:59Z", range);
        check("2026-02-30T08:00:00Z", form);
        check("1772438400000", form);
        check("02/03/2026 08:00", form);
        check("noon", form);
        check("", form);
    }

    #[test]
    fn times_in_a_form_and_a_zone() {
        let check = |format: Option<&str>, zone: Option<&str>, text: &str, expected: &str| {
            assert_eq!(
                read(&Times::new(format, zone).unwrap(), text),
                expected,
                "{format:?} {zone:?} {text}"
            );
        };
        let berlin = Some("Europe/Berlin");
        check(None, berlin, "2026-03-02 08:00:00", "2026-03-02T07:00:00Z");
        check(None, berlin, "2026-07-02", "2026-07-01T22:00:00Z");
        check(None, berlin, "2026-03-02T08:00:00Z", "2026-03-02T08:00:00Z");
        check(None, Some("+02:00"), "2026-03-02T08:00", "2026-03-02T06:00:00Z");
        check(Some("%d/%m/%Y %H:%M"), berlin, "02/03/2026 08:00", "2026-03-02T07:00:00Z");
        check(Some("%d.%m.%Y"), berlin, "02.03.2026", "2026-03-01T23:00:00Z");
        check(Some("%Y-%m-%d %H:%M:%S%.f %z"), None, "2026-03-02 08:00:00.5 +0100", "2026-03-02T07:00:00.5Z");
        let form = "bad_time: `at` must be a time of the form `time_format` says, \"%d.%m.%Y\"";
        check(Some("%d.%m.%Y"), berlin, "2026-03-02", form);
        check(Some("unix"), None, "1772438400", "2026-03-02T08:00:00Z");
        check(Some("unix"), None, "1772438400.5", "2026-03-02T08:00:00.5Z");
        check(Some("unix"), None, "-1", "1969-12-31T23:59:59Z");
        check(Some("unix_ms"), None, "1772438400000", "2026-03-02T08:00:00Z");
        check(Some("unix_us"), None, "1772438400000000", "2026-03-02T08:00:00Z");
        let count = "bad_time: `at` must be a count since 1970, as `time_format` says, before the year 10000";
        check(Some("unix"), None, "1772438400000", count);
        check(Some("unix"), None, "2026-03-02T08:00:00Z", count);
        check(Some("unix"), None, "99999999999999999999999999999999999999999", count);
        // The hour that is there twice is the first one.
        check(Some("%Y-%m-%d %H:%M"), berlin, "2026-10-25 02:30", "2026-10-25T00:30:00Z");
    }

    #[test]
    fn forms_and_zones_that_cannot_be_used() {
        let check = |format: Option<&str>, zone: Option<&str>, option: &str| {
            let error = Times::new(format, zone).unwrap_err();
            assert_eq!(error.option, option, "{format:?} {zone:?}: {}", error.what);
        };
        check(None, Some("Mars/Olympus"), "time_zone");
        check(None, Some(""), "time_zone");
        check(Some("%d/%m/%Y %H:%M"), None, "time_format");
        check(Some("%H:%M"), Some("UTC"), "time_format");
        check(Some("%Q%"), Some("UTC"), "time_format");
        check(Some(""), Some("UTC"), "time_format");
        check(Some("day month"), Some("UTC"), "time_format");
    }
}
