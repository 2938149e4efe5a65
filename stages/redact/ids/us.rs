//! Numbers of the United States: taxpayers, employers, Medicare, providers of health care.

use crate::redact::candidate::{Alone, DigitRow};
use crate::redact::checks::{self, Check};
use crate::redact::code::CodeRow;
use crate::redact::kind::Entity;

/// Of digits alone.
pub const DIGITS: &[DigitRow] = &[
    DigitRow {
        kind: Entity::Itin,
        rule: "itin",
        lengths: &[9],
        forms: &[&[3, 2, 4]],
        check: Check { name: "IRS plan", holds: itin },
        alone: Alone { both: 0.75, check: 0.2, form: 0.0 },
        said: [8, 11],
    },
    DigitRow {
        kind: Entity::Ein,
        rule: "ein",
        lengths: &[9],
        forms: &[&[2, 7]],
        check: Check { name: "IRS prefix", holds: ein },
        alone: Alone { both: 0.5, check: 0.1, form: 0.1 },
        said: [8, 10],
    },
    DigitRow {
        kind: Entity::Npi,
        rule: "npi",
        lengths: &[10],
        forms: &[&[10]],
        check: Check { name: "Luhn with 80840", holds: npi },
        alone: Alone { both: 0.45, check: 0.3, form: 0.05 },
        said: [8, 11],
    },
    DigitRow {
        kind: Entity::MedicalRecord,
        rule: "medical record",
        lengths: &[],
        forms: &[],
        check: checks::NONE,
        alone: Alone { both: 0.0, check: 0.0, form: 0.0 },
        said: [4, 14],
    },
    DigitRow {
        kind: Entity::Passport,
        rule: "passport",
        lengths: &[],
        forms: &[],
        check: checks::NONE,
        alone: Alone { both: 0.0, check: 0.0, form: 0.0 },
        said: [6, 11],
    },
    DigitRow {
        kind: Entity::DrivingLicence,
        rule: "driving licence",
        lengths: &[],
        forms: &[],
        check: checks::NONE,
        alone: Alone { both: 0.0, check: 0.0, form: 0.0 },
        said: [5, 18],
    },
    DigitRow {
        kind: Entity::VehiclePlate,
        rule: "plate",
        lengths: &[],
        forms: &[],
        check: checks::NONE,
        alone: Alone { both: 0.0, check: 0.0, form: 0.0 },
        said: [3, 8],
    },
];

/// Of letters and digits.
pub const CODES: &[CodeRow] = &[CodeRow {
    kind: Entity::Mbi,
    rule: "mbi",
    form: "9AX9AX9AA99",
    check: Check { name: "CMS form", holds: mbi },
    alone: [0.8, 0.3],
}];

fn itin(digits: &[u8]) -> bool {
    matches!(digits, [9, _, _, group, last, ..] if matches!((group, last), (5 | 7 | 8, _) | (6, 0..=5) | (9, 0..=2 | 4..=9)))
}

fn ein(digits: &[u8]) -> bool {
    const NOT_GIVEN: [u64; 17] = [0, 7, 8, 9, 17, 18, 19, 28, 29, 49, 69, 70, 78, 79, 89, 96, 97];
    digits.get(..2).is_some_and(|prefix| !NOT_GIVEN.contains(&checks::value(prefix)))
}

fn npi(digits: &[u8]) -> bool {
    let whole: Vec<u8> = [8, 0, 8, 4, 0].iter().chain(digits).copied().collect();
    matches!(digits.first(), Some(1 | 2)) && !checks::is_monotone(digits) && checks::luhn(&whole)
}

/// The letters S, L, O, I, B and Z are not used, the first digit is none (CMS, MBI format).
fn mbi(symbols: &[u8]) -> bool {
    symbols.first() != Some(&b'0') && !symbols.iter().any(|symbol| b"SLOIBZ".contains(symbol))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plans() {
        let check = |check: fn(&[u8]) -> bool, text: &str, expected: bool| {
            assert_eq!(check(&checks::figures(text.as_bytes()).unwrap()), expected, "{text}");
        };
        check(itin, "911701234", true);
        check(itin, "911931234", false);
        check(ein, "123456789", true);
        check(ein, "073456789", false);
        check(npi, "1234567893", true);
        check(npi, "1234567890", false);
        assert!(mbi(b"1EG4TE5MK73") && !mbi(b"1SG4TE5MK73"));
    }
}
