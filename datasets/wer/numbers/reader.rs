//! Words in, words and single numbers out: the grammar of numbers as they are spoken and written.
//!
//! Must not join numbers or know units: [`super`] does.

/// Zero to nineteen, in order.
pub const UNITS: &str = "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen \
                     sixteen seventeen eighteen nineteen";
/// Twenty to ninety, in order.
pub const TENS: &str = "twenty thirty forty fifty sixty seventy eighty ninety";
pub const SCALES: [(&str, u128); 4] = [
    ("thousand", 1_000),
    ("million", 1_000_000),
    ("billion", 1_000_000_000),
    ("trillion", 1_000_000_000_000),
];
/// Ordinals that are not their cardinal with -th.
const ORDINALS: [(&str, &str); 7] = [
    ("first", "one"),
    ("second", "two"),
    ("third", "three"),
    ("fifth", "five"),
    ("eighth", "eight"),
    ("ninth", "nine"),
    ("twelfth", "twelve"),
];
/// A number as it will be written.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Number {
    /// `$`, `€`, `£` or `¢`.
    pub currency: Option<char>,
    /// Before the point; leading zeros are kept.
    pub digits: String,
    /// After the point; empty if there is none.
    pub fraction: String,
    /// `st`, `nd`, `rd`, `th`, `s` or `%`.
    pub ending: &'static str,
}

impl Number {
    /// As text.
    pub fn written(&self) -> String {
        let currency = self.currency.map(String::from).unwrap_or_default();
        let whole_money = self.currency.is_some() && self.fraction.chars().all(|c| c == '0');
        let fraction = if self.fraction.is_empty() || whole_money {
            String::new()
        } else {
            format!(".{}", self.fraction)
        };
        format!("{currency}{}{fraction}{}", self.digits, self.ending)
    }

    /// Nothing but digits: what may still grow.
    pub fn is_plain(&self) -> bool {
        self.currency.is_none() && self.fraction.is_empty() && self.ending.is_empty()
    }
}

/// A word, or a number in its place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Piece {
    /// Left as it is.
    Word(String),
    /// In digits.
    Number(Number),
}

/// Each number by itself.
pub fn read(words: &[String]) -> Vec<Piece> {
    let mut cursor = Cursor { words, at: 0 };
    let mut out = Vec::new();
    while let Some(word) = cursor.peek(0) {
        let before =
            out.last_mut().and_then(|piece| if let Piece::Number(n) = piece { Some(n) } else { None });
        if let Some(numbers) = cursor.repeated().or_else(|| cursor.zero(before.is_some())) {
            out.extend(numbers.into_iter().map(Piece::Number));
        } else if let Some(number) = before.and_then(|whole| cursor.fraction_of(whole)) {
            out.pop();
            out.push(Piece::Number(number));
        } else if let Some(number) = cursor.number() {
            out.push(Piece::Number(number));
        } else {
            out.push(Piece::Word(word.into()));
            cursor.at += 1;
        }
    }
    out
}

/// Reads numbers from a place among words; every method that gives None has moved nothing.
#[derive(Clone, Copy)]
struct Cursor<'a> {
    words: &'a [String],
    at: usize,
}

