//! The kinds of personal data that are found, and which of them a scanner looks for.
//!
//! In: nothing. Out: [`Entity`], [`Entities`]. One row of the table below is one kind. Must not know how a kind is recognised.

use std::fmt;
use std::str::FromStr;

/// The symbols of which a value of a kind is made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Nature {
    /// Digits alone, or digits with a few letters: `style = "num"` writes `<NUMBER>` for it.
    Number,
    /// Words.
    Text,
}

macro_rules! entities {
    ($($(#[doc = $doc:literal])+ $variant:ident = $name:literal, $nature:ident, $set:ident;)+) => {
        /// A kind of personal data. Its name in capitals is also its tag: [`Entity::Phone`] is written `<PHONE>`.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub enum Entity {
            $($(#[doc = $doc])+ $variant,)+
        }

        impl Entity {
            /// Every kind, in the order of the table.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)+];

            /// The names of all kinds.
            pub const NAMES: &'static [&'static str] = &[$($name,)+];

            /// The name as it is written in options, tags and outputs.
            pub const fn name(self) -> &'static str {
                match self { $(Self::$variant => $name,)+ }
            }

            /// Returns the tag that replaces a value of this kind: its name in angle brackets.
            pub const fn tag(self) -> &'static str {
                match self { $(Self::$variant => concat!("<", $name, ">"),)+ }
            }

            /// Returns the meaning of the kind, in a sentence.
            pub const fn meaning(self) -> &'static str {
                match self { $(Self::$variant => concat!($($doc),+).trim_ascii(),)+ }
            }

            /// Returns the symbols of which its values are made.
            pub const fn nature(self) -> Nature {
                match self { $(Self::$variant => Nature::$nature,)+ }
            }

            /// Returns true if it is looked for unless the options say otherwise.
            pub const fn is_default(self) -> bool {
                match self { $(Self::$variant => matches!(Set::$set, Set::Default),)+ }
            }
        }
    };
}

/// True if a kind is looked for unless the options say otherwise.
enum Set {
    Default,
    Asked,
}

entities! {
    /// A payment card number (ISO/IEC 7812), or a number said to be one.
    Card = "CARD", Number, Default;
    /// The check number of a card, by context.
    Cvv = "CVV", Number, Default;
    /// A personal identification number, by context.
    Pin = "PIN", Number, Default;
    /// The date until which a card is valid, by context.
    CardExpiry = "CARD_EXPIRY", Number, Default;
    /// An international bank account number (ISO 13616).
    Iban = "IBAN", Number, Default;
    /// A bank's identifier (ISO 9362), by context.
    Bic = "BIC", Number, Default;
    /// A US bank routing number (ABA), by context.
    Aba = "ABA", Number, Default;
    /// A bank account number, by context.
    BankAccount = "BANK_ACCOUNT", Number, Default;
    /// A US social security number.
    Ssn = "SSN", Number, Default;
    /// A US individual taxpayer number.
    Itin = "ITIN", Number, Default;
    /// A US employer number, by context.
    Ein = "EIN", Number, Default;
    /// A telephone number.
    Phone = "PHONE", Number, Default;
    /// An e-mail address, written or spoken.
    Email = "EMAIL", Text, Default;
    /// A web address or a domain name.
    Url = "URL", Text, Default;
    /// An IPv4 or IPv6 address.
    Ip = "IP", Number, Default;
    /// The hardware address of a network device (IEEE 802).
    Mac = "MAC", Number, Default;
    /// The serial number of a mobile phone (3GPP TS 23.003).
    Imei = "IMEI", Number, Default;
    /// A vehicle identification number (ISO 3779).
    Vin = "VIN", Number, Default;
    /// A full date.
    Date = "DATE", Number, Default;
    /// A date that is said to be a person's birth.
    DateOfBirth = "DATE_OF_BIRTH", Number, Default;
    /// A time of day.
    Time = "TIME", Number, Asked;
    /// A person's age.
    Age = "AGE", Number, Default;
    /// A postal address, or a part of one that names the house.
    Address = "ADDRESS", Text, Default;
    /// A postcode.
    Postcode = "POSTCODE", Number, Default;
    /// The name of a person.
    Person = "PERSON", Text, Default;
    /// The name of an organisation, by its ending or by context.
    Organization = "ORGANIZATION", Text, Default;
    /// A passport number, by context.
    Passport = "PASSPORT", Number, Default;
    /// A driving licence number.
    DrivingLicence = "DRIVING_LICENCE", Number, Default;
    /// A vehicle's plate.
    VehiclePlate = "VEHICLE_PLATE", Number, Default;
    /// A medical record number, by context.
    MedicalRecord = "MEDICAL_RECORD", Number, Default;
    /// A US Medicare beneficiary identifier.
    Mbi = "MBI", Number, Default;
    /// A US national provider identifier, by context.
    Npi = "NPI", Number, Default;
    /// The address of a crypto wallet (base58check, bech32, EIP-55).
    Crypto = "CRYPTO", Text, Default;
    /// A key, token or password that opens something.
    ApiKey = "API_KEY", Text, Default;
    /// A place in degrees.
    Coordinates = "COORDINATES", Number, Default;
    /// The name of a user at some service, by context or with an at sign.
    Username = "USERNAME", Text, Default;
    /// A UK National Health Service number.
    UkNhs = "UK_NHS", Number, Default;
    /// A UK national insurance number.
    UkNino = "UK_NINO", Number, Default;
    /// An Indian Aadhaar number.
    InAadhaar = "IN_AADHAAR", Number, Default;
    /// An Indian permanent account number.
    InPan = "IN_PAN", Number, Default;
    /// An Indian goods and services tax number.
    InGstin = "IN_GSTIN", Number, Default;
    /// A Polish PESEL number.
    PlPesel = "PL_PESEL", Number, Default;
    /// A Canadian social insurance number.
    CaSin = "CA_SIN", Number, Default;
    /// A Spanish tax identity number.
    EsNif = "ES_NIF", Number, Default;
    /// A Spanish number of a foreigner.
    EsNie = "ES_NIE", Number, Default;
    /// A German tax identification number.
    DeTaxId = "DE_TAX_ID", Number, Default;
    /// A German pension insurance number.
    DeSocial = "DE_SOCIAL", Number, Default;
    /// The number of a German identity card, by context.
    DeIdCard = "DE_ID_CARD", Number, Default;
    /// A French social security number.
    FrInsee = "FR_INSEE", Number, Default;
    /// An Italian fiscal code.
    ItFiscalCode = "IT_FISCAL_CODE", Number, Default;
    /// An Australian tax file number.
    AuTfn = "AU_TFN", Number, Default;
    /// An Australian business number.
    AuAbn = "AU_ABN", Number, Default;
    /// An Australian company number.
    AuAcn = "AU_ACN", Number, Default;
    /// An Australian Medicare number.
    AuMedicare = "AU_MEDICARE", Number, Default;
    /// A Brazilian number of a person.
    BrCpf = "BR_CPF", Number, Default;
    /// A Brazilian number of a company.
    BrCnpj = "BR_CNPJ", Number, Default;
    /// A Singaporean identity number.
    SgNric = "SG_NRIC", Number, Default;
    /// A Swedish personal identity number.
    SePersonnummer = "SE_PERSONNUMMER", Number, Default;
    /// A Korean resident registration number.
    KrRrn = "KR_RRN", Number, Default;
    /// A Thai identity number.
    ThTnin = "TH_TNIN", Number, Default;
    /// A Turkish identity number.
    TrTckn = "TR_TCKN", Number, Default;
    /// A South African identity number.
    ZaId = "ZA_ID", Number, Default;
    /// A Mexican population registry code.
    MxCurp = "MX_CURP", Number, Default;
    /// A number that is personal or may be: policies, licences, misheard digits.
    Number = "NUMBER", Number, Default;
    /// A word of `deny`, or what a pattern of the pipeline file finds.
    Custom = "CUSTOM", Text, Default;
}

