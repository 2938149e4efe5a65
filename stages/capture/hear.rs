//! Recordings as utterances: decode, find voices, cut.
//!
//! A list of recordings flows in; utterances flow out, in the order of the list, with a rejection for each
//! recording that could not be heard to its end. What was heard before a break is kept: it was said.

use std::collections::VecDeque;

use headwater_contract::units::Micros;
use headwater_datasets::audio::{AudioError, AudioReader, SAMPLE_RATE};

use super::book::{Book, Found, Note};
use super::recordings::{SEQS, Take};
use super::segment::{Segment, Segmenter};
use super::utterance::{Content, Place, Rejected, Tally, Utterance, Utterances};

type Heard = Result<Utterance, Rejected>;

/// The utterances of recordings that come in lists.
pub struct Hearing {
    book: Book,
    /// Recordings that are to be heard.
    queue: VecDeque<Take>,
    /// The recording being heard.
    current: Option<Take>,
    /// Where an earlier life left, until its recording comes.
    left: Place,
    /// Number of the recording being heard, or behind the last one.
    at: u64,
    state: State,
    /// Heard and not given yet: what one chunk completed.
    ready: VecDeque<Heard>,
    /// Items given from this recording.
    given: u64,
    /// Items of this recording that an earlier life gave.
    skip: u64,
    tally: Tally,
}

/// How far the recording is.
enum State {
    /// Being heard; with the number of utterances made of it.
    Open(Box<AudioReader>, Segmenter, u64),
    /// Heard to its end.
    Ended,
}

impl Hearing {
    /// Hears what is to be heard of a list after a place.
    pub fn from_place(mut book: Book, takes: Vec<Take>, place: Place) -> Self {
        let later = !book.is_empty() || place != Place::default();
        if book.is_empty() {
            book.adopt(&takes, place);
        }
        let listed = takes.len() as u64;
        let (queue, found) = book.unheard(takes, place);
        let known = listed.saturating_sub(queue.len() as u64);
        let found = if later { found } else { Found::default() };
        if later {
            tell(&found);
        }
        Self {
            book,
            queue: queue.into(),
            current: None,
            left: place,
            at: place.file,
            state: State::Ended,
            ready: VecDeque::new(),
            given: place.items,
            skip: 0,
            tally: Tally { listed, inputs: known, found, ..Tally::default() },
        }
    }

    /// Takes in another list: what of it is not known will be heard.
    pub fn hear_of(&mut self, takes: Vec<Take>) {
        let place = Place { file: self.at, ..Place::default() };
        let (queue, found) = self.book.unheard(takes, place);
        let Found { new, changed, renamed, .. } = found;
        if new + changed + renamed > 0 {
            tell(&found);
            let before = self.tally.found;
            let sums = (before.new + new, before.changed + changed, before.renamed + renamed);
            self.tally.found = Found { new: sums.0, changed: sums.1, renamed: sums.2, ..before };
            self.tally.listed += queue.len() as u64;
        }
        self.queue = queue.into();
    }

    fn open(take: &Take) -> Result<State, Rejected> {
        if let Some(reason) = &take.barred {
            return Err(rejected(take, 0, 0, "folder_unreadable", reason));
        }
        match AudioReader::open(&take.path) {
            Ok(reader) => Ok(State::Open(Box::new(reader), Segmenter::new(), 0)),
            Err(error) => Err(rejected(take, 0, 0, error.code(), &error.to_string())),
        }
    }

    /// Begins the next recording; nothing when there is none.
    fn begin(&mut self) -> Option<()> {
        let mut take = self.queue.pop_front()?;
        self.book.begin(&mut take);
        self.at = take.number.unwrap_or(self.at);
        let left = std::mem::take(&mut self.left);
        self.skip = if left.file == self.at { left.items } else { 0 };
        self.given = 0;
        self.state = Self::open(&take).unwrap_or_else(|rejected| {
            self.ready.push_back(Err(rejected));
            State::Ended
        });
        self.current = Some(take);
        Some(())
    }

