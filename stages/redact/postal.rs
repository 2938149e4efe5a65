//! Postal addresses and postcodes, in the forms of the US, the UK, Canada, Germany, France and India.
//!
//! In: a scene. Out: findings. A house number with a street is an address; a door, a box, a town with its code make it longer.
//! Where a street is spelled no known way, an address needs a cue ("my address is").

use super::gazetteer::known;
use super::kind::Entity;
use super::lexicon::{Flags, Sense};
use super::number::group_at;
use super::scene::Scene;
use super::token::{Class, Token, seed};

/// The most words of a street's name.
const STREET_WORDS: usize = 4;
/// The most digits of a house number.
const HOUSE_DIGITS: usize = 6;

/// What is said before an address; the last words before it.
const CUES: &[&str] = &[
    "address is", "address", "live at", "lives at", "living at", "lived at", "located at", "send it to", "ship to", "ship it to", "deliver to",
    "delivered to", "sent to", "reside at", "resides at", "moved to", "residence", "adresse", "wohne in", "habite",
];

/// Finds addresses and postcodes.
pub fn find(scene: &mut Scene<'_>) {
    let seeds = if scene.tokens.signals.street { seed::NUMBER | seed::CAPITAL } else { seed::FIGURES | seed::CAPITAL };
    let mut index = 0;
    while let Some(at) = scene.tokens.seed(index, seeds) {
        index = at + 1;
        if scene.is_taken(at) {
            continue;
        }
        if let Some((last, rule)) = address_at(scene, at) {
            let last = with_town(scene, last);
            scene.take(Entity::Address, at, last, 0.8, rule);
            index = last + 1;
        } else if let Some((first, last, score)) = postcode_at(scene, at) {
            scene.take(Entity::Postcode, first, last, score, "postcode form");
            index = last + 1;
        }
    }
}

/// The last token of an address that begins at `index`.
fn address_at(scene: &Scene<'_>, index: usize) -> Option<(usize, &'static str)> {
    let token = scene.free(index);
    if token.has(Flags::BOX) || token.is_letter() || token.meaning.cue {
        if let Some(last) = post_box(scene, index) {
            return Some((last, "post box"));
        }
    }
    if scene.tokens.has_seed(index, seed::NUMBER) {
        if !scene.tokens.signals.street {
            return None;
        }
        let after = house_end(scene, index)?;
        let last = street_end(scene, after).or_else(|| street_before(scene, after))?;
        return Some((with_door(scene, last), "house and street"));
    }
    if token.class != Class::Word || !scene.tokens.is_capital(token) {
        return None;
    }
    if let Some(last) = street_before(scene, index).and_then(|last| house_after(scene, last + 1)) {
        return Some((with_door(scene, last), "street and house"));
    }
    let last = joined_street(scene, index).and_then(|last| house_after(scene, last + 1))?;
    Some((with_door(scene, last), "street and house"))
}

/// The index after a house number: "12", "12-14", "221B", "twelve", "one two three".
fn house_end(scene: &Scene<'_>, index: usize) -> Option<usize> {
    let token = scene.tokens.at(index);
    let before = scene.free_before(index);
    if before.class == Class::Digits || matches!(before.class, Class::Sign(b'$' | b'.' | b'/' | b':')) && scene.tokens.glued(index) {
        return None;
    }
    if token.class == Class::Digits {
        if token.len() > HOUSE_DIGITS {
            return None;
        }
        let mut end = index + 1;
        if scene.tokens.glued(end) && scene.free(end).is_letter() {
            end += 1;
        } else if scene.tokens.is_inner(end) && scene.free(end).is(b'-') && scene.free(end + 1).class == Class::Digits {
            end += 2;
        }
        return Some(end + usize::from(scene.free(end).is(b',')));
    }
    if index > 0 && scene.tokens.has_seed(index - 1, seed::NUMBER) {
        return None;
    }
    let mut at = index;
    let mut digits = 0;
    while let Some((group, after)) = group_at(&scene.tokens, at) {
        digits += group.len();
        at = after;
        if digits > HOUSE_DIGITS {
            return None;
        }
    }
    (at > index).then_some(at)
}

