//! Letters that are explained by words: "s as in sierra", "b for bob", "v wie Viktor", "d, delta", bare code words in a row.
//!
//! In: the tokens of a text. Out: the same with one token for each letter that is explained, over all that explains it, so that every
//! finder of letters reads it as one. Any word explains the letter that it begins with; the word between may be any that links. Must not know
//! what is spelled. Each token is read a bounded number of times.

use super::cutter::TokenBuffers;
use super::explained::{EXPLAINS, Element, GAP, JOINTS, Reader, Row, Sort};
use super::lexicon::{self, Flags, Meaning};
use super::token::{Class, Token, seed};

/// Tokens that become one.
#[derive(Clone, Copy)]
struct Fold {
    first: usize,
    last: usize,
    /// The meaning of the words together; nothing where it is the first one with a comma behind it.
    meaning: Option<Meaning>,
}

/// The distance before a row within which a phrase may promise a code, in tokens.
const TOLD: usize = 8;

/// Puts one token in place of each letter that is explained.
pub fn fold(text: &str, cut: &mut TokenBuffers) {
    const BEGINS: u32 = seed::LETTER | seed::CODE_WORD | seed::JOINED;
    if cut.all & BEGINS == 0 {
        return;
    }
    let (mut folds, mut elements) = (Vec::new(), Vec::new());
    let reader = Reader { text, cut };
    let mut at = 0;
    while let Some(first) = cut.planes.next(at, BEGINS) {
        at = match reader.begin(first, at) {
            Some(start) => {
                let mut after = reader.row(start, &mut elements);
                let earlier = if elements.len() > 1 { reader.numbers_before(start, at) } else { start };
                if earlier < start {
                    after = reader.row(earlier, &mut elements);
                }
                reader.decide(&elements, &mut folds);
                after.max(first + 1)
            }
            None => first + 1,
        };
    }
    if !folds.is_empty() {
        put(cut, &folds);
    }
}

/// Writes the folds into the tokens.
fn put(cut: &mut TokenBuffers, folds: &[Fold]) {
    let TokenBuffers { list, seeds, planes, all } = cut;
    let mut next = folds.iter().peekable();
    let (mut from, mut to) = (0, 0);
    while let Some(&token) = list.get(from) {
        let bits = seeds.get(from).copied().unwrap_or(0);
        let fold = next.next_if(|fold| fold.first == from);
        let last = fold.map_or(from, |fold| fold.last);
        let end = list.get(last).map_or(token.end, |token| token.end);
        let (token, bits) = match fold.and_then(|fold| fold.meaning) {
            None => (Token { end, ..token }, bits),
            Some(meaning) => {
                let kept = bits & (seed::ROW | seed::MIXED | seed::COLON);
                let own =
                    if meaning.letter > 0 { seed::LETTER | seed::EXPLAINED } else { lexicon::seeds(meaning) };
                (Token { end, class: Class::Word, capital: false, meaning, ..token }, kept | own)
            }
        };
        if let (Some(place), Some(bit)) = (list.get_mut(to), seeds.get_mut(to)) {
            (*place, *bit) = (token, bits);
        }
        (from, to) = (last + 1, to + 1);
    }
    list.truncate(to);
    seeds.truncate(to);
    planes.fill(seeds);
    *all = seeds.iter().fold(0, |all, seeds| all | seeds);
}

