//! Numbers and texts as a page shows them.
//!
//! In: values. Out: text that may stand in HTML.

/// A number in few characters: for axes and points.
pub(super) fn short(value: f64) -> String {
    let size = value.abs();
    let text = match size {
        _ if size >= 1e9 => format!("{:.1}G", value / 1e9),
        _ if size >= 1e6 => format!("{:.1}M", value / 1e6),
        _ if size >= 1e4 => format!("{:.0}k", value / 1e3),
        _ if size >= 100.0 => format!("{value:.0}"),
        _ if size >= 10.0 => format!("{value:.1}"),
        _ if size >= 0.1 || size == 0.0 => format!("{value:.2}"),
        _ => format!("{value:.2e}"),
    };
    if text.contains('.') && !text.contains('e') {
        let (number, unit) = text.split_at(text.trim_end_matches(char::is_alphabetic).len());
        return format!("{}{unit}", number.trim_end_matches('0').trim_end_matches('.'));
    }
    text
}

/// A share as percent.
pub(super) fn percent(value: f64) -> String {
    let hundredths = value * 100.0;
    if hundredths != 0.0 && hundredths.abs() < 0.1 {
        format!("{hundredths:.3} %")
    } else if hundredths.abs() < 10.0 {
        format!("{hundredths:.2} %")
    } else {
        format!("{hundredths:.1} %")
    }
}

/// Bytes with a unit of thousands.
pub(super) fn bytes(value: f64) -> String {
    match value {
        _ if value >= 1e9 => format!("{:.2} GB", value / 1e9),
        _ if value >= 1e6 => format!("{:.2} MB", value / 1e6),
        _ if value >= 1e3 => format!("{:.1} kB", value / 1e3),
        _ => format!("{value:.0} B"),
    }
}

/// Writes a value, or a dash where there is none.
pub(super) fn or_dash(value: Option<f64>, show: impl Fn(f64) -> String) -> String {
    value.map_or_else(|| "–".to_owned(), show)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_short() {
        let table = [
            (0.0, "0"),
            (0.25, "0.25"),
            (3.0, "3"),
            (12.34, "12.3"),
            (314.0, "314"),
            (2183.1, "2183"),
            (27_800.0, "28k"),
            (2_224_300.0, "2.2M"),
            (0.0012, "1.20e-3"),
        ];
        for (value, expected) in table {
            assert_eq!(short(value), expected);
        }
        assert_eq!(
            (percent(0.0763), percent(0.5), percent(0.0)),
            ("7.63 %".into(), "50.0 %".into(), "0.00 %".into())
        );
    }
}