/// The last token of a street from `index` on: up to four words and the word that ends a street's name.
fn street_end(scene: &Scene<'_>, index: usize) -> Option<usize> {
    let mut at = index;
    for words in 0..=STREET_WORDS {
        let token = scene.free(at);
        let ordinal = matches!(token.meaning.sense, Sense::Ordinal(_)) || token.class == Class::Digits && is_ordinal(scene, at);
        if words > 0 && token.class == Class::Word && token.has(Flags::STREET) && !token.new_line && ends_street(scene, at, index) {
            let dot = scene.free(at + 1).is(b'.') && scene.tokens.glued(at + 1) && token.len() <= 4;
            let last = at + usize::from(dot && !is_end(scene, at + 1));
            let direction = scene.free(last + 1);
            let turned = direction.has(Flags::DIRECTION) && !direction.new_line && (scene.tokens.is_capital(direction) || direction.len() > 2);
            return Some(last + usize::from(turned));
        }
        if ordinal {
            at += if token.class == Class::Digits { 2 } else { 1 };
            continue;
        }
        let usable = token.class == Class::Word && !token.new_line && !token.has(Flags::UNIT | Flags::MONEY) && (!token.has(Flags::STOP) || scene.tokens.is_capital(token));
        if !usable || token.meaning.sense.is_number() {
            return None;
        }
        at += 1 + usize::from(scene.free(at + 1).is(b'.') && scene.tokens.glued(at + 1) && token.len() <= 3);
    }
    None
}

fn is_end(scene: &Scene<'_>, dot: usize) -> bool {
    scene.free(dot + 1).class == Class::Edge || scene.free(dot + 1).new_line
}

/// Whether a word that may end a street's name does: in small letters a street needs a name that is no plain word's.
fn ends_street(scene: &Scene<'_>, at: usize, from: usize) -> bool {
    let token = scene.tokens.at(at);
    if scene.tokens.is_capital(token) {
        return true;
    }
    let sure = ["street", "avenue", "road", "lane", "drive", "boulevard", "court", "terrace", "highway", "parkway", "crescent"];
    let word = scene.tokens.str(token);
    let short = ["st", "ave", "rd", "blvd", "ln", "dr"].iter().any(|s| word.eq_ignore_ascii_case(s));
    let named = (from..at).all(|at| !scene.tokens.at(at).has(Flags::STOP));
    named && (sure.iter().any(|s| word.eq_ignore_ascii_case(s)) || short && (from..at).any(|at| scene.tokens.is_capital(scene.tokens.at(at))))
}

fn is_ordinal(scene: &Scene<'_>, at: usize) -> bool {
    scene.tokens.glued(at + 1) && ["st", "nd", "rd", "th"].iter().any(|end| scene.tokens.str(scene.free(at + 1)).eq_ignore_ascii_case(end))
}

/// "rue de la Paix", "Via Roma", "Calle Mayor": the last token of the street.
fn street_before(scene: &Scene<'_>, index: usize) -> Option<usize> {
    let token = scene.free(index);
    if token.class != Class::Word || !token.has(Flags::STREET_BEFORE) {
        return None;
    }
    let mut at = index + 1 + usize::from(scene.free(index + 1).is(b'.'));
    let mut last = None;
    for _ in 0..STREET_WORDS {
        let token = scene.free(at);
        if token.class != Class::Word || token.new_line {
            break;
        }
        if scene.tokens.is_capital(token) {
            last = Some(at);
        } else if !token.has(Flags::PARTICLE) && !["des", "l", "d", "et"].contains(&scene.tokens.str(token)) {
            break;
        }
        at += 1 + usize::from(scene.free(at + 1).is(b'\'') && scene.tokens.is_inner(at + 1));
    }
    last
}

/// "Hauptstraße", "Kaiserstr.", "Marktplatz": a street in one word; its last token.
fn joined_street(scene: &Scene<'_>, index: usize) -> Option<usize> {
    const ENDS: [&str; 16] = [
        "straße", "strasse", "str", "weg", "platz", "allee", "gasse", "damm", "ufer", "straat", "laan", "gatan", "vägen", "katu", "tie", "utca",
    ];
    let token = scene.free(index);
    let word = scene.tokens.str(token);
    if word.len() < 6 {
        return None;
    }
    let lower = word.to_lowercase();
    if !ENDS.iter().any(|end| lower.ends_with(end) && lower.len() > end.len() + 1) || known(word).is_common() {
        return None;
    }
    let dot = scene.free(index + 1).is(b'.') && scene.tokens.glued(index + 1);
    Some(index + usize::from(dot))
}

/// A house number after the street's name; its last token.
fn house_after(scene: &Scene<'_>, at: usize) -> Option<usize> {
    let at = at + usize::from(scene.free(at).is(b','));
    let token = scene.free(at);
    if token.class != Class::Digits || token.len() > 4 || token.new_line {
        return None;
    }
    let letter = scene.free(at + 1).is_letter() && (scene.tokens.glued(at + 1) || !scene.tokens.is_capital(scene.free(at + 1)))
        && scene.tokens.glued(at + 1);
    Some(at + usize::from(letter))
}