impl<'a> Cursor<'a> {
    fn peek(&self, ahead: usize) -> Option<&'a str> {
        self.words.get(self.at + ahead).map(String::as_str)
    }

    /// Runs `parse` on a copy and moves here only if it gave something.
    fn attempt<T>(&mut self, parse: impl FnOnce(&mut Self) -> Option<T>) -> Option<T> {
        let mut copy = *self;
        let found = parse(&mut copy)?;
        *self = copy;
        Some(found)
    }

    fn take(&mut self, word: &str) -> Option<()> {
        (self.peek(0)? == word).then(|| self.at += 1)
    }

    fn table<T: Copy>(&mut self, table: &[(&str, T)]) -> Option<T> {
        let word = self.peek(0)?;
        let (_, value) = table.iter().find(|(name, _)| *name == word)?;
        self.at += 1;
        Some(*value)
    }

    /// "double seven", "triple oh".
    fn repeated(&mut self) -> Option<Vec<Number>> {
        self.attempt(|c| {
            let times = c.table(&[("double", 2), ("triple", 3)])?;
            let digit = c.attempt(Self::digit)?;
            Some(vec![plain(&digit.to_string()); times])
        })
    }

    /// One spoken or written digit; "oh" and "o" count.
    fn digit(&mut self) -> Option<u128> {
        if let Some(value) = self.table(&[("oh", 0), ("o", 0)]) {
            return Some(value);
        }
        let word = self.peek(0)?;
        let written = word.parse().ok().filter(|_| word.len() == 1);
        let value = written.or_else(|| small(word).filter(|value| *value < 10))?;
        self.at += 1;
        Some(value)
    }

    /// "oh" and "o" are zeros next to a number only.
    fn zero(&mut self, after_number: bool) -> Option<Vec<Number>> {
        self.attempt(|c| {
            c.table(&[("oh", ()), ("o", ())])?;
            let mut rest = *c;
            while rest.table(&[("oh", ()), ("o", ())]).is_some() {}
            (after_number || rest.repeated().is_some() || rest.number().is_some()).then(|| vec![plain("0")])
        })
    }

    /// The number with what makes a fraction of it, and the scale after that: "point one four", "and a half".
    fn fraction_of(&mut self, whole: &Number) -> Option<Number> {
        if !whole.is_plain() {
            return None;
        }
        let fraction = self.fraction()?;
        let number = Number { fraction, ..whole.clone() };
        Some(self.attempt(|c| scaled(&number, c.table(&SCALES)?)).unwrap_or(number))
    }

    fn fraction(&mut self) -> Option<String> {
        self.attempt(|c| {
            if c.take("and").is_some() {
                return c.take("a").and_then(|()| c.take("half")).map(|()| "5".into());
            }
            c.take("point")?;
            let mut digits = String::new();
            loop {
                if let Some(digit) = c.attempt(Self::digit) {
                    digits.push_str(&digit.to_string());
                } else if let Some(number) = c.attempt(|c| c.number().filter(Number::is_plain)) {
                    digits.push_str(&number.digits);
                } else {
                    break;
                }
            }
            (!digits.is_empty()).then_some(digits)
        })
    }

    /// A number in words or digits, with its scales: "two hundred and five", "3.5 million", "twenty first".
    fn number(&mut self) -> Option<Number> {
        self.attempt(Self::numeral).or_else(|| self.attempt(Self::spoken))
    }

    /// A token of digits, and a scale after it.
    fn numeral(&mut self) -> Option<Number> {
        let number = numeral(self.peek(0)?)?;
        self.at += 1;
        if !number.ending.is_empty() {
            return Some(number);
        }
        let scaled = self.attempt(|c| {
            let scale = c.table(&SCALES).or_else(|| c.table(&[("hundred", 100)]))?;
            scaled(&number, scale)
        });
        Some(scaled.unwrap_or(number))
    }

    /// Descending scales: [n trillion] [n billion] [n million] [n thousand] [n].
    fn spoken(&mut self) -> Option<Number> {
        let (mut total, mut limit) = (0, u128::MAX);
        let mut found = None;
        loop {
            let part = self.attempt(|c| {
                if found.is_some() {
                    let _ = c.take("and");
                }
                let (value, ordinal) = c.below_thousand()?;
                if ordinal.is_some() {
                    return Some((value, 1, ordinal));
                }
                let (scale, ordinal) = c.scale();
                (scale < limit).then_some((value * scale, scale, ordinal))
            });
            let Some((value, scale, ordinal)) = part else { break };
            total += value;
            limit = scale;
            found = Some(Number {
                digits: total.to_string(),
                ending: ordinal.unwrap_or_default(),
                ..Number::default()
            });
            if scale == 1 || ordinal.is_some() {
                break;
            }
        }
        found
    }

    /// The scale word at hand: 1 if there is none; ordinal for "thousandth".
    fn scale(&mut self) -> (u128, Option<&'static str>) {
        if let Some(scale) = self.table(&SCALES) {
            return (scale, None);
        }
        let ordinal = self.peek(0).and_then(|word| word.strip_suffix("th"));
        match ordinal.and_then(|stem| SCALES.iter().find(|(name, _)| *name == stem)) {
            Some((_, scale)) => {
                self.at += 1;
                (*scale, Some("th"))
            }
            None => (1, None),
        }
    }

    /// [1..99 hundred [and]] 0..99, or "hundred" alone. The ordinal's ending ends the number.
    fn below_thousand(&mut self) -> Option<(u128, Option<&'static str>)> {
        let (head, ending) = match self.attempt(Self::below_hundred) {
            Some(found) => found,
            None if matches!(self.peek(0), Some("hundred")) => (1, None),
            None => return None,
        };
        if ending.is_some() || head == 0 {
            return Some((head, ending));
        }
        if self.take("hundredth").is_some() {
            return Some((head * 100, Some("th")));
        }
        if self.take("hundred").is_none() {
            return Some((head, None));
        }
        let rest = self.attempt(|c| {
            let _ = c.take("and");
            let rest = c.below_hundred().filter(|(value, _)| *value > 0)?;
            // "two hundred and three hundred" are two numbers
            (!matches!(c.peek(0), Some("hundred"))).then_some(rest)
        });
        let (rest, ending) = rest.unwrap_or((0, None));
        Some((head * 100 + rest, ending))
    }

    fn below_hundred(&mut self) -> Option<(u128, Option<&'static str>)> {
        let word = self.peek(0)?;
        if let Some(found) = ordinal(word) {
            self.at += 1;
            return Some(found);
        }
        if let Some(tens) = word.strip_suffix("ies").and_then(|stem| small(&format!("{stem}y"))) {
            self.at += 1;
            return Some((tens, Some("s")));
        }
        let value = small(word)?;
        self.at += 1;
        if value < 20 {
            return Some((value, None));
        }
        let ones = self.attempt(|c| {
            let word = c.peek(0)?;
            c.at += 1;
            ordinal(word).or_else(|| Some((small(word)?, None))).filter(|(ones, _)| (1..10).contains(ones))
        });
        let (ones, ending) = ones.unwrap_or((0, None));
        Some((value + ones, ending))
    }
}

