//! A value in one form, however it was written or said: "+1 555-0147" and "one five five five, oh one four seven" are the same.
//!
//! In: the text of a finding. Out: symbols for numbers, an address for addresses, words in small letters for the rest.

use super::disguise::Plain;
use super::kind::{Entity, Nature};
use super::lexicon::Flags;
use super::number::group_at;
use super::token::{Class, Token, Tokens, digit_value};

/// The normal form of a value of a kind.
pub fn normal(kind: Entity, value: &str) -> String {
    let plain = Plain::of(value);
    let tokens = Tokens::new(plain.as_ref().map_or(value, |plain| plain.text.as_str()));
    match (kind, kind.nature()) {
        (Entity::Email | Entity::Url | Entity::Username, _) => address(&tokens),
        (_, Nature::Number) => symbols(&tokens),
        (_, Nature::Text) => words(&tokens),
    }
}

/// Digits of figures and number words, letters in capitals; signs and fillers do not count.
fn symbols(tokens: &Tokens<'_>) -> String {
    let mut out = String::new();
    let mut at = 0;
    while at < tokens.len() {
        let token = tokens.at(at);
        at = match (token.class, group_at(tokens, at)) {
            (Class::Digits | Class::Word, Some((digits, after))) => {
                out.extend(digits.iter().map(|digit| char::from(b'0' + digit)));
                after
            }
            (Class::Word, None) if token.meaning.letter > 0 => {
                out.push(char::from(token.meaning.letter));
                at + 1
            }
            (Class::Word, None) if !token.has(Flags::FILLER | Flags::DASH | Flags::DOT) => {
                out.push_str(&tokens.str(token).to_uppercase());
                at + 1
            }
            _ => at + 1,
        };
    }
    out
}

/// "john dot doe at example dot com" as john.doe@example.com.
fn address(tokens: &Tokens<'_>) -> String {
    let mut out = String::new();
    let mut at = 0;
    while at < tokens.len() {
        let token = tokens.at(at);
        let sign = [
            (Flags::AT, '@'),
            (Flags::DOT, '.'),
            (Flags::DASH, '-'),
            (Flags::UNDERSCORE, '_'),
            (Flags::SLASH, '/'),
            (Flags::COLON, ':'),
            (Flags::PLUS, '+'),
        ]
        .iter()
        .find(|(flag, _)| token.class == Class::Word && token.has(*flag))
        .map(|(_, sign)| *sign);
        at = match (sign, group_at(tokens, at)) {
            (Some(sign), _) => {
                out.push(sign);
                at + 1
            }
            (None, Some((digits, after))) if !(token.is_letter() && token.class == Class::Word) => {
                out.extend(digits.iter().map(|digit| char::from(b'0' + digit)));
                after
            }
            _ => {
                if !token.is(b',') {
                    out.push_str(&said(tokens, token).to_lowercase());
                }
                at + 1
            }
        };
    }
    out
}

/// A letter that is explained stands for itself.
fn said(tokens: &Tokens<'_>, token: Token) -> String {
    if token.is_explained() {
        return char::from(token.meaning.letter).to_string();
    }
    tokens.str(token).to_owned()
}

fn words(tokens: &Tokens<'_>) -> String {
    let all = (0..tokens.len()).map(|at| tokens.at(at)).filter(|token| token.is_solid());
    all.map(|token| tokens.str(token).to_lowercase()).collect::<Vec<_>>().join(" ")
}

/// The digits of a value and nothing else.
pub fn digits(value: &str) -> Vec<u8> {
    symbols(&Tokens::new(value)).chars().filter_map(digit_value).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_and_what_is_said_is_the_same() {
        let check = |kind, values: &[&str], expected: &str| {
            for value in values {
                assert_eq!(normal(kind, value), expected, "{value}");
            }
        };
        check(
            Entity::Phone,
            &["555-0147", "five five five, oh one four seven", "triple five oh, 1 4 7", "(555) 0147"],
            "5550147",
        );
        check(
            Entity::Email,
            &["John.Doe@example.com", "john dot doe at example dot com"],
            "john.doe@example.com",
        );
        check(Entity::Person, &["John  DOE", "john doe"], "john doe");
        check(Entity::Iban, &["GB29 NWBK", "g b two nine n w b k", "gb29nwbk"], "GB29NWBK");
    }
}
