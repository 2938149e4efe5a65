//! Places of one text in another: what a redactor took out of the text that it read, and where a reference's spans were heard.
//!
//! In: two texts, and places in one of them. Out: places in the other. Offsets count characters. It must not know what the places mean.

use headwater_datasets::wer::WordErrors;

use crate::outcome::Span;

/// Returns the spans of `original` that were masked, derived from the new text: the pieces between tags stand in both. Where more than one way leads
/// from one text to the other, `hints` (what a scanner finds in the original) decide if they fit; else pieces are found as early as they
/// can be. Nothing where the texts do not fit.
pub fn taken_out(original: &str, redacted: &str, tags: &[Span], hints: &[Span]) -> Option<Vec<Span>> {
    let original: Vec<char> = original.chars().collect();
    let redacted: Vec<char> = redacted.chars().collect();
    let mut tags: Vec<&Span> = tags.iter().collect();
    tags.sort_by_key(|tag| tag.start);
    let mut pieces = Vec::with_capacity(tags.len() + 1);
    let mut at = 0;
    for tag in &tags {
        pieces.push(redacted.get(at..tag.start)?);
        at = tag.end;
    }
    pieces.push(redacted.get(at..)?);
    let places = hinted(&original, &tags, &pieces, hints).or_else(|| earliest(&original, &pieces))?;
    Some(tags.iter().zip(places).map(|(tag, (start, end))| Span::new(tag.kind.clone(), start, end)).collect())
}

/// The places of the hints, where they lead to the same pieces and kinds.
fn hinted(
    original: &[char],
    tags: &[&Span],
    pieces: &[&[char]],
    hints: &[Span],
) -> Option<Vec<(usize, usize)>> {
    let mut hints: Vec<&Span> = hints.iter().collect();
    hints.sort_by_key(|hint| hint.start);
    let same_kinds = hints.len() == tags.len() && hints.iter().zip(tags).all(|(h, t)| h.kind == t.kind);
    let ends = std::iter::once(0).chain(hints.iter().map(|hint| hint.end));
    let starts = hints.iter().map(|hint| hint.start).chain([original.len()]);
    let fits = same_kinds
        && ends.zip(starts).zip(pieces).all(|((from, to), piece)| original.get(from..to) == Some(piece));
    fits.then(|| hints.iter().map(|hint| (hint.start, hint.end)).collect())
}

/// The gaps between pieces that stand in the original in their order, the first at its start and the last at its end.
fn earliest(original: &[char], pieces: &[&[char]]) -> Option<Vec<(usize, usize)>> {
    let (first, rest) = pieces.split_first()?;
    let Some((last, inner)) = rest.split_last() else {
        return (original == *first).then(Vec::new);
    };
    if !original.starts_with(first) || !original.ends_with(last) {
        return None;
    }
    let end = original.len() - last.len();
    let mut gaps = Vec::with_capacity(rest.len());
    let mut from = first.len();
    for piece in inner {
        // What was taken out had at least one character.
        let at = (from + 1..=end).find(|at| original.get(*at..*at + piece.len()) == Some(piece))?;
        gaps.push((from, at));
        from = at + piece.len();
    }
    if from >= end {
        return None;
    }
    gaps.push((from, end));
    Some(gaps)
}

/// A word: its characters in lower case, and where it stands.
type Word = (String, usize, usize);

fn words(text: &str) -> Vec<Word> {
    let mut words: Vec<Word> = Vec::new();
    let mut inside = false;
    for (at, c) in text.chars().enumerate() {
        if !c.is_alphanumeric() {
            inside = false;
            continue;
        }
        match words.last_mut().filter(|_| inside) {
            Some(word) => {
                word.0.extend(c.to_lowercase());
                word.2 = at + 1;
            }
            None => words.push((c.to_lowercase().collect(), at, at + 1)),
        }
        inside = true;
    }
    words
}

/// The cost of a word that stands in one text alone.
const ALONE: usize = 10;

