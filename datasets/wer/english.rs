//! English text in, the words that count for a word error rate out.
//!
//! After the rules that OpenAI published with Whisper (Radford et al. 2022, "Robust Speech Recognition via Large-Scale
//! Weak Supervision", appendix C); the tables are our own and shorter. In this order: words in brackets and fillers go;
//! contractions, titles and colloquial forms are written out; symbols and accents go; numbers become digits; British
//! spelling becomes American.
//!
//! Three additions, made for speech that is full of numbers and addresses: groups of digits side by side are one number
//! however they are grouped (`555-0123`, `555 01 23`, "five five five oh one two three"); "oh" and "point" belong to
//! a number only next to one; and the symbols of an e-mail address or host name are the words by which they are
//! spoken ("at", "dot").
//!
//! Must not change the meaning of a text more than these rules say: what is unknown stays a word.

use super::{numbers, spelling};

const FILLERS: [&str; 7] = ["hmm", "hm", "mm", "mhm", "mmm", "uh", "um"];

/// What stands for several words, or for one that is written otherwise.
const WRITTEN_OUT: [(&str, &str); 47] = [
    ("won't", "will not"),
    ("can't", "can not"),
    ("cannot", "can not"),
    ("shan't", "shall not"),
    ("let's", "let us"),
    ("ain't", "aint"),
    ("y'all", "you all"),
    ("'cause", "because"),
    ("o'clock", "oclock"),
    ("ma'am", "madam"),
    ("wanna", "want to"),
    ("gonna", "going to"),
    ("gotta", "got to"),
    ("kinda", "kind of"),
    ("i'ma", "i am going to"),
    ("imma", "i am going to"),
    ("woulda", "would have"),
    ("coulda", "could have"),
    ("shoulda", "should have"),
    ("ok", "okay"),
    ("mr", "mister"),
    ("mrs", "missus"),
    ("st", "saint"),
    ("dr", "doctor"),
    ("prof", "professor"),
    ("capt", "captain"),
    ("gov", "governor"),
    ("ald", "alderman"),
    ("gen", "general"),
    ("sen", "senator"),
    ("rep", "representative"),
    ("pres", "president"),
    ("rev", "reverend"),
    ("hon", "honorable"),
    ("asst", "assistant"),
    ("assoc", "associate"),
    ("lt", "lieutenant"),
    ("sgt", "sergeant"),
    ("col", "colonel"),
    ("jr", "junior"),
    ("sr", "senior"),
    ("esq", "esquire"),
    ("vs", "versus"),
    ("etc", "et cetera"),
    ("dept", "department"),
    ("ave", "avenue"),
    ("&", "and"),
];

/// Endings after an apostrophe, the longest first.
const ENDINGS: [(&str, &str); 7] = [
    ("n't", "not"),
    ("'re", "are"),
    ("'ve", "have"),
    ("'ll", "will"),
    ("'d", "would"),
    ("'m", "am"),
    ("'s", "is"),
];

/// Endings by which a host name is known.
const HOSTS: [&str; 9] = [".com", ".org", ".net", ".edu", ".gov", ".io", ".co", ".uk", ".de"];

/// The normalised words of a text.
pub fn words(text: &str) -> Vec<String> {
    let text = without_asides(&text.to_lowercase().replace(['’', '‘', 'ʼ', '`'], "'"));
    let mut tokens: Vec<String> = Vec::new();
    for chunk in text.split_whitespace() {
        match spoken_address(chunk) {
            Some(spoken) => tokens.extend(spoken),
            None => tokens.extend(plain(chunk)),
        }
    }
    tokens.retain(|token| !FILLERS.contains(&token.as_str()));
    let mut words = numbers::as_digits(written_out(&tokens));
    for word in &mut words {
        word.retain(|c| c != '\'');
        *word = spelling::american(word);
    }
    words.retain(|word| !word.is_empty());
    words
}

/// The text without what stands in (), [] or <>. An opening bracket that nothing closes is a symbol.
fn without_asides(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, opened)) = rest.split_once(['(', '[', '<']) {
        let closing = match rest.get(before.len()..).and_then(|r| r.chars().next()) {
            Some('(') => ')',
            Some('[') => ']',
            _ => '>',
        };
        out.push_str(before);
        out.push(' ');
        rest = opened.split_once(closing).map_or(opened, |(_, after)| after);
    }
    out.push_str(rest);
    out
}

