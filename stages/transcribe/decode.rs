//! Cross-attention states in, tokens with their probabilities out: the prompt, greedy choice or sampling, the
//! language, the probability of silence. Knows nothing of audio, of windows or of second attempts.

use tract_onnx::prelude::*;
use tract_onnx::tract_core::internal::format_err;

use super::chance::Chance;
use super::guard;
use super::plan::{Past, Plans};
use super::tokens::{Token, Vocabulary};

/// The limits of one search.
#[derive(Debug, Clone, Copy)]
pub struct Bounds {
    /// It stops, unfinished, after this many tokens.
    pub most_tokens: usize,
    /// It stops, unfinished, when a phrase repeats.
    pub stop_at_repeats: bool,
    /// 0: the likeliest token at every step; else sampling at this temperature.
    pub temperature: f32,
}

/// The end of a search.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    /// With the end-of-text token.
    Finished,
    /// At the bound on tokens.
    TooLong,
    /// At a repetition.
    Repeating,
}

/// The tokens of one search.
#[derive(Debug, Clone)]
pub struct Attempt {
    /// Text tokens, without the end.
    pub tokens: Vec<Token>,
    /// Sum of the natural logarithms of the chosen tokens' probabilities, the end's too.
    pub logprob: f64,
    /// The end of the search.
    pub end: End,
}

impl Attempt {
    /// Mean log-probability a token, the end counted as one (as openai/whisper counts).
    pub fn mean_logprob(&self) -> f64 {
        self.logprob / (self.tokens.len() + 1) as f64
    }
}

/// The decoder after its prompt: where every attempt at a window starts.
#[derive(Debug)]
pub struct Opening {
    past: Past,
    /// The row after the prompt (logits, or hidden states).
    row: Vec<f32>,
    /// Probability of the token that marks silence; 0 where the model has none.
    pub no_speech: f64,
    /// The language token of the prompt.
    pub language: Option<Token>,
}

/// The decoder of one model, with its buffers.
#[derive(Debug)]
pub struct Decoder<'m> {
    plans: &'m Plans,
    vocabulary: &'m Vocabulary,
    suppressed: &'m [usize],
    first_suppressed: &'m [usize],
    logits: Vec<f32>,
}

impl<'m> Decoder<'m> {
    /// A decoder that never writes `suppressed`, and does not begin with `first_suppressed`.
    pub fn new(
        plans: &'m Plans,
        vocabulary: &'m Vocabulary,
        suppressed: &'m [usize],
        first_suppressed: &'m [usize],
    ) -> Decoder<'m> {
        Decoder { plans, vocabulary, suppressed, first_suppressed, logits: Vec::new() }
    }

    /// Feeds the prompt. Without a language, a multilingual model is asked for the likeliest one first.
    pub fn open(&mut self, cross: &[TValue], language: Option<Token>) -> TractResult<Opening> {
        let mut past = self.plans.start()?;
        let width = self.plans.row_width();
        let detect = language.is_none() && !self.vocabulary.languages.is_empty();
        let (start_row, language, mut rows) = if detect {
            let row = self.plans.step(cross, &mut past, &[self.vocabulary.start])?;
            let language = self.likeliest_language(&row);
            let rows = self.plans.step(cross, &mut past, &self.vocabulary.prompt(language))?;
            (row, language, rows)
        } else {
            let mut prompt = vec![self.vocabulary.start];
            prompt.extend(self.vocabulary.prompt(language));
            let rows = self.plans.step(cross, &mut past, &prompt)?;
            (rows.get(..width).unwrap_or_default().to_vec(), language, rows)
        };
        let no_speech = self.no_speech(&start_row);
        let row = rows.split_off(rows.len().saturating_sub(width));
        Ok(Opening { past, row, no_speech, language })
    }

    /// One search from an opening.
    pub fn search(
        &mut self,
        cross: &[TValue],
        opening: &Opening,
        bounds: Bounds,
        chance: Chance,
    ) -> TractResult<Attempt> {
        let mut past = opening.past.clone();
        let mut row = opening.row.clone();
        let mut attempt = Attempt { tokens: Vec::new(), logprob: 0.0, end: End::TooLong };
        for step in 0.. {
            self.text_logits(&row, step == 0);
            let draw = (bounds.temperature > 0.0).then(|| chance.draw(step));
            let (token, logprob) = choose(&self.logits, bounds.temperature, draw)
                .ok_or_else(|| format_err!("the decoder gives no number for any token"))?;
            attempt.logprob += logprob;
            if token == self.vocabulary.end {
                attempt.end = End::Finished;
                break;
            }
            attempt.tokens.push(token);
            if bounds.stop_at_repeats && guard::repeats(&attempt.tokens) {
                attempt.end = End::Repeating;
                break;
            }
            if attempt.tokens.len() >= bounds.most_tokens {
                break;
            }
            row = self.plans.step(cross, &mut past, &[token])?;
        }
        Ok(attempt)
    }

    /// The logits of text tokens and the end, in `self.logits`. All ids above the end are no text.
    fn text_logits(&mut self, row: &[f32], first: bool) {
        self.project(row, self.vocabulary.end as usize + 1);
        let also = if first { self.first_suppressed } else { &[] };
        for id in self.suppressed.iter().chain(also) {
            if let Some(logit) = self.logits.get_mut(*id) {
                *logit = f32::NEG_INFINITY;
            }
        }
    }

    /// The logits of the first `count` tokens, in `self.logits`.
    fn project(&mut self, row: &[f32], count: usize) {
        self.logits.resize(count, 0.0);
        match self.plans.head() {
            Some(head) => head.multiply(row, &mut self.logits),
            None => self.logits.iter_mut().zip(row).for_each(|(logit, value)| *logit = *value),
        }
    }

    fn no_speech(&mut self, row: &[f32]) -> f64 {
        let Some(token) = self.vocabulary.no_speech else { return 0.0 };
        self.project(row, self.plans.architecture().vocabulary);
        let logit = self.logits.get(token as usize).copied().unwrap_or(f32::NEG_INFINITY);
        (f64::from(logit) - log_sum_exp(&self.logits)).exp()
    }

    fn likeliest_language(&mut self, row: &[f32]) -> Option<Token> {
        self.project(row, self.plans.architecture().vocabulary);
        let logit = |token: Token| self.logits.get(token as usize).copied().unwrap_or(f32::NEG_INFINITY);
        let tokens = self.vocabulary.languages.iter().map(|(_, token)| *token);
        tokens.max_by(|a, b| logit(*a).total_cmp(&logit(*b)).then(b.cmp(a)))
    }
}

