//! The languages of a transcript: numbers said in words are read in one.
//!
//! In: batches with a column `language`, as a recogniser gives it. Out: one warning for each language whose numbers in words are not read,
//! and how many texts there were. It must not know what a text holds: what is no code of a language is not shown.

use std::collections::BTreeSet;
use std::sync::{Mutex, PoisonError};

use headwater_contract::prelude::*;

/// The column that names the language of a text.
const LANGUAGE: &str = "language";
/// Languages whose numbers in words are read.
const READ: [&str; 1] = ["en"];

/// The languages that were reported, by stage: all instances of a stage report a language once.
static REPORTED: Mutex<BTreeSet<(String, String)>> = Mutex::new(BTreeSet::new());

/// Looks at the languages of a stage's texts.
pub struct Languages {
    stage: String,
    seen: BTreeSet<String>,
}

impl Languages {
    /// Of the stage of that id.
    pub fn of(stage: &str) -> Self {
        Self { stage: stage.to_owned(), seen: BTreeSet::new() }
    }

    /// Looks at a batch.
    pub fn look(&mut self, batch: &RecordBatch, out: &mut Outbox<'_>) {
        let Ok(languages) = text_column(batch, LANGUAGE) else { return };
        let mut unread = 0;
        for language in languages.iter().flatten().filter(|language| is_unread(language)) {
            unread += 1;
            if !self.seen.contains(language) {
                self.seen.insert(language.to_owned());
                self.tell(language);
            }
        }
        if unread > 0 {
            out.count("other_languages", unread);
        }
    }

    fn tell(&self, language: &str) {
        let mut reported = REPORTED.lock().unwrap_or_else(PoisonError::into_inner);
        if reported.insert((self.stage.clone(), language.to_owned())) {
            tracing::warn!(
                stage = self.stage,
                language,
                "numbers that are said in words are read in English alone: those of this language stay in the text; numbers in figures, \
                 e-mails and national numbers are replaced (docs/redaction.md)"
            );
        }
    }
}

/// The code of a language whose numbers in words are not read.
fn is_unread(language: &str) -> bool {
    let code = matches!(language.len(), 2 | 3) && language.bytes().all(|byte| byte.is_ascii_lowercase());
    code && !READ.contains(&language)
}

#[cfg(test)]
mod tests {
    use super::*;
    use headwater_contract::conformance::text_rows;

    /// The counts of one stage.
    #[derive(Default)]
    struct Counted(u64);

    impl headwater_contract::Emit for Counted {
        fn emit(&mut self, _: Port, _: RecordBatch) {}
        fn reject(&mut self, _: headwater_contract::Rejected) {}
        fn count(&mut self, _: &'static str, n: u64) {
            self.0 += n;
        }
    }

    #[test]
    fn languages_that_are_not_read_are_counted_and_told_once() {
        let rows = text_rows(&[("a", "eins"), ("a", "one"), ("a", "zwei"), ("a", "un"), ("a", "x")]).unwrap();
        let fields =
            rows.schema().fields().iter().cloned().chain([Arc::new(utf8(LANGUAGE))]).collect::<Vec<_>>();
        let codes: ArrayRef = Arc::new(StringArray::from(vec!["de", "en", "de", "fr", "Grüße von Ada"]));
        let columns = rows.columns().iter().cloned().chain([codes]).collect();
        let rows = RecordBatch::try_new(Arc::new(Schema::new(fields)), columns).unwrap();
        let mut counted = Counted::default();
        let mut languages = Languages::of("a stage of this test");
        for _ in 0..2 {
            languages.look(&rows, &mut Outbox::new(&mut counted));
        }
        assert_eq!(counted.0, 6);
        assert_eq!(languages.seen.iter().map(String::as_str).collect::<Vec<_>>(), ["de", "fr"]);
        let reported = REPORTED.lock().unwrap();
        assert_eq!(reported.iter().filter(|(stage, _)| stage == "a stage of this test").count(), 2);
    }
}
