//! Context words: what a speaker says before giving a number or an address away.
//!
//! In: tokens. Out: [`Cues`], the places of the phrases of [`PHRASES`]. One row = one phrase. Must not know what follows it.

use std::collections::HashMap;
use std::sync::LazyLock;

use super::token::{Class, Tokens};

/// What a phrase promises.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Hint {
    /// A payment card.
    Card,
    /// A telephone number.
    Phone,
    /// A social security number.
    Ssn,
    /// A bank account number.
    Iban,
    /// Some number; a phrase before it says which.
    Any,
    /// A personal number of another kind.
    Number,
    /// A date of birth.
    Birth,
    /// An e-mail address.
    Email,
    /// A web address.
    Url,
}

/// The phrases, in lower case, words apart by one space.
#[rustfmt::skip]
pub const PHRASES: &[(Hint, &[&str])] = &[
    (Hint::Card, &["card", "cards", "credit card", "debit card", "card number", "card no", "cc", "visa", "mastercard",
        "master card", "amex", "american express", "discover card", "card ending in", "ending in", "maestro"]),
    (Hint::Phone, &["phone", "phones", "telephone", "phone number", "cell", "cell phone", "cellphone", "cell number",
        "mobile", "mobile number", "landline", "call", "calling", "call me", "call me back", "call us", "call back",
        "call him", "call her", "ring", "ring me", "dial", "text", "text me", "text us", "reach me", "reach us",
        "reach me at", "reach him", "reach her", "reached at", "reach", "contact", "contact number", "callback",
        "fax", "tel", "desk", "hotline", "whatsapp", "home number", "work number", "office number", "answering",
        "answer at", "messages to", "message to", "sms", "voicemail", "my number", "extension", "pager", "direct line",
        "registered number", "on my registered"]),
    (Hint::Any, &["number is", "numbers are", "number"]),
    (Hint::Ssn, &["ssn", "social", "social security", "social security number", "s s n", "tax id", "taxpayer"]),
    (Hint::Iban, &["iban", "i ban", "wire transfer", "eye ban"]),
    (Hint::Number, &["account", "accounts", "account number", "acct", "routing", "routing number", "sort code", "policy",
        "policy number", "member number", "member id", "membership", "customer number", "client number", "reference",
        "reference number", "confirmation", "confirmation number", "tracking number", "case number", "claim number",
        "order number", "invoice number", "booking number", "reservation", "patient", "patient number", "patient id",
        "record number", "mrn", "medical record", "chart number", "insurance", "insurance number", "medicare", "medicaid",
        "passport", "passport number", "licence", "license", "licence number", "license number", "driver", "drivers",
        "licence plate", "license plate", "serial", "serial number", "pin", "pin code", "pin number", "passcode",
        "security code", "access code", "verification code", "door code", "gate code", "alarm code", "cvv", "cvc", "cvv2",
        "expiry", "expires", "expiration", "zip", "zip code", "postcode", "postal code", "post code", "id number",
        "student id", "employee id", "employee number", "badge number", "badge", "user id", "id is", "national insurance",
        "nhs number", "combination", "locker", "code is", "tax number", "swift", "identification number"]),
    (Hint::Birth, &["born", "born on", "born in", "date of birth", "dob", "d o b", "birthday", "birthdate", "birth date",
        "birth"]),
    (Hint::Email, &["email", "emails", "e mail", "mail", "gmail", "email address", "e mail address", "mail me", "write to me",
        "write me", "inbox", "email is", "electronic mail", "contact me at", "reach me at", "login", "username"]),
    (Hint::Url, &["website", "web site", "site", "web page", "webpage", "url", "domain", "homepage", "browse", "visit"]),
];

/// Every phrase.
pub fn phrases() -> impl Iterator<Item = &'static str> {
    PHRASES.iter().flat_map(|(_, list)| list.iter().copied())
}

type Heads = HashMap<&'static str, Vec<(Vec<&'static str>, Hint)>>;

/// The phrases by their first word, longest first.
static HEADS: LazyLock<Heads> = LazyLock::new(|| {
    let mut heads = Heads::new();
    for &(hint, list) in PHRASES {
        for phrase in list {
            let words: Vec<_> = phrase.split(' ').collect();
            if let Some(&first) = words.first() {
                heads.entry(first).or_default().push((words, hint));
            }
        }
    }
    for rows in heads.values_mut() {
        rows.sort_by_key(|(words, _)| std::cmp::Reverse(words.len()));
    }
    heads
});

/// A phrase found: its last token and what it promises.
#[derive(Clone, Copy, Debug)]
pub struct Cue {
    /// Index of its first token.
    pub first: usize,
    /// Index of its last token.
    pub last: usize,
    /// What it promises.
    pub hint: Hint,
}

/// The context phrases of a text, in order.
#[derive(Debug, Default)]
pub struct Cues(Vec<Cue>);

impl Cues {
    /// Finds the phrases; the longest wins where several begin with the same word.
    pub fn new(tokens: &Tokens<'_>) -> Self {
        let mut cues = Vec::new();
        for index in 0..tokens.len() {
            let token = tokens.at(index);
            if token.meaning.cue {
                let head = tokens.str(token).to_ascii_lowercase();
                let rows = HEADS.get(head.as_str()).map_or(&[][..], Vec::as_slice);
                cues.extend(rows.iter().filter_map(|(words, hint)| matched(tokens, index, words, *hint)));
            }
        }
        Self(cues)
    }

    /// The cues that end before the token `index` and begin at or after `from`, the nearest first.
    pub fn before(&self, index: usize, from: usize) -> impl Iterator<Item = Cue> + '_ {
        let upto = self.0.partition_point(|cue| cue.first < index);
        self.0
            .get(..upto)
            .unwrap_or(&[])
            .iter()
            .rev()
            .take_while(move |cue| cue.first >= from)
            .filter(move |cue| cue.last < index)
            .copied()
    }
}

fn matched(tokens: &Tokens<'_>, first: usize, words: &[&str], hint: Hint) -> Option<Cue> {
    let mut at = first;
    for (place, word) in words.iter().enumerate() {
        if place > 0 && tokens.at(at).is(b'-') {
            at += 1;
        }
        let token = tokens.at(at);
        if token.class != Class::Word || !tokens.str(token).eq_ignore_ascii_case(word) {
            return None;
        }
        at += 1;
    }
    Some(Cue { first, last: at - 1, hint })
}
