//! Postcodes: in the forms of the UK and Canada, behind a state of the US, beside a town.
//!
//! In: a cx and a place. Out: the tokens of a postcode. What is said to be one is a row of `ids::bank`.

use super::lexicon::Flags;
use super::scan_context::ScanContext;
use super::token::{Class, Token};

/// A postcode whose form says what it is, or that stands behind a town: first and last token and score.
pub fn postcode_at(cx: &ScanContext<'_>, index: usize) -> Option<(usize, usize, f32)> {
    let token = cx.free(index);
    if cx.tokens.glued(index) && cx.tokens.before(index).is_solid() {
        return None;
    }
    match token.class {
        Class::Word if cx.tokens.is_capital(token) => british(cx, index)
            .or_else(|| canadian(cx, index))
            .or_else(|| irish(cx, index))
            .or_else(|| after_state(cx, index, token)),
        Class::Digits if matches!(token.len(), 4..=6) => zip_plus_four(cx, index, token)
            .or_else(|| dutch(cx, index, token))
            .or_else(|| before_town(cx, index, token))
            .or_else(|| after_town(cx, index, token)),
        Class::Digits if matches!(token.len(), 2..=3) => split_before_town(cx, index, token),
        _ => None,
    }
}

/// The symbols of up to four tokens from `index` on, glued but for one space, as "A9A 9A9" with letters and figures told apart.
fn shape(cx: &ScanContext<'_>, index: usize, tokens: usize) -> Option<String> {
    let mut shape = String::new();
    for at in index..index + tokens {
        let token = cx.free(at);
        if at > index && token.spaced {
            shape.push(' ');
        }
        let text = cx.tokens.str(token);
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
    (!cx.tokens.glued(last) || !cx.tokens.at(last).is_solid()).then_some(shape)
}

/// The areas of British postcodes.
const AREAS: &str = " AB AL B BA BB BD BH BL BN BR BS BT CA CB CF CH CM CO CR CT CV CW DA DD DE DG DH DL DN DT DY E EC EH EN EX FK FY G \
    GL GU HA HD HG HP HR HS HU HX IG IP IV KA KT KW KY L LA LD LE LL LN LS LU M ME MK ML N NE NG NN NP NR NW OL OX PA PE PH PL PO PR \
    RG RH RM S SA SE SG SK SL SM SN SO SP SR SS ST SW SY TA TD TF TN TQ TR TS TW UB W WA WC WD WF WN WR WS WV YO ZE GY JE IM ";

fn is_area(letters: &str) -> bool {
    AREAS.contains(&format!(" {letters} "))
}

/// Returns true if capitals and figures are a British postcode: an area, a district, a figure and two letters.
pub fn is_british(symbols: &[u8]) -> bool {
    let letters = symbols.iter().take_while(|symbol| symbol.is_ascii_uppercase()).count();
    let (area, rest) = symbols.split_at(letters.min(symbols.len()));
    let (outward, inward) = rest.split_at(rest.len().saturating_sub(3));
    let known = std::str::from_utf8(area).is_ok_and(is_area);
    let district = match outward {
        [figure] => figure.is_ascii_digit(),
        [figure, other] => figure.is_ascii_digit() && other.is_ascii_alphanumeric(),
        _ => false,
    };
    let unit = |letter: &u8| letter.is_ascii_uppercase() && !b"CIKMOV".contains(letter);
    let ends = matches!(inward, [figure, a, b] if figure.is_ascii_digit() && unit(a) && unit(b));
    letters > 0 && known && district && ends
}

/// "SW1A 1AA", "M1 1AE".
fn british(cx: &ScanContext<'_>, index: usize) -> Option<(usize, usize, f32)> {
    const FORMS: [&str; 6] = ["A9 9AA", "A99 9AA", "AA9 9AA", "AA99 9AA", "A9A 9AA", "AA9A 9AA"];
    if cx.tokens.at(index).len() > 2 || cx.tokens.at(index + 1).class != Class::Digits {
        return None;
    }
    let tokens = (4..=5)
        .find(|tokens| shape(cx, index, *tokens).is_some_and(|shape| FORMS.contains(&shape.as_str())))?;
    let area = cx.tokens.str(cx.tokens.at(index));
    is_area(area).then_some((index, index + tokens - 1, 0.8))
}

/// "K1A 0B1".
fn canadian(cx: &ScanContext<'_>, index: usize) -> Option<(usize, usize, f32)> {
    let first = cx.tokens.str(cx.tokens.at(index));
    if first.len() != 1
        || cx.tokens.at(index + 1).class != Class::Digits
        || !"ABCEGHJKLMNPRSTVXY".contains(first)
    {
        return None;
    }
    (shape(cx, index, 6)? == "A9A 9A9").then_some((index, index + 5, 0.8))
}

/// "D02 X285", "T12 W8KP": the key of a place, then letters and figures.
fn irish(cx: &ScanContext<'_>, index: usize) -> Option<(usize, usize, f32)> {
    const LETTERS: &str = "ACDEFHKNPRTVWXY";
    const ROUTES: [&str; 2] = ["A99", "A9A"];
    let first = cx.tokens.at(index);
    if first.len() != 1 || !LETTERS.contains(cx.tokens.str(first)) {
        return None;
    }
    for tokens in 3..=7 {
        let Some(shape) = shape(cx, index, tokens) else { continue };
        let Some((route, rest)) = shape.split_once(' ') else { continue };
        let mixed = rest.contains('A') && rest.contains('9');
        let (start, end) = (cx.tokens.at(index).start, cx.tokens.at(index + tokens - 1).end);
        let text = cx.tokens.text.get(start..end).unwrap_or("");
        let given = text.chars().all(|c| !c.is_ascii_uppercase() || LETTERS.contains(c));
        if ROUTES.contains(&route)
            && rest.len() == 4
            && mixed
            && given
            && (route != "A9A" || text.starts_with("D6W"))
        {
            return Some((index, index + tokens - 1, 0.7));
        }
    }
    None
}

/// "1015 CJ Amsterdam": four figures and two capitals before a word with a capital.
fn dutch(cx: &ScanContext<'_>, index: usize, token: Token) -> Option<(usize, usize, f32)> {
    let (letters, town) = (cx.free(index + 1), cx.free(index + 2));
    let fits = token.len() == 4
        && !cx.tokens.str(token).starts_with('0')
        && letters.class == Class::Word
        && letters.len() == 2
        && !letters.new_line
        && !letters.has(Flags::UNIT | Flags::MONEY | Flags::AM_PM | Flags::STATE)
        && cx.tokens.str(letters).bytes().all(|byte| byte.is_ascii_uppercase())
        && town.class == Class::Word
        && !town.new_line
        && cx.tokens.is_capital(town)
        && cx.known_free(index + 2).is_place();
    fits.then_some((index, index + 1, 0.6))
}

/// "111 51 Stockholm", "00-590 Warszawa": a code in two parts before a large town.
fn split_before_town(cx: &ScanContext<'_>, index: usize, token: Token) -> Option<(usize, usize, f32)> {
    let dash = cx.free(index + 1).is(b'-') && cx.tokens.is_inner(index + 1);
    let last = index + 1 + usize::from(dash);
    let (second, town) = (cx.free(last), cx.free(last + 1));
    let about = cx.known_free(last + 1);
    let lengths = if dash { (2, 3) } else { (3, 2) };
    let fits = (token.len(), second.len()) == lengths
        && second.class == Class::Digits
        && !second.new_line
        && !matches!(cx.tokens.before(index).class, Class::Digits | Class::Sign(b'+' | b'-' | b')' | b'.'))
        && town.class == Class::Word
        && !town.new_line
        && cx.tokens.is_capital(town)
        && about.is_place()
        && !about.is_common()
        && !town.has(Flags::MONEY | Flags::UNIT);
    fits.then_some((index, last, 0.6))
}

/// "IL 62704", "Texas 75001": the code.
fn after_state(cx: &ScanContext<'_>, index: usize, token: Token) -> Option<(usize, usize, f32)> {
    let capital = token.len() > 2 || cx.tokens.str(token).bytes().all(|byte| byte.is_ascii_uppercase());
    let code = cx.free(index + 1);
    let fits = token.has(Flags::STATE)
        && capital
        && code.class == Class::Digits
        && code.len() == 5
        && !code.new_line
        && code.spaced;
    fits.then_some((index + 1, index + 1, 0.7))
}

/// "12345-6789".
fn zip_plus_four(cx: &ScanContext<'_>, index: usize, token: Token) -> Option<(usize, usize, f32)> {
    let four = cx.free(index + 2);
    let before = cx.tokens.before(index);
    let fits = token.len() == 5
        && before.class != Class::Digits
        && !before.is(b')')
        && cx.free(index + 1).is(b'-')
        && cx.tokens.is_inner(index + 1)
        && four.class == Class::Digits
        && four.len() == 4
        && !(cx.free(index + 3).is(b'-') && cx.tokens.is_inner(index + 3));
    fits.then_some((index, index + 2, 0.6))
}

/// "10115 Berlin", "75001 Paris": a large town after five figures.
fn before_town(cx: &ScanContext<'_>, index: usize, token: Token) -> Option<(usize, usize, f32)> {
    let town = cx.free(index + 1);
    let fits = matches!(token.len(), 4..=6)
        && !matches!(cx.tokens.str(token).as_bytes(), [b'1', b'9', _, _] | [b'2', b'0', _, _])
        && town.class == Class::Word
        && !town.new_line
        && cx.tokens.is_capital(town)
        && cx.known_free(index + 1).is_place()
        && !cx.known_free(index + 1).is_common()
        && !town.has(Flags::MONEY | Flags::UNIT);
    fits.then_some((index, index, 0.6))
}

/// "Costamezzana 43015", "Springfield, 62704": five or six figures right after a word with a capital that is no common one.
fn after_town(cx: &ScanContext<'_>, index: usize, token: Token) -> Option<(usize, usize, f32)> {
    let dash = cx.free_before(index);
    let comma = dash.is(b',') || dash.is(b'-') && dash.spaced && token.spaced;
    let place = (index - usize::from(comma && index > 0)).wrapping_sub(1);
    let town = cx.free(place);
    let about = cx.known_free(place);
    let next = cx.free(index + 1);
    let fits = matches!(token.len(), 5 | 6)
        && town.class == Class::Word
        && !token.new_line
        && cx.tokens.is_capital(town)
        && town.len() > 3
        && !about.is_common()
        && !town.has(Flags::MODEL | Flags::UNIT | Flags::THING)
        && (!comma || about.is_place())
        && !cx.is_in_cue(place)
        && !next.has(Flags::UNIT | Flags::MONEY)
        && !(cx.tokens.glued(index + 1)
            && matches!(next.class, Class::Sign(b'.' | b',' | b'-'))
            && cx.tokens.is_inner(index + 1));
    fits.then_some((index, index, 0.55))
}
