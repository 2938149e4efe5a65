//! US social security numbers: nine digits as 3-2-4 (SSA); after "social security" also a row that lost or gained one.

use super::candidate::Candidate;
use super::checks;
use super::cue::Hint;

/// How much a candidate looks like a social security number.
pub fn score(candidate: &Candidate<'_>) -> f32 {
    let context = candidate.context_score(Hint::Ssn);
    match candidate.digits.len() {
        9 => {
            let shape = if candidate.has_shape(&[3, 2, 4]) { 0.4 } else { 0.0 };
            let plan = if checks::ssn_plan(candidate.digits) { 0.1 } else { 0.0 };
            0.1 + shape + plan + context
        }
        6..=11 if candidate.is_said_to_be(Hint::Ssn) => 0.55,
        _ => 0.0,
    }
}
