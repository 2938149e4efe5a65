//! The finder of codes that mix letters and digits: national numbers, licences, passports, plates.
//!
//! In: a scene. Out: findings. A code has a form; where its check holds, the form is enough, else it needs a context phrase. What is
//! said to be somebody's number and has letters is taken whole. Every token is read a bounded number of times.

use super::checks::Check;
use super::cue::Hint;
use super::ids::{self, bank::bic};
use super::kind::Entity;
use super::lexicon::Flags;
use super::scene::{Context, Scene};
use super::spelled::Spelling;
use super::token::{Class, Token, seed};

/// One kind of code.
#[derive(Clone, Copy, Debug)]
pub struct CodeRow {
    /// What it is.
    pub kind: Entity,
    /// The name of the rule.
    pub rule: &'static str,
    /// Its symbols: A a letter, 9 a figure, X either.
    pub form: &'static str,
    /// What tells a good one.
    pub check: Check,
    /// How sure it is without context: when the check holds, and in its form alone.
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
pub fn find(scene: &mut Scene<'_>) {
    let mut spelling = scene.rooms.spelling.take();
    let (mut index, mut plain) = (0, 0);
    while let Some(at) =
        scene.tokens.seed(index, seed::FIGURES | seed::LETTER | seed::NUMBER | seed::CAPITAL | seed::MIXED)
    {
        // "#POL-22": the sign is no part of it.
        let sign = scene.tokens.at(at).is(b'#') && scene.tokens.glued(at + 1);
        let at = at + usize::from(sign);
        index = at + 1;
        if (sign || may_begin(scene, at, &mut plain)) && !scene.is_taken(at) && !is_said_of_next(scene, at) {
            spelling.read(scene, at);
            index = find_at(scene, at, &spelling).unwrap_or(index);
        }
    }
    scene.rooms.spelling.set(spelling);
}

/// Whether a code with a letter and a figure may begin at a token, and not in the middle of one: cheap, since it is asked often. Before
/// the token `plain` figures are known to stand without letters.
fn may_begin(scene: &Scene<'_>, index: usize, plain: &mut usize) -> bool {
    const SPELLED: u32 = seed::FIGURES | seed::LETTER | seed::NUMBER;
    let tokens = &scene.tokens;
    let bits = tokens.seeds(index);
    let word = bits & (SPELLED | seed::MIXED) == 0;
    if word {
        let token = tokens.at(index);
        let letters = || token.len() <= 5 && is_capital(scene, token) || tokens.glued(index + 1);
        let figures = token.len() <= 6 && tokens.has_seed(index + 1, seed::FIGURES) && letters();
        let unlisted =
            bits & seed::UNLISTED != 0 && matches!(token.len(), 8 | 11) && is_capital(scene, token);
        if !figures && !unlisted {
            return false;
        }
    }
    let before = |back: usize| tokens.has_seed(index.wrapping_sub(back), SPELLED);
    let told =
        || index.checked_sub(1).is_some_and(|last| tokens.at(last).is_letter() && scene.ends_cue(last));
    if before(1) && before(2) && !told() || is_continued(scene, index) {
        return false;
    }
    if word || bits & seed::MIXED != 0 {
        return true;
    }
    // What is written or said in figures alone is no code.
    is_spelled_on(scene, index, SPELLED, plain)
}

/// Whether a letter, or a short word in capitals, lies among the figures and signs from `index` on. Up to `plain` there is none.
fn is_spelled_on(scene: &Scene<'_>, index: usize, spelled: u32, plain: &mut usize) -> bool {
    let tokens = &scene.tokens;
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

/// How far before a plate a vehicle is spoken of.
const NEAR_VEHICLE: usize = 12;

/// How far a code is looked for a letter.
const FAR: usize = 12;

fn is_capital(scene: &Scene<'_>, token: Token) -> bool {
    scene.tokens.str(token).bytes().all(|byte| byte.is_ascii_uppercase())
}

/// "MRN 5 5 0 1": what says of which kind the next number is, is no part of it.
fn is_said_of_next(scene: &Scene<'_>, index: usize) -> bool {
    let token = scene.tokens.at(index);
    token.meaning.cue > 0
        && !scene.tokens.glued(index + 1)
        && (scene.is_cue(index) || token.is_letter() && scene.is_in_cue(index))
}

/// Whether something solid is glued before the token: then a code began earlier.
fn is_continued(scene: &Scene<'_>, index: usize) -> bool {
    let before = scene.tokens.before(index);
    scene.tokens.glued(index) && (before.is_solid() || before.is(b'\'') || before.is_apostrophe())
}

fn find_at(scene: &mut Scene<'_>, first: usize, spelling: &Spelling) -> Option<usize> {
    let letters = spelling.symbols.iter().any(u8::is_ascii_uppercase);
    if spelling.symbols.len() < FEWEST || !letters {
        return None;
    }
    if let Some(last) = said_mac(scene, first, spelling) {
        scene.take(Entity::Mac, first, last, 0.8, "mac said");
        return Some(last + 1);
    }
    let context = scene.context_for(first, Hint::is_for_digits);
    if let Some(last) = take_row(scene, first, spelling, context) {
        return Some(last + 1);
    }
    take_said(scene, first, spelling, context)
}

/// "zero zero colon one a colon two b ...": the last token of twelve hexadecimal symbols with colons or dashes said between.
fn said_mac(scene: &Scene<'_>, first: usize, spelling: &Spelling) -> Option<usize> {
    const SYMBOLS: usize = 12;
    const JOINTS: usize = 4;
    let (_, piece) = spelling.end_of(SYMBOLS)?;
    let joint = |at: &usize| scene.tokens.at(*at).has(Flags::COLON | Flags::DASH);
    let hexadecimal = spelling.symbols.iter().take(SYMBOLS).all(u8::is_ascii_hexdigit);
    (hexadecimal && (first..piece.last).filter(joint).count() >= JOINTS).then_some(piece.last)
}

/// Takes the row that is surest of the symbols from `first` on.
fn take_row(
    scene: &mut Scene<'_>,
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
            || scene.tokens.glued(piece.last + 1) && scene.tokens.at(piece.last + 1).is_solid();
        if next_glued || !scene.wants(row.kind) {
            continue;
        }
        let [valid, form] = row.alone;
        let alone = if (row.check.holds)(symbols) { valid } else { form };
        let told = match context {
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
        let far =
            row.kind == Entity::VehiclePlate && !scene.spoken_before(first, NEAR_VEHICLE, Flags::VEHICLE);
        let run_on = row.kind == Entity::VehiclePlate
            && spelling.pieces.get(1..=place).is_some_and(|pieces| pieces.iter().all(|piece| piece.glued));
        let loose = if run_on || far { loose + 0.05 } else { loose };
        let score = alone + told - f32::min(loose, 0.2);
        if score >= 0.5 && best.is_none_or(|(known, ..)| score > known) {
            best = Some((score, piece.last, row));
        }
    }
    let (score, last, row) = best?;
    scene.take(row.kind, first, last, score.min(1.0), row.rule);
    Some(last)
}

/// Takes what a context phrase right before it says to be a number, and has letters and figures.
fn take_said(
    scene: &mut Scene<'_>,
    first: usize,
    spelling: &Spelling,
    context: Option<Context>,
) -> Option<usize> {
    let context = context.filter(|context| context.near)?;
    let kind = match context.hint {
        Hint::Of(kind) if is_code_kind(kind) => kind,
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
        Hint::Of(_) | Hint::Any => Entity::Number,
    };
    let place = said_end(scene, spelling)?;
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
        || is_measured(scene, first, piece.last)
    {
        return None;
    }
    scene.take(kind, first, piece.last, 0.6, "code in context");
    Some(piece.last + 1)
}

/// The last piece of a code that only context speaks for: what is glued, what was said letter by letter, groups of capitals and figures.
fn said_end(scene: &Scene<'_>, spelling: &Spelling) -> Option<usize> {
    let mut end = None;
    for (place, piece) in spelling.pieces.iter().enumerate() {
        let next = scene.tokens.at(piece.last + 1);
        let word = piece.said
            && matches!(scene.tokens.str(scene.tokens.at(piece.last)), "a" | "i" | "I")
            && !piece.glued;
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
fn is_measured(scene: &Scene<'_>, first: usize, last: usize) -> bool {
    let unit = scene.tokens.at(last);
    let aged = || (first + 1..last + 3).take(6).any(|at| scene.tokens.at(at).has(Flags::AGE));
    let years = || {
        let year = scene.tokens.str(scene.tokens.at(first + 1));
        year.eq_ignore_ascii_case("yo")
            || year.eq_ignore_ascii_case("y") && scene.tokens.at(first + 2).is(b'/')
    };
    aged()
        || scene.tokens.at(first).class == Class::Digits
            && (last == first + 1 && unit.has(Flags::UNIT | Flags::AM_PM | Flags::MONEY) || years())
}

const fn is_code_kind(kind: Entity) -> bool {
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
