//! US social security numbers: nine digits as 3-2-4 (SSA); after "social security" also a row that lost or gained one.

use super::candidate::Candidate;
use super::kind::Entity;

/// Returns how well a candidate fits a social security number, 0 to 1.
pub fn score(candidate: &Candidate<'_>) -> f32 {
    let context = candidate.context_score(Entity::Ssn);
    match candidate.digits.len() {
        9 => {
            let shape = if candidate.has_shape(&[3, 2, 4]) { 0.4 } else { 0.0 };
            let plan = if plan(candidate.digits) { 0.1 } else { 0.0 };
            0.1 + shape + plan + context
        }
        6..=11 if candidate.is_said_to_be(Entity::Ssn) => 0.55,
        _ => 0.0,
    }
}

/// Returns true if nine digits could have been issued (SSA: no area 000, 666 or 900-999, no group 00, no serial 0000).
fn plan(digits: &[u8]) -> bool {
    let &[a, b, c, d, e, f, g, h, i] = digits else { return false };
    let area = [a, b, c];
    area != [0, 0, 0] && area != [6, 6, 6] && a != 9 && [d, e] != [0, 0] && [f, g, h, i] != [0, 0, 0, 0]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn areas_groups_and_serials() {
        assert!(plan(&[0, 7, 8, 0, 5, 1, 1, 2, 0]) && !plan(&[6, 6, 6, 0, 5, 1, 1, 2, 0]));
        assert!(!plan(&[0, 7, 8, 0, 0, 1, 1, 2, 0]) && !plan(&[0, 7, 8, 0, 5, 1, 1, 2]));
    }
}
