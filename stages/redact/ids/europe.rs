//! Numbers of persons in Poland, France, Italy, Sweden and Turkey.

use crate::redact::candidate::{Alone, DigitRow};
use crate::redact::checks::{self, Check};
use crate::redact::code::CodeRow;
use crate::redact::kind::Entity;

/// Of digits alone.
pub const DIGITS: &[DigitRow] = &[
    DigitRow {
        kind: Entity::PlPesel,
        rule: "pesel",
        lengths: &[11],
        forms: &[&[11]],
        check: Check { name: "PESEL weights", holds: pesel },
        alone: Alone { both: 0.65, check: 0.45, form: 0.1 },
        said: [9, 13],
    },
    DigitRow {
        kind: Entity::FrInsee,
        rule: "insee",
        lengths: &[15],
        forms: &[&[1, 2, 2, 2, 3, 3, 2], &[13, 2], &[15]],
        check: Check { name: "mod 97", holds: insee },
        alone: Alone { both: 0.85, check: 0.75, form: 0.1 },
        said: [12, 17],
    },
    DigitRow {
        kind: Entity::SePersonnummer,
        rule: "personnummer",
        lengths: &[10, 12],
        forms: &[&[6, 4], &[8, 4], &[12]],
        check: Check { name: "date, Luhn", holds: personnummer },
        alone: Alone { both: 0.7, check: 0.35, form: 0.1 },
        said: [9, 13],
    },
    DigitRow {
        kind: Entity::TrTckn,
        rule: "tckn",
        lengths: &[11],
        forms: &[&[11], &[3, 3, 3, 2]],
        check: Check { name: "TCKN sums", holds: tckn },
        alone: Alone { both: 0.7, check: 0.6, form: 0.1 },
        said: [9, 13],
    },
];

/// Of letters and digits.
pub const CODES: &[CodeRow] = &[CodeRow {
    kind: Entity::ItFiscalCode,
    rule: "codice fiscale",
    form: "AAAAAAXXAXXAXXXA",
    check: Check { name: "DM 23/12/1976", holds: fiscal_code },
    alone: [0.9, 0.5],
}];

fn pesel(digits: &[u8]) -> bool {
    let (Some((check, rest)), Some(month), Some(day)) =
        (digits.split_last(), digits.get(2..4), digits.get(4..6))
    else {
        return false;
    };
    let sum = checks::weighted(rest, &[1, 3, 7, 9, 1, 3, 7, 9, 1, 3]);
    let dated = (1..=12).contains(&(checks::value(month) % 20)) && (1..=31).contains(&checks::value(day));
    dated && (10 - sum % 10) % 10 == u32::from(*check)
}

fn insee(digits: &[u8]) -> bool {
    let (Some(number), Some(key)) = (digits.get(..13), digits.get(13..15)) else { return false };
    let month = checks::value(digits.get(3..5).unwrap_or(&[]));
    matches!(digits.first(), Some(1..=4 | 7 | 8))
        && (matches!(month, 1..=12 | 20..=42) || month >= 50)
        && checks::value(key) == 97 - checks::value(number) % 97
}

fn personnummer(digits: &[u8]) -> bool {
    let short = if digits.len() == 12 { digits.get(2..).unwrap_or(&[]) } else { digits };
    let century = digits.len() == 10 || matches!(digits, [1, 8 | 9, ..] | [2, 0, ..]);
    let (Some(month), Some(day)) = (short.get(2..4), short.get(4..6)) else { return false };
    century && checks::is_month_day(month, day) && checks::luhn(short)
}

fn tckn(digits: &[u8]) -> bool {
    let &[a, b, c, d, e, f, g, h, i, tenth, last] = digits else { return false };
    let odd: i32 = [a, c, e, g, i].iter().map(|d| i32::from(*d)).sum();
    let even: i32 = [b, d, f, h].iter().map(|d| i32::from(*d)).sum();
    a != 0
        && (odd * 7 - even).rem_euclid(10) == i32::from(tenth)
        && (odd + even + i32::from(tenth)) % 10 == i32::from(last)
}

/// Letters of surname and name, birthday, place, and a check letter; digits may be letters where two codes would be the same.
fn fiscal_code(symbols: &[u8]) -> bool {
    const ODD: [u32; 26] =
        [1, 0, 5, 7, 9, 13, 15, 17, 19, 21, 2, 4, 18, 20, 11, 3, 6, 8, 12, 14, 16, 10, 22, 25, 24, 23];
    let Some((check, rest)) = symbols.split_last() else { return false };
    if !symbols.get(8).is_some_and(|month| b"ABCDEHLMPRST".contains(month)) {
        return false;
    }
    let mut sum = 0;
    for (place, symbol) in rest.iter().enumerate() {
        let value =
            usize::from(if symbol.is_ascii_digit() { symbol - b'0' } else { symbol.wrapping_sub(b'A') });
        sum += if place % 2 == 0 {
            ODD.get(value).copied().unwrap_or(0)
        } else {
            u32::try_from(value).unwrap_or(0)
        };
    }
    sum % 26 == u32::from(check.wrapping_sub(b'A'))
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
        check(pesel, "44051401359", "44051401358");
        check(insee, "255081416802538", "255081416802539");
        check(personnummer, "8112189876", "8112189875");
        check(personnummer, "198112189876", "178112189876");
        check(tckn, "10000000146", "10000000147");
        assert!(fiscal_code(b"RSSMRA85T10A562S") && !fiscal_code(b"RSSMRA85T10A562T"));
    }
}
