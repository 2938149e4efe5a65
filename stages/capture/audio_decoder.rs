//! Recordings as utterances: decode, find voices, cut.
//!
//! A list of recordings flows in; utterances flow out, in the order of the list, with a rejection for each
//! recording that could not be heard to its end. What was heard before a break is kept: it was said.

use std::collections::VecDeque;

use headwater_contract::units::Micros;
use headwater_datasets::audio::{AudioError, AudioReader, SAMPLE_RATE};

use super::channels::Channels;
use super::file_ledger::{FileLedger, ListComparison, Note};
use super::recordings::{SEQS, Take};
use super::segment::{Segment, Segmenter};
use super::utterance::{Content, Place, Rejection, Tally, Utterance, Utterances};

type DecodeResult = Result<Utterance, Rejection>;

/// The utterances of recordings that come in lists.
pub struct AudioDecoder {
    file_ledger: FileLedger,
    /// Recordings that are to be heard.
    queue: VecDeque<Take>,
    /// The recording being heard.
    current: Option<Take>,
    /// The place where an earlier attempt stopped, until its recording comes.
    left: Place,
    /// Number of the recording being heard, or behind the last one.
    at: u64,
    state: State,
    /// Heard and not given yet: what one chunk completed.
    ready: VecDeque<DecodeResult>,
    /// Items given from this recording.
    given: u64,
    /// Items of this recording that an earlier attempt gave.
    skip: u64,
    channels: Channels,
    tally: Tally,
}

/// The progress within a recording.
enum State {
    /// Being heard; with the number of utterances made of it.
    Open(Box<Open>, u64),
    /// Heard to its end.
    Ended,
}

/// A recording that is being heard.
struct Open {
    reader: AudioReader,
    segmenter: Segmenter,
    /// The channel that is heard alone, from 0.
    channel: Option<usize>,
    /// Where events of the libraries below come from.
    span: tracing::Span,
}

impl Open {
    fn new(take: &Take, channel: Option<usize>) -> Result<Self, AudioError> {
        let span = tracing::error_span!("recording", file = %take.path.display());
        let reader = span.in_scope(|| AudioReader::open_channel(&take.path, channel))?;
        Ok(Self { reader, segmenter: Segmenter::new(), channel, span })
    }
}

impl AudioDecoder {
    /// Hears what is to be heard of a list after a place.
    pub fn from_place(
        mut file_ledger: FileLedger,
        takes: Vec<Take>,
        place: Place,
        channels: Channels,
    ) -> Self {
        let later = !file_ledger.is_empty() || place != Place::default();
        if file_ledger.is_empty() {
            file_ledger.adopt(&takes, place);
        }
        let listed = takes.len() as u64;
        let (queue, found) = file_ledger.unheard(takes, place);
        let known = listed.saturating_sub(queue.len() as u64);
        let found = if later { found } else { ListComparison::default() };
        if later {
            tell(&found);
        }
        Self {
            file_ledger,
            queue: queue.into(),
            current: None,
            left: place,
            at: place.file,
            state: State::Ended,
            ready: VecDeque::new(),
            given: place.items,
            skip: 0,
            channels,
            tally: Tally { listed, inputs: known, found, ..Tally::default() },
        }
    }

    /// Takes in another list: what of it is not known will be heard.
    pub fn hear_of(&mut self, takes: Vec<Take>) {
        let place = Place { file: self.at, ..Place::default() };
        let (queue, found) = self.file_ledger.unheard(takes, place);
        let ListComparison { new, changed, renamed, .. } = found;
        if new + changed + renamed > 0 {
            tell(&found);
            let before = self.tally.found;
            let sums = (before.new + new, before.changed + changed, before.renamed + renamed);
            self.tally.found = ListComparison { new: sums.0, changed: sums.1, renamed: sums.2, ..before };
            self.tally.listed += queue.len() as u64;
        }
        self.queue = queue.into();
    }

    fn open(take: &Take, channels: Channels) -> Result<State, Rejection> {
        if let Some(reason) = &take.barred {
            return Err(rejected(take, 0, 0, "folder_unreadable", reason));
        }
        match Open::new(take, channels.first()) {
            Ok(open) => {
                if let Some(remark) = open.reader.remark() {
                    tracing::warn!(device = %take.device, seq = take.first_seq, "{}: {remark}", take.path.display());
                }
                Ok(State::Open(Box::new(open), 0))
            }
            Err(error) => {
                Err(rejected(take, 0, 0, error.code(), &format!("{error}{}", converted(take, &error))))
            }
        }
    }

    /// Begins the next recording; nothing when there is none.
    fn begin(&mut self) -> Option<()> {
        let mut take = self.queue.pop_front()?;
        self.file_ledger.begin(&mut take);
        self.at = take.number.unwrap_or(self.at);
        let left = std::mem::take(&mut self.left);
        self.skip = if left.file == self.at { left.items } else { 0 };
        self.given = 0;
        self.state = Self::open(&take, self.channels).unwrap_or_else(|rejected| {
            self.ready.push_back(Err(rejected));
            State::Ended
        });
        self.current = Some(take);
        Some(())
    }

