//! Numbers of the United Kingdom: NHS, national insurance, driving licences.

use crate::redact::candidate::{Alone, DigitRow};
use crate::redact::checks::{self, Check};
use crate::redact::code::CodeRow;
use crate::redact::kind::Entity;

/// Of digits alone.
pub const DIGITS: &[DigitRow] = &[DigitRow {
    kind: Entity::UkNhs,
    rule: "nhs",
    lengths: &[10],
    forms: &[&[3, 3, 4]],
    check: Check { name: "mod 11", holds: nhs },
    alone: Alone { both: 0.5, check: 0.4, form: 0.1 },
    said: [8, 11],
}];

/// Of letters and digits.
pub const CODES: &[CodeRow] = &[
    CodeRow {
        kind: Entity::UkNino,
        rule: "nino",
        form: "AA999999A",
        check: Check { name: "HMRC plan", holds: nino },
        alone: [0.75, 0.45],
    },
    CodeRow {
        kind: Entity::DrivingLicence,
        rule: "uk licence",
        form: "AXXXX999999AXXAA",
        check: Check { name: "DVLA form", holds: licence },
        alone: [0.7, 0.2],
    },
];

fn nhs(digits: &[u8]) -> bool {
    let Some((check, rest)) = digits.split_last() else { return false };
    let sum = checks::weighted(rest, &[10, 9, 8, 7, 6, 5, 4, 3, 2]);
    !checks::is_monotone(digits) && (11 - sum % 11) % 11 == u32::from(*check)
}

/// Two letters of the prefixes that are given, six digits, A to D.
fn nino(symbols: &[u8]) -> bool {
    let (Some(&[a, b]), Some(last)) = (symbols.get(..2), symbols.last()) else { return false };
    let given = !b"DFIQUV".contains(&a) && !b"DFIOQUV".contains(&b);
    given && !b"BGGBNKKNTNNTZZ".chunks(2).any(|pair| pair == [a, b]) && (b'A'..=b'D').contains(last)
}

/// The digits hold decade, month (plus 50 for women), day and year.
fn licence(symbols: &[u8]) -> bool {
    let digits = symbols.get(5..11).and_then(checks::figures);
    digits.is_some_and(|digits| match digits.as_slice() {
        [_, a, b, c, d, _] => matches!(a % 5 * 10 + b, 1..=12) && matches!(c * 10 + d, 1..=31),
        _ => false,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plans() {
        let nhs = |text: &str| nhs(&checks::figures(text.as_bytes()).unwrap());
        assert!(nhs("9434765919") && nhs("4010232137") && !nhs("9434765918") && !nhs("0000000000"));
        assert!(nino(b"AB123456C") && !nino(b"QQ123456C") && !nino(b"BG123456A") && !nino(b"AB123456E"));
        assert!(licence(b"MORGA657054SM9IJ") && !licence(b"MORGA697054SM9IJ"));
    }
}
