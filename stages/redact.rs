//! The redactor: personal data in a text becomes a tag, and raw rows become redacted ones.
//!
//! In: rows with a text column. Out: the same rows with every entity of that text replaced by its tag (`<PHONE>`) or by what an operator
//! makes of it, and a column `entities` that says what stood where (kind, start, end in the new text, rule, score; never the value).
//! Other text columns are redacted too, or their rows would be called redacted and hold raw text. A row whose text cannot be redacted
//! is rejected, never passed. It must not know where the text comes from.
//!
//! Inside, a text is cut into tokens once ([`token`]), finders take what is theirs, one family in one file, and [`scanner`] puts the
//! findings together. One number is one row of a table below [`ids`]; one context phrase is one word in [`cue::PHRASES`];
//! [`catalogue`] lists every recogniser.
//!
//! With `max_hold` a text whose end may go on is held until the next one of its device ([`utterances`]): then the stage has a state.

pub mod address;
pub mod age;
mod alphabet;
pub mod base58;
pub mod calendar;
pub mod candidate;
pub mod card;
pub mod catalogue;
pub mod checks;
pub mod code;
pub mod cue;
pub mod custom;
mod cutter;
mod disguise;
mod dwelling;
mod explained;
mod file_name;
pub mod fuzz;
pub mod gazetteer;
pub mod geo;
mod hesitation;
pub mod iban;
pub mod ids;
pub mod kind;
pub mod label;
mod languages;
pub mod lexicon;
mod machine;
pub mod neighbours;
pub mod ner;
pub mod network;
pub mod normal;
pub mod number;
pub mod numeric;
pub mod operator;
mod options;
pub mod organization;
pub mod person;
mod person_again;
pub mod person_cue;
mod person_full;
mod person_new;
mod person_not;
mod person_run;
mod person_spelled;
pub mod phone;
mod planes;
pub mod postal;
pub mod postcode;
pub mod quantity;
mod release;
mod rows;
mod running;
mod saved;
pub mod scan_context;
pub mod scanner;
pub mod secret;
pub mod spelled;
pub mod ssn;
pub mod street;
mod tag;
pub mod token;
mod unannounced;
pub mod utterances;
mod web;
pub mod words;

#[cfg(test)]
mod cases;
#[cfg(test)]
mod cases_aloud;
#[cfg(test)]
mod cases_counts;
#[cfg(test)]
mod cases_forms;
#[cfg(test)]
mod cases_heard;
#[cfg(test)]
mod cases_names;
#[cfg(test)]
mod cases_said;
#[cfg(test)]
mod cases_written;
#[cfg(test)]
mod properties;

use std::time::Duration;

use headwater_contract::prelude::*;
use headwater_vault::KeyFile;

pub use custom::Custom;
pub use kind::{Entities, Entity, UnknownEntity};
use ner::Ner;
pub use operator::{Keys, Operator, Scope};
use options::{ByKind, Country, PatternOption};
pub use rows::{ENTITIES, entities_field};
pub use scanner::{Finding, Placed, Profile, Redacted, Scanner, Style};

options! {
    /// Replaces personal data in a text by tags such as <PHONE>: raw rows become redacted ones. Dates of birth and full dates are
    /// replaced; bare years, days and times of day are not, unless `entities` names TIME.
    pub struct Redact {
        /// What the text is: "transcript" takes every six digits that are no time, price or quantity, since recognisers lose and
        /// split digits; "text" asks for a form, a checksum or a context phrase.
        profile: Profile = Profile::Transcript;
        /// What is written in place of a value by the operator "tag": "tag" the tag of its kind, "num" <NUMBER> for everything made of
        /// digits.
        style: Style = Style::Tag;
        /// The column whose entities are listed. Every other text column is redacted as well; sound and other lists are dropped.
        column: String = "text".into();
        /// The kinds that are replaced. A number of a kind that is not wanted is still replaced as a NUMBER if NUMBER is in the list.
        entities: Vec<Entity> = Entity::ALL.iter().copied().filter(|entity| entity.is_default()).collect();
        /// The countries whose national numbers are named; those of others are numbers.
        countries: Vec<Country> = Country::all();
        /// Values that are never replaced, in any case: the name of a product, the number of the own hotline.
        allow: Vec<String> = Vec::new();
        /// Words and phrases that are always replaced, as CUSTOM.
        deny: Vec<String> = Vec::new();
        /// Patterns of your own, each a table [[stage.redact.pattern]] with `name` (its tag), `regex`, and perhaps `checksum` ("luhn",
        /// "mod97", "verhoeff") and `context` (words of which one must stand before it).
        pattern: Vec<PatternOption> = Vec::new();
        /// What is written in place of a value: see docs/redaction.md.
        operator: Operator = Operator::Tag;
        /// Another operator for some kinds, such as { CARD = "mask", PERSON = "pseudonym" }.
        operators: ByKind = ByKind::default();
        /// Within what the same value has the same pseudonym.
        scope: Scope = Scope::Device;
        /// A neural tagger beside the patterns: a folder with a BERT or DistilBERT for token classification, as optimum exports it to ONNX.
        ner: Option<Ner>;
        /// The probability below which a label of the tagger counts for nothing.
        ner_score: f64 = 0.5, in 0.0 ..= 1.0;
        /// A text whose end may go on, such as "my number is five five", waits for the next one of its device for at most this time of
        /// capture, and of a clock where the input is live: 30s in profile "transcript", 0s (never, and the stage has no state) in profile "text".
        max_hold: Option<Duration>;
    }
}

