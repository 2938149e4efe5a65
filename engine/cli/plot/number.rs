//! Numbers as people read them.
//!
//! In: a value above zero. Out: its text with three significant digits. It knows no font and no place.

/// Digits raised, for powers of ten.
const RAISED: [char; 10] = ['⁰', '¹', '²', '³', '⁴', '⁵', '⁶', '⁷', '⁸', '⁹'];
const BYTE_UNITS: [&str; 7] = ["B", "kB", "MB", "GB", "TB", "PB", "EB"];

/// The unit of a series.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unit {
    Plain,
    Bytes,
}

impl Unit {
    /// For a label: `12.0`, `3.05 kB`.
    pub fn value(self, value: f64) -> String {
        match self {
            Self::Plain => plain(value),
            Self::Bytes => bytes(value),
        }
    }

    /// For a tick, whose digits end where its zeros begin: `12`, `3.5 kB`, `10⁶`.
    pub fn tick(self, value: f64) -> String {
        let text = self.value(value);
        let digits = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
        let (number, rest) = text.split_at_checked(digits).unwrap_or((&text, ""));
        let short =
            if number.contains('.') { number.trim_end_matches('0').trim_end_matches('.') } else { number };
        match rest.strip_prefix('×') {
            Some(power) if short == "1" => power.to_owned(),
            _ => format!("{short}{rest}"),
        }
    }
}

/// The labels of equally spaced ticks: all with as many places behind the point as the one that needs most.
pub fn even(unit: Unit, ticks: &[f64]) -> Vec<String> {
    let short: Vec<String> = ticks.iter().map(|tick| unit.tick(*tick)).collect();
    let with_more = |text: &String| text.chars().any(|c| !c.is_ascii_digit() && c != '.');
    if short.iter().any(with_more) {
        return short;
    }
    let places = short.iter().filter_map(|text| text.split_once('.')).map(|(_, places)| places.len()).max();
    let Some(places) = places else { return short };
    ticks.iter().map(|tick| format!("{tick:.places$}")).collect()
}

/// Returns a ratio, roughly: `67`, `2.5`.
pub fn times(ratio: f64) -> String {
    if ratio < 9.95 {
        format!("{ratio:.1}")
    } else if ratio < 99_999.5 {
        format!("{ratio:.0}")
    } else {
        plain(ratio)
    }
}

/// A span of time.
pub fn span(seconds: f64) -> String {
    if seconds < 0.9995 {
        format!("{:.0} ms", seconds * 1000.0)
    } else if seconds < 59.95 {
        format!("{seconds:.1} s")
    } else if seconds < 3599.5 {
        let whole = seconds.round();
        format!("{:.0} min {:.0} s", (whole / 60.0).floor(), whole % 60.0)
    } else if seconds < 1e9 {
        let minutes = (seconds / 60.0).round();
        format!("{:.0} h {:.0} min", (minutes / 60.0).floor(), minutes % 60.0)
    } else {
        format!("{} s", plain(seconds))
    }
}

/// The mantissa of three digits and the power of ten, rounded as one: 999.9 is 1.00 and 3.
fn parts(value: f64) -> (String, i32) {
    let text = format!("{value:.2e}");
    let (mantissa, exponent) = text.split_once('e').unwrap_or((&text, "0"));
    (mantissa.to_owned(), exponent.parse().unwrap_or(0))
}

fn plain(value: f64) -> String {
    let (mantissa, exponent) = parts(value);
    if (-3..=4).contains(&exponent) {
        return format!("{value:.*}", decimals(exponent));
    }
    let mut text = format!("{mantissa}×10");
    if exponent < 0 {
        text.push('⁻');
    }
    for digit in exponent.unsigned_abs().to_string().chars() {
        let place = digit.to_digit(10).and_then(|digit| usize::try_from(digit).ok());
        text.extend(place.and_then(|place| RAISED.get(place)));
    }
    text
}

fn bytes(value: f64) -> String {
    let (_, exponent) = parts(value);
    let step = usize::try_from(exponent.max(0) / 3).unwrap_or(0).min(BYTE_UNITS.len() - 1);
    let unit = BYTE_UNITS.get(step).unwrap_or(&"B");
    let scaled = (0..step).fold(value, |value, _| value / 1000.0);
    // A byte has no parts.
    let places = if step == 0 && value == value.round() { 0 } else { decimals(parts(scaled).1) };
    format!("{scaled:.places$} {unit}")
}

/// Places behind the point that leave three significant digits.
fn decimals(exponent: i32) -> usize {
    usize::try_from(2 - exponent).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::{Unit, even, span, times};

    #[test]
    fn values_have_three_digits() {
        let check =
            |unit: Unit, value: f64, expected: &str| assert_eq!(unit.value(value), expected, "{value}");
        check(Unit::Plain, 12.0, "12.0");
        check(Unit::Plain, 6.004, "6.00");
        check(Unit::Plain, 9.999, "10.0");
        check(Unit::Plain, 2000.0, "2000");
        check(Unit::Plain, 0.00123, "0.00123");
        check(Unit::Plain, 0.000123, "1.23×10⁻⁴");
        check(Unit::Plain, 99_949.0, "99949");
        check(Unit::Plain, 99_999.6, "1.00×10⁵");
        check(Unit::Plain, 1.6e300, "1.60×10³⁰⁰");
        check(Unit::Bytes, 1.0, "1 B");
        check(Unit::Bytes, 999.0, "999 B");
        check(Unit::Bytes, 1000.0, "1.00 kB");
        check(Unit::Bytes, 3049.0, "3.05 kB");
        check(Unit::Bytes, 999_499.0, "999 kB");
        check(Unit::Bytes, 999_600.0, "1.00 MB");
        check(Unit::Bytes, 1.844e19, "18.4 EB");
        check(Unit::Bytes, 1.844e23, "184400 EB");
    }

    #[test]
    fn ticks_are_short() {
        let check =
            |unit: Unit, value: f64, expected: &str| assert_eq!(unit.tick(value), expected, "{value}");
        check(Unit::Plain, 10.0, "10");
        check(Unit::Plain, 100.0, "100");
        check(Unit::Plain, 0.5, "0.5");
        check(Unit::Plain, 1e6, "10⁶");
        check(Unit::Plain, 2e-6, "2×10⁻⁶");
        check(Unit::Bytes, 200_000.0, "200 kB");
        check(Unit::Bytes, 2e6, "2 MB");
    }

    #[test]
    fn equally_spaced_ticks_have_equal_places() {
        assert_eq!(even(Unit::Plain, &[8.8, 9.0, 9.2]), ["8.8", "9.0", "9.2"]);
        assert_eq!(even(Unit::Plain, &[8.0, 9.0, 10.0]), ["8", "9", "10"]);
        assert_eq!(even(Unit::Plain, &[1e6, 1.5e6]), ["10⁶", "1.5×10⁶"]);
    }

    #[test]
    fn spans_and_ratios_are_rounded_as_one() {
        for (seconds, expected) in [
            (0.0402, "40 ms"),
            (0.9996, "1.0 s"),
            (40.8, "40.8 s"),
            (59.96, "1 min 0 s"),
            (3599.6, "1 h 0 min"),
            (102_000.0, "28 h 20 min"),
            (3e12, "3.00×10¹² s"),
        ] {
            assert_eq!(span(seconds), expected);
        }
        for (ratio, expected) in [(1.25, "1.2"), (9.96, "10"), (66.7, "67"), (1e7, "1.00×10⁷")] {
            assert_eq!(times(ratio), expected);
        }
    }
}
