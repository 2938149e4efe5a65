//! Context words: what a speaker says before giving a number or an address away.
//!
//! In: tokens. Out: [`Cues`], the places of the phrases of [`PHRASES`]. One row = one kind. Must not know what follows it.

use std::collections::HashMap;
use std::sync::LazyLock;

use super::kind::Entity;
use super::token::{Class, Tokens, seed};

/// The promise of a phrase.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Hint {
    /// Some number; a phrase before it says which.
    Any,
    /// A value of this kind.
    Of(Entity),
}

impl Hint {
    /// Returns true if a value made of digits is promised.
    #[inline]
    pub const fn is_for_digits(self) -> bool {
        !matches!(
            self,
            Self::Of(Entity::Email | Entity::Url | Entity::ApiKey | Entity::Username | Entity::Address)
        )
    }
}

/// Phrases that promise some number.
#[rustfmt::skip]
pub const VAGUE: &[&str] = &[
    "number is", "numbers are", "number", "digits are", "numero", "nummer", "take this down", "write this down", "jot this down", "note this down",
    "copy this down", "got a pen",
];

/// The phrases by kind, in lower case, words apart by one space. Apostrophes and hyphens are spaces.
#[rustfmt::skip]
pub const PHRASES: &[(Entity, &[&str])] = &[
    (Entity::Card, &["card", "cards", "credit card", "debit card", "card number", "card no", "cc", "visa", "mastercard",
        "master card", "amex", "american express", "discover card", "card ending in", "ending in", "ends in", "ends with", "ending with", "card ends", "visa ends", "maestro", "kreditkarte",
        "carte bancaire", "kartennummer", "tarjeta", "diners club", "gift card", "card ending", "one ending", "long number", "long card number", "sixteen digits", "sixteen digits on the front", "bank card", "sixteen digits on the card"]),
    (Entity::Cvv, &["cvv", "cvc", "cvv2", "cvc2", "csc", "security code", "card security code", "verification value",
        "back it says", "back says", "digits on the back", "number on the back", "numbers on the back", "code on the back", "back are", "back is", "reverse", "reverse is", "digits on the reverse",
        "digits on the front",
        "code on the front", "see vv", "cvv code", "cid", "prüfnummer", "prüfziffer", "kartenprüfnummer", "código de seguridad", "codice di sicurezza",
        "cryptogramme", "código de segurança"]),
    (Entity::Pin, &["pin", "pin code", "pin number", "pin is", "passcode", "access code", "door code", "gate code",
        "alarm code", "unlock code", "verification code", "one time code", "otp", "authentication code", "safe code",
        "confirmation pin", "combination", "entry code", "keypad code", "2fa code"]),
    (Entity::CardExpiry, &["expiry", "expires", "expiration", "expiry date", "expiration date", "exp", "exp date",
        "valid until", "valid through", "valid thru", "good thru", "good through", "expiring", "expires on", "expires end of", "expires at the end of", "gültig bis", "caduca",
        "caducidad", "scadenza", "validade", "date d expiration", "expire", "expira", "vence", "ważna do", "läuft ab", "giltig till", "utgår", "runs out",
        "runs out in", "válida hasta"]),
    (Entity::Iban, &["iban", "i ban", "wire transfer", "eye ban"]),
    (Entity::Bic, &["bic", "swift", "swift code", "bic code", "swift bic"]),
    (Entity::Aba, &["routing", "routing number", "aba", "aba number", "routing transit number", "rtn", "transit number",
        "routing code", "bank routing"]),
    (Entity::BankAccount, &["account", "accounts", "account number", "acct", "account no", "bank account",
        "checking account", "savings account", "sort code", "kontonummer", "konto", "bankleitzahl", "bsb", "giro",
        "beneficiary account", "acct no", "acc no", "a c no", "a c number", "a c", "acc", "account ending", "account ending in", "cuenta",
        "número de cuenta", "numéro de compte", "conto", "rachunek", "numer konta", "blz", "roll number"]),
    (Entity::Ssn, &["ssn", "social", "social security", "social security number", "tax id", "taxpayer", "ss number",
        "soc", "soc sec", "soc sec number", "last four of my social", "socials"]),
    (Entity::Itin, &["itin", "individual taxpayer", "taxpayer identification number", "individual taxpayer number", "i tin", "eye tin"]),
    (Entity::Ein, &["ein", "employer identification", "employer identification number", "fein", "federal tax id", "business tax id", "company tax id", "tax id for the business", "tax id for the company"]),
    (Entity::Phone, &["phone", "phones", "telephone", "phone number", "cell", "cell phone", "cellphone", "cell number",
        "mobile", "mobile number", "landline", "call", "calling", "call me", "call me back", "call us", "call back",
        "call him", "call her", "ring", "ring me", "dial", "text", "text me", "text us", "reach me", "reach us",
        "reach me at", "reach him", "reach her", "reached at", "reach", "contact", "contact number", "callback",
        "fax", "tel", "desk", "hotline", "whatsapp", "home number", "work number", "office number", "answering",
        "answer at", "messages to", "message to", "sms", "voicemail", "my number", "extension", "pager", "direct line",
        "registered number", "on my registered", "telefon", "handy", "telefonnummer", "rufnummer", "téléphone", "telefono",
        "teléfono", "portable", "message me", "phoned", "called from", "number to reach", "mob", "helpline", "toll free",
        "ph", "contact me", "our number", "his number", "her number", "their number", "your number",
        "handynummer", "mobilnummer", "mobil", "meine nummer", "numéro de téléphone", "mon numéro", "mi número", "número de teléfono",
        "móvil", "celular", "telefone", "meu número", "numero di telefono", "il mio numero", "cellulare", "numer telefonu", "mój numer",
        "telefonu", "ext", "mobiltelefon", "telefonnr", "tél", "puhelin", "telefoon"]),
    (Entity::Mac, &["mac address", "hardware address", "ethernet address"]),
    (Entity::Imei, &["imei", "imei number"]),
    (Entity::Vin, &["vin", "vin number", "vehicle identification number", "chassis number", "chassis"]),
    (Entity::DateOfBirth, &["born", "born on", "born in", "date of birth", "dob", "birthday", "birthdate",
        "birth date", "birth", "geburtsdatum", "geboren", "né le", "née le", "date de naissance", "b day", "bday"]),
    (Entity::Postcode, &["zip", "zip code", "zipcode", "postcode", "postal code", "post code", "plz", "postleitzahl",
        "code postal", "zip is", "area zip", "eircode", "air code", "cep", "código postal", "codigo postal", "pincode", "kod pocztowy",
        "postnummer"]),
    (Entity::Passport, &["passport", "passport number", "passport no", "passport id", "reisepass", "passeport", "pasaporte",
        "passnummer", "pass nr", "paszport", "passaporto", "passaporte", "paspoort"]),
    (Entity::DrivingLicence, &["licence", "license", "driver s license", "driver s licence", "drivers license",
        "drivers licence", "licence number", "license number", "driving licence", "driving license", "driver license", "dl",
        "dl number", "permit number", "führerschein", "führerscheinnummer", "fahrerlaubnis", "permis de conduire", "driver id", "patente", "patente di guida", "permiso de conducir", "carnet de conducir", "prawo jazdy", "rijbewijs", "körkort", "driver lic", "drivers lic", "lic no", "dl no", "führerschein nr"]),
    (Entity::VehiclePlate, &["licence plate", "license plate", "number plate", "plate", "plates", "plate number",
        "registration plate", "vehicle registration", "car registration", "tag number", "kennzeichen", "reg number",
        "registration number", "matricula", "immatriculation", "car reg", "reg", "rego", "registration is", "vehicle reg", "targa", "kenteken", "matrícula"]),
    (Entity::MedicalRecord, &["mrn", "medical record", "medical record number", "chart number", "patient", "patient number",
        "patient id", "record number", "hospital number", "medical id", "patient identifier", "health record", "medical number", "hospital no", "patient no", "chart no", "unit number"]),
    (Entity::Mbi, &["mbi", "medicare beneficiary", "medicare beneficiary identifier", "medicare id", "medicare number", "medicare",
        "medicare claim number"]),
    (Entity::Npi, &["npi", "provider identifier", "provider number", "provider id", "npi number"]),
    (Entity::Crypto, &["wallet", "bitcoin", "btc", "ethereum", "eth", "wallet address", "crypto"]),
    (Entity::Coordinates, &["coordinates", "latitude", "longitude", "lat", "lon", "lng", "gps", "geolocation", "lat long"]),
    (Entity::UkNhs, &["nhs", "nhs number", "national health service", "nhs no"]),
    (Entity::UkNino, &["national insurance", "national insurance number", "nino", "ni number", "n i number", "ni no"]),
    (Entity::InAadhaar, &["aadhaar", "aadhar", "adhar", "aadhaar number", "uidai", "aadhaar card", "aadhar card", "uid number"]),
    (Entity::InPan, &["pan", "pan card", "pan number", "permanent account number", "pan no"]),
    (Entity::InGstin, &["gst", "gstin", "gst number"]),
    (Entity::PlPesel, &["pesel", "numer pesel"]),
    (Entity::CaSin, &["sin", "social insurance", "social insurance number", "sin number", "numéro d assurance sociale"]),
    (Entity::EsNif, &["nif", "dni", "documento nacional", "número de identificación"]),
    (Entity::EsNie, &["nie", "número de extranjero"]),
    (Entity::DeTaxId, &["steuer id", "steueridentifikationsnummer", "steuer identifikationsnummer", "steuernummer", "idnr",
        "tax identification number", "identifikationsnummer"]),
    (Entity::DeSocial, &["sozialversicherungsnummer", "rentenversicherungsnummer", "rvnr", "versicherungsnummer",
        "sozialversicherung"]),
    (Entity::DeIdCard, &["personalausweis", "personalausweisnummer", "ausweisnummer", "identity card", "ausweis", "id card"]),
    (Entity::FrInsee, &["insee", "numéro de sécurité sociale", "sécurité sociale", "securite sociale", "numéro insee", "nir"]),
    (Entity::ItFiscalCode, &["codice fiscale", "fiscal code"]),
    (Entity::AuTfn, &["tfn", "tax file number", "tax file"]),
    (Entity::AuAbn, &["abn", "australian business number"]),
    (Entity::AuAcn, &["acn", "australian company number"]),
    (Entity::AuMedicare, &["medicare card", "medicare card number", "australian medicare", "medicare no"]),
    (Entity::BrCpf, &["cpf"]),
    (Entity::BrCnpj, &["cnpj"]),
    (Entity::SgNric, &["nric", "fin number", "singpass", "nric number"]),
    (Entity::SePersonnummer, &["personnummer", "personal identity number", "samordningsnummer"]),
    (Entity::KrRrn, &["rrn", "resident registration", "resident registration number", "korean id"]),
    (Entity::ThTnin, &["thai id", "thai national id", "thai identity"]),
    (Entity::TrTckn, &["tckn", "tc kimlik", "kimlik", "kimlik no", "turkish id", "t c kimlik"]),
    (Entity::ZaId, &["south african id", "sa id", "rsa id", "za id"]),
    (Entity::Address, &["address", "address is", "home address", "billing address", "mailing address", "shipping address", "delivery address",
        "postal address", "live at", "lives at", "lived at", "living at", "reside at", "resides at", "residing at", "staying at", "moved to",
        "deliver to", "delivery to", "property", "property is", "premises", "located at", "house is", "delivered to", "deliver it to", "ship to", "shipped to", "send it to", "sent it to", "pick me up at", "pick me up from",
        "pick up at", "pick up from", "pickup at", "pickup from", "pickup is at", "drop off at", "drop me at", "drop me off at", "take me to",
        "navigate to", "directions to", "house no", "door no", "flat no", "plot no", "h no", "d no", "house number", "plot number", "flat number",
        "anschrift", "adresse", "adress", "adres", "dirección", "direccion", "indirizzo", "endereço", "domicilio", "wohnhaft", "wohne in"]),
    (Entity::MxCurp, &["curp"]),
    (Entity::Number, &["policy", "policy number", "customer no", "client no", "member no", "policy no", "order no", "invoice no", "case no", "claim no",
        "ref no", "reference no", "booking no", "employee no", "badge no", "membership no", "member number", "member id", "membership", "customer number",
        "client number", "reference", "reference number", "confirmation", "confirmation number", "tracking number",
        "case number", "claim number", "order number", "invoice number", "booking number", "reservation", "insurance",
        "insurance number", "medicaid", "serial", "serial number", "id number", "student id", "employee id",
        "employee number", "badge number", "badge", "id is", "locker", "code is", "tax number", "identification number",
        "customer id", "member", "group number", "national id", "national id number", "identity number", "personal id", "loyalty number", "frequent flyer",
        "prescription", "prescription number", "rx number", "loan number", "beneficiary number", "confirmation code",
        "ident", "kundennummer", "vertragsnummer", "matrikelnummer", "policyholder", "enrollment number", "voter id",
        "ration card", "military id", "service number", "aktenzeichen", "booking ref", "our ref", "your ref", "booking reference", "record locator", "id no"]),
    (Entity::Email, &["email", "emails", "e mail", "mail", "gmail", "email address", "e mail address", "mail me", "write to me",
        "write me", "inbox", "email is", "electronic mail", "contact me at", "reach me at", "login", "username"]),
    (Entity::Url, &["website", "web site", "site", "web page", "webpage", "url", "domain", "homepage", "browse", "visit", "link",
        "online at", "blog", "portfolio"]),
];

