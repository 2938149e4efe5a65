//! IBANs (ISO 13616): written in one piece or in groups, spelled out, or misheard.
//!
//! In: a cx. Out: findings. A country code and two digits must stand at the front; the check (mod 97) and the country's length
//! raise the score, and without either a word of context or a transcript is needed.

use std::sync::LazyLock;

use super::checks;
use super::cue::Hint;
use super::hesitation;
use super::kind::Entity;
use super::lexicon::{Flags, Sense};
use super::number::{Run, group_into};
use super::scan_context::ScanContext;
use super::token::{Class, Token, seed};

/// The longest IBAN of any country.
const LONGEST: usize = 34;
/// The distance from its first letter to the first figure, in tokens: each of two letters may be explained ("g as in golf").
const FAR: usize = 12;
/// The same behind two letters in one word.
const NEAR: usize = 3;
/// The shortest row that may be a misheard IBAN.
const SHORTEST: usize = 12;

/// Finds the IBANs.
pub fn find(cx: &mut ScanContext<'_>) {
    let mut reading = cx.buffers.iban.take();
    let mut index = 0;
    while let Some(at) = cx.tokens.seed(index, seed::PAIR | seed::LETTER) {
        index = find_at(cx, at, &mut reading).unwrap_or(at + 1);
    }
    cx.buffers.iban.set(reading);
}

/// "at", "me", "no" are country codes too.
fn is_common_word(cx: &ScanContext<'_>, first: usize) -> bool {
    let token = cx.tokens.at(first);
    let capitals = cx.tokens.str(token).bytes().all(|byte| byte.is_ascii_uppercase());
    token.len() == 2
        && token.has(Flags::STOP | Flags::LINK | Flags::UNIT)
        && !(capitals && cx.tokens.glued(first + 1))
}

/// The reading from a place on, in the buffers of the reading before.
#[derive(Debug, Default)]
pub struct Reading {
    symbols: Vec<u8>,
    /// For every piece: the symbols up to its end and its last token.
    ends: Vec<(usize, usize)>,
    run: Run,
}

/// Reads an IBAN that begins at the token `first`; the index after it.
fn find_at(cx: &mut ScanContext<'_>, first: usize, reading: &mut Reading) -> Option<usize> {
    let far = if cx.tokens.has_seed(first, seed::PAIR) { NEAR } else { FAR };
    if !cx.tokens.any_in(first + 1..first + far, seed::NUMBER) {
        return None;
    }
    let (country, after) = country(cx, first)?;
    let length = iban_length(country)?;
    let digits = after + usize::from(matches!(cx.free(after).class, Class::Sign(b'-' | b'.' | b',')));
    if !cx.tokens.has_seed(digits, seed::NUMBER) {
        return None;
    }
    reading.read(cx, after, country, length);
    if !matches!(reading.symbols.get(2..4), Some([b'0'..=b'9', b'0'..=b'9'])) {
        return None;
    }
    let whole = reading.ends.iter().find(|(symbols, _)| *symbols == length);
    let context = cx.context(first);
    let said = context.is_some_and(|context| context.hint == Hint::Of(Entity::Iban));
    let doubtful = is_common_word(cx, first);
    if let Some(&(symbols, last)) = whole {
        let valid = checks::iban_mod97(reading.symbols.get(..symbols)?);
        if valid || !doubtful && (said || cx.lenient || symbols >= 20) {
            cx.take(Entity::Iban, first, last, if valid { 1.0 } else { 0.7 }, "iban");
            return Some(last + 1);
        }
    }
    let &(symbols, last) = reading.ends.last()?;
    let digits = reading.symbols.iter().filter(|symbol| symbol.is_ascii_digit()).count();
    if symbols >= SHORTEST && digits >= 8 && !doubtful && (said || cx.lenient) {
        cx.take(Entity::Iban, first, last, 0.5, "iban misheard");
        return Some(last + 1);
    }
    None
}

/// Two letters, together or apart; the index after them.
fn country(cx: &ScanContext<'_>, first: usize) -> Option<([u8; 2], usize)> {
    let token = cx.free(first);
    if token.class != Class::Word || cx.tokens.glued(first) && is_solid(cx.free_before(first)) {
        return None;
    }
    if let [a, b] = *cx.tokens.str(token).as_bytes() {
        return Some(([a, b], first + 1));
    }
    let sign = matches!(cx.free(first + 1).class, Class::Sign(b'-' | b'.' | b','));
    let next = first + 1 + usize::from(sign);
    let next = if cx.free(next).is_letter() || !token.is_explained() {
        next
    } else {
        hesitation::next_symbol(cx, first, next, 1).unwrap_or(next)
    };
    let second = cx.free(next);
    if !token.is_letter() || !second.is_letter() {
        return None;
    }
    let country = [cx.tokens.letter(token), cx.tokens.letter(second)];
    country.iter().all(u8::is_ascii_alphabetic).then_some((country, next + 1))
}

fn is_solid(token: Token) -> bool {
    matches!(token.class, Class::Word | Class::Digits)
}

