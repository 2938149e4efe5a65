//! The finder of codes that mix letters and digits: national numbers, licences, passports, plates.
//!
//! In: a cx. Out: findings. A code has a form; where its check holds, the form is enough, else it needs a context phrase. What is
//! announced as a number and has letters is taken whole. Every token is read a bounded number of times.

use super::checks::Check;
use super::cue::Hint;
use super::ids::{self, bank::bic};
use super::kind::Entity;
use super::lexicon::Flags;
use super::postcode;
use super::scan_context::{Context, ScanContext};
use super::spelled::{Piece, Spelling};
use super::token::{Class, Token, seed};
use super::unannounced;

/// One kind of code.
#[derive(Clone, Copy, Debug)]
pub struct CodeRow {
    /// The kind of the value.
    pub kind: Entity,
    /// The name of the rule.
    pub rule: &'static str,
    /// Its symbols: A a letter, 9 a figure, X either.
    pub form: &'static str,
    /// The check of a good value.
    pub check: Check,
    /// The confidence without context: when the check holds, and in its form alone.
    pub alone: [f32; 2],
}

impl CodeRow {
    fn fits(&self, symbols: &[u8]) -> bool {
        self.form.len() == symbols.len()
            && self.form.bytes().zip(symbols).all(|(place, symbol)| match place {
                b'A' => symbol.is_ascii_uppercase(),
                b'9' => symbol.is_ascii_digit(),
                _ => true,
            })
    }
}

/// The fewest symbols of a code that only context speaks for.
const FEWEST: usize = 4;
/// The most.
const MOST: usize = 20;

/// Finds the codes.
pub fn find(cx: &mut ScanContext<'_>) {
    let mut spelling = cx.buffers.spelling.take();
    let (mut index, mut plain) = (0, 0);
    while let Some(at) =
        cx.tokens.seed(index, seed::FIGURES | seed::LETTER | seed::NUMBER | seed::CAPITAL | seed::MIXED)
    {
        // "#POL-22": the sign is no part of it.
        let sign = cx.tokens.at(at).is(b'#') && cx.tokens.glued(at + 1);
        let at = at + usize::from(sign);
        index = at + 1;
        if (sign || may_begin(cx, at, &mut plain)) && !cx.is_taken(at) && !is_said_of_next(cx, at) {
            spelling.read(cx, at);
            index = find_at(cx, at, &spelling).unwrap_or(index);
        }
    }
    if cx.is_spoken_of(Hint::Of(Entity::DrivingLicence)) {
        find_licences(cx, &mut spelling);
    }
    cx.buffers.spelling.set(spelling);
}

/// "Licence number morga seven five three ...": the name in a British licence, said as a word.
fn find_licences(cx: &mut ScanContext<'_>, spelling: &mut Spelling) {
    for first in cx.after_cues(Hint::Of(Entity::DrivingLicence)) {
        let first = first + usize::from(cx.free(first).has(Flags::LINK));
        if cx.free(first).len() == 5 && cx.tokens.has_seed(first + 1, seed::NUMBER) {
            spelling.read(cx, first);
            find_at(cx, first, spelling);
        }
    }
}

/// Returns true if a code with a letter and a figure may begin at a token, and not in the middle of one: cheap, since it is asked often. Before
/// the token `plain` figures are known to stand without letters.
fn may_begin(cx: &ScanContext<'_>, index: usize, plain: &mut usize) -> bool {
    const SPELLED: u32 = seed::FIGURES | seed::LETTER | seed::NUMBER;
    let tokens = &cx.tokens;
    let bits = tokens.seeds(index);
    let word = bits & (SPELLED | seed::MIXED) == 0;
    if word {
        let token = tokens.at(index);
        let letters = || token.len() <= 5 && is_capital(cx, token) || tokens.glued(index + 1);
        let figures = token.len() <= 6 && tokens.has_seed(index + 1, seed::FIGURES) && letters();
        let figures = figures || is_plate_begun(cx, index, token);
        let unlisted = bits & seed::UNLISTED != 0 && matches!(token.len(), 8 | 11) && is_capital(cx, token);
        if !figures && !unlisted {
            return false;
        }
    }
    let before = |back: usize| tokens.has_seed(index.wrapping_sub(back), SPELLED);
    let before_letter =
        || index.checked_sub(1).is_some_and(|last| tokens.at(last).is_letter() && cx.ends_cue(last));
    if before(1) && before(2) && !before_letter() || is_continued(cx, index) {
        return false;
    }
    if word || bits & seed::MIXED != 0 {
        return true;
    }
    // What is written or said in figures alone is no code.
    is_spelled_on(cx, index, SPELLED, plain)
}