    /// Decodes one chunk of the recording, or does what comes after the last. Nothing when no other follows.
    fn step(&mut self) -> Option<()> {
        let Some(take) = &self.current else { return self.begin() };
        let (ready, tally, channels) = (&mut self.ready, &mut self.tally, self.channels);
        self.state = match std::mem::replace(&mut self.state, State::Ended) {
            State::Open(mut open, mut made) => {
                let Open { reader, segmenter, channel, span } = open.as_mut();
                let part = channels.part(*channel);
                match span.in_scope(|| reader.next_chunk()) {
                    Ok(Some(chunk)) => {
                        if self.given >= self.skip {
                            tally.samples_read += chunk.len() as u64;
                        }
                        segmenter
                            .push(chunk, &mut |segment| keep(take, part, segment, &mut made, ready, tally));
                        State::Open(open, made)
                    }
                    end => {
                        let end = end.map(drop);
                        let segmenter = std::mem::take(segmenter);
                        segmenter.finish(&mut |segment| keep(take, part, segment, &mut made, ready, tally));
                        // What is wrong with a recording is said once, behind its last channel.
                        let next = channels.after(*channel, reader.channels());
                        match next.map(|next| Open::new(take, Some(next))) {
                            Some(Ok(open)) => State::Open(Box::new(open), made),
                            last => {
                                match last.map_or(end, |failed| failed.map(drop)).err() {
                                    Some(failure) => ready.push_back(Err(broken(take, made, &failure))),
                                    None if made == 0 => tally.silent += 1,
                                    None => {}
                                }
                                State::Ended
                            }
                        }
                    }
                }
            }
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
fn tell(found: &ListComparison) {
    let ListComparison { new, known, changed, renamed } = found;
    let renamed = if *renamed > 0 { format!(", {renamed} renamed") } else { String::new() };
    tracing::info!(target: "headwater_progress", "recordings: {new} new, {known} known, {changed} changed{renamed}");
}

impl Iterator for AudioDecoder {
    type Item = DecodeResult;

    fn next(&mut self) -> Option<DecodeResult> {
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

impl Utterances for AudioDecoder {
    fn place(&self) -> Place {
        Place { file: self.at, items: self.given, ..Place::default() }
    }

    fn note(&mut self) -> Option<Note> {
        self.file_ledger.note()
    }

    fn tally(&self) -> Tally {
        self.tally
    }
}

fn keep(
    take: &Take,
    part: u32,
    segment: Segment,
    made: &mut u64,
    ready: &mut VecDeque<DecodeResult>,
    tally: &mut Tally,
) {
    let at = micros(segment.start);
    let heard = if *made < SEQS - 1 {
        tally.samples_kept += segment.samples.len() as u64;
        Ok(Utterance {
            device: take.device.clone(),
            seq: take.first_seq + *made,
            part,
            captured_at: behind(take, at),
            file: Some(take.file.clone()),
            content: Content::Samples(segment.samples),
        })
    } else if *made == SEQS - 1 {
        let reason = format!("more than {} utterances in one recording; split it into several", SEQS - 1);
        Err(rejected(take, *made, at, "recording_too_long", &reason))
    } else {
        return;
    };
    *made += 1;
    ready.push_back(heard);
}

fn rejected(take: &Take, made: u64, at: i64, code: &'static str, reason: &str) -> Rejection {
    Rejection {
        device: take.device.clone(),
        seq: take.first_seq + made.min(SEQS - 1),
        captured_at: behind(take, at),
        code,
        reason: format!("{}: {reason}", take.path.display()),
    }
}

/// So many microseconds behind the first sample of a recording that was begun.
fn behind(take: &Take, micros: i64) -> Micros {
    Micros(take.captured_at.map_or(0, |at| at.0).saturating_add(micros))
}

/// The command that makes of a recording one that is heard.
fn converted(take: &Take, failure: &AudioError) -> String {
    if !failure.is_convertible() {
        return String::new();
    }
    let quoted = |path: &std::path::Path| format!("'{}'", path.display().to_string().replace('\'', r"'\''"));
    let flac = take.path.with_extension("flac");
    format!("; convert it: ffmpeg -i {} {}", quoted(&take.path), quoted(&flac))
}

/// A recording that broke while it was heard.
fn broken(take: &Take, made: u64, failure: &AudioError) -> Rejection {
    #[expect(clippy::cast_possible_truncation, reason = "a float cast saturates")]
    let at = (failure.seconds_read() * 1e6) as i64;
    let place = if matches!(failure, AudioError::Damaged { .. }) { "in it" } else { "before that" };
    let kept = match made {
        0 => String::new(),
        1 => format!("; the utterance heard {place} is kept"),
        n => format!("; the {n} utterances heard {place} are kept"),
    };
    rejected(take, made, at, failure.code(), &format!("{failure}{kept}{}", converted(take, failure)))
}

/// Microseconds that a number of samples lasts: 62.5 each, rounded down.
fn micros(samples: u64) -> i64 {
    let micros = u128::from(samples) * 1_000_000 / u128::from(SAMPLE_RATE);
    i64::try_from(micros).unwrap_or(i64::MAX)
}