    /// Decodes one chunk of the recording, or does what comes after the last. Nothing when no other follows.
    fn step(&mut self) -> Option<()> {
        let Some(take) = &self.current else { return self.begin() };
        let (ready, tally) = (&mut self.ready, &mut self.tally);
        self.state = match std::mem::replace(&mut self.state, State::Ended) {
            State::Open(mut reader, mut segmenter, mut made) => match reader.next_chunk() {
                Ok(Some(chunk)) => {
                    if self.given >= self.skip {
                        tally.samples_read += chunk.len() as u64;
                    }
                    segmenter.push(chunk, &mut |segment| keep(take, segment, &mut made, ready, tally));
                    State::Open(reader, segmenter, made)
                }
                end => {
                    segmenter.finish(&mut |segment| keep(take, segment, &mut made, ready, tally));
                    match end.err() {
                        Some(failure) => ready.push_back(Err(broken(take, made, &failure))),
                        None if made == 0 => tally.silent += 1,
                        None => {}
                    }
                    State::Ended
                }
            },
            State::Ended => {
                tally.inputs += 1;
                (self.at, self.given, self.skip, self.current) = (self.at + 1, 0, 0, None);
                State::Ended
            }
        };
        Some(())
    }
}

/// Says what a list holds, against what was known before.
fn tell(found: &Found) {
    let Found { new, known, changed, renamed } = found;
    let renamed = if *renamed > 0 { format!(", {renamed} renamed") } else { String::new() };
    tracing::info!(target: "headwater_progress", "recordings: {new} new, {known} known, {changed} changed{renamed}");
}

impl Iterator for Hearing {
    type Item = Heard;

    fn next(&mut self) -> Option<Heard> {
        loop {
            if let Some(heard) = self.ready.pop_front() {
                self.given += 1;
                if self.given > self.skip {
                    self.tally.rejected += u64::from(heard.is_err());
                    return Some(heard);
                }
            } else {
                self.step()?;
            }
        }
    }
}

impl Utterances for Hearing {
    fn place(&self) -> Place {
        Place { file: self.at, items: self.given, ..Place::default() }
    }

    fn note(&mut self) -> Option<Note> {
        self.book.note()
    }

    fn tally(&self) -> Tally {
        self.tally
    }
}

fn keep(take: &Take, segment: Segment, made: &mut u64, ready: &mut VecDeque<Heard>, tally: &mut Tally) {
    let at = micros(segment.start);
    let heard = if *made < SEQS - 1 {
        tally.samples_kept += segment.samples.len() as u64;
        Ok(Utterance {
            device: take.device.clone(),
            seq: take.first_seq + *made,
            captured_at: Micros(take.captured_at.0.saturating_add(at)),
            content: Content::Samples(segment.samples),
        })
    } else if *made == SEQS - 1 {
        let reason = format!("more than {} utterances in one recording; cut it into several", SEQS - 1);
        Err(rejected(take, *made, at, "recording_too_long", &reason))
    } else {
        return;
    };
    *made += 1;
    ready.push_back(heard);
}

fn rejected(take: &Take, made: u64, at: i64, code: &'static str, reason: &str) -> Rejected {
    Rejected {
        device: take.device.clone(),
        seq: take.first_seq + made.min(SEQS - 1),
        captured_at: Micros(take.captured_at.0.saturating_add(at)),
        code,
        reason: format!("{}: {reason}", take.path.display()),
    }
}

/// A recording that broke while it was heard.
fn broken(take: &Take, made: u64, failure: &AudioError) -> Rejected {
    #[expect(clippy::cast_possible_truncation, reason = "a float cast saturates")]
    let at = (failure.seconds_read() * 1e6) as i64;
    let kept = match made {
        0 => String::new(),
        1 => "; the utterance heard before that is kept".to_owned(),
        n => format!("; the {n} utterances heard before that are kept"),
    };
    rejected(take, made, at, failure.code(), &format!("{failure}{kept}"))
}

/// Microseconds that a number of samples lasts: 62.5 each, rounded down.
fn micros(samples: u64) -> i64 {
    let micros = u128::from(samples) * 1_000_000 / u128::from(SAMPLE_RATE);
    i64::try_from(micros).unwrap_or(i64::MAX)
}
