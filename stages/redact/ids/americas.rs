//! Numbers of Canada, Brazil and Mexico.

use crate::redact::candidate::{Alone, DigitRow};
use crate::redact::checks::{self, Check};
use crate::redact::code::CodeRow;
use crate::redact::kind::Entity;

/// Of digits alone.
pub const DIGITS: &[DigitRow] = &[
    DigitRow {
        kind: Entity::CaSin,
        rule: "sin",
        lengths: &[9],
        forms: &[&[3, 3, 3]],
        check: Check { name: "Luhn", holds: sin },
        alone: Alone { both: 0.6, check: 0.25, form: 0.1 },
        said: [8, 10],
    },
    DigitRow {
        kind: Entity::BrCpf,
        rule: "cpf",
        lengths: &[11],
        forms: &[&[3, 3, 3, 2]],
        check: Check { name: "mod 11 twice", holds: cpf },
        alone: Alone { both: 0.9, check: 0.6, form: 0.5 },
        said: [9, 12],
    },
    DigitRow {
        kind: Entity::BrCnpj,
        rule: "cnpj",
        lengths: &[14],
        forms: &[&[2, 3, 3, 4, 2]],
        check: Check { name: "mod 11 twice", holds: cnpj },
        alone: Alone { both: 0.9, check: 0.7, form: 0.5 },
        said: [12, 16],
    },
];

/// Of letters and digits.
pub const CODES: &[CodeRow] = &[CodeRow {
    kind: Entity::MxCurp,
    rule: "curp",
    form: "AAAA999999AAAAAAX9",
    check: Check { name: "date, sex, state, check digit", holds: curp },
    alone: [0.95, 0.5],
}];

/// Letters of the names, birthday, sex, state, inner consonants, a symbol for the century, and a digit over all the others.
fn curp(symbols: &[u8]) -> bool {
    const STATES: &[u8] = b"ASBCBSCCCLCMCSCHDFDGGTGRHGJCMCMNMSNTNLOCPLQTQRSPSLSRTCTSTLVZYNZSNE";
    let (Some((check, rest)), Some(&[sex, a, b])) = (symbols.split_last(), symbols.get(10..13)) else {
        return false;
    };
    // The alphabet of the sum has an Ñ between N and O.
    let value = |symbol: u8| match symbol {
        b'0'..=b'9' => u32::from(symbol - b'0'),
        b'A'..=b'N' => u32::from(symbol - b'A') + 10,
        _ => u32::from(symbol.wrapping_sub(b'A')) + 11,
    };
    let sum: u32 = rest.iter().zip((2..=18).rev()).map(|(symbol, weight)| value(*symbol) * weight).sum();
    dated(symbols)
        && matches!(sex, b'H' | b'M' | b'X')
        && STATES.chunks(2).any(|state| state == [a, b])
        && (10 - sum % 10) % 10 == u32::from(check.wrapping_sub(b'0'))
}

/// A birthday behind four letters.
fn dated(symbols: &[u8]) -> bool {
    let month = symbols.get(6..8).and_then(checks::figures);
    let day = symbols.get(8..10).and_then(checks::figures);
    month.zip(day).is_some_and(|(month, day)| checks::is_month_day(&month, &day))
}

fn sin(digits: &[u8]) -> bool {
    !matches!(digits.first(), Some(0 | 8)) && checks::luhn(digits)
}

/// A check digit over weights: 11 less the rest of the sum by 11, or 0.
fn brazilian(digits: &[u8], weights: &[u32]) -> Option<u8> {
    let rest = checks::weighted(digits, weights) % 11;
    u8::try_from(if rest < 2 { 0 } else { 11 - rest }).ok()
}

fn cpf(digits: &[u8]) -> bool {
    let first = brazilian(digits, &[10, 9, 8, 7, 6, 5, 4, 3, 2]);
    let second = brazilian(digits, &[11, 10, 9, 8, 7, 6, 5, 4, 3, 2]);
    !checks::is_monotone(digits) && digits.get(9).copied() == first && digits.get(10).copied() == second
}

fn cnpj(digits: &[u8]) -> bool {
    let first = brazilian(digits, &[5, 4, 3, 2, 9, 8, 7, 6, 5, 4, 3, 2]);
    let second = brazilian(digits, &[6, 5, 4, 3, 2, 9, 8, 7, 6, 5, 4, 3, 2]);
    !checks::is_monotone(digits) && digits.get(12).copied() == first && digits.get(13).copied() == second
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
        check(sin, "130692544", "130692545");
        check(cpf, "52998224725", "52998224724");
        check(cnpj, "11222333000181", "11222333000182");
        assert!(curp(b"SABC560626MDFLRN01") && !curp(b"SABC560626MDFLRN02") && !curp(b"SABC561326MDFLRN01"));
    }
}
