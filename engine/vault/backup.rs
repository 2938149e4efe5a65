//! The root key as a text for paper. In: a key or a text. Out: the other.
//! 13 groups of four Crockford base32 characters (Douglas Crockford, "Base 32": no I, L, O, U) and a check
//! character each, so that a mistyped group is named; the key id in the text checks the whole.

use std::fmt::Write as _;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use zeroize::Zeroizing;

use crate::secret::{self, KEY_BYTES, Key};
use crate::{Error, Result, RootKey};

const ALPHABET: &[u8; 32] = b"0123456789ABCDEFGHJKMNPQRSTVWXYZ";
const GROUPS: usize = 13;
const GROUP_CHARACTERS: usize = 4;
const TITLE: &str = "Headwater root key backup, version 1";

/// Writes the backup text.
pub fn write(root: &RootKey) -> Zeroizing<String> {
    let symbols = symbols_of(root.key().expose());
    let mut text = Zeroizing::new(String::with_capacity(512));
    text.push_str(TITLE);
    text.push_str(
        "\nWhoever has this text can read everything stored under the key. Keep it apart from the data.\n",
    );
    // Writing to a string cannot fail.
    let _ = write!(text, "id   {}\nmade {}\n", root.id(), root.made_seconds());
    for (number, group) in symbols.chunks(GROUP_CHARACTERS).enumerate() {
        let lead = if number % 5 == 0 { "key  " } else { "" };
        let end = if number % 5 == 4 || number + 1 == GROUPS { "\n" } else { " " };
        text.push_str(lead);
        group.iter().chain([&check_symbol(number, group)]).for_each(|s| text.push(letter(*s)));
        text.push_str(end);
    }
    text
}

/// Reads a backup text. Case, spaces, dashes, line breaks, O for 0 and I or L for 1 do not matter.
pub fn read(text: &str) -> Result<RootKey> {
    if !text.contains(TITLE) {
        return Err(Error::BadBackup(format!("the line \"{TITLE}\" is missing")));
    }
    let line = |name: &'static str| {
        text.lines().filter_map(move |l| l.trim().strip_prefix(name)).map(str::trim).collect::<Vec<_>>()
    };
    let id = line("id ").concat().to_lowercase();
    let made = line("made ").concat().parse::<u64>().ok();
    let letters = Zeroizing::new(line("key ").concat());
    let mut symbols = Zeroizing::new(Vec::with_capacity(80));
    for c in letters.chars().filter(|c| !c.is_whitespace() && *c != '-') {
        let group = symbols.len() / (GROUP_CHARACTERS + 1) + 1;
        let wrong =
            || Error::BadBackup(format!("group {group} of the key has a character that no backup has"));
        symbols.push(symbol(c).ok_or_else(wrong)?);
    }
    if symbols.len() != GROUPS * (GROUP_CHARACTERS + 1) {
        let (found, expected) = (symbols.len(), GROUPS * (GROUP_CHARACTERS + 1));
        return Err(Error::BadBackup(format!("the key has {found} characters, {expected} were expected")));
    }
    let mut plain = Zeroizing::new(Vec::with_capacity(GROUPS * GROUP_CHARACTERS));
    for (number, group) in symbols.chunks(GROUP_CHARACTERS + 1).enumerate() {
        let Some((check, group)) = group.split_last() else { continue };
        if check_symbol(number, group) != *check {
            return Err(Error::BadBackup(format!("group {} of the key is mistyped", number + 1)));
        }
        plain.extend(group);
    }
    let key = key_of(&plain).ok_or_else(|| Error::BadBackup("the last group is mistyped".into()))?;
    let made = made.and_then(|s| UNIX_EPOCH.checked_add(Duration::from_secs(s)));
    let root = RootKey::new(key, made.unwrap_or_else(SystemTime::now));
    if root.id().to_string() != id {
        return Err(Error::BadBackup(format!("the key is {}, but the text says id {id}", root.id())));
    }
    Ok(root)
}

/// 256 bits as 52 symbols of 5 bits, the most significant first; the last four bits are zero.
fn symbols_of(key: &[u8; KEY_BYTES]) -> Zeroizing<Vec<u8>> {
    let bit = |n: usize| key.get(n / 8).map_or(0, |byte| (byte >> (7 - n % 8)) & 1);
    let symbol = |s: usize| (0..5).fold(0, |acc, b| acc << 1 | bit(s * 5 + b));
    Zeroizing::new((0..GROUPS * GROUP_CHARACTERS).map(symbol).collect())
}

