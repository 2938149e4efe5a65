//! Postal addresses, in the forms of the US, the UK, Canada, Germany, France and India.
//!
//! In: a cx. Out: findings. A house number with a street is an address; a door, a box, a town with its code make it longer.

use super::dwelling;
use super::kind::Entity;
use super::lexicon::Flags;
use super::number::{Grammar, Run, group_at, group_into, run_at};
use super::postcode::postcode_at;
use super::scan_context::ScanContext;
use super::street::{german_street, house_after, house_end, joined_street, street_before, street_end};
use super::token::{Class, Token, seed};

/// The most digits of a post box that is said.
const BOX_DIGITS: usize = 6;

/// Finds addresses and postcodes.
pub fn find(cx: &mut ScanContext<'_>) {
    find_forms(cx);
    dwelling::find(cx);
}

fn find_forms(cx: &mut ScanContext<'_>) {
    let seeds = if cx.tokens.any(seed::STREET) {
        seed::NUMBER | seed::CAPITAL | seed::STREET
    } else {
        seed::FIGURES | seed::CAPITAL
    };
    let mut index = 0;
    while let Some(at) = cx.tokens.seed(index, seeds) {
        index = at + 1;
        if cx.is_taken(at) || !may_begin(cx, at) {
            continue;
        }
        if let Some((last, rule)) = address_at(cx, at) {
            let last = with_town(cx, last);
            let last = code_below(cx, last).unwrap_or(last);
            cx.take(Entity::Address, with_door_before(cx, at), last, 0.8, rule);
            index = last + 1;
        } else if let Some((first, last, score)) = postcode_at(cx, at) {
            // A house and a town with their code are one address; what a house number ends is one by itself.
            match dwelling::start_before(cx, first) {
                Some(start) if cx.tokens.at(start).class == Class::Digits => {
                    cx.take(
                        Entity::Address,
                        with_door_before(cx, start),
                        last,
                        score,
                        "address before a code",
                    );
                    index = last + 1;
                    continue;
                }
                Some(start) => {
                    let comma = usize::from(cx.free_before(first).is(b','));
                    cx.take(Entity::Address, start, first - 1 - comma, score, "address before a code");
                }
                None => {}
            }
            cx.take(Entity::Postcode, first, last, score, "postcode form");
            index = last + 1;
        } else if let Some(last) = said_after_state(cx, at) {
            cx.take(Entity::Postcode, at, last, 0.6, "postcode said");
            index = last + 1;
        }
    }
}

/// Returns true if an address or a postcode may begin at a token: cheap, since it is asked of every number and every word with a capital. A word
/// needs figures close behind it, unless it is one of streets or boxes; a number without any of them is at most a postcode.
fn may_begin(cx: &ScanContext<'_>, index: usize) -> bool {
    let tokens = &cx.tokens;
    let bits = tokens.seeds(index);
    if bits & seed::NUMBER != 0 {
        let code = || bits & seed::FIGURES != 0 && matches!(tokens.at(index).len(), 2..=6);
        return tokens.any(seed::STREET) || code();
    }
    tokens.any_in(index + 1..index + 4, seed::FIGURES)
        || tokens.any(seed::STREET) && bits & (seed::STREET | seed::LETTER | seed::CUE) != 0
}

