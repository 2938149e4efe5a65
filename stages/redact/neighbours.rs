//! Numbers close to a number that was found: a recogniser that writes a word into a number splits it.
//!
//! In: a cx of a transcript in which numbers were found. Out: more findings. One walk to the right and one to the left.

use super::calendar;
use super::kind::Entity;
use super::lexicon::Flags;
use super::number::{Grammar, Group, Run, run_at};
use super::quantity;
use super::scan_context::ScanContext;
use super::token::{Class, seed};

/// The most words between two parts of one number.
const WORDS: usize = 2;
/// The fewest digits of a part.
const DIGITS: usize = 3;

struct Place {
    first: usize,
    last: usize,
    /// A number that was found now. A tag is none: its neighbours were looked at when it was written, and where every number
    /// is written as <NUMBER> it may stand for a date or an address, which have no neighbours.
    personal: bool,
    /// A number that was left alone, and may be a part.
    loose: bool,
}

/// Takes the parts; whether there were any.
pub fn find(cx: &mut ScanContext<'_>) -> bool {
    let personal = cx.found.iter().any(|finding| finding.kind.is_row_of_digits());
    if !personal || !is_any_left(cx) {
        return false;
    }
    let before = cx.found.len();
    let mut run = cx.buffers.run.take();
    let mut places = places(cx, &mut run);
    cx.buffers.run.set(run);
    spread(cx, &mut places);
    places.reverse();
    spread(cx, &mut places);
    cx.found.len() > before
}

/// Returns true if a number was left alone at all.
fn is_any_left(cx: &ScanContext<'_>) -> bool {
    let mut index = 0;
    while let Some(at) = cx.tokens.seed(index, seed::NUMBER) {
        if !cx.is_taken(at) {
            return true;
        }
        index = at + 1;
    }
    false
}

fn spread(cx: &mut ScanContext<'_>, places: &mut [Place]) {
    for at in 0..places.len() {
        let Some(place) = places.get(at) else { return };
        let near = at
            .checked_sub(1)
            .and_then(|before| places.get(before))
            .is_some_and(|other| other.personal && is_close(cx, other, place));
        if !place.loose || !near {
            continue;
        }
        let (first, last) = (place.first, place.last);
        cx.take(Entity::Number, first, last, 0.4, "part of a number");
        if let Some(place) = places.get_mut(at) {
            (place.personal, place.loose) = (true, false);
        }
    }
}

fn is_close(cx: &ScanContext<'_>, a: &Place, b: &Place) -> bool {
    let (left, right) = if a.last < b.first { (a.last, b.first) } else { (b.last, a.first) };
    let between = left + 1..right;
    between.len() <= 2 * WORDS
        && between.clone().filter(|at| cx.tokens.at(*at).class == Class::Word).count() <= WORDS
        && between.clone().all(|at| {
            let token = cx.tokens.at(at);
            token.class != Class::Word || !token.has(Flags::UNIT | Flags::MONEY | Flags::MODEL | Flags::AM_PM)
        })
}

/// The findings and the numbers left alone, in the order of the text.
fn places(cx: &ScanContext<'_>, run: &mut Run) -> Vec<Place> {
    let mut places = Vec::new();
    let mut index = 0;
    while let Some(at) = cx.tokens.seed(index, seed::NUMBER | seed::TAKEN) {
        let place = place_at(cx, at, run);
        index = place.as_ref().map_or(at, |place| place.last) + 1;
        places.extend(place);
    }
    places
}

/// Returns true if a token belongs to a personal number that was found now.
fn is_found(cx: &ScanContext<'_>, index: usize) -> bool {
    cx.is_personal_number(index) && !matches!(cx.tokens.at(index).class, Class::Tag(_))
}

fn place_at(cx: &ScanContext<'_>, index: usize, run: &mut Run) -> Option<Place> {
    if cx.is_taken(index) {
        let personal = is_found(cx, index);
        let more = (index + 1..).take_while(|at| cx.is_taken(*at) && is_found(cx, *at) == personal);
        return Some(Place { first: index, last: index + more.count(), personal, loose: false });
    }
    run_at(&cx.tokens, index, Grammar { lenient: true }, run)?;
    let free = run.free(|at| cx.is_taken(at));
    let free = quantity::drop_homophones(run, 0..free).end;
    let last = run.groups.get(free.checked_sub(1)?)?.last;
    Some(Place { first: index, last, personal: false, loose: is_loose(cx, run, free) })
}

fn is_loose(cx: &ScanContext<'_>, run: &Run, free: usize) -> bool {
    let kept = quantity::trim(cx, run, 0..free, false);
    let groups = run.groups.get(..free).unwrap_or(&[]);
    let digits: usize = groups.iter().map(Group::len).sum();
    kept == (0..free)
        && digits >= DIGITS
        && !quantity::has_form_of_quantity(run, groups)
        && calendar::time_len(run, 0) != free
}
