//! Postal addresses, in the forms of the US, the UK, Canada, Germany, France and India.
//!
//! In: a scene. Out: findings. A house number with a street is an address; a door, a box, a town with its code make it longer.

use super::dwelling;
use super::kind::Entity;
use super::lexicon::Flags;
use super::number::{Grammar, Run, group_at, group_into, run_at};
use super::postcode::postcode_at;
use super::scene::Scene;
use super::street::{german_street, house_after, house_end, joined_street, street_before, street_end};
use super::token::{Class, Token, seed};

/// The most digits of a post box that is said.
const BOX_DIGITS: usize = 6;

/// Finds addresses and postcodes.
pub fn find(scene: &mut Scene<'_>) {
    find_forms(scene);
    dwelling::find(scene);
}

fn find_forms(scene: &mut Scene<'_>) {
    let seeds = if scene.tokens.any(seed::STREET) {
        seed::NUMBER | seed::CAPITAL | seed::STREET
    } else {
        seed::FIGURES | seed::CAPITAL
    };
    let mut index = 0;
    while let Some(at) = scene.tokens.seed(index, seeds) {
        index = at + 1;
        if scene.is_taken(at) || !may_begin(scene, at) {
            continue;
        }
        if let Some((last, rule)) = address_at(scene, at) {
            let last = with_town(scene, last);
            scene.take(Entity::Address, with_door_before(scene, at), last, 0.8, rule);
            index = last + 1;
        } else if let Some((first, last, score)) = postcode_at(scene, at) {
            // A house and a town with their code are one address; what a house number ends is one by itself.
            match dwelling::start_before(scene, first) {
                Some(start) if scene.tokens.at(start).class == Class::Digits => {
                    scene.take(
                        Entity::Address,
                        with_door_before(scene, start),
                        last,
                        score,
                        "address before a code",
                    );
                    index = last + 1;
                    continue;
                }
                Some(start) => {
                    let comma = usize::from(scene.free_before(first).is(b','));
                    scene.take(Entity::Address, start, first - 1 - comma, score, "address before a code");
                }
                None => {}
            }
            scene.take(Entity::Postcode, first, last, score, "postcode form");
            index = last + 1;
        } else if let Some(last) = said_after_state(scene, at) {
            scene.take(Entity::Postcode, at, last, 0.6, "postcode said");
            index = last + 1;
        }
    }
}

/// Whether an address or a postcode may begin at a token: cheap, since it is asked of every number and every word with a capital. A word
/// needs figures close behind it, unless it is one of streets or boxes; a number without any of them is at most a postcode.
fn may_begin(scene: &Scene<'_>, index: usize) -> bool {
    let tokens = &scene.tokens;
    let bits = tokens.seeds(index);
    if bits & seed::NUMBER != 0 {
        let code = || bits & seed::FIGURES != 0 && matches!(tokens.at(index).len(), 2..=6);
        return tokens.any(seed::STREET) || code();
    }
    tokens.any_in(index + 1..index + 4, seed::FIGURES)
        || tokens.any(seed::STREET) && bits & (seed::STREET | seed::LETTER | seed::CUE) != 0
}

/// The last token of an address that begins at `index`.
fn address_at(scene: &Scene<'_>, index: usize) -> Option<(usize, &'static str)> {
    let token = scene.free(index);
    let may_be_box = token.has(Flags::BOX) || token.is_letter() || token.meaning.cue > 0;
    if may_be_box && let Some(last) = post_box(scene, index) {
        return Some((last, "post box"));
    }
    if scene.tokens.has_seed(index, seed::NUMBER) {
        if !scene.tokens.any(seed::STREET) {
            return None;
        }
        let after = house_end(scene, index)?;
        let last = street_end(scene, after).max(street_before(scene, after))?;
        return Some((with_door(scene, last), "house and street"));
    }
    if token.class != Class::Word || !scene.tokens.is_capital(token) && !is_small_street(scene, token) {
        return None;
    }
    if let Some(last) = street_before(scene, index).and_then(|last| house_after(scene, last + 1)) {
        return Some((with_door(scene, last), "street and house"));
    }
    if !scene.tokens.any_in(index + 1..index + 4, seed::FIGURES) {
        return None;
    }
    if token.has(Flags::DOOR)
        && let Some(last) = after_door(scene, index)
    {
        return Some((last, "door and street"));
    }
    if let Some(last) = german_street(scene, index).and_then(|last| house_after(scene, last + 1))
        && is_before_code(scene, last + 1)
    {
        return Some((last, "street and house"));
    }
    let last = joined_street(scene, index)?;
    Some((with_door(scene, last), "street and house"))
}