/// The words of an e-mail address or a host name; None for anything else.
fn spoken_address(chunk: &str) -> Option<Vec<String>> {
    let address = chunk.trim_matches(|c: char| !c.is_alphanumeric());
    let mail = address.contains('@');
    let host = HOSTS.iter().any(|ending| address.ends_with(ending));
    if !mail && !host {
        return None;
    }
    let mut out = String::new();
    for c in address.chars() {
        match c {
            '@' => out.push_str(" at "),
            '.' => out.push_str(" dot "),
            '_' => out.push_str(" underscore "),
            '-' => out.push_str(" dash "),
            '/' => out.push_str(" slash "),
            c => out.push(c),
        }
    }
    Some(out.split_whitespace().flat_map(plain).collect())
}

/// The tokens of one chunk: accents folded, symbols gone but those of numbers and contractions, letters and digits
/// apart (except in `21st` and `90s`).
fn plain(chunk: &str) -> Vec<String> {
    let chars: Vec<char> = chunk.chars().collect();
    let at = |n: Option<usize>| n.and_then(|n| chars.get(n)).copied().unwrap_or(' ');
    let mut out = String::new();
    for (n, c) in chars.iter().enumerate() {
        let (before, after) = (at(n.checked_sub(1)), at(Some(n + 1)));
        match c {
            ',' if before.is_ascii_digit() && after.is_ascii_digit() => {}
            '.' if after.is_ascii_digit() && !before.is_alphabetic() => out.push('.'),
            '%' if before.is_ascii_digit() => out.push('%'),
            '%' => out.push_str(" percent "),
            '$' | '¢' | '€' | '£' => out.push(*c),
            '&' => out.push_str(" & "),
            '\'' => out.push('\''),
            c if c.is_alphanumeric() => push_folded(&mut out, *c),
            _ if is_mark(*c) => {}
            _ => out.push(' '),
        }
    }
    out.split_whitespace().flat_map(letters_and_digits).collect()
}

/// Combining marks are dropped, not turned into a space.
fn is_mark(c: char) -> bool {
    matches!(c, '\u{300}'..='\u{36f}' | '\u{200d}' | '\u{ad}')
}

fn push_folded(out: &mut String, c: char) {
    let folded = match c {
        'à'..='å' | 'ā' | 'ă' | 'ą' => "a",
        'æ' => "ae",
        'ç' | 'ć' | 'č' => "c",
        'ď' | 'đ' | 'ð' => "d",
        'è'..='ë' | 'ē' | 'ė' | 'ę' | 'ě' => "e",
        'ì'..='ï' | 'ī' | 'į' | 'ı' => "i",
        'ł' | 'ľ' => "l",
        'ñ' | 'ń' | 'ň' => "n",
        'ò'..='ö' | 'ø' | 'ō' | 'ő' => "o",
        'œ' => "oe",
        'ř' => "r",
        'ś' | 'š' | 'ş' | 'ș' => "s",
        'ß' => "ss",
        'ť' | 'ț' => "t",
        'þ' => "th",
        'ù'..='ü' | 'ū' | 'ů' | 'ű' => "u",
        'ý' | 'ÿ' => "y",
        'ź' | 'ż' | 'ž' => "z",
        c => {
            out.push(c);
            return;
        }
    };
    out.push_str(folded);
}

/// `5pm` is `5 pm` and `b12` is `b 12`; `21st` and `90s` stay whole.
fn letters_and_digits(token: &str) -> Vec<String> {
    let mut parts: Vec<String> = Vec::new();
    let mut last = ' ';
    for c in token.chars() {
        let boundary =
            (last.is_ascii_digit() && c.is_alphabetic()) || (last.is_alphabetic() && c.is_ascii_digit());
        match parts.last_mut() {
            Some(part) if !boundary => part.push(c),
            _ => parts.push(c.into()),
        }
        last = c;
    }
    let mut out: Vec<String> = Vec::new();
    for part in parts {
        let ending = matches!(part.as_str(), "st" | "nd" | "rd" | "th" | "s");
        match out.last_mut() {
            Some(number) if ending && number.ends_with(|c: char| c.is_ascii_digit()) => {
                number.push_str(&part);
            }
            _ => out.push(part),
        }
    }
    out
}

/// Contractions and short forms as full words. What follows decides whether 's and 'd stand for is, has, would or had.
fn written_out(tokens: &[String]) -> Vec<String> {
    let mut out: Vec<String> = Vec::new();
    for (n, token) in tokens.iter().enumerate() {
        if let Some((_, full)) = WRITTEN_OUT.iter().find(|(short, _)| short == token) {
            out.extend(full.split(' ').map(Into::into));
            continue;
        }
        let next = tokens.get(n + 1).map_or("", String::as_str);
        match ENDINGS.iter().find_map(|(ending, word)| Some((token.strip_suffix(ending)?, *ending, *word))) {
            Some((stem, ending, word)) => {
                out.push(stem.into());
                out.push(completed(ending, word, next).into());
            }
            None => out.push(token.trim_matches('\'').into()),
        }
    }
    out.retain(|word| !word.is_empty());
    out
}