fn plain(digits: &str) -> Number {
    Number { digits: digits.into(), ..Number::default() }
}

/// The value of a word below one hundred.
pub fn small(word: &str) -> Option<u128> {
    let place = |words: &str| words.split(' ').position(|w| w == word).and_then(|n| u128::try_from(n).ok());
    place(UNITS).or_else(|| Some(20 + 10 * place(TENS)?))
}

/// "third", "sixth", "twentieth": the value and how its digits end.
fn ordinal(word: &str) -> Option<(u128, Option<&'static str>)> {
    if let Some((_, cardinal)) = ORDINALS.iter().find(|(name, _)| *name == word) {
        let ending = match *cardinal {
            "one" => "st",
            "two" => "nd",
            "three" => "rd",
            _ => "th",
        };
        return Some((small(cardinal)?, Some(ending)));
    }
    let value = match word.strip_suffix("ieth") {
        Some(stem) => small(&format!("{stem}y"))?,
        None => small(word.strip_suffix("th")?)?,
    };
    (value > 0).then_some((value, Some("th")))
}

/// A token written in digits: an optional sign of currency, digits, an optional fraction, an optional ending.
fn numeral(token: &str) -> Option<Number> {
    let currency = token.chars().next().filter(|c| matches!(c, '$' | '€' | '£' | '¢'));
    let body = currency.map_or(token, |c| token.get(c.len_utf8()..).unwrap_or_default());
    let ending =
        ["st", "nd", "rd", "th", "s", "%"].into_iter().find(|e| body.ends_with(e)).unwrap_or_default();
    let body = body.strip_suffix(ending)?;
    let (digits, fraction) = body.split_once('.').unwrap_or((body, ""));
    let all_digits = |text: &str| text.chars().all(|c| c.is_ascii_digit());
    let found = !(digits.is_empty() && fraction.is_empty()) && all_digits(digits) && all_digits(fraction);
    found.then(|| Number { currency, digits: digits.into(), fraction: fraction.into(), ending })
}

/// A written number times a scale; None where the product is not whole or too large to be meant.
fn scaled(number: &Number, scale: u128) -> Option<Number> {
    let places = u32::try_from(number.fraction.len()).ok()?;
    let unit = 10u128.checked_pow(places)?;
    let value = format!("{}{}", number.digits, number.fraction).parse::<u128>().ok()?.checked_mul(scale)?;
    value.is_multiple_of(unit).then(|| Number {
        digits: (value / unit).to_string(),
        fraction: String::new(),
        ..number.clone()
    })
}
