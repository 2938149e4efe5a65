//! Numbers of Spain: NIF and NIE, a number and the letter that checks it.

use crate::redact::checks::Check;
use crate::redact::code::CodeRow;
use crate::redact::kind::Entity;

/// Of letters and digits.
pub const CODES: &[CodeRow] = &[
    CodeRow {
        kind: Entity::EsNif,
        rule: "nif",
        form: "99999999A",
        check: Check { name: "mod 23", holds: nif },
        alone: [0.75, 0.2],
    },
    CodeRow {
        kind: Entity::EsNif,
        rule: "nif",
        form: "9999999A",
        check: Check { name: "mod 23", holds: nif },
        alone: [0.55, 0.1],
    },
    CodeRow {
        kind: Entity::EsNie,
        rule: "nie",
        form: "A9999999A",
        check: Check { name: "mod 23", holds: nie },
        alone: [0.85, 0.1],
    },
];

fn letter(number: u32) -> Option<u8> {
    b"TRWAGMYFPDXBNJZSQVHLCKE".get((number % 23) as usize).copied()
}

fn nif(symbols: &[u8]) -> bool {
    let Some((last, digits)) = symbols.split_last() else { return false };
    letter(digits.iter().fold(0, |value, digit| value * 10 + u32::from(digit.wrapping_sub(b'0'))))
        == Some(*last)
}

fn nie(symbols: &[u8]) -> bool {
    let Some((first, rest)) = symbols.split_first() else { return false };
    let Some(place) = b"XYZ".iter().position(|letter| letter == first) else { return false };
    let digit = b'0' + u8::try_from(place).unwrap_or(0);
    let whole: Vec<u8> = std::iter::once(digit).chain(rest.iter().copied()).collect();
    nif(&whole)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn letters_check() {
        assert!(nif(b"55555555K") && nif(b"1111111G") && !nif(b"55555555L"));
        assert!(nie(b"Z8078221M") && nie(b"X9613851N") && !nie(b"A9613851N") && !nie(b"X9613851M"));
    }
}