impl Entity {
    /// Returns true if a value of this kind is made of digits; `style = "num"` writes `<NUMBER>` for these.
    #[inline]
    pub const fn is_numeric(self) -> bool {
        matches!(self.nature(), Nature::Number)
    }

    /// The country whose number it is, as the start of its name says ("UK", "DE").
    pub fn country(self) -> Option<&'static str> {
        let (country, rest) = self.name().split_at_checked(2)?;
        (rest.starts_with('_')).then_some(country).or(match self {
            Self::Ssn | Self::Itin | Self::Ein | Self::Mbi | Self::Npi | Self::Aba => Some("US"),
            _ => None,
        })
    }

    /// Returns true if numbers close to it may be parts of it: it is a row of digits, no date, no address.
    #[inline]
    pub const fn is_row_of_digits(self) -> bool {
        self.is_numeric()
            && !matches!(
                self,
                Self::Ip
                    | Self::Mac
                    | Self::Date
                    | Self::DateOfBirth
                    | Self::Time
                    | Self::Age
                    | Self::Coordinates
                    | Self::CardExpiry
                    | Self::Vin
            )
    }

    #[inline]
    const fn bit(self) -> u128 {
        1 << self as u128
    }
}

impl fmt::Display for Entity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A name that is no [`Entity`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnknownEntity(pub String);

impl fmt::Display for UnknownEntity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "unknown entity `{}`; known: {}", self.0, Entity::NAMES.join(", "))
    }
}

impl std::error::Error for UnknownEntity {}

impl FromStr for Entity {
    type Err = UnknownEntity;

    fn from_str(name: &str) -> Result<Self, Self::Err> {
        Self::ALL
            .iter()
            .copied()
            .find(|entity| entity.name().eq_ignore_ascii_case(name))
            .ok_or_else(|| UnknownEntity(name.to_owned()))
    }
}

/// A set of [`Entity`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Entities(u128);

impl Entities {
    /// Every kind.
    pub fn all() -> Self {
        Entity::ALL.iter().copied().collect()
    }

    /// The kinds that are looked for unless the options say otherwise.
    pub fn usual() -> Self {
        Entity::ALL.iter().copied().filter(|entity| entity.is_default()).collect()
    }

    /// Returns true if `entity` is in the set.
    #[inline]
    pub const fn contains(self, entity: Entity) -> bool {
        self.0 & entity.bit() != 0
    }
}

impl FromIterator<Entity> for Entities {
    fn from_iter<I: IntoIterator<Item = Entity>>(entities: I) -> Self {
        Self(entities.into_iter().fold(0, |set, entity| set | entity.bit()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_set_has_room_for_every_kind() {
        assert!(Entity::ALL.len() <= 128);
        assert!(Entity::ALL.iter().all(|entity| Entities::all().contains(*entity)));
        assert!(!Entities::usual().contains(Entity::Time));
    }

    #[test]
    fn names_are_read_in_any_case() {
        assert_eq!("uk_nino".parse(), Ok(Entity::UkNino));
        assert!("NAME".parse::<Entity>().unwrap_err().to_string().contains("PERSON"));
        assert_eq!(
            (Entity::UkNino.country(), Entity::Ssn.country(), Entity::Card.country()),
            (Some("UK"), Some("US"), None)
        );
    }
}