/// Phrases of one word that are also said letter by letter: "c v v". Those with a head that is a common word ("a b n") are not.
const SPELLED: &[&str] = &[
    "cvv", "cvc", "csc", "cid", "otp", "iban", "bic", "ssn", "itin", "ein", "dob", "imei", "vin", "mrn",
    "mbi", "npi", "nhs", "pan", "gst", "gstin", "pesel", "sin", "nif", "dni", "nie", "tfn", "cpf", "cnpj",
    "nric", "rrn", "curp", "pin", "acn", "abn", "aba",
];

/// Every phrase with what it promises.
fn all() -> impl Iterator<Item = (&'static str, Hint)> {
    let named = PHRASES.iter().flat_map(|(kind, list)| list.iter().map(|phrase| (*phrase, Hint::Of(*kind))));
    VAGUE.iter().map(|phrase| (*phrase, Hint::Any)).chain(named)
}

/// Phrases that begin with the same word, the longest first.
struct Head {
    word: &'static str,
    phrases: Vec<(Vec<&'static str>, Hint)>,
}

/// The phrases by their first word.
static HEADS: LazyLock<Vec<Head>> = LazyLock::new(|| {
    let mut places: HashMap<&str, usize> = HashMap::new();
    let mut heads: Vec<Head> = Vec::new();
    let whole = all().map(|(phrase, hint)| (phrase.split(' ').collect::<Vec<_>>(), hint));
    let spelled = all().filter(|(phrase, _)| SPELLED.contains(phrase));
    let spelled =
        spelled.map(|(phrase, hint)| (phrase.split("").filter(|letter| !letter.is_empty()).collect(), hint));
    for (words, hint) in whole.chain(spelled) {
        let Some(&word) = words.first() else { continue };
        let place = *places.entry(word).or_insert_with(|| {
            heads.push(Head { word, phrases: Vec::new() });
            heads.len() - 1
        });
        if let Some(head) = heads.get_mut(place) {
            head.phrases.push((words, hint));
        }
    }
    for head in &mut heads {
        head.phrases.sort_by_key(|(words, _)| std::cmp::Reverse(words.len()));
    }
    heads
});

/// The first words of the phrases, in the order by which [`Meaning::cue`](super::lexicon::Meaning::cue) numbers them.
pub fn heads() -> impl Iterator<Item = &'static str> {
    HEADS.iter().map(|head| head.word)
}