/// Returns the cost of taking one word for another: little where they look alike.
fn unlike(a: &Word, b: &Word) -> usize {
    if a.0 == b.0 {
        return 0;
    }
    let (a, b): (Vec<char>, Vec<char>) = (a.0.chars().collect(), b.0.chars().collect());
    4 + 8 * WordErrors::of_words(&a, &b).errors() / a.len().max(b.len()).max(1)
}

/// For each word of `said`, the word of `heard` that stands for it in the alignment that costs least.
fn aligned(said: &[Word], heard: &[Word]) -> Vec<Option<usize>> {
    let wide = heard.len() + 1;
    let cell = |row: usize, column: usize| row * wide + column;
    let mut cost = vec![0_usize; (said.len() + 1) * wide];
    let get = |cost: &[usize], at: usize| cost.get(at).copied().unwrap_or(usize::MAX / 2);
    let taken = |row: usize, column: usize| match (said.get(row), heard.get(column)) {
        (Some(said), Some(heard)) => unlike(said, heard),
        _ => 0,
    };
    for row in 0..=said.len() {
        for column in 0..wide {
            let best = match (row.checked_sub(1), column.checked_sub(1)) {
                (None, None) => 0,
                (None, Some(left)) => get(&cost, cell(row, left)) + ALONE,
                (Some(up), None) => get(&cost, cell(up, column)) + ALONE,
                (Some(up), Some(left)) => {
                    let through = get(&cost, cell(up, left)) + taken(up, left);
                    through.min(get(&cost, cell(up, column)) + ALONE).min(get(&cost, cell(row, left)) + ALONE)
                }
            };
            if let Some(place) = cost.get_mut(cell(row, column)) {
                *place = best;
            }
        }
    }
    let mut stands_for = vec![None; said.len()];
    let (mut row, mut column) = (said.len(), heard.len());
    while let Some(up) = row.checked_sub(1) {
        let now = get(&cost, cell(row, column));
        match column.checked_sub(1) {
            Some(left) if now == get(&cost, cell(up, left)) + taken(up, left) => {
                if let Some(place) = stands_for.get_mut(up) {
                    *place = Some(left);
                }
                (row, column) = (up, left);
            }
            Some(left) if now == get(&cost, cell(row, left)) + ALONE => column = left,
            _ => row = up,
        }
    }
    stands_for
}

/// Where spans of what was said stand in what was heard: between the words that stand for their neighbours. A span of which nothing was
/// heard has no place.
pub fn heard(said: &str, heard: &str, spans: &[Span]) -> Vec<Span> {
    let (said, heard) = (words(said), words(heard));
    let stands_for = aligned(&said, &heard);
    let place = |span: &Span| {
        let first = said.iter().position(|word| word.2 > span.start)?;
        let behind = said.iter().position(|word| word.1 >= span.end).unwrap_or(said.len());
        let before = stands_for.get(..first)?.iter().rev().find_map(|at| *at);
        let after = stands_for.get(behind..)?.iter().find_map(|at| *at);
        let inside = before.map_or(0, |at| at + 1)..after.unwrap_or(heard.len());
        let inside = heard.get(inside)?;
        let (start, end) = (inside.first()?.1, inside.last()?.2);
        Some(Span { start, end, ..span.clone() })
    };
    spans.iter().filter_map(place).collect()
}

