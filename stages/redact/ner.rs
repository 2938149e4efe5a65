//! A neural tagger that a user brings: names, organisations and places that stand in no list.
//!
//! In: a folder in Hugging Face's layout (config.json, tokenizer.json, model.onnx) of a BERT or DistilBERT for token classification, and
//! texts. Out: findings, each with the tagger's probability as its score. What the patterns found comes first: of a tagged
//! span only what they left is added. It must not know how patterns find. Only this folder and the recogniser's name tract.
//!
//! Texts are padded to a few lengths and computed eight at a time; how a text rounds depends on its length alone, so neither batches nor
//! workers change a finding.

mod folder;
mod plan;
mod spans;

use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};

use headwater_contract::{OptionType, Result, Shape, StageError, toml};
use tokenizers::Tokenizer;

use super::kind::Entity;
use super::scan_context::Finding;
use folder::Described;
use plan::Plan;
use spans::Window;

/// The option `ner`: the folder, and the tagger once it is loaded. All stages made of one option share it.
#[derive(Clone, Debug)]
pub struct Ner {
    path: PathBuf,
    loaded: Arc<OnceLock<Arc<Tagger>>>,
}

impl OptionType for Ner {
    fn shape() -> Shape {
        Shape::Path
    }
    fn read(value: &toml::Value) -> std::result::Result<Self, String> {
        Ok(Ner { path: PathBuf::read(value)?, loaded: Arc::default() })
    }
    fn show(&self) -> String {
        self.path.show()
    }
}

impl Ner {
    /// The folder.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The tagger, loaded by the first who asks.
    ///
    /// # Errors
    /// The folder holds none that fits: all that is wrong with it.
    pub fn tagger(&self) -> Result<Arc<Tagger>> {
        if let Some(tagger) = self.loaded.get() {
            return Ok(tagger.clone());
        }
        let tagger = Arc::new(Tagger::open(&self.path)?);
        Ok(self.loaded.get_or_init(|| tagger).clone())
    }
}

/// A kind that a label stands for, and whether the label begins a new span.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Tag {
    kind: Entity,
    begins: bool,
}

/// A tagger, ready.
#[derive(Debug)]
pub struct Tagger {
    tokenizer: Tokenizer,
    /// By label: the kind that it stands for, if it stands for one.
    tags: Vec<Option<Tag>>,
    /// The token before a text, and the one after it.
    around: (i64, i64),
    padding: i64,
    /// The most tokens that are computed together, those around included.
    most: usize,
    plan: Plan,
}

/// Lengths that texts are padded to, in tokens.
const LENGTHS: [usize; 6] = [16, 32, 64, 128, 256, 512];
/// Windows that are computed together; what is left over is computed one by one.
const TOGETHER: usize = 8;
/// Tokens that two windows of a long text share, at most.
const OVERLAP: usize = 32;

/// A text as the tagger sees it.
struct EncodedText {
    ids: Vec<i64>,
    pieces: Vec<spans::Piece>,
}

impl Tagger {
    /// Loads a folder.
    ///
    /// # Errors
    /// All that is wrong with it, by file.
    pub fn open(folder: &Path) -> Result<Self> {
        let Described { tokenizer, tags, around, padding, most, file } = folder::read(folder)?;
        let plan = Plan::load(&file, tags.len()).map_err(|error| {
            StageError::new(format!("{}: {error:#}", file.display()))
                .expected("a BERT or DistilBERT for token classification, as optimum exports it")
        })?;
        Ok(Tagger { tokenizer, tags, around, padding, most, plan })
    }

