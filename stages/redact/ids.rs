//! Numbers and codes that identify a person: one file for each family or country.
//!
//! In: nothing. Out: tables of rows, in the order in which they are asked; of two rows that are equally sure the first wins. Must not
//! know where in a text a number stands.

pub mod americas;
pub mod asia;
pub mod australia;
pub mod bank;
pub mod device;
pub mod europe;
pub mod germany;
pub mod spain;
pub mod uk;
pub mod us;
pub mod vehicle;

use super::candidate::{DigitRow, OwnRow};
use super::code::CodeRow;
use super::kind::Entity;
use super::{card, phone, ssn};

/// Rows that weigh a candidate in their own way.
pub const OWN: &[OwnRow] = &[
    OwnRow { kind: Entity::Card, rule: "card", check: "Luhn", score: card::score },
    OwnRow { kind: Entity::Ssn, rule: "ssn", check: "SSA plan", score: ssn::score },
    OwnRow { kind: Entity::Phone, rule: "phone", check: "E.164 length, NANP", score: phone::score },
];

/// Numbers of digits alone.
pub const DIGITS: &[&[DigitRow]] = &[
    us::DIGITS,
    bank::DIGITS,
    device::DIGITS,
    uk::DIGITS,
    germany::DIGITS,
    europe::DIGITS,
    americas::DIGITS,
    asia::DIGITS,
    australia::DIGITS,
];

/// Codes of letters and digits.
pub const CODES: &[&[CodeRow]] = &[
    us::CODES,
    bank::CODES,
    uk::CODES,
    spain::CODES,
    germany::CODES,
    europe::CODES,
    americas::CODES,
    asia::CODES,
    vehicle::CODES,
];