/// "WOB ZK 295": two groups of capitals before figures.
fn is_plate_begun(cx: &ScanContext<'_>, index: usize, token: Token) -> bool {
    let next = cx.tokens.at(index + 1);
    let capitals = |token: Token| token.class == Class::Word && token.len() <= 3 && is_capital(cx, token);
    let spaced = next.spaced && cx.tokens.at(index + 2).spaced;
    spaced
        && capitals(token)
        && capitals(next)
        && !cx.is_cue(index)
        && cx.tokens.has_seed(index + 2, seed::FIGURES)
}

/// Returns true if a letter, or a short word in capitals, lies among the figures and signs from `index` on. Up to `plain` there is none.
fn is_spelled_on(cx: &ScanContext<'_>, index: usize, spelled: u32, plain: &mut usize) -> bool {
    let tokens = &cx.tokens;
    for at in index.max(*plain)..index + FAR {
        *plain = at;
        let bits = tokens.seeds(at);
        let goes_on = bits & spelled != 0
            || bits & seed::CAPITAL != 0 && tokens.at(at).len() <= 4
            || matches!(tokens.at(at).class, Class::Sign(b'-' | b'.' | b'/' | b','))
            || at > index && tokens.at(at).has(Flags::COLON | Flags::DASH);
        if !goes_on {
            return false;
        }
        if bits & (seed::LETTER | seed::CAPITAL) != 0 && bits & seed::NUMBER == 0 {
            return true;
        }
    }
    false
}

/// The distance before a plate within which a vehicle is spoken of, in tokens.
const NEAR_VEHICLE: usize = 12;

/// The distance within which a code is searched for a letter, in tokens.
const FAR: usize = 12;

fn is_capital(cx: &ScanContext<'_>, token: Token) -> bool {
    cx.tokens.str(token).bytes().all(|byte| byte.is_ascii_uppercase())
}

/// "MRN 5 5 0 1": what says of which kind the next number is, is no part of it.
fn is_said_of_next(cx: &ScanContext<'_>, index: usize) -> bool {
    let token = cx.tokens.at(index);
    token.meaning.cue > 0
        && !cx.tokens.glued(index + 1)
        && (cx.is_cue(index) || token.is_letter() && cx.is_in_cue(index))
}

/// Returns true if something solid is glued before the token: then a code began earlier.
fn is_continued(cx: &ScanContext<'_>, index: usize) -> bool {
    let before = cx.tokens.before(index);
    cx.tokens.glued(index) && (before.is_solid() || before.is(b'\'') || before.is_apostrophe())
}

fn find_at(cx: &mut ScanContext<'_>, first: usize, spelling: &Spelling) -> Option<usize> {
    let letters = spelling.symbols.iter().any(u8::is_ascii_uppercase);
    if spelling.symbols.len() < FEWEST || !letters {
        return None;
    }
    if let Some(last) = said_mac(cx, first, spelling) {
        cx.take(Entity::Mac, first, last, 0.8, "mac said");
        return Some(last + 1);
    }
    let context = cx.context_for(first, Hint::is_for_digits);
    let postcode =
        matches!(context, None | Some(Context { hint: Hint::Any | Hint::Of(Entity::Postcode), .. }));
    if postcode && let Some(last) = said_postcode(cx, spelling) {
        cx.take(Entity::Postcode, first, last, 0.7, "postcode said");
        return Some(last + 1);
    }
    if let Some(last) = take_row(cx, first, spelling, context) {
        return Some(last + 1);
    }
    if context.is_none()
        && !cx.is_in_cue(first)
        && let Some(last) = in_code_words(cx, spelling)
    {
        cx.take(Entity::Number, first, last, 0.5, "code words");
        return Some(last + 1);
    }
    take_said(cx, first, spelling, context)
}

