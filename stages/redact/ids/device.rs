//! Numbers of devices: IMEI.

use crate::redact::candidate::{Alone, DigitRow};
use crate::redact::checks::{self, Check};
use crate::redact::kind::Entity;

/// Of digits alone.
pub const DIGITS: &[DigitRow] = &[DigitRow {
    kind: Entity::Imei,
    rule: "imei",
    lengths: &[15],
    forms: &[&[2, 6, 6, 1], &[6, 2, 6, 1], &[8, 6, 1]],
    check: Check { name: "Luhn", holds: imei },
    alone: Alone { both: 0.8, check: 0.55, form: 0.4 },
    said: [13, 17],
}];

/// Of the bodies that give them to telephones sold today, and no American Express card.
fn imei(digits: &[u8]) -> bool {
    matches!(digits, [0, 1, ..] | [3, 5, ..] | [8, 6, ..] | [9, 9, ..]) && checks::luhn(digits)
}
