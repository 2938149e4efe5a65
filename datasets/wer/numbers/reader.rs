//! Words in, words out with numbers in digits: one number grows word by word until a word comes that is none of it.
//!
//! A number is whole as long as each word fits into it (`twenty` and `one`, `two` and `hundred`), and a row of digits from where one does not
//! (`one` and `two`). Must not know tokens that are wholly letters and digits mixed, nor how money is written in the end.

/// One to nineteen, in order.
const UNITS: &str = "one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen seventeen eighteen nineteen";
/// Twenty to ninety, in order.
const TENS: &str = "twenty thirty forty fifty sixty seventy eighty ninety";
/// Words that multiply the number before them: a hundred, then thousand to the power of 1, 2, ...
const SCALES: &str = "hundred thousand million billion trillion quadrillion quintillion sextillion septillion octillion nonillion decillion";
/// Ordinals that are not their cardinal with -th.
const ORDINALS: [(&str, u128, &str); 6] = [
    ("zeroth", 0, "th"),
    ("first", 1, "st"),
    ("second", 2, "nd"),
    ("third", 3, "rd"),
    ("fifth", 5, "th"),
    ("twelfth", 12, "th"),
];
const SIGNS: [(&str, char); 4] = [("minus", '-'), ("negative", '-'), ("plus", '+'), ("positive", '+')];
const MONEY: [(&str, char); 8] = [
    ("pound", '£'),
    ("pounds", '£'),
    ("euro", '€'),
    ("euros", '€'),
    ("dollar", '$'),
    ("dollars", '$'),
    ("cent", '¢'),
    ("cents", '¢'),
];

