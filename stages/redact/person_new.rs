//! Names that stand in no list, told by what stands around them: initials, labels of fields, who speaks.
//!
//! In: a scene and a place. Out: names, or how far one goes. It must not know the cues of names.

use super::lexicon::Flags;
use super::person_run::{is_month, run_end};
use super::scene::Scene;
use super::token::{Class, Token};

/// "E. J. Whitcombe": two initials and a name.
pub fn by_initials(
    scene: &Scene<'_>,
    index: usize,
    token: Token,
) -> Option<(usize, usize, f32, &'static str)> {
    const OTHERS: [&str; 12] = ["US", "UK", "EU", "UN", "PO", "AM", "PM", "NY", "LA", "DC", "IE", "EG"];
    let dot = |at: usize| scene.free(at).is(b'.') && scene.tokens.glued(at);
    let initial = |token: Token| token.is_letter() && scene.tokens.is_capital(token);
    let (second, name) = (scene.free(index + 2), scene.free(index + 4));
    if !initial(token) || !dot(index + 1) || !initial(second) || !dot(index + 3) || scene.tokens.glued(index)
    {
        return None;
    }
    let letters = [scene.tokens.str(token), scene.tokens.str(second)].concat();
    let about = scene.known_free(index + 4);
    let fits = name.class == Class::Word
        && name.len() > 2
        && !name.new_line
        && !scene.tokens.glued(index + 4)
        && scene.tokens.is_capital(name)
        && (!about.is_common() || about.is_last())
        && !about.is_place()
        && !is_month(name)
        && name.meaning.cue == 0
        && !name.has(Flags::FIRM | Flags::BODY | Flags::STREET | Flags::WEEKDAY | Flags::BOX)
        && !OTHERS.contains(&letters.as_str());
    if !fits {
        return None;
    }
    let last = run_end(scene, index + 4, false)?;
    Some((index, last, 0.6, "initials"))
}

/// Where the label of a field ends whose quoted value begins at `index`: `"name": "` or `name="`; `index` if there is none.
pub fn label_before(scene: &Scene<'_>, index: usize) -> usize {
    let back = |steps: usize| {
        index.checked_sub(steps).map_or_else(|| scene.tokens.at(usize::MAX), |at| scene.free(at))
    };
    if !back(1).is(b'"') || !(back(2).is(b':') || back(2).is(b'=')) {
        return index;
    }
    index - 2 - usize::from(back(3).is(b'"'))
}

/// Whether an unknown word with a capital is told to be a name by its neighbours: "my daughter Eilidh", "I'm Rajesh calling",
/// "Hi Siobhán,".
pub fn is_told(scene: &Scene<'_>, index: usize, personal: bool) -> bool {
    const OWNERS: [&str; 6] = ["my", "our", "his", "her", "their", "your"];
    const SPEAKS: [&str; 4] = ["calling", "speaking", "here", "from"];
    let word = |at: usize| scene.tokens.str(scene.free(at));
    let is = |list: &[&str], at: usize| list.iter().any(|known| word(at).eq_ignore_ascii_case(known));
    let kin = scene.free_before(index).has(Flags::KIN) && index > 1 && is(&OWNERS, index - 2);
    let next = scene.free(index + 1);
    let greeted = scene.free_before(index).has(Flags::GREETING) && (next.is(b',') || next.is(b'!'));
    kin || greeted || personal && is(&SPEAKS, index + 1)
}

/// "Alvarez, Rosa M." behind a label: the last token of the given names.
pub fn with_given(scene: &Scene<'_>, first: usize, last: usize) -> usize {
    let labelled = scene.free_before(first).is(b':');
    let given = scene.free(last + 2);
    let about = scene.known_free(last + 2);
    // Two family names may stand before the comma, but "Olga Petrova, Hans Müller" are two people.
    let several = first < last && (last > first + 1 || scene.known(first).is_first());
    if !labelled
        || several
        || !scene.free(last + 1).is(b',')
        || given.new_line
        || given.class != Class::Word
        || !scene.tokens.is_capital(given)
        || !about.is_first()
        || about.is_place()
    {
        return last;
    }
    run_end(scene, last + 2, false).unwrap_or(last)
}

/// "K. Venkatesh": the last token of a name behind one initial, for who knows that a name stands here.
pub fn after_initial(scene: &Scene<'_>, index: usize, token: Token) -> Option<usize> {
    let name = scene.free(index + 2);
    let about = scene.known_free(index + 2);
    let fits = token.is_letter()
        && scene.tokens.is_capital(token)
        && scene.free(index + 1).is(b'.')
        && scene.tokens.glued(index + 1)
        && name.class == Class::Word
        && name.len() > 2
        && !name.new_line
        && scene.tokens.is_capital(name)
        && !about.is_common()
        && !is_month(name)
        && !name.has(Flags::FIRM | Flags::BODY | Flags::STREET | Flags::WEEKDAY);
    if fits { run_end(scene, index + 2, false) } else { None }
}
