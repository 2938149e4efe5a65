//! Transcripts against spoken texts: errors by words and by characters, after the English normaliser.
//!
//! In: two texts. Out: counts that add up. It must not keep a text.

use headwater_datasets::wer::{WordErrors, english};

/// Errors of some utterances.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Scores {
    /// Utterances with a reference.
    pub utterances: u64,
    /// By words.
    pub words: WordErrors,
    /// By characters of the words, with single blanks between.
    pub chars: WordErrors,
}

impl Scores {
    /// Adds those of other utterances.
    pub fn add(&mut self, other: &Scores) {
        self.utterances += other.utterances;
        self.words += other.words;
        self.chars += other.chars;
    }
}

/// The errors of one utterance. One without words in its reference says nothing of words: whatever is heard there is an insertion.
pub fn score(reference: &str, heard: &str) -> Scores {
    let (said, heard) = (english::words(reference), english::words(heard));
    let chars = |words: &[String]| words.join(" ").chars().collect::<Vec<char>>();
    Scores {
        utterances: 1,
        words: WordErrors::of_words(&said, &heard),
        chars: WordErrors::of_words(&chars(&said), &chars(&heard)),
    }
}

#[cfg(test)]
mod tests {
    use super::score;

    #[test]
    fn words_and_characters() {
        let table = [
            ("It's twenty-one degrees.", "it is 21 degrees", 0, 0),
            ("the kettle", "the cattle", 1, 2),
            ("the kettle", "", 2, 10),
            ("", "hello", 1, 5),
        ];
        for (said, heard, words, chars) in table {
            let scores = score(said, heard);
            assert_eq!((scores.words.errors(), scores.chars.errors()), (words, chars), "{said} / {heard}");
        }
    }
}
