//! Newtypes for the units that cross the contract, so that an epoch is never added to a byte count.
//!
//! In: numbers and the short texts people write in pipeline files ("10s", "64MiB"). Out: typed units.

use std::fmt;
use std::time::Duration;

/// A numbered micro-batch of input: the timestamp of the dataflow.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Epoch(pub u64);

impl Epoch {
    /// The epoch after this one.
    pub fn next(self) -> Self {
        Epoch(self.0.saturating_add(1))
    }
}

impl fmt::Display for Epoch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)
    }
}

/// A training round: a number carried in rows and barriers, never derived from the epoch.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Round(pub u64);

/// Samples per second.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Hertz(pub u32);

/// A size in bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Bytes(pub u64);

/// A point in captured time: microseconds since 1970-01-01T00:00:00Z.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Micros(pub i64);

/// A number and its suffix: "10s" is (10, "s").
fn number_and_suffix(text: &str) -> Option<(f64, &str)> {
    let text = text.trim();
    let at = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
    let (number, suffix) = text.split_at(at);
    Some((number.parse().ok()?, suffix.trim()))
}

/// Reads "500ms", "10s", "5m", "24h" or "7d".
///
/// # Errors
/// The expected form, for a text of another form or a negative or endless time.
pub fn parse_duration(text: &str) -> Result<Duration, String> {
    const FORM: &str = "a time such as \"500ms\", \"10s\", \"5m\", \"24h\" or \"7d\"";
    let (number, suffix) = number_and_suffix(text).ok_or(FORM)?;
    let seconds = match suffix {
        "ms" => 0.001,
        "s" => 1.0,
        "m" | "min" => 60.0,
        "h" => 3600.0,
        "d" => 86400.0,
        _ => return Err(FORM.into()),
    };
    Duration::try_from_secs_f64(number * seconds).map_err(|_| FORM.into())
}

/// Writes a duration as [`parse_duration`] reads it, in the largest unit that divides it.
pub fn show_duration(duration: Duration) -> String {
    let ms = duration.as_millis();
    for (unit, suffix) in [(86_400_000, "d"), (3_600_000, "h"), (60_000, "m"), (1000, "s")] {
        if ms > 0 && ms.is_multiple_of(unit) {
            return format!("{}{suffix}", ms / unit);
        }
    }
    format!("{ms}ms")
}

impl Bytes {
    /// Reads "4096", "64KiB", "16MiB", "2GiB" (and kB, MB, GB as powers of ten).
    ///
    /// # Errors
    /// The expected form, for a text of another form.
    pub fn parse(text: &str) -> Result<Self, String> {
        const FORM: &str = "a size such as \"64KiB\", \"16MiB\" or \"2GB\"";
        let (number, suffix) = number_and_suffix(text).ok_or(FORM)?;
        let unit = match suffix {
            "" | "B" => 1.0,
            "kB" | "KB" => 1e3,
            "MB" => 1e6,
            "GB" => 1e9,
            "KiB" => 1024.0,
            "MiB" => 1_048_576.0,
            "GiB" => 1_073_741_824.0,
            _ => return Err(FORM.into()),
        };
        let bytes = (number * unit).round();
        if !(0.0..9e18).contains(&bytes) {
            return Err(FORM.into());
        }
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "checked to be 0..9e18 above"
        )]
        Ok(Bytes(bytes as u64))
    }
}

impl fmt::Display for Bytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (unit, suffix) in [(1 << 30, "GiB"), (1 << 20, "MiB"), (1 << 10, "KiB")] {
            if self.0 >= unit {
                let whole = self.0 as f64 / unit as f64;
                return if self.0.is_multiple_of(unit) {
                    write!(f, "{whole}{suffix}")
                } else {
                    write!(f, "{whole:.1}{suffix}")
                };
            }
        }
        write!(f, "{}B", self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations() {
        let check = |text: &str, expected: Option<u64>| {
            assert_eq!(parse_duration(text).ok().map(|d| d.as_millis()), expected.map(u128::from), "{text}");
        };
        check("500ms", Some(500));
        check("10s", Some(10_000));
        check("1.5s", Some(1500));
        check("5m", Some(300_000));
        check("24h", Some(86_400_000));
        check("7d", Some(604_800_000));
        check(" 3 s ", Some(3000));
        for wrong in ["", "s", "10", "10 weeks", "-3s", "1e400s", "..s"] {
            check(wrong, None);
        }
        assert_eq!(show_duration(Duration::from_secs(90)), "90s");
        assert_eq!(show_duration(Duration::from_hours(2)), "2h");
        assert_eq!(show_duration(Duration::from_millis(1500)), "1500ms");
    }

    #[test]
    fn sizes() {
        let check = |text: &str, expected: Option<u64>| {
            assert_eq!(Bytes::parse(text).ok().map(|b| b.0), expected, "{text}");
        };
        check("4096", Some(4096));
        check("64KiB", Some(65_536));
        check("1.5MiB", Some(1_572_864));
        check("2GB", Some(2_000_000_000));
        for wrong in ["", "MiB", "-1", "12XB", "1e300GiB"] {
            check(wrong, None);
        }
        assert_eq!(Bytes(65_536).to_string(), "64KiB");
        assert_eq!(Bytes(1_500_000).to_string(), "1.4MiB");
        assert_eq!(Bytes(12).to_string(), "12B");
    }
}
