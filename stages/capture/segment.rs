//! Long audio cut at its pauses into utterances of at most 30 s.
//!
//! Mono samples at 16 kHz flow in, in pieces of any size; segments flow out, each with the sample at which
//! it begins. At most one utterance is held. The cuts depend on the samples alone, not on the pieces.
//!
//! A cut in the middle of a word loses it, and a recogniser hears better with context; so pauses are
//! taken only as short as the utterance's length makes necessary (see `pause_needed`).

use earshot::Detector;

/// Samples in a frame of voice activity detection: 16 ms.
const FRAME: usize = 256;

/// Whole frames that cover this time.
const fn frames(milliseconds: usize) -> usize {
    (milliseconds * 16).div_ceil(FRAME)
}

/// A frame with this score is voice: the threshold that earshot recommends.
const VOICED: f32 = 0.5;

/// During speech, a frame with this score still is: word endings and breathy sounds score lower.
const STILL_VOICED: f32 = 0.25;

/// Voiced frames in a row that open an utterance: shorter is a click; the shortest words last 100 ms.
const ONSET: usize = 3;

/// Kept before the first voiced frame: soft consonants come before the detector notices.
const LEAD: usize = frames(300);

/// Kept after the last voiced frame.
const TAIL: usize = frames(300);

/// The longest utterance: the window of Whisper, 30 s.
const LONGEST: usize = 30_000 * 16 / FRAME;

/// Without a pause, the cut goes to the least voiced place of the last seconds.
const SEARCH: usize = frames(6_000);

/// Silence that ends an utterance of this many frames. A dictated number with its hesitations stays in
/// one piece, and a speaker who never rests is still cut where it hurts least.
const fn pause_needed(length: usize) -> usize {
    if length < frames(15_000) {
        frames(2_000)
    } else if length < frames(24_000) {
        frames(600)
    } else {
        frames(250)
    }
}

/// Part of a recording with speech.
#[derive(Debug, Clone, PartialEq)]
pub struct Segment {
    /// Sample of the recording at which it begins.
    pub start: u64,
    /// Its samples.
    pub samples: Vec<f32>,
}

/// Says how likely a frame holds a voice.
pub trait Voice {
    /// A score in 0..=1 for the next 256 samples.
    fn score(&mut self, frame: &[f32]) -> f32;
}

impl Voice for Detector {
    fn score(&mut self, frame: &[f32]) -> f32 {
        self.predict_f32(frame)
    }
}

/// Cuts one recording; take a new one for the next.
pub struct Segmenter<V = Box<Detector>> {
    voice: V,
    /// Samples that do not fill a frame yet.
    partial: Vec<f32>,
    /// The frames held: all of the open utterance, or the last few.
    held: Vec<f32>,
    /// One score per frame held.
    scores: Vec<f32>,
    /// Frame of the recording at which `held` begins.
    first: u64,
    /// Frames held up to and with the last voiced one, while an utterance is open.
    open: Option<usize>,
    /// Voiced frames in a row, while none is open.
    onset: usize,
}

impl<V: Voice + ?Sized> Voice for Box<V> {
    fn score(&mut self, frame: &[f32]) -> f32 {
        (**self).score(frame)
    }
}

impl Segmenter {
    /// A segmenter with earshot's network.
    pub fn new() -> Self {
        Self::with_voice(Detector::default_boxed())
    }
}

impl Default for Segmenter {
    fn default() -> Self {
        Self::new()
    }
}

impl<V: Voice> Segmenter<V> {
    /// A segmenter with another detector.
    pub fn with_voice(voice: V) -> Self {
        Self {
            voice,
            partial: Vec::with_capacity(FRAME),
            held: Vec::new(),
            scores: Vec::new(),
            first: 0,
            open: None,
            onset: 0,
        }
    }

    /// Takes the next samples; calls `out` for each utterance that they complete.
    pub fn push(&mut self, mut samples: &[f32], out: &mut impl FnMut(Segment)) {
        while !samples.is_empty() {
            let room = (FRAME - self.partial.len()).min(samples.len());
            let (now, rest) = samples.split_at(room);
            self.partial.extend_from_slice(now);
            samples = rest;
            if self.partial.len() == FRAME {
                self.frame(out);
            }
        }
    }

    /// The recording is over: the open utterance, if any, ends here.
    pub fn finish(mut self, out: &mut impl FnMut(Segment)) {
        let missing = FRAME - self.partial.len();
        if missing < FRAME {
            self.partial.resize(FRAME, 0.0);
            self.frame(out);
            self.held.truncate(self.held.len().saturating_sub(missing));
        }
        if let Some(spoken) = self.open {
            self.emit(spoken + TAIL, out);
        }
    }

    /// Samples for which memory is held.
    #[cfg(test)]
    fn capacity(&self) -> usize {
        self.held.capacity().max(self.partial.capacity())
    }

    fn frame(&mut self, out: &mut impl FnMut(Segment)) {
        let score = self.voice.score(&self.partial);
        self.held.append(&mut self.partial);
        self.scores.push(score);
        match self.open {
            None => self.listen(score),
            Some(spoken) => self.follow(score, spoken, out),
        }
    }

    /// Silence: keep the lead, wait for voiced frames in a row.
    fn listen(&mut self, score: f32) {
        self.onset = if score >= VOICED { self.onset + 1 } else { 0 };
        if self.onset == ONSET {
            self.onset = 0;
            self.open = Some(self.scores.len());
        } else {
            let keep = LEAD + self.onset;
            self.drop_front(self.scores.len().saturating_sub(keep));
        }
    }

    /// Speech: look for the end.
    fn follow(&mut self, score: f32, spoken: usize, out: &mut impl FnMut(Segment)) {
        let length = self.scores.len();
        let spoken = if score >= STILL_VOICED { length } else { spoken };
        self.open = Some(spoken);
        if length - spoken >= pause_needed(length) {
            self.emit(spoken + TAIL.min((length - spoken) / 2), out);
            self.open = None;
            self.drop_front(self.scores.len().saturating_sub(LEAD));
        } else if length >= LONGEST {
            let cut = self.quietest();
            self.emit(cut, out);
            self.open = spoken.checked_sub(cut).filter(|left| *left > 0);
        }
    }

    /// The frame of the last seconds whose surroundings are least voiced; the latest of equals.
    fn quietest(&self) -> usize {
        const AROUND: usize = 5;
        let from = self.scores.len() - SEARCH;
        let recent = self.scores.get(from..).unwrap_or_default();
        let sums = recent.windows(AROUND).map(|scores| scores.iter().sum::<f32>());
        let best = sums.enumerate().min_by(|a, b| a.1.total_cmp(&b.1).then(b.0.cmp(&a.0)));
        from + best.map_or(SEARCH / 2, |(at, _)| at + AROUND / 2)
    }

    /// Gives the first `length` frames held, and drops them.
    fn emit(&mut self, length: usize, out: &mut impl FnMut(Segment)) {
        let end = (length * FRAME).min(self.held.len());
        let samples = self.held.get(..end).unwrap_or_default().to_vec();
        out(Segment { start: self.first * FRAME as u64, samples });
        self.drop_front(length.min(self.scores.len()));
    }

    fn drop_front(&mut self, count: usize) {
        self.held.drain(..(count * FRAME).min(self.held.len()));
        self.scores.drain(..count);
        self.first += count as u64;
    }
}

#[cfg(test)]
mod tests;
