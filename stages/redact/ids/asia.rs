//! Numbers of India, Singapore, Korea, Thailand and, to have every continent, South Africa.

use crate::redact::candidate::{Alone, DigitRow};
use crate::redact::checks::{self, Check};
use crate::redact::code::CodeRow;
use crate::redact::kind::Entity;

/// Of digits alone.
pub const DIGITS: &[DigitRow] = &[
    DigitRow {
        kind: Entity::InAadhaar,
        rule: "aadhaar",
        lengths: &[12],
        forms: &[&[4, 4, 4]],
        check: Check { name: "Verhoeff", holds: aadhaar },
        alone: Alone { both: 0.85, check: 0.6, form: 0.2 },
        said: [10, 14],
    },
    DigitRow {
        kind: Entity::KrRrn,
        rule: "rrn",
        lengths: &[13],
        forms: &[&[6, 7]],
        check: Check { name: "date", holds: rrn },
        alone: Alone { both: 0.75, check: 0.3, form: 0.2 },
        said: [11, 15],
    },
    DigitRow {
        kind: Entity::ThTnin,
        rule: "thai id",
        lengths: &[13],
        forms: &[&[1, 4, 5, 2, 1], &[1, 4, 5, 3]],
        check: Check { name: "mod 11", holds: thai },
        alone: Alone { both: 0.85, check: 0.52, form: 0.5 },
        said: [11, 15],
    },
    DigitRow {
        kind: Entity::ZaId,
        rule: "south african id",
        lengths: &[13],
        forms: &[&[13], &[6, 4, 3], &[6, 4, 2, 1]],
        check: Check { name: "date, Luhn", holds: south_african },
        alone: Alone { both: 0.7, check: 0.6, form: 0.1 },
        said: [11, 15],
    },
];

/// Of letters and digits.
pub const CODES: &[CodeRow] = &[
    CodeRow {
        kind: Entity::InPan,
        rule: "pan",
        form: "AAAAA9999A",
        check: Check { name: "holder's letter", holds: pan },
        alone: [0.8, 0.5],
    },
    CodeRow {
        kind: Entity::InGstin,
        rule: "gstin",
        form: "99AAAAA9999AXAX",
        check: Check { name: "mod 36", holds: gstin },
        alone: [0.95, 0.6],
    },
    CodeRow {
        kind: Entity::SgNric,
        rule: "nric",
        form: "A9999999A",
        check: Check { name: "check letter", holds: nric },
        alone: [0.85, 0.1],
    },
];

fn aadhaar(digits: &[u8]) -> bool {
    let reversed = digits.iter().eq(digits.iter().rev());
    matches!(digits.first(), Some(2..=9)) && !reversed && checks::verhoeff(digits)
}

/// A birthday, and the century and sex; since 2020 numbers have no check digit any more.
fn rrn(digits: &[u8]) -> bool {
    let (Some(month), Some(day)) = (digits.get(2..4), digits.get(4..6)) else { return false };
    checks::is_month_day(month, day) && digits.get(6).is_some_and(|d| (1..=8).contains(d))
}

fn thai(digits: &[u8]) -> bool {
    let Some((check, rest)) = digits.split_last() else { return false };
    let sum = checks::weighted(rest, &[13, 12, 11, 10, 9, 8, 7, 6, 5, 4, 3, 2]);
    matches!(digits.first(), Some(1..=8)) && (11 - sum % 11) % 10 == u32::from(*check)
}

fn south_african(digits: &[u8]) -> bool {
    let (Some(month), Some(day)) = (digits.get(2..4), digits.get(4..6)) else { return false };
    checks::is_month_day(month, day) && matches!(digits.get(10), Some(0..=2)) && checks::luhn(digits)
}

/// The fourth letter says what the holder is.
fn pan(symbols: &[u8]) -> bool {
    symbols.get(3).is_some_and(|holder| b"ABCFGHLJPTKE".contains(holder))
}

fn gstin(symbols: &[u8]) -> bool {
    let Some((check, rest)) = symbols.split_last() else { return false };
    let value = |symbol: u8| {
        u32::from(if symbol.is_ascii_digit() { symbol - b'0' } else { symbol.wrapping_sub(b'A') + 10 })
    };
    let sum: u32 = rest
        .iter()
        .zip([1, 2].iter().cycle())
        .map(|(symbol, factor)| value(*symbol) * factor)
        .map(|product| product / 36 + product % 36)
        .sum();
    (36 - sum % 36) % 36 == value(*check)
}

fn nric(symbols: &[u8]) -> bool {
    let (Some(first), Some(last), Some(digits)) =
        (symbols.first(), symbols.last(), symbols.get(1..8).and_then(checks::figures))
    else {
        return false;
    };
    let sum = checks::weighted(&digits, &[2, 7, 6, 5, 4, 3, 2]);
    let (offset, letters): (u32, &[u8]) = match first {
        b'S' => (0, b"JZIHGFEDCBA"),
        b'T' => (4, b"JZIHGFEDCBA"),
        b'F' => (0, b"XWUTRQPNMLK"),
        b'G' => (4, b"XWUTRQPNMLK"),
        b'M' => (3, b"KLJNPQRTUWX"),
        _ => return false,
    };
    let place = (sum + offset) % 11;
    let place = if *first == b'M' { 10 - place } else { place };
    letters.get(place as usize) == Some(last)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn checks_hold() {
        let check = |check: fn(&[u8]) -> bool, good: &str, bad: &str| {
            assert!(check(&checks::figures(good.as_bytes()).unwrap()), "{good}");
            assert!(!check(&checks::figures(bad.as_bytes()).unwrap()), "{bad}");
        };
        check(aadhaar, "312345678909", "312345678908");
        check(rrn, "9710131019902", "9713131019903");
        check(thai, "1101700230708", "1101700230709");
        check(south_african, "8001015009087", "8001015009086");
        assert!(pan(b"AAAPA1111R") && gstin(b"27AAPFU0939F1ZV") && !gstin(b"27AAPFU0939F1ZW"));
        assert!(nric(b"S2740116C") && nric(b"T1234567J") && nric(b"F2346401L") && !nric(b"S2740116D"));
    }
}
