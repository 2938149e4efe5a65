//! Rules about words. In: sources and pages by path. Out: identifiers and phrases that a reader from the field would have to look up, each with the word that
//! says the same. docs/glossary.md has the words that stay.

use crate::house::House;
use crate::{Breach, Rule};

pub const RULES: &[Rule] = &[
    Rule {
        name: "identifiers in the field's words",
        reason: "who knows Flink, PEFT or Flower reads the code without a dictionary: one concept has one word, and it is the field's",
        breaches: identifiers,
    },
    Rule {
        name: "phrases in plain words",
        reason: "messages, comments and pages are read by people who have never seen this project: they name the thing and what it does",
        breaches: phrases,
    },
];

/// A word that is not used.
pub struct Word {
    /// As it would stand there: an identifier to the letter, a phrase in any case.
    pub banned: &'static str,
    instead: &'static str,
    /// Of an identifier: the beginnings of paths where another thing has this name. Of a phrase: longer phrases in which it is an ordinary word.
    allowed: &'static [&'static str],
}

const fn word(banned: &'static str, instead: &'static str, allowed: &'static [&'static str]) -> Word {
    Word { banned, instead, allowed }
}

/// Identifiers, exact and case-sensitive.
#[rustfmt::skip]
pub const IDENTIFIERS: &[Word] = &[
    word("Mark", "Barrier", &["engine/runtime/diagnostic"]),
    word("Marks", "Barriers", &[]),
    word("WireMark", "WireBarrier", &[]),
    word("Cut", "IntakeEvent", &[]),
    word("Wrong", "ConfigError", &[]),
    word("wrongs", "validate, errors", &[]),
    word("Misfit", "SchemaMismatch", &[]),
    word("Pace", "Boundedness", &[]),
    word("Portion", "StatePartitions", &[]),
    word("Parcels", "ExchangeBatch", &[]),
    word("Right", "Capability", &["engine/cli/plot"]),
    word("Lane", "DedicatedThread", &[]),
    word("Facts", "Fingerprint", &[]),
    word("Suspect", "PoisonRow", &[]),
    word("Suspected", "PoisonRow", &[]),
    word("Contribution", "Erasure", &[]),
    word("contribution", "erasure", &[]),
    word("Door", "Listener", &[]),
    word("Company", "ProcessGroup", &[]),
    word("Hearing", "HeartbeatListener, WerCollector, AudioDecoder", &[]),
    word("Room", "DiskSpace", &[]),
    word("Rooms", "ScratchBuffers", &[]),
    word("LacksRoom", "DiskSpace", &[]),
    word("Keeper", "QuarantineLog, StoreStage", &[]),
    word("Deed", "AuditAction", &[]),
    word("Shelf", "AdapterRegistry", &[]),
    word("shelf", "registry", &[]),
    word("Learnt", "Trained", &[]),
    word("learnt", "trained, learned", &[]),
    word("Book", "FileLedger", &[]),
    word("Talk", "Conversation", &[]),
    word("Scribe", "TranscribeStage", &[]),
    word("Workshop", "TemporaryFolder", &[]),
    word("Setback", "Rollback", &[]),
    word("Life", "Attempt", &[]),
    word("life", "attempt", &[]),
    word("lives", "attempts", &[]),
    word("Told", "the noun: Report, Message", &[]),
    word("told", "the noun: message, lines, errors", &[]),
    word("Given", "the noun", &[]),
    word("Heard", "the noun: Transcript", &[]),
    word("Seen", "the noun", &[]),
    word("Known", "the noun", &[]),
    word("Found", "the noun: Finding", &[]),
    word("Fallen", "Crash", &[]),
    word("LOOK", "POLL_INTERVAL", &[]),
    word("relations", "membership", &[]),
];