/// The kind of this stage.
pub const KIND: StageFactory = StageFactory::stage::<Redact>();

/// The time that a recogniser's utterance waits for the next: longer pauses end a number.
const TRANSCRIPT_HOLD: Duration = Duration::from_secs(30);

impl Redact {
    /// Returns the time that a text may be held; nothing if none is.
    fn hold(&self) -> Option<Duration> {
        let usual = match self.profile {
            Profile::Transcript => TRANSCRIPT_HOLD,
            Profile::Text => Duration::ZERO,
        };
        Some(self.max_hold.unwrap_or(usual)).filter(|hold| !hold.is_zero())
    }

    fn scanner(&self) -> std::result::Result<Scanner, Vec<ConfigError>> {
        let known =
            |kind: &Entity| kind.country().is_none_or(|code| self.countries.iter().any(|c| c.code() == code));
        let entities = self.entities.iter().copied().filter(known).collect();
        let patterns: Vec<_> = self.pattern.iter().map(PatternOption::compiled).collect();
        let (patterns, errors): (Vec<_>, Vec<_>) = patterns.into_iter().partition(std::result::Result::is_ok);
        if !errors.is_empty() {
            return Err(errors
                .into_iter()
                .filter_map(std::result::Result::err)
                .map(|what| ConfigError::new("pattern", what))
                .collect());
        }
        let patterns = patterns.into_iter().flatten().collect();
        let scanner = Scanner::new(self.profile, self.style, entities);
        Ok(scanner.with(Custom::new(&self.allow, &self.deny, patterns)))
    }

    fn operators(&self, site: &HostEnv) -> Result<operator::Operators> {
        let needs_key =
            self.operator.needs_key() || self.operators.0.iter().any(|(_, operator)| operator.needs_key());
        let keys = if needs_key {
            let (root, _) = KeyFile::at(&site.key_file).read_or_create().map_err(|error| {
                StageError::new(format!("the root key cannot be read: {error}"))
                    .expected("a key file for the operators that need a key")
            })?;
            Some(Keys::new(root.key()))
        } else {
            None
        };
        Ok(operator::Operators::new(self.operator, self.operators.0.clone(), self.scope, keys))
    }
}

impl StageConfig for Redact {
    const KIND: &'static str = "redact";

    fn signature(&self) -> Signature {
        let signature = Signature::map([utf8(&self.column)], [utf8(&self.column), entities_field()])
            .label(LabelRule::Redactor);
        if self.hold().is_none() {
            return signature;
        }
        signature
            .routing(Routing::ByKey("device".into()))
            .order(Order::Sorted)
            .state(1, &["column"])
            .hold(self.hold())
    }

    fn validate(&self) -> Vec<ConfigError> {
        let mut errors = self.scanner().err().unwrap_or_default();
        if self.entities.is_empty() {
            errors.push(
                ConfigError::new("entities", "an empty list replaces nothing")
                    .help("leave it out to replace every kind"),
            );
        }
        if self.pattern.len() > usize::from(u8::MAX) {
            errors.push(ConfigError::new("pattern", "expected at most 255 patterns"));
        }
        errors
    }

    fn models(&self) -> Vec<std::path::PathBuf> {
        self.ner.iter().map(|ner| ner.path().to_owned()).collect()
    }

