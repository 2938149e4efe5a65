//! Options of the redactor that the contract has no form for: kinds, countries, patterns, operators by kind.
//!
//! In: TOML values. Out: typed options, or what was expected.

use headwater_contract::{OptionType, Shape, toml};
use regex::RegexBuilder;

use super::custom::{Checksum, Pattern};
use super::kind::Entity;
use super::operator::Operator;
use super::scanner::{Profile, Style};

/// Gives a plain enum the face of an option with a fixed set of words.
macro_rules! words {
    ($type:ty, $($word:literal => $value:expr),+ $(,)?) => {
        impl OptionType for $type {
            fn shape() -> Shape {
                Shape::Choice(&[$($word),+])
            }
            fn read(value: &toml::Value) -> std::result::Result<Self, String> {
                match value.as_str() {
                    $(Some($word) => Ok($value),)+
                    _ => Err(format!("expected {}", Self::shape().expected())),
                }
            }
            fn show(&self) -> String {
                $(if *self == $value {
                    return format!("{:?}", $word);
                })+
                String::new()
            }
        }
    };
}

words!(Profile, "transcript" => Profile::Transcript, "text" => Profile::Text);
words!(Style, "tag" => Style::Tag, "num" => Style::Num);

impl OptionType for Entity {
    fn shape() -> Shape {
        Shape::Choice(Entity::NAMES)
    }
    fn read(value: &toml::Value) -> Result<Self, String> {
        let known = value.as_str().and_then(|name| Entity::ALL.iter().find(|entity| entity.name() == name));
        known.copied().ok_or_else(|| format!("expected {}", Self::shape().expected()))
    }
    fn show(&self) -> String {
        format!("{:?}", self.name())
    }
}

/// A country whose national numbers are known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Country(&'static str);

impl Country {
    /// Every one, by its two letters.
    pub fn all() -> Vec<Self> {
        Self::CODES.iter().map(|code| Self(code)).collect()
    }

    const CODES: &'static [&'static str] = &[
        "US", "UK", "IN", "PL", "CA", "ES", "DE", "FR", "IT", "AU", "BR", "SG", "SE", "KR", "TH", "TR", "ZA",
        "MX",
    ];

    /// Its two letters.
    pub const fn code(self) -> &'static str {
        self.0
    }
}

impl OptionType for Country {
    fn shape() -> Shape {
        Shape::Choice(Self::CODES)
    }
    fn read(value: &toml::Value) -> Result<Self, String> {
        let known = value.as_str().and_then(|code| Self::CODES.iter().find(|known| **known == code));
        known.map(|code| Self(code)).ok_or_else(|| format!("expected {}", Self::shape().expected()))
    }
    fn show(&self) -> String {
        format!("{:?}", self.0)
    }
}

/// A pattern as it stands in the file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PatternOption {
    name: String,
    regex: String,
    checksum: Option<Checksum>,
    context: Vec<String>,
}

/// A regular expression may take so much memory when it is compiled.
const COMPILED: usize = 1 << 20;

impl PatternOption {
    /// The pattern ready to be used, or why it cannot be.
    pub fn compiled(&self) -> Result<Pattern, String> {
        let regex = RegexBuilder::new(&self.regex).size_limit(COMPILED).build();
        let regex = regex.map_err(|_| format!("the `regex` of {} is none, or too large", self.name))?;
        if regex.is_match("") {
            return Err(format!("the `regex` of {} matches an empty text", self.name));
        }
        Ok(Pattern { name: self.name.clone(), regex, checksum: self.checksum, context: self.context.clone() })
    }
}

const PATTERN: &str = "`name` (capitals and underscores), `regex`, and perhaps `checksum` (luhn, mod97, verhoeff) and `context` (a list)";

