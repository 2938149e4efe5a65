//! Every recogniser in the order in which it is asked: what help, docs and `headwater redact kinds` are made of.
//!
//! In: the tables of the families. Out: one line for each recogniser. It finds nothing itself.

use super::cue;
use super::ids;
use super::kind::Entity;

/// A recogniser.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Recogniser {
    /// The kind that it finds.
    pub kind: Entity,
    /// Its name, as findings tell it.
    pub rule: &'static str,
    /// The name of the check.
    pub check: &'static str,
}

/// The recognisers that no table holds, with what tells a good one; those before the numbers.
#[rustfmt::skip]
const BEFORE: &[(Entity, &str, &str)] = &[
    (Entity::Custom, "denied", "a word of `deny`"), (Entity::Custom, "pattern", "a regular expression, a checksum, context"),
    (Entity::Url, "url", "scheme"), (Entity::Email, "e-mail", "at sign and domain, written or said"),
    (Entity::Email, "e-mail without a dot", "mail provider or context"), (Entity::Email, "e-mail without an at sign", "context"),
    (Entity::Url, "domain", "top-level domain"), (Entity::ApiKey, "known prefix", "prefix and length"), (Entity::Crypto, "wallet", "base58check, bech32"),
    (Entity::ApiKey, "without order", "length and change of letters and figures"), (Entity::ApiKey, "said to be a secret", "context"),
    (Entity::Username, "said to be a user", "context"), (Entity::Username, "handle", "at sign in front"), (Entity::Iban, "iban", "mod 97, length of the country"),
    (Entity::Iban, "iban misheard", "country and digits"), (Entity::Mac, "mac", "form"), (Entity::Mac, "mac said", "form"), (Entity::Ip, "ipv6", "RFC 4291"), (Entity::Coordinates, "coordinates", "range, decimals"),
    (Entity::Date, "date with month", "day, month, year"),
];
/// Those after the codes.
#[rustfmt::skip]
const AFTER: &[(Entity, &str, &str)] = &[
    (Entity::Address, "house and street", "street word"), (Entity::Address, "street and house", "street word"), (Entity::Address, "post box", "form"),
    (Entity::Address, "said to be an address", "context"), (Entity::Address, "address before a code", "postcode"),
    (Entity::Postcode, "postcode form", "form of the country, or a town beside it"), (Entity::Organization, "organisation", "ending"),
    (Entity::Organization, "organisation cue", "context"), (Entity::Person, "title", "Mr, Dr"), (Entity::Person, "name cue", "context"),
    (Entity::Person, "weak name cue", "context and gazetteer"), (Entity::Person, "full name", "gazetteer"), (Entity::Person, "two names", "gazetteer"),
    (Entity::Person, "name speaking", "gazetteer"), (Entity::Person, "name", "gazetteer"), (Entity::Person, "name again", "found before in the text"), (Entity::Person, "initials", "initials"), (Entity::Age, "age", "context"),
    (Entity::Ip, "ipv4", "octets"), (Entity::Date, "date", "day, month, year"), (Entity::DateOfBirth, "date of birth", "context"), (Entity::Time, "time", "hours, minutes"),
    (Entity::Number, "number in context", "three digits after a phrase"), (Entity::Number, "number after a phrase", "five digits, transcripts only"),
    (Entity::Number, "six digits", "no quantity, transcripts only"), (Entity::Number, "spoken digits", "nine said digits"), (Entity::Number, "part of a number", "beside a number, transcripts only"),
    (Entity::Number, "code in context", "letters and digits after a phrase"),
];

/// Every recogniser, in order.
pub fn recognisers() -> Vec<Recogniser> {
    let plain = |rows: &'static [(Entity, &str, &str)]| {
        rows.iter().map(|(kind, rule, check)| Recogniser { kind: *kind, rule, check })
    };
    let codes = ids::CODES.iter().flat_map(|table| table.iter());
    let codes = codes.map(|row| Recogniser { kind: row.kind, rule: row.rule, check: row.check.name });
    let own = ids::OWN.iter().map(|row| Recogniser { kind: row.kind, rule: row.rule, check: row.check });
    let digits = ids::DIGITS.iter().flat_map(|table| table.iter());
    let digits = digits.map(|row| Recogniser { kind: row.kind, rule: row.rule, check: row.check.name });
    let mut all: Vec<_> = plain(BEFORE).chain(codes).chain(plain(AFTER)).chain(own).chain(digits).collect();
    all.dedup();
    all
}

/// The context phrases of a kind.
pub fn phrases(kind: Entity) -> &'static [&'static str] {
    cue::PHRASES.iter().find(|(known, _)| *known == kind).map_or(&[], |(_, phrases)| phrases)
}

/// The kinds as a table in Markdown: name, what it is, recognisers, context.
pub fn markdown() -> String {
    let mut out = String::from("| kind | what it is | by | context, for example |\n|---|---|---|---|\n");
    let all = recognisers();
    for kind in Entity::ALL {
        let mut checks: Vec<&str> =
            all.iter().filter(|r| r.kind == *kind && r.check != "-").map(|r| r.check).collect();
        checks.dedup();
        let context = phrases(*kind).iter().take(4).copied().collect::<Vec<_>>().join(", ");
        let asked = if kind.is_default() { "" } else { " (only if asked for)" };
        out += &format!("| {kind} | {}{asked} | {} | {context} |\n", kind.meaning(), checks.join("; "));
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_has_a_recogniser() {
        let all = recognisers();
        for kind in Entity::ALL {
            assert!(all.iter().any(|recogniser| recogniser.kind == *kind), "{kind}");
        }
    }

    /// `HEADWATER_BLESS=1` writes the table anew.
    #[test]
    fn the_page_has_the_table() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/redaction.md");
        let page = std::fs::read_to_string(path).unwrap();
        let (before, _) =
            page.split_once("| kind | what it is |").unwrap_or((page.trim_end_matches("KINDS\n"), ""));
        let expected = format!("{before}{}", markdown());
        if std::env::var_os("HEADWATER_BLESS").is_some() {
            std::fs::write(path, &expected).unwrap();
        }
        assert!(
            page == expected || std::env::var_os("HEADWATER_BLESS").is_some(),
            "docs/redaction.md has another table; HEADWATER_BLESS=1 writes it"
        );
    }
}