/// Phrases in comments, string literals and pages, in any case.
#[rustfmt::skip]
pub const PHRASES: &[Word] = &[
    word("told", "reported, printed, named, logged", &[]),
    word("anew", "again, from scratch", &[]),
    word("let through", "leaked", &[]),
    word("taken too much", "over-masked", &[]),
    word("lives", "attempts, runs", &[]),
    word("somebody", "the client, a device", &[]),
    word("nobody", "no stage, no client", &[]),
    word("whoever", "the caller, the client", &["whoever has this text"]),
    word("set aside", "rejected (by a stage), quarantined (kept)", &[]),
    word("sets aside", "rejects, quarantines", &[]),
    word("left out", "excluded, skipped", &["[left out]"]),
    word("learnt", "learned, trained", &["\"learnt\""]),
    word("shelf", "adapter registry", &[]),
    word("fallen", "crashed, exited, lost", &[]),
    word("is no TOML", "invalid TOML", &[]),
    word("words wrong", "WER", &[]),
    word("characters wrong", "CER", &[]),
    word("recall", "memorisation", &["precision and recall", "precision, recall", "weight of recall", "recall weighing", "`.recall`", ".recall", "\"recall\"", "with recall"]),
    word("at home", "at the coordinator", &[]),
];

/// Sources whose strings are texts to be redacted or said, and this list.
const DATA: &[&str] = &["tests/tidy/", "stages/redact/", "datasets/"];

fn identifiers(house: &House) -> Vec<Breach> {
    let mut breaches = Vec::new();
    for (path, text) in house.sources().filter(|(path, _)| !path.starts_with("tests/tidy/")) {
        let banned = |found: &str| {
            IDENTIFIERS
                .iter()
                .find(|word| word.banned == found && !word.allowed.iter().any(|at| path.starts_with(at)))
        };
        for (line, code) in Prose::apart(text).code {
            breaches
                .extend(crate::sources::words(&code).filter_map(banned).map(|word| breach(path, line, word)));
        }
    }
    breaches
}

fn phrases(house: &House) -> Vec<Breach> {
    let mut breaches = Vec::new();
    for (path, text) in house.files.iter().filter(|(path, _)| !DATA.iter().any(|at| path.starts_with(at))) {
        let lines = match path.rsplit_once('.') {
            Some((_, "rs")) => Prose::apart(text).prose,
            Some((_, "md")) if path != "CHANGELOG.md" => {
                text.lines().map(str::to_owned).zip(1..).map(|(line, at)| (at, line)).collect()
            }
            _ => continue,
        };
        for (line, prose) in lines {
            breaches.extend(
                PHRASES.iter().filter(|word| stands_in(&prose, word)).map(|word| breach(path, line, word)),
            );
        }
    }
    breaches
}

fn breach(path: &str, line: usize, Word { banned, instead, .. }: &Word) -> Breach {
    Breach::new(format!("{path}:{line}"), format!("`{banned}`; write: {instead}"))
}

/// Returns true if a phrase stands in a line, outside of the longer ones in which it is allowed.
fn stands_in(line: &str, word: &Word) -> bool {
    let mut line = line.to_lowercase();
    word.allowed.iter().for_each(|longer| line = line.replace(&longer.to_lowercase(), " "));
    let is_letter = |c: Option<char>| c.is_some_and(|c| c.is_alphanumeric() || c == '_');
    let phrase = word.banned.to_lowercase();
    line.match_indices(&phrase).any(|(at, found)| {
        !is_letter(line[..at].chars().next_back()) && !is_letter(line[at + found.len()..].chars().next())
    })
}

/// The code of a source, and apart from it the comments and string literals, line by line.
#[derive(Default)]
struct Prose {
    code: Vec<(usize, String)>,
    prose: Vec<(usize, String)>,
}

/// What a character of a source belongs to.
#[derive(Clone, Copy, PartialEq)]
enum Part {
    Code,
    Comment,
    Text,
    /// A raw string, closed by so many signs.
    Raw(usize),
}

impl Prose {
    fn apart(text: &str) -> Self {
        let (mut apart, mut part) = (Prose::default(), Part::Code);
        for (line, number) in text.lines().zip(1..) {
            let (mut code, mut prose) = (String::new(), String::new());
            part = split(line, part, &mut code, &mut prose);
            apart.code.push((number, code));
            apart.prose.push((number, prose));
        }
        apart
    }
}