/// The last token of an address that begins at `index`.
fn address_at(cx: &ScanContext<'_>, index: usize) -> Option<(usize, &'static str)> {
    let token = cx.free(index);
    let may_be_box = token.has(Flags::BOX) || token.is_letter() || token.meaning.cue > 0;
    if may_be_box && let Some(last) = post_box(cx, index) {
        return Some((last, "post box"));
    }
    if cx.tokens.has_seed(index, seed::NUMBER) {
        if !cx.tokens.any(seed::STREET) {
            return None;
        }
        let after = house_end(cx, index)?;
        let last = street_end(cx, after).max(street_before(cx, after))?;
        return Some((with_door(cx, last), "house and street"));
    }
    if token.class != Class::Word || !cx.tokens.is_capital(token) && !is_small_street(cx, token) {
        return None;
    }
    if let Some(last) = street_before(cx, index).and_then(|last| house_after(cx, last + 1)) {
        return Some((with_door(cx, last), "street and house"));
    }
    if !cx.tokens.any_in(index + 1..index + 4, seed::FIGURES) {
        return None;
    }
    if token.has(Flags::DOOR)
        && let Some(last) = after_door(cx, index)
    {
        return Some((last, "door and street"));
    }
    if let Some(last) = german_street(cx, index).and_then(|last| house_after(cx, last + 1))
        && is_before_code(cx, last + 1)
    {
        return Some((last, "street and house"));
    }
    let last = joined_street(cx, index)?;
    Some((with_door(cx, last), "street and house"))
}

/// "ul. Prosta 14", "rue Mouffetard 8": a word before streets that is no other word in English.
fn is_small_street(cx: &ScanContext<'_>, token: Token) -> bool {
    const WORDS: [&str; 12] = [
        "ul", "ulica", "rue", "calle", "rua", "avenida", "viale", "corso", "praca", "carrera", "aleja",
        "travessa",
    ];
    token.has(Flags::STREET_BEFORE)
        && WORDS.iter().any(|word| cx.tokens.str(token).eq_ignore_ascii_case(word))
}

/// "Apt. 595", "Suite 501", "# 4" after an address.
fn with_door(cx: &ScanContext<'_>, last: usize) -> usize {
    let comma = usize::from(cx.free(last + 1).is(b','));
    let at = last + 1 + comma;
    let token = cx.free(at);
    let door = token.class == Class::Word && token.has(Flags::DOOR) || token.is(b'#');
    if door { door_end(cx, at).unwrap_or(last) } else { last }
}

/// The last token of what follows the word for a door: "4", "4B", "No. 12", "four b".
pub fn door_end(cx: &ScanContext<'_>, door: usize) -> Option<usize> {
    let is = |at: usize, word: &str| cx.tokens.str(cx.free(at)).eq_ignore_ascii_case(word);
    let mut at = door + 1;
    at += usize::from(is(at, "no") || is(at, "number"));
    at += usize::from(cx.free(at).is(b'.') || cx.free(at).is(b'#'));
    let number = cx.free(at);
    if number.class == Class::Digits && number.len() <= 5 {
        if cx.free(at + 1).is(b'/') && cx.tokens.is_inner(at + 1) && cx.free(at + 2).class == Class::Digits {
            return Some(at + 2);
        }
        let letter = cx.free(at + 1);
        let apart = cx.tokens.is_capital(letter) && cx.free(at + 2).is(b',') && !letter.new_line;
        let letter = letter.is_letter() && (cx.tokens.glued(at + 1) || apart);
        return Some(at + usize::from(letter));
    }
    if !number.is_letter() && !number.meaning.sense.is_number() {
        return None;
    }
    let last = group_at(&cx.tokens, at).map_or(at, |(_, after)| after - 1);
    let (letter, after) = (cx.free(last + 1), cx.free(last + 2));
    let said = cx.lenient && letter.is_letter() && !letter.new_line && after.class != Class::Word;
    Some(last + usize::from(said))
}

/// "Flat 3, " before the house number at `index`.
fn with_door_before(cx: &ScanContext<'_>, index: usize) -> usize {
    const FARTHEST: usize = 6;
    let comma = usize::from(cx.free_before(index).is(b','));
    let door = (1..=FARTHEST).filter_map(|back| index.checked_sub(back)).take_while(|at| !cx.is_taken(*at));
    let mut door = door.filter(|at| cx.tokens.at(*at).has(Flags::DOOR));
    door.find(|at| door_end(cx, *at) == index.checked_sub(1 + comma)).unwrap_or(index)
}