/// "S w one a one a a", letter by letter: the last token of the longest British postcode.
fn said_postcode(cx: &ScanContext<'_>, spelling: &Spelling) -> Option<usize> {
    let wanted = cx.lenient && cx.wants(Entity::Postcode);
    (5..=7).rev().filter(|_| wanted).find_map(|length| {
        let (place, piece) = spelling.end_of(length)?;
        let said = spelling.pieces.get(..=place)?.iter().all(|piece| piece.said || !piece.glued);
        (said && postcode::is_british(spelling.symbols.get(..length)?)).then_some(piece.last)
    })
}

/// "Seven kilo papa lima four four two": the last token of a code of radio alphabet and digits, which no other thing is said with.
fn in_code_words(cx: &ScanContext<'_>, spelling: &Spelling) -> Option<usize> {
    const FEWEST: usize = 3;
    let word = |piece: &&Piece| {
        let token = cx.tokens.at(piece.last);
        token.meaning.letter > 0 && token.len() > 3
    };
    let words = spelling.pieces.iter().filter(word).count();
    let digits = spelling.symbols.iter().filter(|symbol| symbol.is_ascii_digit()).count();
    let said = spelling.pieces.iter().all(|piece| piece.said);
    (cx.lenient && said && words >= FEWEST && digits >= 2)
        .then(|| spelling.pieces.last().map(|piece| piece.last))?
}

/// "zero zero colon one a colon two b ...": the last token of twelve hexadecimal symbols with colons or dashes said between.
fn said_mac(cx: &ScanContext<'_>, first: usize, spelling: &Spelling) -> Option<usize> {
    const SYMBOLS: usize = 12;
    const JOINTS: usize = 4;
    let (_, piece) = spelling.end_of(SYMBOLS)?;
    let joint = |at: &usize| cx.tokens.at(*at).has(Flags::COLON | Flags::DASH);
    let hexadecimal = spelling.symbols.iter().take(SYMBOLS).all(u8::is_ascii_hexdigit);
    (hexadecimal && (first..piece.last).filter(joint).count() >= JOINTS).then_some(piece.last)
}

/// Takes the row that is surest of the symbols from `first` on.
fn take_row(
    cx: &mut ScanContext<'_>,
    first: usize,
    spelling: &Spelling,
    context: Option<Context>,
) -> Option<usize> {
    let mut best: Option<(f32, usize, &CodeRow)> = None;
    let rows = ids::CODES.iter().flat_map(|table| table.iter());
    for row in rows.filter(|row| row.form.len() <= spelling.symbols.len()) {
        let Some((place, piece)) = spelling.end_of(row.form.len()) else { continue };
        let Some(symbols) = spelling.symbols.get(..row.form.len()).filter(|symbols| row.fits(symbols)) else {
            continue;
        };
        let next_glued = spelling.pieces.get(place + 1).is_some_and(|next| next.glued)
            || cx.tokens.glued(piece.last + 1) && cx.tokens.at(piece.last + 1).is_solid();
        if next_glued || !cx.wants(row.kind) {
            continue;
        }
        let [valid, form] = row.alone;
        let alone = if (row.check.holds)(symbols) { valid } else { form };
        let announced = match context {
            Some(Context { hint: Hint::Of(kind), near }) if kind == row.kind => {
                if near {
                    0.6
                } else {
                    0.35
                }
            }
            // "Policy no HP-662013-B": a form without a check digit says less than the word before it.
            Some(Context { hint: Hint::Of(Entity::Number), near: true }) if valid < 0.8 => -0.3,
            Some(Context { hint: Hint::Of(_), near: true }) => -0.2,
            _ => 0.0,
        };
        let mut loose = 0.0;
        for piece in spelling.pieces.get(..=place).unwrap_or(&[]) {
            loose += if piece.capital || piece.said { 0.0 } else { 0.1 };
        }
        // "MK14 ABV" where a car is spoken of is a plate as it is painted; "MK14ABV" may be any code.
        let far = row.kind == Entity::VehiclePlate && !cx.spoken_before(first, NEAR_VEHICLE, Flags::VEHICLE);
        let run_on = row.kind == Entity::VehiclePlate
            && spelling.pieces.get(1..=place).is_some_and(|pieces| pieces.iter().all(|piece| piece.glued));
        let loose = if run_on || far { loose + 0.05 } else { loose };
        let score = alone + announced - f32::min(loose, 0.2);
        if score >= 0.5 && best.is_none_or(|(known, ..)| score > known) {
            best = Some((score, piece.last, row));
        }
    }
    let (score, last, row) = best?;
    cx.take(row.kind, first, last, score.min(1.0), row.rule);
    Some(last)
}