/// A phrase found: its last token and what it promises.
#[derive(Clone, Copy, Debug)]
pub struct Cue {
    /// Index of its first token.
    pub first: usize,
    /// Index of its last token.
    pub last: usize,
    /// The promise of the phrase.
    pub hint: Hint,
}

/// The context phrases of a text, in order.
#[derive(Debug, Default)]
pub struct Cues(Vec<Cue>);

impl Cues {
    /// Finds the phrases in place of those of an earlier text; the longest wins where several begin with the same word.
    pub fn fill(&mut self, tokens: &Tokens<'_>) {
        self.0.clear();
        let mut index = 0;
        while let Some(at) = tokens.seed(index, seed::CUE) {
            index = at + 1;
            let number = usize::from(tokens.at(at).meaning.cue);
            let head = number.checked_sub(1).and_then(|place| HEADS.get(place));
            let phrases = head.map_or(&[][..], |head| head.phrases.as_slice());
            let (second, _) = word_after(tokens, at);
            let is_second = |word: &str| second.eq_ignore_ascii_case(word) || second == "#" && word == "no";
            let may = |words: &[&str]| words.get(1).is_none_or(|word| is_second(word));
            for (words, hint) in phrases.iter().rev().filter(|(words, _)| may(words)) {
                self.0.extend(matched(tokens, at, words, *hint));
            }
        }
    }

