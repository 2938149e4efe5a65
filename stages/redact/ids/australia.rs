//! Numbers of Australia: tax file, business, company, Medicare.

use crate::redact::candidate::{Alone, DigitRow};
use crate::redact::checks::{self, Check};
use crate::redact::kind::Entity;

/// Of digits alone.
pub const DIGITS: &[DigitRow] = &[
    DigitRow {
        kind: Entity::AuTfn,
        rule: "tfn",
        lengths: &[8, 9],
        forms: &[&[3, 3, 3], &[3, 3, 2]],
        check: Check { name: "mod 11", holds: tfn },
        alone: Alone { both: 0.5, check: 0.3, form: 0.1 },
        said: [7, 10],
    },
    DigitRow {
        kind: Entity::AuAbn,
        rule: "abn",
        lengths: &[11],
        forms: &[&[2, 3, 3, 3]],
        check: Check { name: "mod 89", holds: abn },
        alone: Alone { both: 0.85, check: 0.55, form: 0.2 },
        said: [9, 13],
    },
    DigitRow {
        kind: Entity::AuAcn,
        rule: "acn",
        lengths: &[9],
        forms: &[&[3, 3, 3]],
        check: Check { name: "mod 10", holds: acn },
        alone: Alone { both: 0.55, check: 0.3, form: 0.1 },
        said: [8, 10],
    },
    DigitRow {
        kind: Entity::AuMedicare,
        rule: "medicare",
        lengths: &[10, 11],
        forms: &[&[4, 5, 1], &[4, 5, 1, 1]],
        check: Check { name: "mod 10", holds: medicare },
        alone: Alone { both: 0.8, check: 0.4, form: 0.4 },
        said: [8, 12],
    },
];

fn tfn(digits: &[u8]) -> bool {
    let weights: &[u32] =
        if digits.len() == 8 { &[10, 7, 8, 4, 6, 3, 5, 1] } else { &[1, 4, 3, 7, 5, 8, 6, 9, 10] };
    !checks::is_monotone(digits) && checks::weighted(digits, weights).is_multiple_of(11)
}

fn abn(digits: &[u8]) -> bool {
    let Some((first, rest)) = digits.split_first() else { return false };
    let sum = checks::weighted(rest, &[1, 3, 5, 7, 9, 11, 13, 15, 17, 19]);
    *first > 0 && (sum + (u32::from(*first) - 1) * 10).is_multiple_of(89)
}

fn acn(digits: &[u8]) -> bool {
    let Some((check, rest)) = digits.split_last() else { return false };
    let sum = checks::weighted(rest, &[8, 7, 6, 5, 4, 3, 2, 1]);
    !checks::is_monotone(digits) && (10 - sum % 10) % 10 == u32::from(*check)
}

fn medicare(digits: &[u8]) -> bool {
    let sum = checks::weighted(digits, &[1, 3, 7, 9, 1, 3, 7, 9]);
    matches!(digits.first(), Some(2..=6)) && digits.get(8).is_some_and(|check| sum % 10 == u32::from(*check))
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
        check(tfn, "876543210", "876543211");
        check(abn, "51824753556", "51824753557");
        check(acn, "005499981", "005499982");
        check(medicare, "2123456701", "2123456711");
    }
}