fn key_of(symbols: &[u8]) -> Option<Key> {
    let bit = |n: usize| symbols.get(n / 5).map_or(0, |s| (s >> (4 - n % 5)) & 1);
    let mut key = Zeroizing::new([0; KEY_BYTES]);
    for (at, byte) in key.iter_mut().enumerate() {
        *byte = (0..8).fold(0, |acc, b| acc << 1 | bit(at * 8 + b));
    }
    let rest_is_zero = (KEY_BYTES * 8..symbols.len() * 5).all(|n| bit(n) == 0);
    rest_is_zero.then(|| Key::from_bytes(*key))
}

fn check_symbol(number: usize, group: &[u8]) -> u8 {
    let number = u8::try_from(number).unwrap_or(u8::MAX);
    let [first, ..] = secret::digest(&[b"headwater backup group\0", &[number], group]);
    first & 31
}

fn letter(symbol: u8) -> char {
    ALPHABET.get(usize::from(symbol)).map_or('?', |c| char::from(*c))
}

fn symbol(letter: char) -> Option<u8> {
    let letter = match letter.to_ascii_uppercase() {
        'O' => '0',
        'I' | 'L' => '1',
        other => other,
    };
    let at = ALPHABET.iter().position(|c| char::from(*c) == letter)?;
    u8::try_from(at).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn every_key_comes_back(bytes: [u8; 32], made in 0u64..1 << 40) {
            let root = RootKey::new(Key::from_bytes(bytes), UNIX_EPOCH + Duration::from_secs(made));
            let text = write(&root);
            let back = read(&text).unwrap();
            prop_assert_eq!((back.key(), back.made()), (root.key(), root.made()));
        }

        #[test]
        fn no_text_panics(text in ".{0,300}") {
            let _ = read(&format!("{TITLE}\n{text}"));
        }
    }

    #[test]
    fn a_careless_hand_is_forgiven() {
        let root = RootKey::new(Key::from_bytes([0x11; 32]), UNIX_EPOCH);
        let text = write(&root).replace('0', "o").replace(' ', "  ");
        let text = text.replace("id  ", "id ").replace("made  o", "made 0");
        // The id line keeps its digits: it is hexadecimal, where no letter is forgiven.
        let text = text.lines().map(|l| if l.starts_with("id") { l.replace('o', "0") } else { l.into() });
        let text = text.map(|l| if l.starts_with("key") { l.to_lowercase() } else { l }).collect::<Vec<_>>();
        let title = [TITLE.to_string(), text[1..].join("\n")].join("\n");
        assert_eq!(read(&title).unwrap().key(), root.key());
    }

    #[test]
    fn a_mistyped_character_is_noticed_and_mostly_located() {
        let root = RootKey::new(Key::from_bytes([0x5a; 32]), UNIX_EPOCH);
        let text = write(&root);
        let start = text.find("key  ").unwrap() + 5;
        let (mut located, mut tried) = (0, 0);
        for (at, c) in text.char_indices().filter(|(at, c)| *at >= start && ALPHABET.contains(&(*c as u8))) {
            let other = if c == '7' { '8' } else { '7' };
            let mut wrong = text.to_string();
            wrong.replace_range(at..=at, &other.to_string());
            if wrong == *text || wrong[at..].starts_with("key") {
                continue;
            }
            let error = read(&wrong).unwrap_err().to_string();
            tried += 1;
            located += usize::from(error.contains("mistyped"));
        }
        assert_eq!(tried, GROUPS * (GROUP_CHARACTERS + 1));
        assert!(located * 10 >= tried * 8, "{located} of {tried}");
    }

    #[test]
    fn mistakes_are_named() {
        let text = write(&RootKey::new(Key::from_bytes([3; 32]), UNIX_EPOCH)).to_string();
        let cases = [
            ("", "is missing"),
            (&text[..text.len() - 3], "characters"),
            (&text.replace("id   ", "id   ff"), "the text says id"),
            (&text.replace("key  ", "key  U"), "group 1 of the key has a character"),
        ];
        for (text, expected) in cases {
            let error = read(text).unwrap_err().to_string();
            assert!(error.contains(expected), "{error}");
        }
    }
}