/// Puts the characters of a line where they belong, and returns what the next line begins as.
fn split(line: &str, mut part: Part, code: &mut String, prose: &mut String) -> Part {
    let mut rest = line;
    while let Some(c) = rest.chars().next() {
        let mut length = c.len_utf8();
        match part {
            Part::Code if rest.starts_with("//") => part = Part::Comment,
            Part::Code
                if raw_signs(rest).is_some()
                    && !code.ends_with(|c: char| c.is_alphanumeric() || c == '_') =>
            {
                let signs = raw_signs(rest).unwrap_or_default();
                (part, length) = (Part::Raw(signs), signs + 2);
                code.push(' ');
            }
            Part::Code if c == '"' => {
                part = Part::Text;
                code.push(' ');
                prose.push('"');
            }
            Part::Code if rest.starts_with("'\"'") => length = 3,
            Part::Code if rest.starts_with("'\\\"'") => length = 4,
            Part::Code => code.push(c),
            Part::Text if c == '\\' => length += rest[length..].chars().next().map_or(0, char::len_utf8),
            Part::Text if c == '"' => {
                part = Part::Code;
                prose.push('"');
            }
            Part::Raw(signs) if rest.starts_with(&format!("\"{}", "#".repeat(signs))) => {
                (part, length) = (Part::Code, signs + 1);
                prose.push(' ');
            }
            Part::Comment | Part::Text | Part::Raw(_) => prose.push(c),
        }
        rest = &rest[length..];
    }
    if part == Part::Comment { Part::Code } else { part }
}

/// How many `#` open a raw string here, if one opens.
fn raw_signs(rest: &str) -> Option<usize> {
    let after = rest.strip_prefix('r')?;
    let signs = after.len() - after.trim_start_matches('#').len();
    after[signs..].starts_with('"').then_some(signs)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn house(path: &str, text: String) -> House {
        House { files: [(path.to_owned(), text)].into(), ..House::default() }
    }

    #[test]
    fn each_word_is_found() {
        for word in IDENTIFIERS {
            let found = |text: String| identifiers(&house("engine/x.rs", text)).len();
            assert_eq!(found(format!("fn f(a: {}) {{}}", word.banned)), 1, "{}", word.banned);
            assert_eq!(
                found(format!("// {0}\nlet a = \"{0}\"; let a_{0} = b{0};", word.banned)),
                0,
                "{}",
                word.banned
            );
        }
        for word in PHRASES {
            let found = |path: &str, text: String| phrases(&house(path, text)).len();
            assert_eq!(found("docs/x.md", format!("It is {}, here.", word.banned)), 1, "{}", word.banned);
            assert_eq!(
                found("engine/x.rs", format!("// {}", word.banned.to_uppercase())),
                1,
                "{}",
                word.banned
            );
            assert_eq!(
                found("engine/x.rs", format!("let a = \"a\\\n  {}\";", word.banned)),
                1,
                "{}",
                word.banned
            );
            assert_eq!(found("CHANGELOG.md", word.banned.to_owned()), 0, "{}", word.banned);
            let inside =
                word.allowed.iter().map(|longer| found("docs/x.md", (*longer).to_owned())).sum::<usize>();
            assert_eq!(inside, 0, "{}", word.banned);
        }
    }

    #[test]
    fn code_and_prose_are_told_apart() {
        let check = |line: &str, code: &str, prose: &str| {
            let (mut c, mut p) = (String::new(), String::new());
            split(line, Part::Code, &mut c, &mut p);
            assert_eq!(
                (c.split_whitespace().collect::<String>(), p.trim()),
                (code.to_owned(), prose),
                "{line}"
            );
        };
        check("let a = 1; // b", "leta=1;", "/ b");
        check("f(\"a \\\" // b\", c)", "f(,c)", "\"a  // b\"");
        check("f(r#\"a \" b\"#, '\"', c)", "f(,,c)", "a \" b");
        check("let for_r = 'r'; g(\"x\")", "letfor_r='r';g()", "\"x\"");
    }
}
