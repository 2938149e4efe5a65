//! The meaning of every code: cause, example, remedy.
//!
//! In: nothing. Out: one table, [`ENTRIES`]. Each text stands in `explain/CODE.md`: a title, the cause, a pipeline that gets the
//! code, what to do, and the pipeline mended. A test checks that the first gets the code and the second nothing at all.

use crate::check::similar::nearest;

/// The explanation of one code.
pub struct Entry {
    /// The code: `H0203`.
    pub code: &'static str,
    /// Title, cause, example and remedy as Markdown.
    pub text: &'static str,
}

macro_rules! entry {
    ($code:literal) => {
        Entry { code: $code, text: include_str!(concat!("explain/", $code, ".md")) }
    };
}

/// All codes, in order. H00xx: the file and its head; H01xx: params and the command line; H02xx: one stage by itself; H03xx: who
/// reads whom; H04xx: labels and tiers; H05xx: members; H06xx: tests.
pub const ENTRIES: &[Entry] = &[
    entry!("H0001"),
    entry!("H0002"),
    entry!("H0003"),
    entry!("H0004"),
    entry!("H0005"),
    entry!("H0006"),
    entry!("H0007"),
    entry!("H0008"),
    entry!("H0009"),
    entry!("H0101"),
    entry!("H0102"),
    entry!("H0103"),
    entry!("H0104"),
    entry!("H0105"),
    entry!("H0106"),
    entry!("H0107"),
    entry!("H0108"),
    entry!("H0109"),
    entry!("H0201"),
    entry!("H0202"),
    entry!("H0203"),
    entry!("H0204"),
    entry!("H0205"),
    entry!("H0206"),
    entry!("H0207"),
    entry!("H0301"),
    entry!("H0302"),
    entry!("H0303"),
    entry!("H0304"),
    entry!("H0305"),
    entry!("H0306"),
    entry!("H0307"),
    entry!("H0308"),
    entry!("H0309"),
    entry!("H0310"),
    entry!("H0311"),
    entry!("H0312"),
    entry!("H0313"),
    entry!("H0401"),
    entry!("H0402"),
    entry!("H0501"),
    entry!("H0502"),
    entry!("H0503"),
    entry!("H0504"),
    entry!("H0601"),
    entry!("H0602"),
    entry!("H0603"),
    entry!("H0604"),
    entry!("H0605"),
];

impl Entry {
    /// The title, without the code.
    pub fn title(&self) -> &'static str {
        let first = self.text.lines().next().unwrap_or_default();
        first.split_once(": ").map_or(first, |(_, title)| title)
    }
}

/// The explanation of a code, written as people write it: `H0203`, `h203`, `203`.
pub fn explain(code: &str) -> Option<&'static Entry> {
    let digits = code.trim().trim_start_matches(['h', 'H']);
    let padded = format!("H{digits:0>4}");
    ENTRIES.iter().find(|entry| entry.code == padded)
}

/// The code that is most like one that does not exist.
pub fn similar(code: &str) -> Option<&'static str> {
    let folded = code.to_uppercase();
    ENTRIES.iter().map(|e| e.code).find(|c| *c == folded).or_else(|| {
        // Codes are upper case; words are compared in lower case.
        let lower: Vec<String> = ENTRIES.iter().map(|e| e.code.to_lowercase()).collect();
        let near = nearest(&folded, lower.iter().map(String::as_str))?.to_uppercase();
        ENTRIES.iter().map(|e| e.code).find(|c| *c == near)
    })
}
