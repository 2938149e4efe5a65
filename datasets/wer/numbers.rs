//! Words in, the same words out with every number in digits: `twenty one` is `21`, `five dollars` is `$5`.
//!
//! Knows lower-case English words without hyphens, and tokens of digits (`12`, `.5`, `3.14`, `$5`, `5%`, `21st`).
//! Numbers that stand side by side become one (`5`, `5`, `5` is `555`), so that a run of digits reads the same however
//! a speaker or a recogniser grouped it.

mod reader;

use reader::{Number, Piece, read};

const CURRENCIES: [(&str, char); 8] = [
    ("dollar", '$'),
    ("dollars", '$'),
    ("euro", '€'),
    ("euros", '€'),
    ("pound", '£'),
    ("pounds", '£'),
    ("cent", '¢'),
    ("cents", '¢'),
];

const MONTHS: &str = "january february march april may june july august september october november december";

/// Replaces the numbers among words.
pub fn as_digits(words: Vec<String>) -> Vec<String> {
    let pieces = with_units(joined(read(&words)));
    let written = |piece| match piece {
        Piece::Word(word) => word,
        Piece::Number(number) => number.written(),
    };
    pieces.into_iter().map(written).collect()
}

/// Plain digits and the number after them as one, but for a day of a month: March 14, 1984 has two numbers.
fn joined(pieces: Vec<Piece>) -> Vec<Piece> {
    let mut out: Vec<Piece> = Vec::new();
    for piece in pieces {
        let day = ends_with_day(&out);
        match (out.last_mut(), piece) {
            (Some(Piece::Number(left)), Piece::Number(right)) if !day && can_join(left, &right) => {
                let digits = format!("{}{}", left.digits, right.digits);
                *left = Number { digits, ..right };
            }
            (Some(Piece::Word(month)), Piece::Number(day)) if is_month(month) && is_ordinal(&day) => {
                out.push(Piece::Number(Number { ending: "", ..day }));
            }
            (_, piece) => out.push(piece),
        }
    }
    out
}

fn can_join(left: &Number, right: &Number) -> bool {
    left.is_plain() && right.currency.is_none() && matches!(right.ending, "" | "s" | "%")
}

fn ends_with_day(out: &[Piece]) -> bool {
    match out {
        [.., Piece::Word(month), Piece::Number(day)] => {
            is_month(month) && day.digits.parse().is_ok_and(|day: u8| (1..=31).contains(&day))
        }
        _ => false,
    }
}

fn is_month(word: &str) -> bool {
    MONTHS.split(' ').any(|month| month == word)
}

fn is_ordinal(number: &Number) -> bool {
    matches!(number.ending, "st" | "nd" | "rd" | "th")
}

/// Percent and money: the unit's word becomes part of the number.
fn with_units(pieces: Vec<Piece>) -> Vec<Piece> {
    let mut out: Vec<Piece> = Vec::new();
    for piece in pieces {
        match piece {
            Piece::Word(word) if word == "percent" || word == "cent" && ends_with_per(&out) => {
                percent(&mut out, word);
            }
            Piece::Word(word) => match CURRENCIES.iter().find(|(name, _)| *name == word) {
                Some((_, sign)) => money(&mut out, word, *sign),
                None => out.push(Piece::Word(word)),
            },
            number @ Piece::Number(_) => out.push(number),
        }
    }
    out
}

fn ends_with_per(out: &[Piece]) -> bool {
    matches!(out, [.., Piece::Number(_), Piece::Word(word)] if word == "per")
}

fn percent(out: &mut Vec<Piece>, word: String) {
    if ends_with_per(out) {
        out.pop();
    }
    match out.last_mut() {
        Some(Piece::Number(number)) if number.currency.is_none() && number.ending.is_empty() => {
            number.ending = "%";
        }
        _ => out.push(Piece::Word(word)),
    }
}

/// `5 dollars` is `$5`; `$5 and 20 cents` is `$5.20`.
fn money(out: &mut Vec<Piece>, word: String, sign: char) {
    match out.last_mut() {
        Some(Piece::Number(number)) if number.currency.is_none() && number.ending.is_empty() => {
            number.currency = Some(sign);
        }
        _ => {
            out.push(Piece::Word(word));
            return;
        }
    }
    if sign == '¢' {
        cents(out);
    }
}

