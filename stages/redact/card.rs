//! Payment cards: 12 to 19 digits, Luhn (ISO/IEC 7812); after "card number" also a row that lost digits.

use super::candidate::Candidate;
use super::checks;
use super::kind::Entity;

/// Returns how well a candidate fits a card number, 0 to 1.
pub fn score(candidate: &Candidate<'_>) -> f32 {
    let context = candidate.context_score(Entity::Card);
    match candidate.digits.len() {
        12..=19 => {
            // Cards of fifteen digits begin with 34 or 37; the serial numbers of telephones have as many, and the same check.
            let other = matches!(candidate.digits, [first, second, rest @ ..]
                if rest.len() == 13 && !(*first == 3 && matches!(second, 4 | 7)));
            let issued = is_issued(candidate.digits) && !candidate.plus;
            let likely =
                issued && !(candidate.doubtful && candidate.groups.len() == 2) || candidate.is_spoken();
            let check = if checks::luhn(candidate.digits) && !other && likely { 0.4 } else { 0.0 };
            let shape = if is_grouped(candidate) { 0.15 } else { 0.0 };
            0.1 + check + shape + context
        }
        8..=24 if candidate.is_said_to_be(Entity::Card) => 0.55,
        _ => 0.0,
    }
}

fn is_grouped(candidate: &Candidate<'_>) -> bool {
    if candidate.is_spoken() || candidate.groups.len() == 1 || candidate.has_shape(&[4, 6, 5]) {
        return true;
    }
    let fours = candidate.groups.len().saturating_sub(1);
    candidate.groups.iter().take(fours).all(|group| group.len() == 4)
}

/// Returns true if cards begin like this (ISO/IEC 7812): airlines, travel and banks, and of these the lengths that they have.
fn is_issued(digits: &[u8]) -> bool {
    match digits {
        [3, 4 | 7, ..] | [1 | 2, _, _, _, ..] if digits.len() == 15 => true,
        [2, 2..=7, ..] | [5, 1..=5, ..] => digits.len() == 16,
        [4, ..] => matches!(digits.len(), 13 | 16 | 19),
        [3, 0 | 5 | 6 | 8 | 9, ..] => (14..=19).contains(&digits.len()),
        [6 | 5, ..] => (12..=19).contains(&digits.len()),
        _ => false,
    }
}