    /// The findings of each text, sorted and apart from each other. `least` is the probability below which a label counts for nothing.
    ///
    /// # Errors
    /// A text could not be tokenised or computed; the text itself is not in the error.
    pub fn tag(&self, texts: &[&str], least: f64) -> Result<Vec<Vec<Finding>>> {
        let seen = texts.iter().map(|text| self.see(text)).collect::<Result<Vec<_>>>()?;
        let windows: Vec<(usize, Window)> = seen
            .iter()
            .enumerate()
            .flat_map(|(text, seen)| {
                spans::windows(seen.ids.len(), self.most.saturating_sub(2), OVERLAP)
                    .map(move |window| (text, window))
            })
            .collect();
        let mut rows: Vec<Vec<spans::Chances>> =
            seen.iter().map(|seen| vec![spans::Chances::default(); seen.ids.len()]).collect();
        for (length, windows) in by_length(&windows, self.most) {
            let (whole, rest) = windows.as_chunks::<TOGETHER>();
            let groups = whole.iter().map(<[_; TOGETHER]>::as_slice).chain(rest.chunks(1));
            for group in groups {
                let inner = group.iter().map(|(text, window)| self.ids_of(&seen, *text, window));
                let logits = self.plan.run(&inner.collect::<Vec<_>>(), length, self.padding)?;
                for ((text, window), logits) in group.iter().zip(logits) {
                    let Some(rows) = rows.get_mut(*text) else { continue };
                    // The first row is that of the token before the text.
                    window.keep(rows, logits.chunks(self.tags.len()).skip(1));
                }
            }
        }
        let found = texts.iter().zip(&seen).zip(&rows);
        Ok(found.map(|((text, seen), rows)| spans::of(text, &seen.pieces, rows, &self.tags, least)).collect())
    }

    fn see(&self, text: &str) -> Result<EncodedText> {
        // The error of the tokenizer may quote the text.
        let encoded = self.tokenizer.encode(text, false);
        let encoded = encoded.map_err(|_| StageError::new("the tokenizer of `ner` cannot read a text"))?;
        let words = encoded.get_word_ids().iter();
        let pieces = encoded.get_offsets().iter().zip(words).map(|((start, end), word)| spans::Piece {
            start: *start,
            end: *end,
            word: *word,
        });
        Ok(EncodedText {
            ids: encoded.get_ids().iter().map(|id| i64::from(*id)).collect(),
            pieces: pieces.collect(),
        })
    }

    /// The ids of a window, with those around it.
    fn ids_of(&self, seen: &[EncodedText], text: usize, window: &Window) -> Vec<i64> {
        let ids = seen.get(text).and_then(|seen| seen.ids.get(window.start..window.end)).unwrap_or_default();
        let (before, after) = self.around;
        std::iter::once(before).chain(ids.iter().copied()).chain([after]).collect()
    }
}

/// Windows by the length they are padded to, in order.
fn by_length(windows: &[(usize, Window)], most: usize) -> Vec<(usize, Vec<(usize, Window)>)> {
    let mut all = std::collections::BTreeMap::<usize, Vec<(usize, Window)>>::new();
    for (text, window) in windows.iter().filter(|(_, window)| window.start < window.end) {
        let needed = window.end - window.start + 2;
        let length = LENGTHS.into_iter().find(|length| *length >= needed).unwrap_or(most).min(most);
        all.entry(length).or_default().push((*text, *window));
    }
    all.into_iter().collect()
}

/// Joins the findings of the patterns with the rest of the tagger's: pieces that hold a letter or a digit. Both inputs are sorted, and so is
/// what comes out.
pub fn merged(text: &str, found: Vec<Finding>, tagged: &[Finding]) -> Vec<Finding> {
    if tagged.is_empty() {
        return found;
    }
    let mut more = Vec::new();
    for span in tagged {
        let mut at = span.start;
        let inside = found.iter().filter(|known| known.start < span.end && known.end > span.start);
        for (start, end) in inside.map(|known| (known.start, known.end)).chain([(span.end, span.end)]) {
            more.extend(piece(text, at, start.max(at), span));
            at = at.max(end);
        }
    }
    let mut all = found;
    all.extend(more);
    all.sort_by_key(|finding| finding.start);
    all
}

fn piece(text: &str, start: usize, end: usize, span: &Finding) -> Option<Finding> {
    let words = text.get(start..end)?;
    let from = words.find(char::is_alphanumeric)?;
    let upto = words.rfind(char::is_alphanumeric)?;
    let upto = upto + words.get(upto..)?.chars().next()?.len_utf8();
    Some(Finding { start: start + from, end: start + upto, ..*span })
}

#[cfg(test)]
mod tests;