/// "Flat No. 302, MG Road", "Plot 45, Sector 18, Gurugram 122015": a door, then names with capitals as far as a street or a code.
fn after_door(cx: &ScanContext<'_>, index: usize) -> Option<usize> {
    const LONGEST: usize = 16;
    let mut at = door_end(cx, index)? + 1;
    if !cx.free(at).is(b',') {
        return None;
    }
    let from = at;
    while at < from + LONGEST {
        let token = cx.free(at);
        if token.class == Class::Word
            && token.has(Flags::STREET)
            && cx.tokens.is_capital(token)
            && at > from + 1
        {
            return Some(at);
        }
        match token.class {
            Class::Digits if matches!(token.len(), 5 | 6) => return (at > from + 1).then_some(at),
            Class::Digits if token.len() <= 3 => {}
            Class::Sign(b',' | b'-' | b'.') => {}
            Class::Word if cx.tokens.is_capital(token) => {}
            Class::Word
                if cx.tokens.glued(at) && token.len() == 2 && cx.free_before(at).class == Class::Digits => {}
            _ => return None,
        }
        at += 1;
    }
    None
}

/// Returns true if a code of five figures and a town follow: ", 60329 Frankfurt".
fn is_before_code(cx: &ScanContext<'_>, at: usize) -> bool {
    let at = at + usize::from(cx.free(at).is(b','));
    let (code, town) = (cx.free(at), cx.free(at + 1));
    code.class == Class::Digits && code.len() == 5 && cx.tokens.is_capital(town)
}

/// "california 9 0 0 2 8", "Texas, seven five zero zero one": five or nine digits behind the name of a state.
fn said_after_state(cx: &ScanContext<'_>, index: usize) -> Option<usize> {
    let comma = usize::from(cx.free_before(index).is(b','));
    let state = cx.free_before(index - comma);
    if !cx.lenient || !state.has(Flags::STATE) || state.len() <= 2 || !cx.tokens.any(seed::STREET) {
        return None;
    }
    let mut run = Run::default();
    let after = run_at(&cx.tokens, index, Grammar { lenient: false }, &mut run)?;
    let free = (index..after).all(|at| !cx.is_taken(at));
    (free && matches!(run.digits.len(), 5 | 9)).then(|| after - 1)
}

/// ", Springfield, IL 62704", ", 10115 Berlin" after an address.
pub fn with_town(cx: &ScanContext<'_>, last: usize) -> usize {
    let mut end = last;
    let mut at = last + 1;
    let mut words = 0;
    for _ in 0..12 {
        let token = cx.free(at);
        match token.class {
            Class::Sign(b',') => at += 1,
            Class::Sign(b'.') if cx.tokens.glued(at) && cx.tokens.before(at).is_letter() => at += 1,
            Class::Digits if (4..=6).contains(&token.len()) && !cx.tokens.glued(at) => {
                let four = cx.free(at + 1).is(b'-')
                    && cx.tokens.is_inner(at + 1)
                    && cx.free(at + 2).class == Class::Digits;
                end = at + if four { 2 } else { 0 };
                at = end + 1;
                if words > 0 {
                    return end;
                }
            }
            Class::Word if is_initials(cx, at) => {
                at += 4;
                words += 1;
            }
            Class::Word
                if cx.tokens.is_capital(token)
                    && words < 4
                    && (!token.has(Flags::STOP) || is_region(cx, token)) =>
            {
                let region = usize::from(is_region(cx, token));
                let code = postcode_at(cx, at).or_else(|| postcode_at(cx, at + region));
                if let Some((_, code, _)) = code {
                    return code;
                }
                let place = cx.known_free(at).is_place() || token.has(Flags::STATE) && token.len() == 2;
                let after_comma =
                    cx.free_before(at).is(b',') || cx.free_before(at).class == Class::Digits || words > 0;
                let apart = token.new_line && !cx.free_before(at).is(b',');
                if !place && (!after_comma || apart) {
                    break;
                }
                words += 1;
                at += 1;
                if place {
                    end = at - 1;
                }
            }
            _ => break,
        }
    }
    end
}

