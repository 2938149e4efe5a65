//! Numbers of Germany: tax identification, pension insurance, identity cards.

use crate::redact::candidate::{Alone, DigitRow};
use crate::redact::checks::{self, Check};
use crate::redact::code::CodeRow;
use crate::redact::kind::Entity;

/// Of digits alone.
pub const DIGITS: &[DigitRow] = &[DigitRow {
    kind: Entity::DeTaxId,
    rule: "german tax id",
    lengths: &[11],
    forms: &[&[2, 3, 3, 3]],
    check: Check { name: "ISO 7064 MOD 11,10", holds: tax_id },
    alone: Alone { both: 0.8, check: 0.5, form: 0.2 },
    said: [9, 13],
}];

/// Of letters and digits.
pub const CODES: &[CodeRow] = &[
    CodeRow {
        kind: Entity::DeSocial,
        rule: "german social insurance",
        form: "99999999A999",
        check: Check { name: "VKVV weights", holds: social },
        alone: [0.8, 0.3],
    },
    CodeRow {
        kind: Entity::DeIdCard,
        rule: "german identity card",
        form: "AXXXXXXXX9",
        check: Check { name: "ICAO 7-3-1", holds: id_card },
        alone: [0.5, 0.0],
    },
];

/// One digit occurs two or three times among the first ten, the first is no zero.
fn tax_id(digits: &[u8]) -> bool {
    let Some(body) = digits.get(..10) else { return false };
    let mut counts = [0_usize; 10];
    for digit in body {
        if let Some(count) = counts.get_mut(usize::from(*digit)) {
            *count += 1;
        }
    }
    let repeated = counts.iter().filter(|count| **count > 1).count();
    digits.first() != Some(&0)
        && repeated == 1
        && counts.iter().all(|count| *count <= 3)
        && checks::mod_11_10(digits)
}

/// Area, birthday, letter, serial, check digit: the letter counts as two digits, the sums of digits of the products are added.
fn social(symbols: &[u8]) -> bool {
    let Some((check, rest)) = symbols.split_last() else { return false };
    let mut digits = Vec::with_capacity(12);
    for symbol in rest {
        match symbol {
            b'0'..=b'9' => digits.push(symbol - b'0'),
            b'A'..=b'Z' => digits.extend([(symbol - b'A' + 1) / 10, (symbol - b'A' + 1) % 10]),
            _ => return false,
        }
    }
    let sum: u32 = digits
        .iter()
        .zip([2, 1, 2, 5, 7, 1, 2, 1, 2, 1, 2, 1])
        .map(|(digit, weight)| u32::from(*digit) * weight)
        .map(|product| product / 10 + product % 10)
        .sum();
    sum % 10 == u32::from(check.wrapping_sub(b'0'))
}

fn id_card(symbols: &[u8]) -> bool {
    let Some((check, rest)) = symbols.split_last() else { return false };
    let value = |symbol: &u8| match symbol {
        b'0'..=b'9' => u32::from(symbol - b'0'),
        _ => u32::from(symbol.wrapping_sub(b'A')) + 10,
    };
    let sum: u32 =
        rest.iter().map(value).zip([7, 3, 1].iter().cycle()).map(|(value, weight)| value * weight).sum();
    rest.iter().filter(|symbol| symbol.is_ascii_digit()).count() >= 2
        && sum % 10 == u32::from(check.wrapping_sub(b'0'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn checks_hold() {
        let tax = |text: &str| tax_id(&checks::figures(text.as_bytes()).unwrap());
        assert!(tax("86095742719") && tax("47036892816") && !tax("86095742718") && !tax("12345678901"));
        assert!(social(b"15070649C103") && !social(b"15070649C102"));
        assert!(id_card(b"T220001293") && !id_card(b"T220001294"));
    }
}