/// The role of a word in a number.
#[derive(Clone, Copy, PartialEq)]
enum Word {
    Zero,
    Unit(u128),
    /// With how its digits end: `1st`, `2s`.
    LastUnit(u128, &'static str),
    Ten(u128),
    LastTen(u128, &'static str),
    Scale(u128),
    LastScale(u128, &'static str),
    /// Before a number: its sign.
    Sign(char),
    /// Behind a number: its currency.
    Money(char),
    Percent,
    Per,
    And,
    /// The number of times that a digit comes.
    Times(usize),
    Point,
}

fn place(words: &str, word: &str) -> Option<u32> {
    words.split(' ').position(|known| known == word).and_then(|at| u32::try_from(at).ok())
}

fn unit(word: &str) -> Option<u128> {
    Some(u128::from(place(UNITS, word)?) + 1)
}

fn ten(word: &str) -> Option<u128> {
    Some(u128::from(place(TENS, word)?) * 10 + 20)
}

fn scale(word: &str) -> Option<u128> {
    Some(match place(SCALES, word)? {
        0 => 100,
        power => 1000_u128.checked_pow(power)?,
    })
}

fn last_unit(word: &str) -> Option<Word> {
    if let Some((_, value, ending)) = ORDINALS.iter().find(|(name, ..)| *name == word) {
        return Some(Word::LastUnit(*value, ending));
    }
    let plural = if word == "sixes" {
        unit("six")
    } else {
        word.strip_suffix('s').filter(|w| *w != "six").and_then(unit)
    };
    if let Some(value) = plural {
        return Some(Word::LastUnit(value, "s"));
    }
    let stem =
        if word == "eighth" { "eight" } else { word.strip_suffix("th").filter(|stem| *stem != "eight")? };
    unit(stem)
        .filter(|value| *value > 3 && *value != 5 && *value != 12)
        .map(|value| Word::LastUnit(value, "th"))
}

fn of(word: &str) -> Option<Word> {
    let listed = |table: &[(&str, char)]| table.iter().find(|(name, _)| *name == word).map(|(_, sign)| *sign);
    let ending = |ending: &'static str, of: fn(&str) -> Option<u128>, tail: &str| {
        of(&format!("{}{tail}", word.strip_suffix(ending)?))
    };
    Some(match word {
        "o" | "oh" | "zero" => Word::Zero,
        "percent" => Word::Percent,
        "per" => Word::Per,
        "and" => Word::And,
        "double" => Word::Times(2),
        "triple" => Word::Times(3),
        "point" => Word::Point,
        _ => {
            return (unit(word).map(Word::Unit))
                .or_else(|| last_unit(word))
                .or_else(|| ten(word).map(Word::Ten))
                .or_else(|| ending("ies", ten, "y").map(|value| Word::LastTen(value, "s")))
                .or_else(|| ending("ieth", ten, "y").map(|value| Word::LastTen(value, "th")))
                .or_else(|| scale(word).map(Word::Scale))
                .or_else(|| ending("s", scale, "").map(|value| Word::LastScale(value, "s")))
                .or_else(|| ending("th", scale, "").map(|value| Word::LastScale(value, "th")))
                .or_else(|| listed(&SIGNS).map(Word::Sign))
                .or_else(|| listed(&MONEY).map(Word::Money));
        }
    })
}

/// Returns true if "and a half" behind it is a fraction.
pub fn can_have_half(word: &str) -> bool {
    matches!(of(word), Some(Word::Zero | Word::Unit(_) | Word::Ten(_) | Word::Scale(_)))
}

/// A number as it grows.
#[derive(Clone, PartialEq)]
enum Value {
    Whole(u128),
    /// Digits in a row, perhaps with a point.
    Row(String),
}

impl Value {
    fn text(&self) -> String {
        match self {
            Value::Whole(value) => value.to_string(),
            Value::Row(digits) => digits.clone(),
        }
    }

    /// The same with digits behind it.
    fn then(&self, digits: impl std::fmt::Display) -> Value {
        Value::Row(format!("{}{digits}", self.text()))
    }

    /// With a word below a hundred: into the zeros at its end, or behind it.
    fn with(&self, value: u128, before: Option<Word>) -> Value {
        let room = if value < 10 { 10 } else { 100 };
        let after_ten = matches!(before, Some(Word::Ten(_))) && value < 10;
        match self {
            Value::Row(digits) if after_ten && digits.ends_with('0') => {
                let kept = digits.strip_suffix('0').unwrap_or_default();
                Value::Row(format!("{kept}{value}"))
            }
            Value::Whole(whole) if whole.is_multiple_of(room) && !matches!(before, Some(Word::Unit(_))) => {
                whole.checked_add(value).map_or_else(|| self.then(value), Value::Whole)
            }
            _ => self.then(value),
        }
    }

    /// With tens. Unlike a unit, they fit also where a unit stands before.
    fn with_tens(&self, tens: u128) -> Value {
        match self {
            Value::Whole(whole) if whole.is_multiple_of(100) => {
                whole.checked_add(tens).map_or_else(|| self.then(tens), Value::Whole)
            }
            _ => self.then(tens),
        }
    }

    /// So many times its last three digits, or all of a row of digits; nothing where that is no whole number.
    fn times(&self, scale: u128) -> Option<Value> {
        match self {
            Value::Whole(0) => Some(Value::Whole(0)),
            Value::Whole(whole) => {
                let last = whole % 1000;
                (whole - last).checked_add(last.checked_mul(scale)?).map(Value::Whole)
            }
            Value::Row(digits) => {
                let (whole, part) = digits.split_once('.').unwrap_or((digits, ""));
                if part.contains('.') || whole.is_empty() && part.is_empty() {
                    return None;
                }
                let unit = 10_u128.checked_pow(u32::try_from(part.len()).ok()?)?;
                let all = format!("{whole}{part}").parse::<u128>().ok()?.checked_mul(scale)?;
                all.is_multiple_of(unit).then(|| Value::Whole(all / unit))
            }
        }
    }
}

/// The parts of a token of digits: its sign or currency, and the digits with their fraction.
fn numeral(word: &str) -> Option<(Option<char>, &str)> {
    let sign = word.chars().next().filter(|c| matches!(c, '-' | '+' | '£' | '€' | '$' | '¢'));
    let digits = sign.map_or(Some(word), |sign| word.strip_prefix(sign))?;
    is_number(digits).then_some((sign, digits))
}

fn is_number(text: &str) -> bool {
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    match text.split_once('.') {
        Some((whole, part)) => digits(whole) && digits(part),
        None => digits(text),
    }
}

/// Reads words one by one.
pub struct Reader<'w> {
    words: &'w [String],
    sign: Option<char>,
    value: Option<Value>,
    out: Vec<String>,
}

impl<'w> Reader<'w> {
    /// A reader at the beginning of some words.
    pub fn new(words: &'w [String]) -> Self {
        Reader { words, sign: None, value: None, out: Vec::new() }
    }

    /// The words written.
    pub fn written(self) -> Vec<String> {
        self.out
    }

    /// Reads all words.
    pub fn read(&mut self) {
        let words = self.words;
        let mut at = 0;
        while let Some(word) = words.get(at) {
            let before = at.checked_sub(1).and_then(|before| words.get(before)).and_then(|word| of(word));
            let next = words.get(at + 1).map(String::as_str);
            let skips = self.word(word, before, next);
            at += if skips { 2 } else { 1 };
        }
        self.end();
    }

    /// Ends the number at hand.
    fn end(&mut self) {
        if let Some(value) = self.value.take() {
            self.put(&value.text());
        }
    }

    fn put(&mut self, text: &str) {
        let sign = self.sign.take().map(String::from).unwrap_or_default();
        self.out.push(format!("{sign}{text}"));
        self.value = None;
    }