/// "Apt. 595", "Suite 501", "# 4" after an address.
fn with_door(scene: &Scene<'_>, last: usize) -> usize {
    let comma = usize::from(scene.free(last + 1).is(b','));
    let at = last + 1 + comma;
    let token = scene.free(at);
    let door = token.class == Class::Word && token.has(Flags::DOOR) || token.is(b'#');
    if !door {
        return last;
    }
    let at = at + 1 + usize::from(scene.free(at + 1).is(b'.'));
    let number = scene.free(at);
    if number.class == Class::Digits && number.len() <= 5 {
        let letter = scene.tokens.glued(at + 1) && scene.free(at + 1).is_letter();
        return at + usize::from(letter);
    }
    if number.is_letter() || number.meaning.sense.is_number() {
        return group_at(&scene.tokens, at).map_or(at, |(_, after)| after - 1);
    }
    last
}

/// ", Springfield, IL 62704", ", 10115 Berlin" after an address.
fn with_town(scene: &Scene<'_>, last: usize) -> usize {
    let mut end = last;
    let mut at = last + 1;
    let mut words = 0;
    for _ in 0..12 {
        let token = scene.free(at);
        match token.class {
            Class::Sign(b',') => at += 1,
            Class::Digits if (4..=6).contains(&token.len()) && !scene.tokens.glued(at) => {
                let four = scene.free(at + 1).is(b'-') && scene.tokens.is_inner(at + 1) && scene.free(at + 2).class == Class::Digits;
                end = at + if four { 2 } else { 0 };
                at = end + 1;
                if words > 0 {
                    return end;
                }
            }
            Class::Word if scene.tokens.is_capital(token) && words < 4 && !token.has(Flags::STOP) => {
                if let Some((_, code, _)) = postcode_at(scene, at) {
                    return code;
                }
                let place = known(scene.tokens.str(token)).is_place() || token.has(Flags::STATE) && token.len() == 2;
                let after_comma = scene.free_before(at).is(b',') || scene.free_before(at).class == Class::Digits || words > 0;
                let apart = token.new_line && !scene.free_before(at).is(b',');
                if !(place || after_comma) || apart && !place {
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

/// "P.O. Box 104", "PO Box twelve".
fn post_box(scene: &Scene<'_>, index: usize) -> Option<usize> {
    let is = |at: usize, word: &str| scene.tokens.str(scene.free(at)).eq_ignore_ascii_case(word);
    let mut at = index;
    if is(at, "po") || is(at, "psc") {
        at += 1;
    } else if is(at, "p") && (is(at + 1, "o") || is(at + 2, "o")) {
        at += if is(at + 1, "o") { 2 } else { 3 };
        at += usize::from(scene.free(at).is(b'.'));
    } else if is(at, "post") && is(at + 1, "office") {
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
    group_at(&scene.tokens, at + 1).map(|(_, after)| after - 1)
}

/// A postcode whose form says what it is, or that stands behind a town: first and last token and score.
fn postcode_at(scene: &Scene<'_>, index: usize) -> Option<(usize, usize, f32)> {
    let token = scene.free(index);
    if scene.tokens.glued(index) && scene.tokens.before(index).is_solid() {
        return None;
    }
    match token.class {
        Class::Word if scene.tokens.is_capital(token) => {
            british(scene, index).or_else(|| canadian(scene, index)).or_else(|| after_state(scene, index, token))
        }
        Class::Digits => zip_plus_four(scene, index, token).or_else(|| before_town(scene, index, token)).or_else(|| after_town(scene, index, token)),
        _ => None,
    }
}

/// The symbols of up to four tokens from `index` on, glued but for one space, as "A9A 9A9" with letters and figures told apart.
fn shape(scene: &Scene<'_>, index: usize, tokens: usize) -> Option<String> {
    let mut shape = String::new();
    for at in index..index + tokens {
        let token = scene.free(at);
        if at > index && token.spaced {
            shape.push(' ');
        }
        let text = scene.tokens.str(token);
        let symbol = match token.class {
            Class::Word if text.bytes().all(|byte| byte.is_ascii_uppercase()) => 'A',
            Class::Digits if text.is_ascii() => '9',
            _ => return None,
        };
        shape.extend(std::iter::repeat_n(symbol, token.len()));
        if shape.len() > 10 {
            return None;
        }
    }
    let last = index + tokens;
    (!scene.tokens.glued(last) || !scene.tokens.at(last).is_solid()).then_some(shape)
}

/// "SW1A 1AA", "M1 1AE".
fn british(scene: &Scene<'_>, index: usize) -> Option<(usize, usize, f32)> {
    const FORMS: [&str; 6] = ["A9 9AA", "A99 9AA", "AA9 9AA", "AA99 9AA", "A9A 9AA", "AA9A 9AA"];
    const AREAS: &str = " AB AL B BA BB BD BH BL BN BR BS BT CA CB CF CH CM CO CR CT CV CW DA DD DE DG DH DL DN DT DY E EC EH EN EX FK FY G \
        GL GU HA HD HG HP HR HS HU HX IG IP IV KA KT KW KY L LA LD LE LL LN LS LU M ME MK ML N NE NG NN NP NR NW OL OX PA PE PH PL PO PR \
        RG RH RM S SA SE SG SK SL SM SN SO SP SR SS ST SW SY TA TD TF TN TQ TR TS TW UB W WA WC WD WF WN WR WS WV YO ZE GY JE IM ";
    if scene.tokens.at(index).len() > 2 || scene.tokens.at(index + 1).class != Class::Digits {
        return None;
    }
    let tokens = (4..=5).find(|tokens| shape(scene, index, *tokens).is_some_and(|shape| FORMS.contains(&shape.as_str())))?;
    let area = scene.tokens.str(scene.tokens.at(index));
    AREAS.contains(&format!(" {area} ")).then_some((index, index + tokens - 1, 0.8))
}

/// "K1A 0B1".
fn canadian(scene: &Scene<'_>, index: usize) -> Option<(usize, usize, f32)> {
    let first = scene.tokens.str(scene.tokens.at(index));
    if first.len() != 1 || scene.tokens.at(index + 1).class != Class::Digits || !"ABCEGHJKLMNPRSTVXY".contains(first) {
        return None;
    }
    (shape(scene, index, 6)? == "A9A 9A9").then_some((index, index + 5, 0.8))
}

/// "IL 62704", "Texas 75001": the code.
fn after_state(scene: &Scene<'_>, index: usize, token: Token) -> Option<(usize, usize, f32)> {
    let capital = token.len() > 2 || scene.tokens.str(token).bytes().all(|byte| byte.is_ascii_uppercase());
    let code = scene.free(index + 1);
    let fits = token.has(Flags::STATE) && capital && code.class == Class::Digits && code.len() == 5 && !code.new_line && code.spaced;
    fits.then_some((index + 1, index + 1, 0.7))
}

/// "12345-6789".
fn zip_plus_four(scene: &Scene<'_>, index: usize, token: Token) -> Option<(usize, usize, f32)> {
    let four = scene.free(index + 2);
    let fits = token.len() == 5
        && scene.free(index + 1).is(b'-')
        && scene.tokens.is_inner(index + 1)
        && four.class == Class::Digits
        && four.len() == 4
        && !(scene.free(index + 3).is(b'-') && scene.tokens.is_inner(index + 3));
    fits.then_some((index, index + 2, 0.6))
}

/// "10115 Berlin", "75001 Paris": a large town after five figures.
fn before_town(scene: &Scene<'_>, index: usize, token: Token) -> Option<(usize, usize, f32)> {
    let town = scene.free(index + 1);
    let fits = matches!(token.len(), 4..=6)
        && !matches!(scene.tokens.str(token).as_bytes(), [b'1', b'9', _, _] | [b'2', b'0', _, _])
        && town.class == Class::Word
        && !town.new_line
        && scene.tokens.is_capital(town)
        && known(scene.tokens.str(town)).is_place()
        && !known(scene.tokens.str(town)).is_common()
        && !town.has(Flags::MONEY | Flags::UNIT);
    fits.then_some((index, index, 0.6))
}

/// "Costamezzana 43015", "Springfield, 62704": five or six figures right after a word with a capital that is no common one.
fn after_town(scene: &Scene<'_>, index: usize, token: Token) -> Option<(usize, usize, f32)> {
    let comma = scene.free_before(index).is(b',');
    let town = scene.free_before(index - usize::from(comma && index > 0));
    let about = known(scene.tokens.str(town));
    let next = scene.free(index + 1);
    let fits = matches!(token.len(), 5 | 6)
        && town.class == Class::Word
        && !token.new_line
        && scene.tokens.is_capital(town)
        && town.len() > 3
        && !about.is_common()
        && !town.has(Flags::MODEL | Flags::UNIT | Flags::THING)
        && (!comma || about.is_place())
        && !next.has(Flags::UNIT | Flags::MONEY)
        && !(scene.tokens.glued(index + 1) && matches!(next.class, Class::Sign(b'.' | b',' | b'-')) && scene.tokens.is_inner(index + 1));
    fits.then_some((index, index, 0.55))
}

/// Whether an address is spoken of right before `index`.
#[expect(dead_code, reason = "asked by the finder of addresses without a known street")]
fn is_after_cue(scene: &Scene<'_>, index: usize) -> bool {
    CUES.iter().any(|cue| {
        let mut at = index;
        cue.rsplit(' ').all(|word| {
            let fits = scene.tokens.str(scene.free_before(at)).eq_ignore_ascii_case(word);
            at = at.saturating_sub(1);
            fits
        })
    })
}