/// A token and the logarithm of its probability at temperature 1: the likeliest, or the one that `draw` in [0, 1)
/// lands on at `temperature`. `None` where no logit is a number.
fn choose(logits: &[f32], temperature: f32, draw: Option<f64>) -> Option<(Token, f64)> {
    let (best, largest) = logits.iter().enumerate().filter(|(_, l)| l.is_finite()).fold(
        None,
        |best: Option<(usize, f32)>, (id, l)| match best {
            Some((_, m)) if m >= *l => best,
            _ => Some((id, *l)),
        },
    )?;
    let id = match draw {
        None => best,
        Some(draw) => {
            let weight = |l: f32| f64::from((l - largest) / temperature).exp();
            let finite = || logits.iter().enumerate().filter(|(_, l)| l.is_finite());
            let mut left = draw * finite().map(|(_, l)| weight(*l)).sum::<f64>();
            let fallen_on = finite().find(|(_, l)| {
                left -= weight(**l);
                left < 0.0
            });
            fallen_on.map_or(best, |(id, _)| id)
        }
    };
    let logit = logits.get(id).copied()?;
    Some((Token::try_from(id).ok()?, f64::from(logit) - log_sum_exp(logits)))
}

fn log_sum_exp(logits: &[f32]) -> f64 {
    let largest = logits.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let sum: f64 = logits.iter().map(|l| f64::from((l - largest).exp())).sum();
    f64::from(largest) + sum.ln()
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOT: f32 = f32::NEG_INFINITY;

    #[test]
    fn greedy_takes_the_first_of_the_largest() {
        let check = |logits: &[f32], expected: Option<Token>| {
            assert_eq!(choose(logits, 0.0, None).map(|(t, _)| t), expected, "{logits:?}");
        };
        check(&[0.0, 3.0, 1.0], Some(1));
        check(&[2.0, 2.0], Some(0));
        check(&[NOT, -5.0, NOT], Some(1));
        check(&[f32::NAN, -5.0, f32::NAN], Some(1));
        check(&[NOT, NOT], None);
        check(&[], None);
    }

    #[test]
    fn sampling_follows_the_probabilities() {
        // exp(ln 3) : exp(0) = 3 : 1; at temperature 0.5 it is 9 : 1.
        let logits = [3f32.ln(), NOT, 0.0];
        let check = |temperature: f32, draw: f64, expected: Token| {
            let (token, logprob) = choose(&logits, temperature, Some(draw)).unwrap();
            assert_eq!(token, expected, "{draw} at {temperature}");
            let probability = if expected == 0 { 0.75f64 } else { 0.25 };
            assert!((logprob - probability.ln()).abs() < 1e-6);
        };
        check(1.0, 0.0, 0);
        check(1.0, 0.749, 0);
        check(1.0, 0.751, 2);
        check(0.5, 0.899, 0);
        check(0.5, 0.901, 2);
        check(1.0, 0.999_999, 2);
    }
}