/// "ul. Prosta 14", "rue Mouffetard 8": a word before streets that is no other word in English.
fn is_small_street(scene: &Scene<'_>, token: Token) -> bool {
    const WORDS: [&str; 12] = [
        "ul", "ulica", "rue", "calle", "rua", "avenida", "viale", "corso", "praca", "carrera", "aleja",
        "travessa",
    ];
    token.has(Flags::STREET_BEFORE)
        && WORDS.iter().any(|word| scene.tokens.str(token).eq_ignore_ascii_case(word))
}

/// "Apt. 595", "Suite 501", "# 4" after an address.
fn with_door(scene: &Scene<'_>, last: usize) -> usize {
    let comma = usize::from(scene.free(last + 1).is(b','));
    let at = last + 1 + comma;
    let token = scene.free(at);
    let door = token.class == Class::Word && token.has(Flags::DOOR) || token.is(b'#');
    if door { door_end(scene, at).unwrap_or(last) } else { last }
}

/// The last token of what follows the word for a door: "4", "4B", "No. 12", "four b".
pub fn door_end(scene: &Scene<'_>, door: usize) -> Option<usize> {
    let is = |at: usize, word: &str| scene.tokens.str(scene.free(at)).eq_ignore_ascii_case(word);
    let mut at = door + 1;
    at += usize::from(is(at, "no") || is(at, "number"));
    at += usize::from(scene.free(at).is(b'.') || scene.free(at).is(b'#'));
    let number = scene.free(at);
    if number.class == Class::Digits && number.len() <= 5 {
        if scene.free(at + 1).is(b'/')
            && scene.tokens.is_inner(at + 1)
            && scene.free(at + 2).class == Class::Digits
        {
            return Some(at + 2);
        }
        let letter = scene.free(at + 1);
        let apart = scene.tokens.is_capital(letter) && scene.free(at + 2).is(b',') && !letter.new_line;
        let letter = letter.is_letter() && (scene.tokens.glued(at + 1) || apart);
        return Some(at + usize::from(letter));
    }
    if !number.is_letter() && !number.meaning.sense.is_number() {
        return None;
    }
    let last = group_at(&scene.tokens, at).map_or(at, |(_, after)| after - 1);
    let (letter, after) = (scene.free(last + 1), scene.free(last + 2));
    let said = scene.lenient && letter.is_letter() && !letter.new_line && after.class != Class::Word;
    Some(last + usize::from(said))
}

/// "Flat 3, " before the house number at `index`.
fn with_door_before(scene: &Scene<'_>, index: usize) -> usize {
    const FARTHEST: usize = 6;
    let comma = usize::from(scene.free_before(index).is(b','));
    let door =
        (1..=FARTHEST).filter_map(|back| index.checked_sub(back)).take_while(|at| !scene.is_taken(*at));
    let mut door = door.filter(|at| scene.tokens.at(*at).has(Flags::DOOR));
    door.find(|at| door_end(scene, *at) == index.checked_sub(1 + comma)).unwrap_or(index)
}

/// "Flat No. 302, MG Road", "Plot 45, Sector 18, Gurugram 122015": a door, then names with capitals as far as a street or a code.
fn after_door(scene: &Scene<'_>, index: usize) -> Option<usize> {
    const LONGEST: usize = 16;
    let mut at = door_end(scene, index)? + 1;
    if !scene.free(at).is(b',') {
        return None;
    }
    let from = at;
    while at < from + LONGEST {
        let token = scene.free(at);
        if token.class == Class::Word
            && token.has(Flags::STREET)
            && scene.tokens.is_capital(token)
            && at > from + 1
        {
            return Some(at);
        }
        match token.class {
            Class::Digits if matches!(token.len(), 5 | 6) => return (at > from + 1).then_some(at),
            Class::Digits if token.len() <= 3 => {}
            Class::Sign(b',' | b'-' | b'.') => {}
            Class::Word if scene.tokens.is_capital(token) => {}
            Class::Word
                if scene.tokens.glued(at)
                    && token.len() == 2
                    && scene.free_before(at).class == Class::Digits => {}
            _ => return None,
        }
        at += 1;
    }
    None
}

/// Whether a code of five figures and a town follow: ", 60329 Frankfurt".
fn is_before_code(scene: &Scene<'_>, at: usize) -> bool {
    let at = at + usize::from(scene.free(at).is(b','));
    let (code, town) = (scene.free(at), scene.free(at + 1));
    code.class == Class::Digits && code.len() == 5 && scene.tokens.is_capital(town)
}

