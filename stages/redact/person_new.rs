//! Names that stand in no list, told by what stands around them: initials, labels of fields, who speaks.
//!
//! In: a cx and a place. Out: names, or how far one goes. It must not know the cues of names.

use super::lexicon::Flags;
use super::person_run::{CueStrength, is_month, run_end};
use super::scan_context::ScanContext;
use super::token::{Class, Token};

/// "E. J. Whitcombe": two initials and a name.
pub fn by_initials(
    cx: &ScanContext<'_>,
    index: usize,
    token: Token,
) -> Option<(usize, usize, f32, &'static str)> {
    const OTHERS: [&str; 12] = ["US", "UK", "EU", "UN", "PO", "AM", "PM", "NY", "LA", "DC", "IE", "EG"];
    let dot = |at: usize| cx.free(at).is(b'.') && cx.tokens.glued(at);
    let initial = |token: Token| token.is_letter() && cx.tokens.is_capital(token);
    let (second, name) = (cx.free(index + 2), cx.free(index + 4));
    if !initial(token) || !dot(index + 1) || !initial(second) || !dot(index + 3) || cx.tokens.glued(index) {
        return None;
    }
    let letters = [cx.tokens.str(token), cx.tokens.str(second)].concat();
    let about = cx.known_free(index + 4);
    let fits = name.class == Class::Word
        && name.len() > 2
        && !name.new_line
        && !cx.tokens.glued(index + 4)
        && cx.tokens.is_capital(name)
        && (!about.is_common() || about.is_last())
        && !about.is_place()
        && !is_month(name)
        && name.meaning.cue == 0
        && !name.has(Flags::FIRM | Flags::BODY | Flags::STREET | Flags::WEEKDAY | Flags::BOX)
        && !OTHERS.contains(&letters.as_str());
    if !fits {
        return None;
    }
    let last = run_end(cx, index + 4, CueStrength::None)?;
    Some((index, last, 0.6, "initials"))
}

/// Returns the end of the label of a field whose quoted value begins at `index`: `"name": "` or `name="`; `index` if there is none.
pub fn label_before(cx: &ScanContext<'_>, index: usize) -> usize {
    let back =
        |steps: usize| index.checked_sub(steps).map_or_else(|| cx.tokens.at(usize::MAX), |at| cx.free(at));
    if !back(1).is(b'"') || !(back(2).is(b':') || back(2).is(b'=')) {
        return index;
    }
    index - 2 - usize::from(back(3).is(b'"'))
}

/// Returns true if an unknown word with a capital is a name by its neighbours: "my daughter Eilidh", "I'm Rajesh calling",
/// "Hi Siobhán,".
pub fn is_told(cx: &ScanContext<'_>, index: usize, personal: bool) -> bool {
    const OWNERS: [&str; 6] = ["my", "our", "his", "her", "their", "your"];
    const SPEAKS: [&str; 4] = ["calling", "speaking", "here", "from"];
    let word = |at: usize| cx.tokens.str(cx.free(at));
    let is = |list: &[&str], at: usize| list.iter().any(|known| word(at).eq_ignore_ascii_case(known));
    let kin = cx.free_before(index).has(Flags::KIN) && index > 1 && is(&OWNERS, index - 2);
    let next = cx.free(index + 1);
    let greeted = cx.free_before(index).has(Flags::GREETING) && (next.is(b',') || next.is(b'!'));
    kin || greeted || personal && is(&SPEAKS, index + 1)
}

/// "Alvarez, Rosa M." behind a label: the last token of the given names.
pub fn with_given(cx: &ScanContext<'_>, first: usize, last: usize) -> usize {
    let labelled = cx.free_before(first).is(b':');
    let given = cx.free(last + 2);
    let about = cx.known_free(last + 2);
    // Two family names may stand before the comma, but "Olga Petrova, Hans Müller" are two people.
    let several = first < last && (last > first + 1 || cx.known(first).is_first());
    if !labelled
        || several
        || !cx.free(last + 1).is(b',')
        || given.new_line
        || given.class != Class::Word
        || !cx.tokens.is_capital(given)
        || !about.is_first()
        || about.is_place()
    {
        return last;
    }
    run_end(cx, last + 2, CueStrength::None).unwrap_or(last)
}

/// "K. Venkatesh": the last token of a name behind one initial, for who knows that a name stands here.
pub fn after_initial(cx: &ScanContext<'_>, index: usize, token: Token) -> Option<usize> {
    let name = cx.free(index + 2);
    let about = cx.known_free(index + 2);
    let fits = token.is_letter()
        && cx.tokens.is_capital(token)
        && cx.free(index + 1).is(b'.')
        && cx.tokens.glued(index + 1)
        && name.class == Class::Word
        && name.len() > 2
        && !name.new_line
        && cx.tokens.is_capital(name)
        && !about.is_common()
        && !is_month(name)
        && !name.has(Flags::FIRM | Flags::BODY | Flags::STREET | Flags::WEEKDAY);
    if fits { run_end(cx, index + 2, CueStrength::None) } else { None }
}