/// The code that ends a line below an address, where only a town and a region stand between: "Apt. 5\nLahti\nFI\n53650".
fn code_below(cx: &ScanContext<'_>, last: usize) -> Option<usize> {
    const LINES: usize = 3;
    const WORDS: usize = 4;
    let ends = |at: usize| cx.tokens.at(at).new_line || cx.free(at).class == Class::Edge;
    let (mut lines, mut words) = (0, 0);
    for at in last + 1..last + 2 + LINES * WORDS {
        let token = cx.free(at);
        if token.new_line {
            (lines, words) = (lines + 1, 0);
        }
        if lines == 0 || lines > LINES || cx.tokens.breaks(at) {
            return None;
        }
        match token.class {
            Class::Word if cx.tokens.is_capital(token) || token.len() <= 3 => words += 1,
            Class::Sign(b',' | b'.') => {}
            Class::Digits if (3..=6).contains(&token.len()) => {
                let dash = usize::from(cx.free(at + 1).is(b'-') && cx.tokens.is_inner(at + 1));
                let second = cx.free(at + 1 + dash);
                let split = second.class == Class::Digits && second.len() <= 3 && !second.new_line;
                let end = if split { at + 1 + dash } else { at };
                return (ends(end + 1) && (words > 0 || lines > 1)).then_some(end);
            }
            Class::Digits if token.len() == 2 && words == 0 && cx.free(at + 1).is(b'-') => {
                let code =
                    cx.free(at + 2).class == Class::Digits && cx.tokens.is_inner(at + 1) && ends(at + 3);
                return code.then_some(at + 2);
            }
            _ => return None,
        }
        if words > WORDS {
            return None;
        }
    }
    None
}

/// "D.C."
fn is_initials(cx: &ScanContext<'_>, at: usize) -> bool {
    let dot = |at: usize| cx.free(at).is(b'.') && cx.tokens.glued(at);
    let letter = |at: usize| cx.free(at).is_letter() && cx.tokens.is_capital(cx.free(at));
    letter(at) && dot(at + 1) && letter(at + 2) && cx.tokens.glued(at + 2) && dot(at + 3)
}

/// Two capitals, as regions are written: "OR", "ON".
fn is_region(cx: &ScanContext<'_>, token: Token) -> bool {
    token.len() == 2 && cx.tokens.str(token).bytes().all(|byte| byte.is_ascii_uppercase())
}

/// "P.O. Box 104", "PO Box twelve", "RR 2 Box 118".
fn post_box(cx: &ScanContext<'_>, index: usize) -> Option<usize> {
    let is = |at: usize, word: &str| cx.tokens.str(cx.free(at)).eq_ignore_ascii_case(word);
    let mut at = index;
    if is(at, "po") || is(at, "psc") {
        at += 1;
    } else if is(at, "p") && (is(at + 1, "o") || is(at + 2, "o")) {
        at += if is(at + 1, "o") { 2 } else { 3 };
        at += usize::from(cx.free(at).is(b'.'));
    } else if is(at, "post") && is(at + 1, "office")
        || (is(at, "rr") || is(at, "hc")) && cx.free(at + 1).class == Class::Digits
    {
        at += 2;
    } else {
        return None;
    }
    if !is(at, "box") {
        return None;
    }
    let number = cx.free(at + 1);
    if number.class == Class::Digits {
        return Some(at + 1);
    }
    let (mut run, mut digits, mut end) = (Run::default(), 0, at + 1);
    while let Some(after) = group_into(&cx.tokens, end, &mut run)
        && digits + run.digits.len() <= BOX_DIGITS
    {
        digits += run.digits.len();
        end = after;
    }
    (end > at + 1).then(|| end - 1)
}
