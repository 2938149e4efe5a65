//! The option `keep` of a store: how long and how much.
//!
//! In: a TOML table. Out: what is to be kept, or all that is wrong with the table at once.

use headwater_contract::units::Bytes;
use headwater_contract::{OptionType, Shape, toml};

/// The retention of a store; unlimited by default.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Retention {
    /// Days, measured from the newest row stored.
    pub days: Option<u32>,
    /// Bytes of segments.
    pub bytes: Option<Bytes>,
}

const DAYS: std::ops::RangeInclusive<i64> = 1..=36_500;

impl OptionType for Retention {
    fn shape() -> Shape {
        Shape::Table("`days` (1 to 36500), `bytes` or both, such as { days = 30, bytes = \"2GB\" }")
    }

    fn read(value: &toml::Value) -> Result<Self, String> {
        let expected = || format!("expected {}", Self::shape().expected());
        let table = value.as_table().filter(|table| !table.is_empty()).ok_or_else(expected)?;
        let mut kept = Retention { days: None, bytes: None };
        let mut errors = Vec::new();
        for (name, value) in table {
            match name.as_str() {
                "days" => {
                    let days = value.as_integer().filter(|days| DAYS.contains(days));
                    kept.days = days.and_then(|days| u32::try_from(days).ok());
                    if kept.days.is_none() {
                        errors.push("1 to 36500 as `days`".to_owned());
                    }
                }
                "bytes" => match Bytes::read(value) {
                    Ok(bytes) => kept.bytes = Some(bytes),
                    Err(_) => errors.push(format!("{} as `bytes`", Bytes::shape().expected())),
                },
                other => errors.push(format!("`days` or `bytes` in place of `{other}`")),
            }
        }
        if errors.is_empty() { Ok(kept) } else { Err(format!("expected {}", errors.join("; "))) }
    }

    fn show(&self) -> String {
        let days = self.days.map(|days| format!("days = {days}"));
        // In full: what a size shows of itself is rounded.
        let bytes = self.bytes.map(|Bytes(bytes)| format!("bytes = \"{bytes}\""));
        format!("{{ {} }}", days.into_iter().chain(bytes).collect::<Vec<_>>().join(", "))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_kept_is_read_or_told() {
        let read = |text: &str| {
            let mut table: toml::Table = format!("keep = {text}").parse().unwrap();
            Retention::read(&table.remove("keep").unwrap())
        };
        let check = |text: &str, days: Option<u32>, bytes: Option<u64>| {
            let kept = read(text).unwrap();
            assert_eq!(kept, Retention { days, bytes: bytes.map(Bytes) }, "{text}");
            assert_eq!(read(&kept.show()).unwrap(), kept, "{}", kept.show());
        };
        check("{ days = 30, bytes = '2GB' }", Some(30), Some(2_000_000_000));
        check("{ bytes = '64KiB' }", None, Some(65_536));
        check("{ days = 1 }", Some(1), None);
        let check = |text: &str, expected: &[&str]| {
            let error = read(text).unwrap_err();
            assert!(expected.iter().all(|expected| error.contains(expected)), "{text}: {error}");
        };
        check("{}", &["{ days = 30"]);
        check("30", &["{ days = 30"]);
        check("{ days = 0, bytes = 'much', weeks = 2 }", &["as `days`", "as `bytes`", "in place of `weeks`"]);
    }
}
