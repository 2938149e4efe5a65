//! The output of capture: one utterance after the other, or the reason why a piece of input gave none.

use std::sync::Arc;

use headwater_contract::units::Micros;

use super::file_ledger::{ListComparison, Note};

/// Something that was said or written, whose, and when.
#[derive(Debug, Clone, PartialEq)]
pub struct Utterance {
    /// The device.
    pub device: Arc<str>,
    /// Place in the device's stream; grows, with gaps.
    pub seq: u64,
    /// The channel that it was heard on, from 0, where channels are heard apart; else 0.
    pub part: u32,
    /// When its first sample was captured, or its text was written.
    pub captured_at: Micros,
    /// The file that it comes from, below the folder that was read; nothing where there is none.
    pub file: Option<Arc<str>>,
    /// The utterance itself.
    pub content: Content,
}

/// Raw personal data: never printed, logged or quoted in an error.
#[derive(Clone, PartialEq)]
pub enum Content {
    /// Mono samples at 16 kHz, in -1..=1.
    Samples(Vec<f32>),
    /// A line or row of text.
    Text {
        /// The text that was said.
        text: String,
        /// The columns that it carries on, in their order.
        kept: Vec<String>,
    },
}

impl std::fmt::Debug for Content {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Samples(samples) => write!(f, "Samples({})", samples.len()),
            Self::Text { text, kept } => write!(f, "Text({} bytes, {} kept)", text.len(), kept.len()),
        }
    }
}

/// Input that could not become an utterance. The reason quotes no content.
#[derive(Debug, Clone, PartialEq)]
pub struct Rejection {
    /// The device; where the input names none, the source's default device.
    pub device: Arc<str>,
    /// Its place in the device's stream, shared with no utterance.
    pub seq: u64,
    /// When it was captured, as far as known.
    pub captured_at: Micros,
    /// A short, stable name of the reason.
    pub code: &'static str,
    /// The file or line, the mistake, the expected value.
    pub reason: String,
}

/// A stream of utterances that can be left and resumed.
pub trait Utterances: Iterator<Item = Result<Utterance, Rejection>> {
    /// Where to resume, so that exactly the items after the last one follow.
    fn place(&self) -> Place;

    /// The counts so far.
    fn tally(&self) -> Tally;

    /// The next note that the engine has not received yet.
    fn note(&mut self) -> Option<Note> {
        None
    }
}

/// The first bytes of a SHA-256 of what is before a place.
pub type PrefixDigest = [u8; 16];

/// The first bytes of a digest.
pub fn first(digest: &[u8]) -> PrefixDigest {
    let mut first = PrefixDigest::default();
    first.iter_mut().zip(digest).for_each(|(to, from)| *to = *from);
    first
}

/// A place in a recorded input. Resuming decodes the file again from its start, as voice activity depends
/// on all that was heard before, and skips what was already given: exact, at a thousandth of real time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Place {
    /// Number of the recording among those that were begun; 0 for text.
    pub file: u64,
    /// Items given from it.
    pub items: u64,
    /// Lines read from it; 0 for audio and Parquet.
    pub line: u64,
    /// Byte at which the next line begins; 0 for audio and Parquet.
    pub byte: u64,
    /// The digest of the lines before it, of a text; of the whole file, of Parquet.
    pub before: Option<PrefixDigest>,
}

impl Place {
    /// The layouts: one of these bytes, then four little-endian `u64`; in the second, what is before the place comes last.
    const BARE: u8 = 1;
    const WITH_BEFORE: u8 = 2;
    const NUMBERS: usize = 32;

    /// The place as 33 or 49 bytes.
    pub fn to_bytes(self) -> Vec<u8> {
        let mut bytes = vec![if self.before.is_some() { Self::WITH_BEFORE } else { Self::BARE }];
        for number in [self.file, self.items, self.line, self.byte] {
            bytes.extend_from_slice(&number.to_le_bytes());
        }
        bytes.extend(self.before.into_iter().flatten());
        bytes
    }

    /// Reads what `to_bytes` wrote; `None` for anything else.
    pub fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let (version, rest) = bytes.split_first()?;
        let (numbers, before) = rest.split_at_checked(Self::NUMBERS)?;
        let before = match (*version, before) {
            (Self::BARE, []) => None,
            (Self::WITH_BEFORE, before) => Some(before.try_into().ok()?),
            _ => return None,
        };
        let mut numbers = numbers.as_chunks::<8>().0.iter().copied().map(u64::from_le_bytes);
        Some(Self {
            file: numbers.next()?,
            items: numbers.next()?,
            line: numbers.next()?,
            byte: numbers.next()?,
            before,
        })
    }
}

/// The counts of a source.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Tally {
    /// Recordings to read in all; 0 where that is not known.
    pub listed: u64,
    /// Recordings, lines or rows read to their end, rejected ones too.
    pub inputs: u64,
    /// Recordings without speech.
    pub silent: u64,
    /// Recordings, lines or rows rejected.
    pub rejected: u64,
    /// Samples of audio decoded, at 16 kHz.
    pub samples_read: u64,
    /// Samples of audio in utterances.
    pub samples_kept: u64,
    /// The comparison with the recordings that earlier attempts took in.
    pub found: ListComparison,
}
