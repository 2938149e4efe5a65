//! The replacements of a value: a tag, a pseudonym, a mask, a hash, other digits, a sealed value, nothing, or the value.
//!
//! In: a finding, its text, whose it is. Out: what stands there instead. Keys are derived from the root key; none is in a pipeline file.

use headwater_contract::choice;
use headwater_vault::Key;

use super::kind::Entity;
use super::normal::{digits, normal};
use super::scanner::Finding;
use super::token::{Class, Tokens};

choice! {
    /// The replacement of a value.
    pub enum Operator {
        /// The tag of its kind: <PHONE>.
        Tag = "tag",
        /// A numbered tag that is the same for the same value within the scope: <PERSON_48392017>.
        Pseudonym = "pseudonym",
        /// Stars, in the layout of what is written.
        Mask = "mask",
        /// A tag with a keyed hash of the value, the same in the whole pipeline.
        Hash = "hash",
        /// Other digits in the same layout, by FF1; a tag where there are fewer than six digits.
        Digits = "digits",
        /// A tag with the value sealed: `headwater redact reveal` reads it.
        Encrypt = "encrypt",
        /// Nothing.
        Drop = "drop",
        /// The value itself.
        Keep = "keep",
    }
}

choice! {
    /// Within what the same value has the same pseudonym.
    pub enum Scope {
        /// One device.
        Device = "device",
        /// One source of one device: a recording, a file.
        Session = "session",
        /// All rows.
        Pipeline = "pipeline",
    }
}

impl Operator {
    /// Returns true if it needs a key.
    pub const fn needs_key(self) -> bool {
        matches!(self, Self::Pseudonym | Self::Hash | Self::Digits | Self::Encrypt)
    }
}

/// Numbers of pseudonyms are below this, eight digits: of a thousand names in one scope two share one in one case of two hundred.
const PSEUDONYMS: u64 = 100_000_000;

/// The identity of a value: its device and its place; never written down, only taken into hashes.
#[derive(Clone, Copy, Debug)]
pub struct Owner<'a> {
    /// The device.
    pub device: &'a str,
    /// The source.
    pub source: &'a str,
    /// The row's number and part.
    pub row: (u64, u32),
}

/// The keys of the operators.
#[derive(Clone, Debug)]
pub struct Keys {
    names: Key,
    digits: Key,
    seal: Key,
}

impl Keys {
    /// Derives them from the root key.
    pub fn new(root: &Key) -> Self {
        let derive = |context: &[u8]| root.derive("redact", context);
        Self { names: derive(b"names"), digits: derive(b"digits"), seal: derive(b"seal") }
    }

    /// The value that a sealed tag holds, if this is one and the key fits.
    pub fn reveal(&self, name: &str, letters: &str) -> Option<String> {
        let sealed = from_letters(letters)?;
        let (nonce, sealed) = sealed.split_first_chunk::<12>()?;
        let plain = self.seal.open(*nonce, name.as_bytes(), sealed)?;
        String::from_utf8(plain.to_vec()).ok()
    }

    /// The digits that [`Operator::Digits`] wrote, as they were.
    pub fn reveal_digits(&self, kind: Entity, value: &str) -> Option<String> {
        let plain = self.digits.decrypt_digits(kind.name().as_bytes(), &digits(value))?;
        Some(in_layout(value, &plain))
    }
}

/// Which operator each kind has, and the keys that they need.
#[derive(Clone, Debug)]
pub struct Operators {
    default: Operator,
    by_kind: Vec<(Entity, Operator)>,
    scope: Scope,
    keys: Option<Keys>,
}

impl Operators {
    /// The operators of a pipeline file.
    pub fn new(
        default: Operator,
        by_kind: Vec<(Entity, Operator)>,
        scope: Scope,
        keys: Option<Keys>,
    ) -> Self {
        Self { default, by_kind, scope, keys }
    }

    /// Returns true if every value becomes the tag of its kind.
    pub fn are_tags(&self) -> bool {
        self.default == Operator::Tag && self.by_kind.iter().all(|(_, operator)| *operator == Operator::Tag)
    }

    /// The operator of a kind.
    pub fn of(&self, kind: Entity) -> Operator {
        self.by_kind.iter().find(|(known, _)| *known == kind).map_or(self.default, |(_, operator)| *operator)
    }