/// Takes what a context phrase right before it says to be a number, and has letters and figures.
fn take_said(
    cx: &mut ScanContext<'_>,
    first: usize,
    spelling: &Spelling,
    context: Option<Context>,
) -> Option<usize> {
    let context = context.filter(|context| context.near)?;
    let kind = match context.hint {
        Hint::Of(kind) if has_letters(kind) => kind,
        Hint::Of(
            Entity::Phone
            | Entity::Card
            | Entity::Iban
            | Entity::Cvv
            | Entity::DateOfBirth
            | Entity::CardExpiry
            | Entity::Crypto
            | Entity::Coordinates,
        ) => return None,
        Hint::Any | Hint::Of(Entity::Number) if unannounced::is_number_of_thing(cx, first) => return None,
        Hint::Of(_) | Hint::Any => Entity::Number,
    };
    let place = said_end(cx, spelling)?;
    let piece = spelling.pieces.get(place)?;
    let symbols = spelling.symbols.get(..piece.upto)?;
    let digits = symbols.iter().filter(|symbol| symbol.is_ascii_digit()).count();
    let letters = symbols.len() - digits;
    let clear = digits >= 2
        || digits >= 1 && symbols.len() >= 5
        || kind == Entity::Bic && matches!(letters, 8 | 11) && bic(symbols);
    if !(FEWEST..=MOST).contains(&symbols.len())
        || letters == 0
        || !clear
        || is_measured(cx, first, piece.last)
    {
        return None;
    }
    cx.take(kind, first, piece.last, 0.6, "code in context");
    Some(piece.last + 1)
}

/// The last piece of a code that only context speaks for: what is glued, what was said letter by letter, groups of capitals and figures.
fn said_end(cx: &ScanContext<'_>, spelling: &Spelling) -> Option<usize> {
    let mut end = None;
    for (place, piece) in spelling.pieces.iter().enumerate() {
        let next = cx.tokens.at(piece.last + 1);
        let word =
            piece.said && matches!(cx.tokens.str(cx.tokens.at(piece.last)), "a" | "i" | "I") && !piece.glued;
        if place > 0 && !piece.glued && !piece.said && !piece.capital {
            break;
        }
        if word
            && !(next.is_solid()
                && (next.is_letter() || next.meaning.sense.is_number() || next.class == Class::Digits))
        {
            break;
        }
        end = Some(place);
    }
    end
}

/// "12 mm", "5 pm", "47 y/o": a quantity.
fn is_measured(cx: &ScanContext<'_>, first: usize, last: usize) -> bool {
    let unit = cx.tokens.at(last);
    let aged = || (first + 1..last + 3).take(6).any(|at| cx.tokens.at(at).has(Flags::AGE));
    let years = || {
        let year = cx.tokens.str(cx.tokens.at(first + 1));
        year.eq_ignore_ascii_case("yo") || year.eq_ignore_ascii_case("y") && cx.tokens.at(first + 2).is(b'/')
    };
    aged()
        || cx.tokens.at(first).class == Class::Digits
            && (last == first + 1 && unit.has(Flags::UNIT | Flags::AM_PM | Flags::MONEY) || years())
}

/// Returns true if numbers of a kind may have letters.
pub const fn has_letters(kind: Entity) -> bool {
    matches!(
        kind,
        Entity::Passport
            | Entity::DrivingLicence
            | Entity::VehiclePlate
            | Entity::MedicalRecord
            | Entity::BankAccount
            | Entity::Bic
            | Entity::Mac
            | Entity::Vin
            | Entity::Mbi
            | Entity::UkNino
            | Entity::InPan
            | Entity::InGstin
            | Entity::EsNif
            | Entity::EsNie
            | Entity::DeSocial
            | Entity::DeIdCard
            | Entity::ItFiscalCode
            | Entity::SgNric
            | Entity::Postcode
            | Entity::Number
    )
}