    /// Returns true if any of them promises this.
    pub fn any(&self, hint: Hint) -> bool {
        self.0.iter().any(|cue| cue.hint == hint)
    }

    /// The last tokens of those that promise this.
    pub fn ends(&self, hint: Hint) -> impl Iterator<Item = usize> + '_ {
        self.0.iter().filter(move |cue| cue.hint == hint).map(|cue| cue.last)
    }

    /// The cues that end before the token `index` and begin at or after `from`, the nearest first; of those that begin at one word, the longest.
    pub fn before(&self, index: usize, from: usize) -> impl Iterator<Item = Cue> + '_ {
        let upto = self.0.partition_point(|cue| cue.first < index);
        let cues = self.0.get(..upto).unwrap_or(&[]);
        // "sort code is": of "sort code" and "code is" the first says more; and "medicare card" says more than the "card" in it.
        let is_part = move |cue: &Cue| {
            let loose = matches!(cue.hint, Hint::Of(Entity::Number | Entity::Address));
            let upto = if loose { cue.first } else { cue.last };
            let earlier = cues.iter().rev().skip_while(|other| other.first >= cue.first);
            cue.hint != Hint::Any
                && earlier.take(3).any(|other| other.last >= upto && other.hint != Hint::Any)
        };
        cues.iter()
            .rev()
            .take_while(move |cue| cue.first >= from)
            .filter(move |cue| cue.last < index && !is_part(cue))
            .copied()
    }

    /// The cues that begin at the token `index`, the longest first.
    pub fn at(&self, index: usize) -> impl Iterator<Item = Cue> + '_ {
        let from = self.0.partition_point(|cue| cue.first < index);
        let upto = self.0.partition_point(|cue| cue.first <= index);
        self.0.get(from..upto).unwrap_or(&[]).iter().rev().copied()
    }
}