    /// Takes a word in; whether the next one is taken with it.
    fn word(&mut self, word: &str, before: Option<Word>, next: Option<&str>) -> bool {
        if let Some((sign, digits)) = numeral(word) {
            self.numeral(word, sign, digits);
            return false;
        }
        let Some(known) = of(word) else {
            self.end();
            self.put(word);
            return false;
        };
        match known {
            Word::Zero => self.zeros(1),
            Word::Unit(value) => {
                self.value = Some(
                    self.value.as_ref().map_or(Value::Whole(value), |number| number.with(value, before)),
                );
            }
            Word::Ten(tens) => {
                self.value =
                    Some(self.value.as_ref().map_or(Value::Whole(tens), |number| number.with_tens(tens)));
            }
            Word::LastUnit(value, ending) => {
                let number =
                    self.value.take().map_or(Value::Whole(value), |number| number.with(value, before));
                self.put(&format!("{}{ending}", number.text()));
            }
            Word::LastTen(tens, ending) => {
                let number = self.value.take().map_or(Value::Whole(tens), |number| number.with_tens(tens));
                self.put(&format!("{}{ending}", number.text()));
            }
            Word::Scale(scale) => self.scale(scale),
            Word::LastScale(scale, ending) => {
                self.scale(scale);
                let number = self.value.take().unwrap_or(Value::Whole(scale));
                self.put(&format!("{}{ending}", number.text()));
            }
            Word::Sign(sign) => {
                self.end();
                if next.is_some_and(|next| of(next).is_some() || is_number(next)) {
                    self.sign = Some(sign);
                } else {
                    self.put(word);
                }
            }
            Word::Money(currency) if self.value.is_some() => {
                self.sign = Some(currency);
                self.end();
            }
            Word::Money(_) => self.put(word),
            Word::Percent => self.percent(word),
            Word::Per if next == Some("cent") && self.value.is_some() => {
                self.percent(word);
                return true;
            }
            Word::Per => {
                self.end();
                self.put(word);
            }
            Word::And | Word::Times(_) | Word::Point => return self.between(word, known, before, next),
        }
        false
    }

    fn zeros(&mut self, times: usize) {
        self.digits(&"0".repeat(times));
    }

    /// Digits behind the number at hand. A zero alone is forgotten.
    fn digits(&mut self, digits: &str) {
        let before = self.value.as_ref().filter(|value| **value != Value::Whole(0)).map(Value::text);
        self.value = Some(Value::Row(before.unwrap_or_default() + digits));
    }

    fn numeral(&mut self, word: &str, sign: Option<char>, digits: &str) {
        match &self.value {
            Some(Value::Row(row)) if row.ends_with('.') => {
                self.value = Some(Value::Row(format!("{row}{word}")));
                return;
            }
            _ => self.end(),
        }
        self.sign = sign.or(self.sign);
        let (whole, part) = digits.split_once('.').unwrap_or((digits, ""));
        let is_whole = part.bytes().all(|byte| byte == b'0');
        let whole = whole.parse().ok().filter(|_| is_whole);
        self.value = Some(whole.map_or_else(|| Value::Row(digits.to_owned()), Value::Whole));
    }

    fn scale(&mut self, scale: u128) {
        let scaled = match &self.value {
            None => Some(Value::Whole(scale)),
            Some(number) => number.times(scale),
        };
        if scaled.is_none() {
            self.end();
        }
        self.value = Some(scaled.unwrap_or(Value::Whole(scale)));
    }

    fn percent(&mut self, word: &str) {
        match self.value.take() {
            Some(value) => self.put(&format!("{}%", value.text())),
            None => self.put(word),
        }
    }

    /// Words that mean something only between others of a number.
    fn between(&mut self, word: &str, known: Word, before: Option<Word>, next: Option<&str>) -> bool {
        let next_word = next.and_then(of);
        let next_is_number = next.is_some_and(is_number);
        if next_word.is_none() && !next_is_number {
            self.end();
            self.put(word);
            return false;
        }
        match (known, next_word) {
            (Word::And, _) if matches!(before, Some(Word::Scale(_))) => {}
            (Word::Times(times), Some(Word::Zero)) => {
                self.zeros(times);
                return true;
            }
            (Word::Times(times), Some(Word::Unit(value))) => {
                self.digits(&value.to_string().repeat(times));
                return true;
            }
            (Word::Point, Some(Word::Zero | Word::Unit(_) | Word::Ten(_))) => self.digits("."),
            (Word::Point, _) if next_is_number => self.digits("."),
            (Word::Point, _) => {}
            _ => {
                self.end();
                self.put(word);
            }
        }
        false
    }
}
