//! A text of lower-case words in, its words out with every number in digits: `twenty one` is `21`, `five dollars` is `$5`, a number that is
//! spoken by digits (`one oh one`) is one number (`101`).
//!
//! Knows English words and tokens of digits. How a number grows with each word, also where no speaker would say it so, is the original's way.
//!
//! Must not know what becomes of spelling or symbols.

mod reader;

use super::rewrite::{is_of_word, rewritten};
use reader::Reader;

/// Letters that may stand behind digits.
const SUFFIXES: [&str; 5] = ["st", "nd", "rd", "th", "s"];

/// Replaces the numbers among words.
pub fn as_digits(text: &str) -> Vec<String> {
    let words = suffixed(&apart(&with_halves(text)));
    let mut reader = Reader::new(&words);
    reader.read();
    written(&reader.written().join(" "))
}

/// "and a half" behind a number word is "point five".
fn with_halves(text: &str) -> Vec<String> {
    let words: Vec<&str> = text.split_whitespace().collect();
    let mut out: Vec<String> = Vec::with_capacity(words.len());
    let mut rest = words.as_slice();
    // Words since the last half: where there are none, a half says nothing.
    let mut fresh = false;
    loop {
        rest = match rest {
            ["and", "a", "half", after @ ..] => {
                match out.last() {
                    Some(last) if fresh => {
                        let words: &[&str] = if reader::can_have_half(last) {
                            &["point", "five"]
                        } else {
                            &["and", "a", "half"]
                        };
                        out.extend(words.iter().map(|word| (*word).to_owned()));
                    }
                    _ => {}
                }
                fresh = false;
                after
            }
            [word, after @ ..] => {
                out.push((*word).to_owned());
                fresh = true;
                after
            }
            [] => return out,
        }
    }
}

/// Letters and digits apart.
fn apart(words: &[String]) -> Vec<String> {
    let mut out = Vec::with_capacity(words.len());
    for word in words {
        let mut part = String::new();
        for c in word.chars() {
            let (letter, digit) = (c.is_ascii_lowercase(), c.is_ascii_digit());
            let meets = part
                .chars()
                .next_back()
                .is_some_and(|last| digit && last.is_ascii_lowercase() || letter && last.is_ascii_digit());
            if meets {
                out.push(std::mem::take(&mut part));
            }
            part.push(c);
        }
        out.push(part);
    }
    out
}

/// `21 st` is `21st` again.
fn suffixed(words: &[String]) -> Vec<String> {
    let mut out: Vec<String> = Vec::with_capacity(words.len());
    for word in words {
        let is_suffix = SUFFIXES.iter().any(|suffix| {
            word.strip_prefix(suffix).is_some_and(|rest| !rest.chars().next().is_some_and(is_of_word))
        });
        match out.last_mut() {
            Some(last) if is_suffix && last.ends_with(|c: char| c.is_ascii_digit()) => last.push_str(word),
            _ => out.push(word.clone()),
        }
    }
    out
}

/// Money with its cents, cents alone, and ones in words.
fn written(text: &str) -> Vec<String> {
    let text = rewritten(text, |_, rest, out| money(rest, out).unwrap_or(0));
    let text = rewritten(&text, |_, rest, out| cents_alone(rest, out).unwrap_or(0));
    let text = rewritten(&text, ones);
    text.split_whitespace().map(str::to_owned).collect()
}

fn digits(rest: &[char]) -> usize {
    rest.iter().take_while(|c| c.is_ascii_digit()).count()
}

/// One or two digits with which a word ends.
fn cents(rest: &[char]) -> Option<&[char]> {
    let ends = |length: &usize| digits(rest) >= *length && !rest.get(*length).is_some_and(|c| is_of_word(*c));
    rest.get(..[2, 1].into_iter().find(ends)?)
}

/// `$5 and ¢7` is `$5.07`.
fn money(rest: &[char], out: &mut String) -> Option<usize> {
    let [sign @ ('€' | '£' | '$'), behind @ ..] = rest else { return None };
    let (whole, behind) = behind.split_at_checked(digits(behind)).filter(|(whole, _)| !whole.is_empty())?;
    let behind = behind.strip_prefix(&[' '])?;
    let behind = behind.strip_prefix(&['a', 'n', 'd', ' ']).unwrap_or(behind).strip_prefix(&['¢'])?;
    let cents = cents(behind)?;
    out.push(*sign);
    out.extend(whole);
    out.push('.');
    out.extend(std::iter::repeat_n('0', 2 - cents.len()));
    out.extend(cents);
    Some(rest.len() - behind.len() + cents.len())
}

/// `$0.07` is `¢7`, and so is `$0 07`.
fn cents_alone(rest: &[char], out: &mut String) -> Option<usize> {
    let ['€' | '£' | '$', '0', _, behind @ ..] = rest else { return None };
    let cents = cents(behind)?;
    let (head, last) = cents.split_at_checked(cents.len() - 1)?;
    out.push('¢');
    out.extend(head.iter().filter(|c| **c != '0'));
    out.extend(last);
    Some(3 + cents.len())
}

/// A 1 that stands by itself between other signs is `one`, also in `$1` and `3.1`.
fn ones(before: Option<char>, rest: &[char], out: &mut String) -> usize {
    let ends = |at: usize| !rest.get(at).is_some_and(|c| is_of_word(*c));
    match rest {
        _ if before.is_some_and(is_of_word) => 0,
        ['1', ..] if ends(1) => {
            out.push_str("one");
            1
        }
        ['1', 's', ..] if ends(2) => {
            out.push_str("ones");
            2
        }
        _ => 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_become_digits() {
        let table = [
            ("no number here", "no number here"),
            ("twenty one", "21"),
            ("a hundred", "a 100"),
            ("two hundred and five", "205"),
            ("one thousand two hundred thirty four", "1234"),
            ("one oh one", "101"),
            ("twenty twenty three", "2023"),
            ("double oh seven", "007"),
            ("two and a half", "2.5"),
            ("three point five million", "3500000"),
            ("first", "1st"),
            ("twenty second", "22nd"),
            ("the eighties", "the 80s"),
            ("five dollars and twenty cents", "$5.20"),
            ("zero dollars and seven cents", "¢7"),
            ("5 per cent", "5%"),
            ("minus five", "-5"),
            ("one", "one"),
            ("the 1 s", "the ones"),
            ("3.1", "3.one"),
        ];
        for (text, expected) in table {
            assert_eq!(as_digits(text).join(" "), expected, "{text:?}");
        }
    }
}
