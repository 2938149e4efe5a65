//! Numbers of devices: IMEI.

use crate::redact::candidate::{Alone, DigitRow};
use crate::redact::checks;
use crate::redact::kind::Entity;

/// Of digits alone.
pub const DIGITS: &[DigitRow] = &[DigitRow {
    kind: Entity::Imei,
    rule: "imei",
    lengths: &[15],
    forms: &[&[2, 6, 6, 1], &[6, 2, 6, 1], &[8, 6, 1]],
    check: checks::LUHN,
    alone: Alone { both: 0.8, check: 0.4, form: 0.4 },
    said: [13, 17],
}];