    /// Writes what stands in place of a value; `name` is that of its kind or pattern. Without a key that is needed, its tag.
    pub fn write(&self, finding: &Finding, name: &str, value: &str, owner: Owner<'_>, out: &mut String) {
        let written = match (self.of(finding.kind), &self.keys) {
            (Operator::Drop, _) => Some(String::new()),
            (Operator::Keep, _) => Some(value.to_owned()),
            (Operator::Mask, _) => Some(mask(value)),
            (Operator::Pseudonym, Some(keys)) => {
                let number = u64::from_be_bytes(first(&self.hash(keys, finding.kind, name, value, owner)))
                    % PSEUDONYMS;
                Some(format!("<{name}_{number}>"))
            }
            (Operator::Hash, Some(keys)) => {
                let hash = keys.names.authenticate(&[
                    b"hash",
                    name.as_bytes(),
                    normal(finding.kind, value).as_bytes(),
                ]);
                Some(format!("<{name}:{}>", letters(&first::<8>(&hash))))
            }
            (Operator::Digits, Some(keys)) => {
                let sealed = keys.digits.encrypt_digits(finding.kind.name().as_bytes(), &digits(value));
                sealed.map(|sealed| in_layout(value, &sealed))
            }
            (Operator::Encrypt, Some(keys)) => seal(keys, finding, name, value, owner),
            _ => None,
        };
        match written {
            Some(written) => out.push_str(&written),
            None => out.push_str(&format!("<{name}>")),
        }
    }

    fn hash(&self, keys: &Keys, kind: Entity, name: &str, value: &str, owner: Owner<'_>) -> [u8; 32] {
        let scope: [&[u8]; 2] = match self.scope {
            Scope::Device => [owner.device.as_bytes(), b""],
            Scope::Session => [owner.device.as_bytes(), owner.source.as_bytes()],
            Scope::Pipeline => [b"", b""],
        };
        let [device, source] = scope;
        keys.names.authenticate(&[
            self.scope.word().as_bytes(),
            device,
            source,
            name.as_bytes(),
            normal(kind, value).as_bytes(),
        ])
    }
}

/// Seals a value under a nonce that its place and content fix: the same run gives the same bytes, and no two values share one.
fn seal(keys: &Keys, finding: &Finding, name: &str, value: &str, owner: Owner<'_>) -> Option<String> {
    let (seq, part) = owner.row;
    let place =
        [seq.to_be_bytes(), u64::from(part).to_be_bytes(), (finding.start as u64).to_be_bytes()].concat();
    let nonce = first(&keys.names.authenticate(&[
        b"nonce",
        owner.device.as_bytes(),
        owner.source.as_bytes(),
        &place,
        name.as_bytes(),
        value.as_bytes(),
    ]));
    let sealed = keys.seal.seal(nonce, name.as_bytes(), value.as_bytes()).ok()?;
    Some(format!("<{name}={}>", letters(&[&nonce[..], &sealed].concat())))
}

fn first<const N: usize>(hash: &[u8; 32]) -> [u8; N] {
    let mut short = [0; N];
    for (to, from) in short.iter_mut().zip(hash) {
        *to = *from;
    }
    short
}

/// Bytes as letters from a to p: no digit is among them, so that nothing in a tag looks like a number.
fn letters(bytes: &[u8]) -> String {
    bytes.iter().flat_map(|byte| [byte >> 4, byte & 15]).map(|nibble| char::from(b'a' + nibble)).collect()
}

fn from_letters(letters: &str) -> Option<Vec<u8>> {
    let nibble = |byte: u8| byte.checked_sub(b'a').filter(|nibble| *nibble < 16);
    let pairs = letters.as_bytes().chunks(2);
    pairs
        .map(|pair| match pair {
            &[high, low] => Some(nibble(high)? << 4 | nibble(low)?),
            _ => None,
        })
        .collect()
}

/// Stars for figures; three for a word, so that number words do not show by their length.
fn mask(value: &str) -> String {
    let tokens = Tokens::new(value);
    let mut out = String::new();
    let mut at = 0;
    for index in 0..tokens.len() {
        let token = tokens.at(index);
        out.push_str(value.get(at..token.start).unwrap_or(""));
        match token.class {
            Class::Digits => out.extend(tokens.str(token).chars().map(|_| '*')),
            Class::Word => out.push_str("***"),
            _ => out.push_str(tokens.str(token)),
        }
        at = token.end;
    }
    out
}