/// Where a phrase stands in a text, case and blanks aside: the first place that none of `taken` covers.
pub fn find(text: &str, phrase: &str, taken: &[Span]) -> Option<(usize, usize)> {
    let (text, phrase) = (words(text), words(phrase));
    if phrase.is_empty() {
        return None;
    }
    text.windows(phrase.len()).find_map(|window| {
        let (start, end) = (window.first()?.1, window.last()?.2);
        let same = window.iter().zip(&phrase).all(|(a, b)| a.0 == b.0);
        let free = taken.iter().all(|span| span.end <= start || end <= span.start);
        (same && free).then_some((start, end))
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn tags_of(redacted: &str) -> Vec<Span> {
        let chars: Vec<char> = redacted.chars().collect();
        let mut tags = Vec::new();
        let mut start = None;
        for (at, c) in chars.iter().enumerate() {
            match (c, start) {
                ('<', _) => start = Some(at),
                ('>', Some(from)) => {
                    tags.push(Span::new(chars[from + 1..at].iter().collect::<String>(), from, at + 1));
                    start = None;
                }
                _ => {}
            }
        }
        tags
    }

    #[test]
    fn what_was_taken_out() {
        let check = |original: &str, redacted: &str, hints: &[(usize, usize)], expected: Option<&[&str]>| {
            let tags = tags_of(redacted);
            let hints: Vec<Span> =
                hints.iter().zip(&tags).map(|((a, b), tag)| Span::new(tag.kind.clone(), *a, *b)).collect();
            let found = taken_out(original, redacted, &tags, &hints);
            let texts = found.map(|spans| {
                let text =
                    |s: &Span| original.chars().skip(s.start).take(s.end - s.start).collect::<String>();
                spans.iter().map(text).collect::<Vec<_>>()
            });
            assert_eq!(
                texts.as_deref(),
                expected.map(|e| e.iter().map(ToString::to_string).collect::<Vec<_>>()).as_deref(),
                "{original}"
            );
        };
        check("nothing", "nothing", &[], Some(&[]));
        check("nothing", "something", &[], None);
        check("call 555-0147 or a@b.com", "call <PHONE> or <EMAIL>", &[], Some(&["555-0147", "a@b.com"]));
        check("é 555 é", "é <PHONE> é", &[], Some(&["555"]));
        check("5 5 6 6", "<PHONE> <PHONE>", &[], Some(&["5", "5 6 6"]));
        check("5 5 6 6", "<PHONE> <PHONE>", &[(0, 3), (4, 7)], Some(&["5 5", "6 6"]));
        check("5 5 6 6", "<PHONE> <PHONE>", &[(0, 3), (3, 7)], Some(&["5", "5 6 6"]));
        check("call", "call <PHONE>", &[], None);
    }

    #[test]
    fn where_spans_were_heard() {
        let check = |said: &str, phrase: &str, heard_as: &str, expected: Option<&str>| {
            let (start, end) = find(said, phrase, &[]).unwrap();
            let found = heard(said, heard_as, &[Span::new("X", start, end)]);
            let text = |s: &Span| heard_as.chars().skip(s.start).take(s.end - s.start).collect::<String>();
            assert_eq!(found.first().map(text).as_deref(), expected, "{heard_as}");
        };
        let said = "Call the plumber at five five five oh one three four about the tap.";
        let number = "five five five oh one three four";
        check(said, number, "Call the plumber at 555-0134 about the tap.", Some("555-0134"));
        check(
            said,
            number,
            "call a plumber at five five five or one three four about a tap",
            Some("five five five or one three four"),
        );
        check(said, number, "Call the plumber at about the tap.", None);
        check("write to jane at once", "jane", "right to Jayne at once", Some("Jayne"));
        check("my name is jane", "jane", "my name is", None);
        let said = "Your grandmother is four one five";
        check(said, "four one five", "Your grandmothers for 15", Some("for 15"));
    }

    proptest! {
        #[test]
        fn taking_out_and_finding_again(pieces in prop::collection::vec("[a-z ]{1,6}", 1..5), secrets in prop::collection::vec("[0-9]{1,4}", 4)) {
            let (mut original, mut redacted) = (String::new(), String::new());
            for (piece, secret) in pieces.iter().zip(&secrets) {
                original += piece;
                original += secret;
                redacted += piece;
                redacted += "<N>";
            }
            let found = taken_out(&original, &redacted, &tags_of(&redacted), &[]).unwrap();
            let texts: Vec<String> = found.iter().map(|s| original[s.start..s.end].to_owned()).collect();
            prop_assert_eq!(&texts[..], &secrets[..pieces.len().min(4)]);
        }

        #[test]
        fn any_text_is_heard_somewhere_or_nowhere(said in "\\PC{0,40}", text in "\\PC{0,40}", start in 0usize..40, long in 1usize..10) {
            let length = text.chars().count();
            for span in heard(&said, &text, &[Span::new("X", start, start + long)]) {
                prop_assert!(span.start < span.end && span.end <= length);
            }
        }
    }
}