/// Puts cents at the end behind the money before them, if there is some without cents.
fn cents(out: &mut Vec<Piece>) {
    let amount = |number: &Number| number.currency.is_some_and(|c| c != '¢') && number.fraction.is_empty();
    let (skip, digits) = match out.as_slice() {
        [.., Piece::Number(whole), Piece::Number(part)] if amount(whole) => (1, part.digits.clone()),
        [.., Piece::Number(whole), Piece::Word(and), Piece::Number(part)]
            if amount(whole) && and == "and" =>
        {
            (2, part.digits.clone())
        }
        _ => return,
    };
    if digits.len() > 2 {
        return;
    }
    out.truncate(out.len() - skip);
    if let Some(Piece::Number(whole)) = out.last_mut() {
        whole.fraction = format!("{digits:0>2}");
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::reader::{SCALES, TENS, UNITS, small};
    use super::*;

    fn digits(text: &str) -> String {
        as_digits(text.split_whitespace().map(Into::into).collect()).join(" ")
    }

    #[test]
    fn numbers_become_digits() {
        let table = [
            ("no number here", "no number here"),
            ("oh my", "oh my"),
            ("the point is", "the point is"),
            ("at this point one of us", "at this point 1 of us"),
            ("one", "1"),
            ("twenty one", "21"),
            ("one hundred", "100"),
            ("a hundred", "a 100"),
            ("two hundred and five", "205"),
            ("two hundred and three hundred", "200 and 300"),
            ("one thousand two hundred thirty four", "1234"),
            ("nineteen hundred", "1900"),
            ("five million and six", "5000006"),
            ("one million two thousand three hundred and four", "1002304"),
            ("two and three", "2 and 3"),
            ("five five five oh one two three", "5550123"),
            ("oh seven", "07"),
            ("oh oh seven", "007"),
            ("double oh seven", "007"),
            ("triple five", "555"),
            ("double trouble", "double trouble"),
            ("twenty twenty three", "2023"),
            ("twenty oh five", "2005"),
            ("first", "1st"),
            ("twenty second", "22nd"),
            ("one hundred and third", "103rd"),
            ("twentieth", "20th"),
            ("two hundredth", "200th"),
            ("three thousandth", "3000th"),
            ("wait one second", "wait 1 2nd"),
            ("north south", "north south"),
            ("the eighties", "the 80s"),
            ("nineteen eighties", "1980s"),
            ("three point one four", "3.14"),
            ("ninety eight point six", "98.6"),
            ("two and a half", "2.5"),
            ("three point five million", "3500000"),
            ("two and a half thousand", "2500"),
            ("3.5 million", "3500000"),
            ("3.55 hundred", "355"),
            ("12 34 and 5", "1234 and 5"),
            ("march fourteenth nineteen eighty four", "march 14 1984"),
            ("march 14 1984", "march 14 1984"),
            ("may five twenty twenty six", "may 5 2026"),
            ("march fourteen hundred", "march 1400"),
            ("$5 million", "$5000000"),
            ("five dollars", "$5"),
            ("five dollars and twenty cents", "$5.20"),
            ("five dollars five cents", "$5.05"),
            ("twenty cents", "¢20"),
            ("dollars", "dollars"),
            ("five percent", "5%"),
            ("2.5 per cent", "2.5%"),
            ("per cent", "per cent"),
            ("1.2.3", "1.2.3"),
            ("$", "$"),
        ];
        for (text, expected) in table {
            assert_eq!(digits(text), expected, "{text:?}");
        }
    }

    fn name(value: u128) -> &'static str {
        UNITS.split(' ').chain(TENS.split(' ')).find(|word| small(word) == Some(value)).unwrap()
    }

    /// A number in words, built the other way round than it is read.
    fn spell(n: u128, and: &str) -> String {
        if let Some((scale_name, scale)) = SCALES.iter().rev().find(|(_, scale)| n >= *scale) {
            let rest = n % scale;
            let tail = if rest == 0 { String::new() } else { format!(" {}", spell(rest, and)) };
            return format!("{} {scale_name}{tail}", spell(n / scale, and));
        }
        match n {
            100.. if n.is_multiple_of(100) => format!("{} hundred", name(n / 100)),
            100.. => format!("{} hundred {and} {}", name(n / 100), spell(n % 100, and)),
            21.. if !n.is_multiple_of(10) => format!("{} {}", name(n - n % 10), name(n % 10)),
            _ => name(n).into(),
        }
    }

    proptest! {
        #[test]
        fn spelled_numbers_are_read_back(n in prop_oneof![0u128..2000, 0u128..1_000_000_000_000_000], and in prop_oneof![Just("and"), Just("")]) {
            prop_assert_eq!(digits(&spell(n, and)), n.to_string());
        }

        #[test]
        fn any_grouping_of_digits_is_the_same_number(number in "[0-9]{1,16}", cuts in prop::collection::vec(any::<bool>(), 16), words in any::<bool>()) {
            let mut text = String::new();
            for (digit, cut) in number.chars().zip(cuts) {
                if words {
                    let zero = if cut && !text.is_empty() { "oh" } else { "zero" };
                    let value = u128::from(digit.to_digit(10).unwrap());
                    text.push(' ');
                    text.push_str(if value == 0 { zero } else { name(value) });
                } else {
                    text.push(digit);
                    if cut {
                        text.push(' ');
                    }
                }
            }
            prop_assert_eq!(digits(&text), number);
        }
    }
}
