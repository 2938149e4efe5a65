//! A stage of one's own: rows with a `text` in, the rows in which one of some words occurs out, with that word as
//! `keyword`. It must not know where the text comes from, nor where the alert goes: the pipeline file says that.

use arrow::array::BooleanArray;
use arrow::compute::filter_record_batch;
use headwater_contract::prelude::*;

options! {
    /// Passes on the rows whose text holds one of some words, and says which.
    pub struct KeywordAlert {
        /// The words to listen for, whole and in any case. Where several occur, the first of this list is named.
        words: Vec<String>;
    }
}

impl StageConfig for KeywordAlert {
    const KIND: &'static str = "keyword-alert";

    fn signature(&self) -> Signature {
        Signature::map([utf8("text")], [utf8("keyword")])
    }

    fn build(&self, cx: BuildContext<'_>) -> Result<impl Stage> {
        let words = self.words.iter().map(|word| word.to_lowercase()).collect();
        Ok(Listener { words, schema: cx.output(0)? })
    }
}

struct Listener {
    words: Vec<String>,
    schema: SchemaRef,
}

impl Listener {
    fn heard(&self, text: &str) -> Option<&str> {
        let text = text.to_lowercase();
        let spoken = text.split(|c: char| !c.is_alphanumeric());
        self.words.iter().map(String::as_str).find(|word| spoken.clone().any(|s| s == *word))
    }
}

impl Stage for Listener {
    fn batch(&mut self, _: Port, batch: &RecordBatch, out: &mut Outbox<'_>) -> Result {
        let heard: Vec<_> = text_column(batch, "text")?.iter().map(|text| self.heard(text?)).collect();
        let alerts: BooleanArray = heard.iter().map(|word| Some(word.is_some())).collect();
        let rows = filter_record_batch(batch, &alerts)?;
        let keyword: ArrayRef = Arc::new(StringArray::from_iter_values(heard.into_iter().flatten()));
        out.send(with_columns(&rows, &self.schema, [("keyword", keyword)])?);
        Ok(())
    }
}

fn main() -> std::process::ExitCode {
    headwater::main_with(&[StageFactory::stage::<KeywordAlert>()])
}

#[cfg(test)]
mod tests {
    use super::*;
    use headwater_contract::conformance::{assert_stage, text_rows};

    fn keywords(words: &[&str], texts: &[&str]) -> Vec<String> {
        let config = KeywordAlert { words: words.iter().map(|w| (*w).to_owned()).collect() };
        let rows: Vec<_> = texts.iter().map(|text| ("kitchen", *text)).collect();
        let outcome = assert_stage(&config, &[text_rows(&rows).unwrap()]);
        let found = text_column(&outcome.outputs[0], "keyword")
            .unwrap()
            .iter()
            .flatten()
            .map(str::to_owned)
            .collect();
        assert_eq!(outcome.labels, [Label::Raw], "an alert is as private as the text it was heard in");
        found
    }

    #[test]
    fn words_are_heard_whole_and_in_any_case() {
        let check = |words: &[&str], text: &str, expected: &[&str]| {
            assert_eq!(keywords(words, &[text, "nothing of note"]), expected, "{words:?} in {text:?}");
        };
        check(&["smoke"], "I smell smoke.", &["smoke"]);
        check(&["smoke"], "SMOKE in the hall", &["smoke"]);
        check(&["Smoke"], "smoke", &["smoke"]);
        check(&["smoke"], "smokeless fuel", &[]);
        check(&["smoke"], "", &[]);
        check(&["smoke", "water"], "water and smoke", &["smoke"]);
        check(&["öl"], "Das ÖL läuft aus", &["öl"]);
        check(&[], "smoke", &[]);
    }

    #[test]
    fn the_other_rows_stay_behind() {
        assert_eq!(
            keywords(&["smoke", "leak"], &["a leak", "all is well", "smoke!", "fine"]),
            ["leak", "smoke"]
        );
    }
}
