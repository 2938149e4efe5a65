//! `headwater redact`: what the redactor finds in a text, why, and what it sealed.
//!
//! In: texts by a pipe or as an argument. Out: redacted texts, spans, reasons, lists. It must not know pipelines.

mod explain;
mod reveal;
pub mod scan;

use std::io::{self, Write};
use std::path::Path;

use headwater_stages::redact::{Entities, Profile, Scanner, Style, catalogue};
use scan::{BUFFERED, Input, Offsets, Output, ScanOptions, scan};

use crate::exit::{self, Exit};

/// The verbs of `headwater redact`.
#[derive(Debug, clap::Subcommand)]
pub enum RedactVerb {
    /// Read lines, or JSON lines {"id", "device"?, "text"}, and write them redacted, or the spans found
    Scan {
        /// Write {"id", "spans": [[start, end, "KIND"], ...]}
        #[arg(long)]
        json: bool,
        /// What offsets count
        #[arg(long, value_name = "UNIT", default_value = "bytes", value_parser = ["bytes", "chars"])]
        offsets: String,
        /// What the texts are: a recogniser's, where all that may be personal goes, or clean ones
        #[arg(long, value_name = "PROFILE", default_value = "transcript", value_parser = ["transcript", "text"])]
        profile: String,
        /// How entities are written
        #[arg(long, value_name = "STYLE", default_value = "tag", value_parser = ["tag", "num"])]
        style: String,
    },
    /// Show why each part of a text is taken for personal data, or is not
    Explain {
        /// The text
        text: String,
        /// What the text is
        #[arg(long, value_name = "PROFILE", default_value = "transcript", value_parser = ["transcript", "text"])]
        profile: String,
    },
    /// Read texts in which the operator "encrypt" sealed values, and write them with the values
    Reveal,
    /// List the kinds of personal data: what each is, by what it is recognised, what is said before it
    Kinds,
}

/// Carries a verb out; gives the exit code.
pub fn run(verb: &RedactVerb, key_file: &Path, out: &mut dyn Write) -> Exit {
    let done = match verb {
        RedactVerb::Scan { json, offsets, profile, style } => {
            return scan_standard_input(out, *json, offsets, scanner(profile, style));
        }
        RedactVerb::Explain { text, profile } => {
            explain::explain(&scanner(profile, "tag"), text, out, explain::Colours::of_terminal())
                .map(|()| Exit::Fine)
        }
        RedactVerb::Reveal => reveal::run(io::stdin().lock(), key_file, out),
        RedactVerb::Kinds => write!(out, "{}", catalogue::markdown()).map(|()| Exit::Fine),
    };
    done.unwrap_or_else(|error| exit::fails(&error, Exit::CouldNotLook))
}

fn scanner(profile: &str, style: &str) -> Scanner {
    let profile = if profile == "text" { Profile::Text } else { Profile::Transcript };
    Scanner::new(profile, if style == "num" { Style::Num } else { Style::Tag }, Entities::usual())
}

fn scan_standard_input(out: &mut dyn Write, json: bool, offsets: &str, scanner: Scanner) -> Exit {
    let output = match (json, offsets) {
        (true, "chars") => Output::Spans(Offsets::Chars),
        (true, _) => Output::Spans(Offsets::Bytes),
        (false, _) => Output::Text,
    };
    let input = io::BufReader::with_capacity(BUFFERED, io::stdin().lock());
    match scan(input, out, ScanOptions { scanner, input: Input::Detect, output }) {
        Ok(report) => {
            for bad in &report.first_bad {
                eprintln!("error: {bad}");
            }
            if report.bad > 0 {
                eprintln!("{} lines could not be read, {} texts were scanned", report.bad, report.texts);
            }
            report.exit_code()
        }
        Err(error) => exit::fails(&error, Exit::CouldNotLook),
    }
}
