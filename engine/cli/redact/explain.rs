//! `headwater redact explain`: a text with its findings, and why each was or was not taken.
//!
//! In: a text. Out: lines for a terminal. The text is the user's own, given on the command line: it is shown to no one else.

use std::io::{self, Write};

use headwater_stages::redact::scan_context::NearMiss;
use headwater_stages::redact::{Finding, Scanner};

use crate::colour;

/// True if colours are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Colours {
    /// As a terminal reads them.
    Ansi,
    /// None.
    Plain,
}

impl Colours {
    /// Colours if the standard output is a terminal that wants some.
    pub fn of_terminal() -> Self {
        if colour::wanted(&io::stdout()) { Self::Ansi } else { Self::Plain }
    }

    fn paint(self, colour: &str, text: &str) -> String {
        match self {
            Self::Ansi => format!("\x1b[{colour}m{text}\x1b[0m"),
            Self::Plain => text.to_owned(),
        }
    }
}

const TAKEN: &str = "1;31";
const LEFT: &str = "33";
const RULE: &str = "2";

/// Writes the text with its findings marked, then a line for each finding and for each number that was left alone.
pub fn explain(scanner: &Scanner, text: &str, out: &mut dyn Write, colours: Colours) -> io::Result<()> {
    let found = scanner.scan(text);
    let passed = scanner.passed(text, &found);
    writeln!(out, "{}\n", marked(text, &found, &passed, colours))?;
    for finding in &found {
        let value = text.get(finding.start..finding.end).unwrap_or("");
        let name = colours.paint(TAKEN, scanner.name(finding));
        let why = colours.paint(RULE, &format!("{} ({:.2})", finding.rule, finding.score));
        writeln!(out, "taken  {:>4}..{:<4} {name}  {value:?}  {why}", finding.start, finding.end)?;
    }
    for NearMiss { start, end, reason } in &passed {
        let value = text.get(*start..*end).unwrap_or("");
        let why = colours.paint(LEFT, reason);
        writeln!(out, "left   {start:>4}..{end:<4} {value:?}  {why}")?;
    }
    if found.is_empty() && passed.is_empty() {
        writeln!(out, "nothing in it looks like personal data")?;
    }
    Ok(())
}

fn marked(text: &str, found: &[Finding], passed: &[NearMiss], colours: Colours) -> String {
    let mut marks: Vec<(usize, usize, &str)> = found.iter().map(|f| (f.start, f.end, TAKEN)).collect();
    marks.extend(passed.iter().map(|p| (p.start, p.end, LEFT)));
    marks.sort_unstable();
    let mut line = String::new();
    let mut at = 0;
    for (start, end, colour) in marks.into_iter().filter(|_| colours == Colours::Ansi) {
        if start < at {
            continue;
        }
        line.push_str(text.get(at..start).unwrap_or(""));
        line.push_str(&colours.paint(colour, text.get(start..end).unwrap_or("")));
        at = end;
    }
    line.push_str(text.get(at..).unwrap_or(""));
    line
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_taken_and_what_was_left_is_told() {
        let mut out = Vec::new();
        let text = "call 555-0147 at 10:30 about the 450 dollars";
        explain(&Scanner::default(), text, &mut out, Colours::Plain).unwrap();
        let actual = String::from_utf8(out).unwrap();
        for expected in [
            "PHONE  \"555-0147\"  phone",
            "\"10:30\"  a time, or a version",
            "\"450\"  a price or a measured quantity",
        ] {
            assert!(actual.contains(expected), "{expected} is not in\n{actual}");
        }
    }
}