/// Things that have a public number of their own, as "order #12" is written.
const PUBLIC: &[&str] = &["order", "invoice", "case"];

fn matched(tokens: &Tokens<'_>, first: usize, words: &[&str], hint: Hint) -> Option<Cue> {
    let mut last = first;
    for word in words.iter().skip(1) {
        let (said, at) = word_after(tokens, last);
        // "Claim #" is "claim no"; without its stroke "a c" is what cools a room.
        let public = said == "#" && PUBLIC.contains(&words.first().copied().unwrap_or(""));
        let stroke = words != ["a", "c"] || tokens.at(last + 1).is(b'/');
        let same = said.eq_ignore_ascii_case(word) || said == "#" && *word == "no" && !public;
        if !same || !stroke {
            return None;
        }
        last = at;
    }
    Some(Cue { first, last, hint })
}

/// The word behind the token `index`, past an apostrophe, a hyphen, or the dot or stroke of a letter, and where it stands; no word is
/// empty. The sign "#" is a word.
fn word_after<'a>(tokens: &Tokens<'a>, index: usize) -> (&'a str, usize) {
    let sign = tokens.at(index + 1);
    if sign.is(b'#') {
        return ("#", index + 1);
    }
    let dot = (sign.is(b'.') || sign.is(b'/')) && tokens.glued(index + 1) && tokens.at(index).is_letter();
    let at = index + 1 + usize::from(dot || sign.is(b'-') || sign.is(b'\'') || sign.is_apostrophe());
    let token = tokens.at(at);
    (if token.class == Class::Word { tokens.str(token) } else { "" }, at)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_phrase_promises_two_kinds() {
        let mut seen = HashMap::new();
        for (phrase, hint) in all().filter(|(phrase, _)| *phrase != "reach me at") {
            let before = seen.insert(phrase, hint);
            assert!(before.is_none(), "{phrase}: {before:?} and {hint:?}");
        }
    }
}
