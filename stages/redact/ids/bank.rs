//! Numbers of banks and cards beside the card number and the IBAN: routing, accounts, CVV, PIN, BIC.

use crate::redact::candidate::{Alone, DigitRow};
use crate::redact::checks::{self, Check};
use crate::redact::code::CodeRow;
use crate::redact::kind::Entity;

const BY_CONTEXT: Alone = Alone { both: 0.0, check: 0.0, form: 0.0 };

/// Of digits alone.
pub const DIGITS: &[DigitRow] = &[
    DigitRow {
        kind: Entity::Aba,
        rule: "routing number",
        lengths: &[9],
        forms: &[&[4, 4, 1]],
        check: Check { name: "ABA 3-7-1", holds: aba },
        alone: Alone { both: 0.5, check: 0.25, form: 0.1 },
        said: [8, 10],
    },
    DigitRow {
        kind: Entity::BankAccount,
        rule: "bank account",
        lengths: &[],
        forms: &[],
        check: checks::NONE,
        alone: BY_CONTEXT,
        said: [5, 20],
    },
    DigitRow {
        kind: Entity::Cvv,
        rule: "cvv",
        lengths: &[],
        forms: &[],
        check: checks::NONE,
        alone: BY_CONTEXT,
        said: [3, 4],
    },
    DigitRow {
        kind: Entity::Pin,
        rule: "pin",
        lengths: &[],
        forms: &[],
        check: checks::NONE,
        alone: BY_CONTEXT,
        said: [3, 8],
    },
    DigitRow {
        kind: Entity::Postcode,
        rule: "postcode",
        lengths: &[],
        forms: &[],
        check: checks::NONE,
        alone: BY_CONTEXT,
        said: [3, 9],
    },
    DigitRow {
        kind: Entity::CardExpiry,
        rule: "expiry",
        lengths: &[],
        forms: &[],
        check: checks::NONE,
        alone: BY_CONTEXT,
        said: [3, 6],
    },
];

/// Of letters and digits.
pub const CODES: &[CodeRow] = &[
    CodeRow {
        kind: Entity::Bic,
        rule: "bic",
        form: "AAAAAAXX",
        check: Check { name: "country", holds: bic },
        alone: [0.3, -0.15],
    },
    CodeRow {
        kind: Entity::Bic,
        rule: "bic",
        form: "AAAAAAXXXXX",
        check: Check { name: "country", holds: bic },
        alone: [0.3, -0.15],
    },
];

/// The check of the American Bankers Association, and the districts that are given.
fn aba(digits: &[u8]) -> bool {
    let district = digits.get(..2).map_or(99, checks::value);
    let given = matches!(district, 0..=12 | 21..=32 | 61..=72 | 80);
    given
        && checks::value(digits) > 0
        && checks::weighted(digits, &[3, 7, 1, 3, 7, 1, 3, 7, 1]).is_multiple_of(10)
}

/// Returns true if the fifth and sixth letter are a country.
pub fn bic(symbols: &[u8]) -> bool {
    match symbols.get(4..6) {
        Some(&[a, b]) => {
            crate::redact::iban::is_country([a, b])
                || b"USCAAUNZJPCNHKSGINKRZABRMXRUTHIDMY".chunks(2).any(|c| c == [a, b])
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn routing_numbers_check() {
        let aba = |text: &str| aba(&checks::figures(text.as_bytes()).unwrap());
        assert!(aba("021000021") && aba("121042882") && !aba("021000022") && !aba("999999999"));
        assert!(bic(b"DEUTDEFF") && bic(b"CHASUS33") && !bic(b"PASSWORD"));
    }
}