/// "california 9 0 0 2 8", "Texas, seven five zero zero one": five or nine digits behind the name of a state.
fn said_after_state(scene: &Scene<'_>, index: usize) -> Option<usize> {
    let comma = usize::from(scene.free_before(index).is(b','));
    let state = scene.free_before(index - comma);
    if !scene.lenient || !state.has(Flags::STATE) || state.len() <= 2 || !scene.tokens.any(seed::STREET) {
        return None;
    }
    let mut run = Run::default();
    let after = run_at(&scene.tokens, index, Grammar { lenient: false }, &mut run)?;
    let free = (index..after).all(|at| !scene.is_taken(at));
    (free && matches!(run.digits.len(), 5 | 9)).then(|| after - 1)
}

/// ", Springfield, IL 62704", ", 10115 Berlin" after an address.
pub fn with_town(scene: &Scene<'_>, last: usize) -> usize {
    let mut end = last;
    let mut at = last + 1;
    let mut words = 0;
    for _ in 0..12 {
        let token = scene.free(at);
        match token.class {
            Class::Sign(b',') => at += 1,
            Class::Sign(b'.') if scene.tokens.glued(at) && scene.tokens.before(at).is_letter() => at += 1,
            Class::Digits if (4..=6).contains(&token.len()) && !scene.tokens.glued(at) => {
                let four = scene.free(at + 1).is(b'-')
                    && scene.tokens.is_inner(at + 1)
                    && scene.free(at + 2).class == Class::Digits;
                end = at + if four { 2 } else { 0 };
                at = end + 1;
                if words > 0 {
                    return end;
                }
            }
            Class::Word if is_initials(scene, at) => {
                at += 4;
                words += 1;
            }
            Class::Word
                if scene.tokens.is_capital(token)
                    && words < 4
                    && (!token.has(Flags::STOP) || is_region(scene, token)) =>
            {
                let region = usize::from(is_region(scene, token));
                let code = postcode_at(scene, at).or_else(|| postcode_at(scene, at + region));
                if let Some((_, code, _)) = code {
                    return code;
                }
                let place = scene.known_free(at).is_place() || token.has(Flags::STATE) && token.len() == 2;
                let after_comma = scene.free_before(at).is(b',')
                    || scene.free_before(at).class == Class::Digits
                    || words > 0;
                let apart = token.new_line && !scene.free_before(at).is(b',');
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

/// "D.C."
fn is_initials(scene: &Scene<'_>, at: usize) -> bool {
    let dot = |at: usize| scene.free(at).is(b'.') && scene.tokens.glued(at);
    let letter = |at: usize| scene.free(at).is_letter() && scene.tokens.is_capital(scene.free(at));
    letter(at) && dot(at + 1) && letter(at + 2) && scene.tokens.glued(at + 2) && dot(at + 3)
}

/// Two capitals, as regions are written: "OR", "ON".
fn is_region(scene: &Scene<'_>, token: Token) -> bool {
    token.len() == 2 && scene.tokens.str(token).bytes().all(|byte| byte.is_ascii_uppercase())
}

/// "P.O. Box 104", "PO Box twelve", "RR 2 Box 118".
fn post_box(scene: &Scene<'_>, index: usize) -> Option<usize> {
    let is = |at: usize, word: &str| scene.tokens.str(scene.free(at)).eq_ignore_ascii_case(word);
    let mut at = index;
    if is(at, "po") || is(at, "psc") {
        at += 1;
    } else if is(at, "p") && (is(at + 1, "o") || is(at + 2, "o")) {
        at += if is(at + 1, "o") { 2 } else { 3 };
        at += usize::from(scene.free(at).is(b'.'));
    } else if is(at, "post") && is(at + 1, "office")
        || (is(at, "rr") || is(at, "hc")) && scene.free(at + 1).class == Class::Digits
    {
        at += 2;
    } else {
        return None;
    }
    if !is(at, "box") {
        return None;
    }
    let number = scene.free(at + 1);
    if number.class == Class::Digits {
        return Some(at + 1);
    }
    let (mut run, mut digits, mut end) = (Run::default(), 0, at + 1);
    while let Some(after) = group_into(&scene.tokens, end, &mut run)
        && digits + run.digits.len() <= BOX_DIGITS
    {
        digits += run.digits.len();
        end = after;
    }
    (end > at + 1).then(|| end - 1)
}
