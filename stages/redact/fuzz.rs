//! The entry point of a fuzzer: any bytes in, a panic out if the redactor breaks a promise.
//!
//! In: bytes, of which the first chooses the options. Out: nothing. It checks what holds for every text: spans in order, apart and on
//! character boundaries; tags where the entities say; nothing new found in a text redacted with tags that name their kind. The lines of a
//! text are also taken as utterances that follow each other.

use super::kind::Entities;
use super::scanner::{Finding, Profile, Scanner, Style};
use super::utterances::{self, Before};

/// Redacts the bytes as text.
///
/// # Panics
/// If a promise is broken. The message holds no part of the text.
#[expect(clippy::panic, reason = "this is how a fuzz target reports")]
pub fn fuzz_redact(bytes: &[u8]) {
    let Some((choice, text)) = bytes.split_first() else { return };
    let text = String::from_utf8_lossy(text);
    let profile = if choice & 1 == 0 { Profile::Transcript } else { Profile::Text };
    let style = if choice & 2 == 0 { Style::Tag } else { Style::Num };
    let scanner = Scanner::new(profile, style, Entities::all());
    let checked = if choice & 4 == 0 { check(&scanner, &text) } else { check_talk(&scanner, &text) };
    if let Err(broken) = checked {
        panic!("{broken}");
    }
}

/// Checks the promises on one text.
///
/// # Errors
/// The promise that is broken.
pub fn check(scanner: &Scanner, text: &str) -> Result<(), &'static str> {
    check_spans(&scanner.scan(text), text)?;
    let once = scanner.redact(text);
    let tags_stand =
        once.entities.iter().all(|placed| once.text.get(placed.start..placed.end) == Some(placed.kind.tag()));
    if !tags_stand {
        return Err("an entity does not point at its tag");
    }
    // <NUMBER> for everything does not say what stood there, and what stood there decides what its neighbours are.
    if scanner.style() == Style::Tag && scanner.redact(&once.text).text != once.text {
        return Err("a redacted text is redacted again");
    }
    Ok(())
}

/// Checks the spans of the lines of a text, as utterances that follow each other.
///
/// # Errors
/// The promise that is broken.
pub fn check_talk(scanner: &Scanner, text: &str) -> Result<(), &'static str> {
    let lines: Vec<&str> = text.lines().collect();
    let mut before = Before::default();
    for (at, line) in lines.iter().enumerate() {
        let open = utterances::is_open(&before, line);
        let after = lines.get(at + 1).copied().filter(|_| open);
        check_spans(&utterances::scan(scanner, &before, line, after), line)?;
        before.said(line);
    }
    Ok(())
}

fn check_spans(found: &[Finding], text: &str) -> Result<(), &'static str> {
    let mut at = 0;
    for finding in found {
        if finding.start < at || finding.end <= finding.start {
            return Err("findings overlap or are empty");
        }
        if text.get(finding.start..finding.end).is_none() {
            return Err("a finding cuts a character");
        }
        if !(0.0..=1.0).contains(&finding.score) {
            return Err("a score lies outside 0 to 1");
        }
        at = finding.end;
    }
    Ok(())
}