impl Reader<'_> {
    /// Returns the start of a row at the token `index`, or at a word before it from `from` on; most letters of a text are the words "a" and "I".
    fn begin(&self, index: usize, from: usize) -> Option<usize> {
        let token = self.at(index)?;
        if let Some(before) = index.checked_sub(1).filter(|before| *before >= from)
            && self.joint(before).is_some_and(|(_, last)| last == index)
        {
            return Some(before);
        }
        if !token.is_letter() {
            // A code word alone is a word.
            let mut beside = seed::LETTER | seed::CODE_WORD;
            beside |= if token.meaning.letter > 0 { seed::NUMBER } else { 0 };
            let after =
                self.cut.seeds.get(index + 1..(index + 2 + GAP).min(self.cut.seeds.len())).unwrap_or(&[]);
            if token.has(Flags::CODE_WORD) && !after.iter().any(|bits| bits & beside != 0) {
                return None;
            }
            return Some(self.announced_start(index, from))
                .filter(|_| self.is_code_word(index) || self.joint(index).is_some());
        }
        let next = self.at(index + 1)?;
        let may = self.is_alone(index)
            && (next.class != Class::Word
                || next.is_letter()
                || next.has(EXPLAINS)
                || self.says(index + 1, &["you"])
                || self.is_code_word(index + 1)
                || self.is_number(index + 1)
                || next.has(JOINTS)
                || self.begins_with(index + 1, self.letter(index)));
        let cased = index > from && (self.is_case_word(index - 1) || self.double_u(index - 1));
        (may || cased).then(|| self.announced_start(index, from))
    }

    /// Reads a row from the token `first` on; the index after it.
    fn row(&self, first: usize, elements: &mut Vec<Element>) -> usize {
        elements.clear();
        let mut end = first;
        let mut row = Row::default();
        loop {
            let start = if elements.is_empty() { end } else { self.past_gap(end) };
            let Some(element) = self.element(start, &row) else { break };
            row.count(element.kind);
            elements.push(element);
            end = element.last + 1;
        }
        end
    }

    /// Decides which part of a row becomes one token.
    fn decide(&self, elements: &[Element], folds: &mut Vec<Fold>) {
        let Some(first) = elements.first() else { return };
        let mut row = Row::default();
        elements.iter().for_each(|element| row.count(element.kind));
        let announced = self.is_told(first.first);
        row.joints += usize::from(self.is_joint(first.first.wrapping_sub(1)));
        let told_by_words = row.explained > 0 || row.is_aviation(announced) || row.are_words(announced);
        let spelled = row.is_spelled() || told_by_words;
        for (place, element) in elements.iter().enumerate() {
            let kept = match element.kind {
                Sort::Explained => true,
                Sort::Aviation => row.is_aviation(announced),
                Sort::Word => row.are_words(announced),
                Sort::Letter | Sort::Number => false,
                Sort::Joint(_) => element.last > element.first,
            };
            // What links an element to the next one belongs to it. Commas between numbers say more where nothing is spelled out.
            let numbers = element.kind != Sort::Number
                || row.explained + row.words > 0
                || row.joints > 0 && row.letters > 1;
            let next = elements.get(place + 1).filter(|_| spelled && numbers);
            let last = match next {
                Some(next) if told_by_words => next.first - 1,
                // Between letters that nothing explains, a comma alone, or a dot where a sign is said.
                Some(next) if next.first == element.last + 2 => {
                    let apart = [element.first, next.first]
                        .iter()
                        .all(|at| self.at(*at).is_some_and(|token| token.spaced));
                    let sign = |token: Token| token.is(b',') || row.joints > 0 && apart && token.is(b'.');
                    element.last + usize::from(self.at(element.last + 1).is_some_and(sign))
                }
                _ => element.last,
            };
            if !kept && last == element.last {
                continue;
            }
            let meaning = match element.kind {
                _ if !kept && element.kind != Sort::Letter => None,
                Sort::Joint(flags) => Some(Meaning { flags, ..Meaning::NONE }),
                _ => Some(Meaning { letter: element.letter, flags: Flags::EXPLAINED, ..Meaning::NONE }),
            };
            folds.push(Fold { first: element.first, last, meaning });
        }
    }

    /// Returns true if a phrase before the row promises something.
    fn is_told(&self, first: usize) -> bool {
        let seeds = self.cut.seeds.get(first.saturating_sub(TOLD)..first).unwrap_or(&[]);
        seeds.iter().any(|bits| bits & seed::CUE != 0)
    }

    /// Returns the start of "capital s", "the letter s".
    fn announced_start(&self, letter: usize, from: usize) -> usize {
        let mut start = letter;
        if start > from && self.double_u(start - 1) {
            start -= 1;
        }
        while start > from && self.is_case_word(start - 1) {
            start -= 1;
        }
        start
    }

    /// Returns the start of the numbers before a letter: "seven and h as in horse".
    fn numbers_before(&self, letter: usize, from: usize) -> usize {
        const FAR: usize = 12;
        let mut start = letter;
        loop {
            let gap = (start.saturating_sub(GAP).max(from)..=start).find(|at| self.past_gap(*at) >= start);
            let number =
                gap.and_then(|gap| gap.checked_sub(1)).filter(|at| *at >= from && self.is_number(*at));
            match number {
                Some(number) if letter - number < FAR => start = number,
                _ => return start,
            }
        }
    }
}

impl Row {
    /// Letters said one by one: commas between them say nothing.
    fn is_spelled(&self) -> bool {
        self.explained > 0 || self.letters > 2 || self.letters > 0 && self.joints > 0
    }

    /// "Mike and Juliet" are people, "mike juliet four" is not.
    fn is_aviation(&self, announced: bool) -> bool {
        if announced && self.aviation > 0 && self.numbers > 3 {
            return true;
        }
        let letters = self.explained + self.letters + self.aviation;
        self.aviation > 0
            && letters > 1
            && (self.aviation > 2 || letters > self.aviation || self.numbers + self.joints > 0)
    }

    /// Names, towns and things are code words only in a row, and where something is promised or the row has more than words.
    fn are_words(&self, announced: bool) -> bool {
        let spelled = self.explained + self.letters + self.aviation;
        let letters = spelled + self.words;
        self.words > 0
            && letters > 1
            && (announced || self.explained > 0 || self.joints > 0)
            && (letters > 3 || spelled + self.numbers + self.joints > 0)
    }
}
