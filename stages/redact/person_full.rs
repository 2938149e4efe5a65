//! A given and a family name in small letters behind a cue: "hi this is sophy santino", "i am oluwaseun adeyemi".
//!
//! In: a cx and the place behind a cue. Out: the last token of a name. One of the two words may stand in no list, or be a plain word
//! too; both only where nothing else of the clause follows. A recogniser writes no capitals where it has not learnt a name.

use super::lexicon::Flags;
use super::person_cue::Spoken;
use super::person_run::{CueStrength, ends_clause, is_number_word, may_follow, run_end};
use super::scan_context::ScanContext;
use super::token::Class;

/// The last token of a name of two words or more that begins at `index`, or of one that a greeting stands before.
pub fn end(cx: &ScanContext<'_>, index: usize) -> Option<usize> {
    if !may_be_part(cx, index) {
        return None;
    }
    let (given, next) = (cx.known(index), index + 1);
    let spoken = super::person_cue::spoken_before(cx, index);
    let plural = cx.tokens.str(cx.tokens.at(index)).ends_with('s');
    if spoken == Spoken::Greeting
        && given.is_unknown()
        && !plural
        && cx.free(index).len() > 2
        && is_addressed(cx, next)
    {
        return Some(index);
    }
    if spoken == Spoken::Relation || !may_be_part(cx, next) || cx.tokens.at(next).new_line {
        return None;
    }
    let family = cx.known_free(next);
    let given_name = given.is_first() && !given.is_common();
    let family_name = (family.is_last() || family.is_first()) && !family.is_common() && !family.is_place();
    let who = spoken == Spoken::Introduction;
    let fits = given.is_first() && family_name
        || given_name && (family.is_unknown() || may_follow(cx, next))
        || (given.is_unknown() || given.is_last() && !given.is_common()) && family_name
        || given.is_unknown()
            && (family.is_unknown() || family.is_last() && !family.is_place())
            && is_left(cx, next + 1)
        || who && given.is_first() && !given.is_place() && may_follow(cx, next) && is_left(cx, next + 1);
    fits.then(|| run_end(cx, next, CueStrength::Weak).unwrap_or(next))
}

/// A word that may be part of a name.
fn may_be_part(cx: &ScanContext<'_>, index: usize) -> bool {
    let token = cx.free(index);
    let flags = Flags::STOP
        | Flags::LINK
        | Flags::ACT
        | Flags::UNIT
        | Flags::GREETING
        | Flags::WEEKDAY
        | Flags::FILLER;
    token.class == Class::Word
        && !token.capital
        && token.len() > 1
        && !cx.tokens.glued(index)
        && (!cx.tokens.glued(index + 1) || !cx.free(index + 1).is_solid())
        && !token.has(flags | Flags::MODEL | Flags::MONEY | Flags::AM_PM | Flags::COUNT)
        && !is_number_word(token)
}

/// Returns true if the clause ends, or goes on with a word that belongs to no name: "calling", "from", "and", "here", "again".
fn is_left(cx: &ScanContext<'_>, index: usize) -> bool {
    let token = cx.free(index);
    ends_clause(cx, index)
        || token.has(Flags::STOP | Flags::LINK | Flags::ACT | Flags::FILLER)
        || ["again", "returning", "ringing", "back"]
            .iter()
            .any(|word| cx.tokens.str(token).eq_ignore_ascii_case(word))
}

/// "hi sandeep how are you", "hello sandeep".
fn is_addressed(cx: &ScanContext<'_>, index: usize) -> bool {
    let token = cx.free(index);
    ends_clause(cx, index) || token.has(Flags::STOP | Flags::LINK | Flags::FILLER)
}
