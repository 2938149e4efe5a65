//! Codes of vehicles: VIN, and plates of the countries whose form says what it is.

use crate::redact::checks::Check;
use crate::redact::code::CodeRow;
use crate::redact::kind::Entity;

/// Of letters and digits.
pub const CODES: &[CodeRow] = &[
    CodeRow {
        kind: Entity::Vin,
        rule: "vin",
        form: "XXXXXXXXXXXXX9999",
        check: Check { name: "ISO 3779 weights", holds: vin },
        alone: [0.85, 0.3],
    },
    CodeRow {
        kind: Entity::VehiclePlate,
        rule: "indian plate",
        form: "AA99AA9999",
        check: Check { name: "state", holds: indian },
        alone: [0.6, 0.1],
    },
    CodeRow {
        kind: Entity::VehiclePlate,
        rule: "indian plate",
        form: "AA99A9999",
        check: Check { name: "state", holds: indian },
        alone: [0.6, 0.1],
    },
    CodeRow {
        kind: Entity::VehiclePlate,
        rule: "uk plate",
        form: "AA99AAA",
        check: Check { name: "age", holds: british },
        alone: [0.5, 0.1],
    },
];

/// The check digit in the ninth place; I, O and Q are not used.
fn vin(symbols: &[u8]) -> bool {
    const WEIGHTS: [u32; 17] = [8, 7, 6, 5, 4, 3, 2, 10, 0, 9, 8, 7, 6, 5, 4, 3, 2];
    let mut sum = 0;
    let mut letters = 0;
    for (symbol, weight) in symbols.iter().zip(WEIGHTS) {
        let value = match symbol {
            b'0'..=b'9' => symbol - b'0',
            b'A'..=b'H' => symbol - b'A' + 1,
            b'J'..=b'N' => symbol - b'J' + 1,
            b'P' => 7,
            b'R' => 9,
            b'S'..=b'Z' => symbol - b'S' + 2,
            _ => return false,
        };
        letters += usize::from(symbol.is_ascii_alphabetic());
        sum += u32::from(value) * weight;
    }
    let check = match sum % 11 {
        10 => b'X',
        rest => b'0' + u8::try_from(rest).unwrap_or(0),
    };
    letters >= 2 && symbols.get(8) == Some(&check)
}

fn indian(symbols: &[u8]) -> bool {
    const STATES: &[u8] = b"ANAPARASBRCGCHDDDLDNGAGJHPHRJHJKKAKLLALDMHMLMNMPMZNLODPBPYRJSKTNTRTSUKUPWB";
    symbols.get(..2).is_some_and(|state| STATES.chunks(2).any(|known| known == state))
}

/// Registered in September or March of a year from 2001 on: 01 to 29, or 51 to 79.
fn british(symbols: &[u8]) -> bool {
    matches!(symbols.get(2..4), Some([b'0' | b'5', b'1'..=b'9'] | [b'1' | b'2' | b'6' | b'7', _]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn checks_hold() {
        assert!(vin(b"1HGCM82633A004352") && vin(b"1M8GDM9AXKP042788") && !vin(b"1HGCM82633A004353"));
        assert!(indian(b"KA53ME3456") && !indian(b"XX53ME3456"));
        assert!(british(b"AB51ABC") && !british(b"AB99ABC"));
    }
}
