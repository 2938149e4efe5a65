//! The kinds of personal data that are found, and which of them a scanner looks for.
//!
//! In: nothing. Out: [`Entity`], [`Entities`]. Must not know how an entity is recognised.

use std::fmt;
use std::str::FromStr;

/// A kind of personal data. Its name in capitals is also its tag: [`Entity::Phone`] is written `<PHONE>`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Entity {
    /// A payment card number (ISO/IEC 7812), or a number said to be one.
    Card,
    /// A full date, or any date that is said to be a date of birth.
    Date,
    /// An e-mail address, written or spoken.
    Email,
    /// An international bank account number (ISO 13616).
    Iban,
    /// An IPv4 or IPv6 address.
    Ip,
    /// A number that is personal or may be: accounts, licences, postcodes, misheard digits.
    Num,
    /// A telephone number.
    Phone,
    /// A US social security number.
    Ssn,
    /// A web address or a domain name.
    Url,
}

impl Entity {
    /// Every kind, in the order of their names.
    pub const ALL: [Self; 9] = [
        Self::Card,
        Self::Date,
        Self::Email,
        Self::Iban,
        Self::Ip,
        Self::Num,
        Self::Phone,
        Self::Ssn,
        Self::Url,
    ];

    /// The name as it is written in options, tags and outputs.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Card => "CARD",
            Self::Date => "DATE",
            Self::Email => "EMAIL",
            Self::Iban => "IBAN",
            Self::Ip => "IP",
            Self::Num => "NUM",
            Self::Phone => "PHONE",
            Self::Ssn => "SSN",
            Self::Url => "URL",
        }
    }

    /// What replaces a value of this kind: its name in angle brackets.
    pub const fn tag(self) -> &'static str {
        match self {
            Self::Card => "<CARD>",
            Self::Date => "<DATE>",
            Self::Email => "<EMAIL>",
            Self::Iban => "<IBAN>",
            Self::Ip => "<IP>",
            Self::Num => "<NUM>",
            Self::Phone => "<PHONE>",
            Self::Ssn => "<SSN>",
            Self::Url => "<URL>",
        }
    }

    /// Whether a value of this kind is made of digits; `style = "num"` writes `<NUM>` for these.
    pub const fn is_numeric(self) -> bool {
        !matches!(self, Self::Email | Self::Url)
    }

    const fn bit(self) -> u16 {
        1 << self as u16
    }
}

impl fmt::Display for Entity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A name that is no [`Entity`].
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("unknown entity `{0}`; known: CARD, DATE, EMAIL, IBAN, IP, NUM, PHONE, SSN, URL")]
pub struct UnknownEntity(pub String);

impl FromStr for Entity {
    type Err = UnknownEntity;

    fn from_str(name: &str) -> Result<Self, Self::Err> {
        Self::ALL
            .into_iter()
            .find(|entity| entity.name().eq_ignore_ascii_case(name))
            .ok_or_else(|| UnknownEntity(name.to_owned()))
    }
}

/// A set of [`Entity`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Entities(u16);

impl Entities {
    /// Every kind.
    pub fn all() -> Self {
        Entity::ALL.into_iter().collect()
    }

    /// Whether `entity` is in the set.
    pub const fn contains(self, entity: Entity) -> bool {
        self.0 & entity.bit() != 0
    }
}

impl FromIterator<Entity> for Entities {
    fn from_iter<I: IntoIterator<Item = Entity>>(entities: I) -> Self {
        Self(entities.into_iter().fold(0, |set, entity| set | entity.bit()))
    }
}