impl Reading {
    fn read(&mut self, cx: &ScanContext<'_>, after: usize, country: [u8; 2], length: usize) {
        self.symbols.clear();
        self.symbols.extend(country);
        self.ends.clear();
        let mut at = after;
        let mut last = after - 1;
        while self.symbols.len() < LONGEST {
            let token = cx.free(at);
            let next_line = token.new_line && (self.symbols.len() >= length || cx.is_cue(at));
            if next_line || cx.tokens.breaks(at) {
                break;
            }
            if matches!(token.class, Class::Sign(b'-' | b'.' | b',')) && at == last + 1 {
                at += 1;
                continue;
            }
            let next = self.piece(cx, at).or_else(|| {
                let short = self.symbols.len() < length;
                let at = short.then(|| hesitation::next_symbol(cx, after - 1, at, self.symbols.len()))??;
                self.piece(cx, at)
            });
            let Some(next) = next else { break };
            last = next - 1;
            self.ends.push((self.symbols.len(), last));
            at = next;
        }
    }

    /// Reads one piece: figures, a number word, or letters of a bank's code.
    fn piece(&mut self, cx: &ScanContext<'_>, at: usize) -> Option<usize> {
        let token = cx.free(at);
        let glued = cx.tokens.glued(at);
        match token.class {
            Class::Digits => {
                let text = cx.tokens.str(token);
                self.symbols.extend(text.bytes().filter(u8::is_ascii_digit).take(LONGEST + 1));
                Some(at + 1)
            }
            Class::Word if token.meaning.sense.is_number() && !(token.is_letter() && glued) => {
                let after = group_into(&cx.tokens, at, &mut self.run)?;
                self.symbols.extend(self.run.digits.iter().map(|digit| b'0' + digit));
                Some(after)
            }
            Class::Word if token.meaning.sense != Sense::None && !glued && !token.is_letter() => None,
            Class::Word if token.is_explained() => {
                self.symbols.push(token.meaning.letter);
                Some(at + 1)
            }
            Class::Word => {
                let letters = cx.tokens.str(token);
                let capitals = letters.bytes().all(|byte| byte.is_ascii_uppercase());
                if !letters.is_ascii()
                    || token.len() > 16
                    || !(glued || token.is_letter() || capitals && token.len() <= 4)
                {
                    return None;
                }
                self.symbols.extend(letters.bytes());
                Some(at + 1)
            }
            _ => None,
        }
    }
}

/// Returns true if a country has IBANs.
pub fn is_country(country: [u8; 2]) -> bool {
    iban_length(country).is_some()
}

/// The length of a country's IBANs (SWIFT IBAN registry), or `None` if it has none.
fn iban_length(country: [u8; 2]) -> Option<usize> {
    let length = *LENGTHS.get(place(country)?)?;
    (length > 0).then_some(usize::from(length))
}

/// The place of two letters among all pairs.
const fn place([a, b]: [u8; 2]) -> Option<usize> {
    if !(a.is_ascii_alphabetic() && b.is_ascii_alphabetic()) {
        return None;
    }
    Some((a & 0x1F) as usize * 32 + (b & 0x1F) as usize)
}

/// The lengths by [`place`].
static LENGTHS: LazyLock<Vec<u8>> = LazyLock::new(|| {
    let mut lengths = vec![0; 32 * 32];
    for &(code, length) in IBAN_LENGTHS {
        if let Some(slot) = place(*code).and_then(|place| lengths.get_mut(place)) {
            *slot = length;
        }
    }
    lengths
});

#[rustfmt::skip]
const IBAN_LENGTHS: &[(&[u8; 2], u8)] = &[
    (b"AD", 24), (b"AE", 23), (b"AL", 28), (b"AT", 20), (b"AZ", 28), (b"BA", 20), (b"BE", 16), (b"BG", 22),
    (b"BH", 22), (b"BI", 27), (b"BR", 29), (b"BY", 28), (b"CH", 21), (b"CR", 22), (b"CY", 28), (b"CZ", 24),
    (b"DE", 22), (b"DJ", 27), (b"DK", 18), (b"DO", 28), (b"EE", 20), (b"EG", 29), (b"ES", 24), (b"FI", 18),
    (b"FK", 18), (b"FO", 18), (b"FR", 27), (b"GB", 22), (b"GE", 22), (b"GI", 23), (b"GL", 18), (b"GR", 27),
    (b"GT", 28), (b"HN", 28), (b"HR", 21), (b"HU", 28), (b"IE", 22), (b"IL", 23), (b"IQ", 23), (b"IS", 26),
    (b"IT", 27), (b"JO", 30), (b"KW", 30), (b"KZ", 20), (b"LB", 28), (b"LC", 32), (b"LI", 21), (b"LT", 20),
    (b"LU", 20), (b"LV", 21), (b"LY", 25), (b"MC", 27), (b"MD", 24), (b"ME", 22), (b"MK", 19), (b"MN", 20),
    (b"MR", 27), (b"MT", 31), (b"MU", 30), (b"NI", 28), (b"NL", 18), (b"NO", 15), (b"OM", 23), (b"PK", 24),
    (b"PL", 28), (b"PS", 29), (b"PT", 25), (b"QA", 29), (b"RO", 24), (b"RS", 22), (b"RU", 33), (b"SA", 24),
    (b"SC", 31), (b"SD", 18), (b"SE", 24), (b"SI", 19), (b"SK", 24), (b"SM", 27), (b"SO", 23), (b"ST", 25),
    (b"SV", 28), (b"TL", 23), (b"TN", 24), (b"TR", 26), (b"UA", 29), (b"VA", 22), (b"VG", 24), (b"XK", 20),
    (b"YE", 30),
];