/// Other digits in the layout of a value: in place of its figures, or in a row where it was said in words.
fn in_layout(value: &str, sealed: &[u8]) -> String {
    let figures = value.chars().filter(char::is_ascii_digit).count();
    let mut next = sealed.iter().map(|digit| char::from(b'0' + digit));
    if figures != sealed.len() {
        return next.collect();
    }
    value.chars().map(|c| if c.is_ascii_digit() { next.next().unwrap_or('0') } else { c }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(operator: Operator, scope: Scope, kind: Entity, value: &str, owner: (&str, &str)) -> String {
        let keys = Keys::new(&Key::from_bytes([7; 32]));
        let operators = Operators::new(operator, Vec::new(), scope, Some(keys));
        let finding = Finding { kind, start: 0, end: value.len(), score: 1.0, rule: "", pattern: None };
        let mut out = String::new();
        let owner = Owner { device: owner.0, source: owner.1, row: (3, 0) };
        operators.write(&finding, kind.name(), value, owner, &mut out);
        out
    }

    #[test]
    fn pseudonyms_keep_to_their_scope() {
        let name = |scope, value, device, source| {
            written(Operator::Pseudonym, scope, Entity::Phone, value, (device, source))
        };
        let one = name(Scope::Device, "555-0147", "a", "x");
        assert_eq!(one, name(Scope::Device, "five five five oh one four seven", "a", "y"));
        assert_ne!(one, name(Scope::Device, "555-0148", "a", "x"));
        assert_ne!(one, name(Scope::Device, "555-0147", "b", "x"));
        assert_ne!(name(Scope::Session, "555-0147", "a", "x"), name(Scope::Session, "555-0147", "a", "y"));
        assert_eq!(name(Scope::Pipeline, "555-0147", "a", "x"), name(Scope::Pipeline, "555 0147", "b", "y"));
        assert!(one.starts_with("<PHONE_") && one.ends_with('>'));
    }

    #[test]
    fn each_operator_writes_its_form() {
        let check = |operator, kind, value, expected: &str| {
            assert_eq!(written(operator, Scope::Device, kind, value, ("a", "x")), expected);
        };
        check(Operator::Tag, Entity::Card, "4111 1111", "<CARD>");
        check(Operator::Mask, Entity::Card, "4111-1111 x", "****-**** ***");
        check(Operator::Mask, Entity::Phone, "five oh", "*** ***");
        check(Operator::Drop, Entity::Card, "4111", "");
        check(Operator::Keep, Entity::Card, "4111", "4111");
        check(Operator::Digits, Entity::Pin, "4111", "<PIN>");
        let hash = written(Operator::Hash, Scope::Device, Entity::Email, "A@b.com", ("a", "x"));
        assert_eq!(hash, written(Operator::Hash, Scope::Device, Entity::Email, "a at b dot com", ("b", "y")));
        assert!(hash.starts_with("<EMAIL:") && !hash.contains(|c: char| c.is_ascii_digit()));
    }

    #[test]
    fn what_is_sealed_is_revealed_by_the_key_alone() {
        let keys = Keys::new(&Key::from_bytes([7; 32]));
        let tag = written(Operator::Encrypt, Scope::Device, Entity::Card, "4111 1111 1111 1111", ("a", "x"));
        let letters = tag.trim_start_matches("<CARD=").trim_end_matches('>');
        assert_eq!(keys.reveal("CARD", letters).as_deref(), Some("4111 1111 1111 1111"));
        assert_eq!(keys.reveal("PHONE", letters), None);
        assert_eq!(Keys::new(&Key::from_bytes([8; 32])).reveal("CARD", letters), None);
        let other = written(Operator::Digits, Scope::Device, Entity::Card, "4111 1111-1111 1111", ("a", "x"));
        assert_eq!((other.len(), &other[4..5], &other[9..10]), (19, " ", "-"));
        assert_eq!(keys.reveal_digits(Entity::Card, &other).as_deref(), Some("4111 1111-1111 1111"));
    }

    #[test]
    fn a_written_tag_is_read_as_a_tag() {
        for operator in [Operator::Tag, Operator::Pseudonym, Operator::Hash, Operator::Encrypt] {
            let tag = written(operator, Scope::Device, Entity::Phone, "212 555 0147", ("a", "x"));
            let tokens = Tokens::new(&tag);
            assert_eq!((tokens.len(), tokens.at(0).class), (1, Class::Tag(Entity::Phone)), "{tag}");
        }
    }
}