fn completed(ending: &str, word: &'static str, next: &str) -> &'static str {
    match (ending, next) {
        ("'s", "been" | "got" | "gone") => "has",
        ("'d", "been" | "gone" | "done") => "had",
        _ => word,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn check(text: &str, expected: &str) {
        assert_eq!(words(text).join(" "), expected, "{text:?}");
    }

    #[test]
    fn rules() {
        let table = [
            ("", ""),
            ("  Hello,   WORLD!  ", "hello world"),
            ("[music] so (laughs) it <unk> goes", "so it goes"),
            ("an open ( bracket", "an open bracket"),
            ("Um, well, uh... hmm, yes", "well yes"),
            ("I won't, can't and shan't", "i will not can not and shall not"),
            ("you cannot", "you can not"),
            (
                "we don't; they're; I've; she'll; he'd; I'm",
                "we do not they are i have she will he would i am",
            ),
            ("It’s here. It's been here. He's got it.", "it is here it has been here he has got it"),
            ("he'd been, he'd go", "he had been he would go"),
            ("let's", "let us"),
            ("I'm gonna and you wanna", "i am going to and you want to"),
            ("Mr. and Mrs. Smith, Dr. Jones Jr.", "mister and missus smith doctor jones junior"),
            ("the café's crème brûlée", "the cafe is creme brulee"),
            ("naïve e\u{301}clair", "naive eclair"),
            ("well-known", "well known"),
            ("rock & roll, R&B", "rock and roll r and b"),
            ("the dogs' 'quoted' words", "the dogs quoted words"),
            ("OK okay", "okay okay"),
            ("9 a.m.", "9 a m"),
            ("9 am, 5pm, B12", "9 am 5 pm b 12"),
            ("colour, honoured neighbours", "color honored neighbors"),
        ];
        for (text, expected) in table {
            check(text, expected);
        }
    }

    #[test]
    fn addresses_are_as_spoken() {
        let spoken = "john dot doe at example dot com";
        check("John dot Doe at example dot com", spoken);
        check("john.doe@example.com.", spoken);
        check("<john.doe@example.com", spoken);
        check("see www.example.org!", "see www dot example dot org");
        check("mary_ann-b@mail.co", "mary underscore ann dash b at mail dot co");
        check("the end.Com", "the end dot com");
    }

    #[test]
    fn written_and_spoken_numbers_meet() {
        let same: [&[&str]; 18] = [
            &["five five five oh one two three four", "555-0123 4", "555 01234"],
            &["double seven triple five", "77 555", "77555"],
            &["twenty twenty three", "2023", "two thousand twenty three", "two thousand and twenty-three"],
            &["nineteen ninety nine", "1999", "nineteen hundred ninety nine"],
            &["the twenty first of May", "the 21st of May"],
            &[
                "born on March fourteenth nineteen eighty four",
                "born on March 14, 1984",
                "born on march 14th 1984",
            ],
            &["three point one four", "3.14"],
            &["two and a half miles", "2.5 miles", "two point five miles"],
            &["ten thousand dollars", "$10,000", "10000 dollars", "$10,000.00"],
            &["three point five million dollars", "$3.5 million", "$3,500,000"],
            &["five dollars and twenty cents", "$5.20", "5 dollars 20 cents"],
            &["five percent", "5%", "five per cent", "5 %"],
            &["the nineteen nineties", "the 1990s"],
            &["at three thirty", "at 3:30"],
            &["one oh one", "101", "one hundred and one", "one hundred one"],
            &["oh eight hundred", "0800", "0 800"],
            &["four thirty two seventy one", "43271", "432-71"],
            &["John's 3rd try", "john's third try"],
        ];
        for texts in same {
            for text in texts {
                assert_eq!(words(text), words(texts[0]), "{text:?} / {:?}", texts[0]);
            }
        }
    }

    proptest! {
        #[test]
        fn any_text_is_normalised(text in "\\PC{0,80}") {
            let words = words(&text);
            prop_assert!(words.iter().all(|w| !w.is_empty() && !w.contains(char::is_whitespace)));
        }

        #[test]
        fn normal_text_stays(text in "([a-z]{1,6}('s|n't)?|[0-9]{1,3}|\\$[0-9]{1,3}|twenty|one|first|hundred|million|oh|point|cents)( [a-z]{1,3}| [0-9]{1,3}| five| double){0,6}") {
            let once = words(&text);
            prop_assert_eq!(words(&once.join(" ")), once);
        }
    }
}