    fn ready(&self, _: &HostEnv) -> Result {
        self.ner.as_ref().map_or(Ok(()), |ner| ner.tagger().map(drop))
    }

    fn held_back(&self, state: &StateTable) -> Result<HeldBack> {
        Ok(saved::held_back(state))
    }

    fn build(&self, cx: BuildContext<'_>) -> Result<impl Stage> {
        let scanner = self.scanner().map_err(|_| StageError::new("a pattern is no regular expression"))?;
        let operators = self.operators(cx.host)?;
        let said = self.profile == Profile::Transcript;
        let running = running::Running::new(
            running::Redactor::new(scanner, operators, &self.column, cx.output(0)?)
                .with_tagger(self.ner.as_ref().map(Ner::tagger).transpose()?, self.ner_score),
            self.hold(),
            &cx,
        )?;
        Ok(running.with_languages(said.then(|| languages::Languages::of(cx.id))))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use arrow::array::{AsArray, ListArray};
    use arrow::buffer::OffsetBuffer;
    use arrow::datatypes::UInt32Type;
    use headwater_contract::conformance::{Outcome, assert_stage, text_rows};
    use headwater_contract::{Label, Role};

    fn config(options: &str) -> Redact {
        Redact::from_table(&options.parse().unwrap()).unwrap()
    }

    fn played(options: &str, rows: &[(&str, &str)]) -> Outcome {
        assert_stage(&config(options), &[text_rows(rows).unwrap()])
    }

    fn texts(outcome: &Outcome) -> Vec<&str> {
        let column = outcome.outputs[0].column_by_name("text").unwrap();
        column.as_string::<i32>().iter().flatten().collect()
    }

    const ROWS: &[(&str, &str)] = &[
        ("kitchen", "call me at 555-0147 or john@example.com"),
        ("kitchen", "nothing to see"),
        ("shop", "the number is four five three nine, one four eight oh"),
        ("shop", ""),
    ];

    #[test]
    fn rows_come_back_without_their_values() {
        let outcome = played("", ROWS);
        assert_eq!(
            texts(&outcome),
            ["call me at <PHONE> or <EMAIL>", "nothing to see", "the number is <NUMBER>", ""]
        );
        assert_eq!(outcome.labels, [Label::Redacted]);
        assert!(outcome.rejected.is_empty());
        assert_eq!(outcome.metrics["entities"], 3);
    }

    #[test]
    fn entities_point_at_the_tags() {
        let outcome = played("", ROWS);
        let texts = texts(&outcome);
        let lists = outcome.outputs[0].column_by_name("entities").unwrap().as_list::<i32>().clone();
        let mut seen = Vec::new();
        for (row, text) in texts.iter().enumerate() {
            let entities = lists.value(row);
            let entities = entities.as_struct();
            for at in 0..entities.len() {
                let kind = entities.column(0).as_string::<i32>().value(at).to_owned();
                let start = entities.column(1).as_primitive::<UInt32Type>().value(at) as usize;
                let end = entities.column(2).as_primitive::<UInt32Type>().value(at) as usize;
                assert_eq!(text[start..end], format!("<{kind}>"));
                seen.push(kind);
            }
        }
        assert_eq!(seen, ["PHONE", "EMAIL", "NUMBER"]);
    }

    #[test]
    fn options_choose() {
        let check = |options: &str, expected: &str| {
            assert_eq!(texts(&played(options, &ROWS[..1])), [expected], "{options}");
        };
        check("style = 'num'", "call me at <NUMBER> or <EMAIL>");
        check("entities = ['EMAIL']", "call me at 555-0147 or <EMAIL>");
        check("entities = ['NUMBER']", "call me at <NUMBER> or john@example.com");
        let clean = [("a", "the serial is long: 4820 1937")];
        assert_eq!(texts(&played("profile = 'text'\nentities = ['CARD']", &clean)), [clean[0].1]);
    }

    #[test]
    fn a_number_goes_on_in_the_next_row_of_its_device() {
        let rows = [
            ("kitchen", "my number is five five five"),
            ("shop", "we have five"),
            ("kitchen", "oh one four seven"),
            ("shop", "apples left"),
        ];
        let outcome = played("", &rows);
        assert_eq!(texts(&outcome), ["my number is <PHONE>", "<PHONE>", "we have five", "apples left"]);
        let apart = played("max_hold = '1s'", &rows[..1]);
        assert_eq!(texts(&apart), ["my number is <NUMBER>"]);
        assert!(config("").signature().stateful() && !config("max_hold = '0s'").signature().stateful());
        assert!(!config("profile = 'text'").signature().stateful());
    }

    #[test]
    fn operators_patterns_and_lists_choose_too() {
        let check = |options: &str, text: &str, expected: &str| {
            assert_eq!(texts(&played(options, &[("a", text)])), [expected], "{options}");
        };
        check("operators = { PHONE = 'mask' }", "call 555-0147 or a@b.com", "call ***-**** or <EMAIL>");
        check("operator = 'drop'", "call 555-0147.", "call .");
        check("allow = ['555-0147']", "call 555-0147", "call 555-0147");
        check("allow = ['555-0147']", "call 555-0148", "call <PHONE>");
        check("deny = ['Project Heron']", "about project heron", "about <CUSTOM>");
        check("countries = ['UK']", "my SSN is 078-05-1120", "my SSN is <NUMBER>");
        let pattern = "[[pattern]]\nname = 'TICKET'\nregex = 'T-[0-9]{4}'\ncontext = ['ticket']";
        check(pattern, "ticket T-1234 and T-1234", "ticket <TICKET> and <TICKET>");
        check(pattern, "part T-1234", "part T-1234");
    }

    #[test]
    fn wrong_options_are_told() {
        let check = |options: &str, expected: &str| {
            let actual = match KIND.plan(&options.parse().unwrap()) {
                Ok(role) => role.validate(),
                Err(errors) => errors,
            };
            assert_eq!(actual.iter().map(|w| w.what.as_str()).collect::<Vec<_>>(), [expected], "{options}");
        };
        check("profile = 'loose'", r#"expected "transcript" | "text""#);
        check("entities = []", "an empty list replaces nothing");
        check("pattern = [{ name = 'X', regex = '(' }]", "the `regex` of X is none, or too large");
        let actual = KIND.plan(&"entities = ['NAME']".parse().unwrap()).err().unwrap();
        assert!(actual[0].what.starts_with(r#"expected "CARD" | "CVV""#), "{}", actual[0].what);
        assert!(matches!(KIND.sample(), Some(Role::Stage(_))));
    }

    #[test]
    fn a_row_without_text_is_rejected_and_its_neighbours_are_not() {
        let rows = text_rows(ROWS).unwrap();
        let mut fields: Vec<Field> = rows.schema().fields().iter().map(|f| f.as_ref().clone()).collect();
        fields[5] = fields[5].clone().with_nullable(true);
        let mut columns = rows.columns().to_vec();
        columns[5] = Arc::new(StringArray::from(vec![Some("a"), None, Some("call 555 0147"), None]));
        let rows = RecordBatch::try_new(Arc::new(Schema::new(fields)), columns).unwrap();
        let outcome = assert_stage(&config(""), &[rows]);
        assert_eq!(texts(&outcome), ["a", "call <PHONE>"]);
        assert_eq!(outcome.rejected.iter().map(|r| r.code).collect::<Vec<_>>(), ["no_text", "no_text"]);
    }

    #[test]
    fn nothing_passes_beside_the_text() {
        let rows = text_rows(&ROWS[..1]).unwrap();
        let mut fields: Vec<Field> = rows.schema().fields().iter().map(|f| f.as_ref().clone()).collect();
        fields.extend([utf8("note").with_nullable(true), f32_list("samples")]);
        let mut columns = rows.columns().to_vec();
        columns.push(Arc::new(StringArray::from(vec!["from jane@example.com"])));
        let DataType::List(item) = f32_list("samples").data_type().clone() else { panic!() };
        let silence = arrow::array::new_empty_array(item.data_type());
        let silence = ListArray::try_new(item, OffsetBuffer::from_lengths([0]), silence, None);
        columns.push(Arc::new(silence.unwrap()));
        let rows = RecordBatch::try_new(Arc::new(Schema::new(fields)), columns).unwrap();
        for column in ["", "column = 'note'"] {
            let outcome = assert_stage(&config(column), std::slice::from_ref(&rows));
            let sent = &outcome.outputs[0];
            assert!(sent.column_by_name("samples").is_none());
            assert_eq!(texts(&outcome), ["call me at <PHONE> or <EMAIL>"]);
            let note = sent.column_by_name("note").unwrap();
            assert_eq!(note.as_string::<i32>().value(0), "from <EMAIL>");
        }
    }
}