impl OptionType for PatternOption {
    fn shape() -> Shape {
        Shape::Table(PATTERN)
    }
    fn read(value: &toml::Value) -> Result<Self, String> {
        let expected = || format!("expected a table of {PATTERN}");
        let table = value.as_table().ok_or_else(expected)?;
        let text = |key: &str| table.get(key).and_then(toml::Value::as_str).map(str::to_owned);
        let (Some(name), Some(regex)) = (text("name"), text("regex")) else { return Err(expected()) };
        let tag = name.bytes().all(|byte| byte.is_ascii_uppercase() || byte == b'_')
            && name.starts_with(|c: char| c != '_')
            && !name.ends_with('_');
        let known = ["name", "regex", "checksum", "context"];
        if !tag || table.keys().any(|key| !known.contains(&key.as_str())) {
            return Err(expected());
        }
        let checksum = match table.get("checksum").map(toml::Value::as_str) {
            None => None,
            Some(Some("luhn")) => Some(Checksum::Luhn),
            Some(Some("mod97")) => Some(Checksum::Mod97),
            Some(Some("verhoeff")) => Some(Checksum::Verhoeff),
            Some(_) => return Err(expected()),
        };
        let context = match table.get("context") {
            None => Vec::new(),
            Some(list) => Vec::<String>::read(list).map_err(|_| expected())?,
        };
        let context = context.iter().map(|word| word.to_lowercase()).collect();
        Ok(Self { name, regex, checksum, context })
    }
    fn show(&self) -> String {
        let mut table = toml::Table::new();
        table.insert("name".into(), self.name.clone().into());
        table.insert("regex".into(), self.regex.clone().into());
        toml::Value::Table(table).to_string()
    }
}

/// Operators by kind.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ByKind(pub Vec<(Entity, Operator)>);

impl OptionType for ByKind {
    fn shape() -> Shape {
        Shape::Table("kinds and operators, such as { CARD = \"mask\" }")
    }
    fn read(value: &toml::Value) -> Result<Self, String> {
        let expected = || format!("expected {}", Self::shape().expected());
        let mut by_kind = Vec::new();
        let mut errors = Vec::new();
        for (name, operator) in value.as_table().ok_or_else(expected)? {
            match (name.parse::<Entity>(), Operator::read(operator)) {
                (Ok(kind), Ok(operator)) => by_kind.push((kind, operator)),
                (Err(_), _) => {
                    errors.push(format!("a kind in place of `{name}` (see `headwater redact kinds`)"));
                }
                (_, Err(_)) => errors.push(format!("for {name} {}", Operator::shape().expected())),
            }
        }
        if errors.is_empty() { Ok(Self(by_kind)) } else { Err(format!("expected {}", errors.join("; "))) }
    }
    fn show(&self) -> String {
        let entries = self.0.iter().map(|(kind, operator)| format!("{kind} = {:?}", operator.word()));
        format!("{{ {} }}", entries.collect::<Vec<_>>().join(", "))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_country_of_a_kind_is_known() {
        for code in Entity::ALL.iter().filter_map(|kind| kind.country()) {
            assert!(Country::CODES.contains(&code), "{code}");
        }
    }

    #[test]
    fn patterns_and_operators_are_read_or_told() {
        let value = |text: &str| text.parse::<toml::Table>().unwrap().remove("v").unwrap();
        let good =
            PatternOption::read(&value("v = { name = 'TICKET', regex = 'T-[0-9]+', context = ['Ticket'] }"))
                .unwrap();
        assert_eq!((good.compiled().unwrap().context, good.checksum), (vec!["ticket".to_owned()], None));
        for bad in [
            "v = 1",
            "v = { name = 'x', regex = 'a' }",
            "v = { name = 'X' }",
            "v = { name = 'X', regex = 'a', checksum = 'crc' }",
        ] {
            assert!(PatternOption::read(&value(bad)).unwrap_err().starts_with("expected a table"), "{bad}");
        }
        for bad in ["(", "a*"] {
            let option =
                PatternOption::read(&value(&format!("v = {{ name = 'X', regex = '{bad}' }}"))).unwrap();
            assert!(option.compiled().is_err(), "{bad}");
        }
        assert_eq!(
            ByKind::read(&value("v = { CARD = 'mask' }")).unwrap().0,
            [(Entity::Card, Operator::Mask)]
        );
        let actual = ByKind::read(&value("v = { CARDS = 'mask', PIN = 'burn' }")).unwrap_err();
        assert!(actual.contains("`CARDS`") && actual.contains("for PIN"), "{actual}");
    }
}
