//! Audio files as mono samples at 16 kHz, a chunk at a time.
//!
//! Recordings as phones, exchanges and browsers write them flow in, of any rate and any number of channels; chunks of `f32` in -1..=1
//! flow out. What is held in memory is one packet, one resampler block and one chunk, however long the
//! file is. The same bytes give the same samples, whatever the sizes of the reads below.
//!
//! Knows nothing of devices, utterances or pipelines.

use std::io;
use std::path::Path;

use symphonia::core::io::MediaSource;

use crate::regular;

mod chunks;
mod codecs;
mod decode;
mod error;
mod frames;
mod info;
mod mix;
mod opus;
mod packets;
mod patched;
mod recorded_at;
mod resample;
mod sniff;

pub use error::{AudioError, Container};
pub use recorded_at::recorded_at;
pub use resample::{RateError, ToSixteenKilohertz};

use decode::Decoder;

/// Samples per second of everything this reader gives.
pub const SAMPLE_RATE: u32 = 16_000;

/// Samples in every chunk but the last: 16 frames of 256 samples, the unit of voice activity detection.
pub const CHUNK: usize = 4096;

/// One audio file, read from its start to its end.
///
/// ```no_run
/// # fn main() -> Result<(), headwater_datasets::audio::AudioError> {
/// let mut reader = headwater_datasets::audio::AudioReader::open("kitchen/0001.flac".as_ref())?;
/// while let Some(samples) = reader.next_chunk()? {
///     // mono, 16 kHz, -1..=1
/// #   let _ = samples;
/// }
/// # Ok(()) }
/// ```
pub struct AudioReader {
    decoder: Decoder,
    resampler: ToSixteenKilohertz,
    decoded: Vec<f32>,
    ready: Vec<f32>,
    taken: usize,
    ended: bool,
    failure: Option<AudioError>,
}

impl AudioReader {
    /// Opens a file by its content (the suffix of its name does not matter), all its channels as one.
    pub fn open(path: &Path) -> Result<Self, AudioError> {
        Self::open_channel(path, None)
    }

    /// Opens a file to hear one of its channels alone (from 0), or all as one.
    pub fn open_channel(path: &Path, only: Option<usize>) -> Result<Self, AudioError> {
        Self::from_source(Box::new(regular::open(path).map_err(AudioError::from_open)?), only)
    }

    /// Reads a whole file that is already in memory.
    pub fn from_bytes(bytes: Vec<u8>) -> Result<Self, AudioError> {
        Self::from_source(Box::new(io::Cursor::new(bytes)), None)
    }

    fn from_source(source: Box<dyn MediaSource>, only: Option<usize>) -> Result<Self, AudioError> {
        let decoder = Decoder::new(sniff::start(source)?, only)?;
        let resampler = ToSixteenKilohertz::new(decoder.rate()).map_err(|rate| decoder.unsupported(rate))?;
        Ok(Self {
            decoder,
            resampler,
            decoded: Vec::new(),
            ready: Vec::new(),
            taken: 0,
            ended: false,
            failure: None,
        })
    }

    /// The next [`CHUNK`] samples; fewer only at the end, `None` after it.
    ///
    /// A file that breaks gives first what was decoded before the break, then the error, then `None`.
    pub fn next_chunk(&mut self) -> Result<Option<&[f32]>, AudioError> {
        self.ready.drain(..self.taken);
        self.taken = 0;
        while self.ready.len() < CHUNK && !self.ended {
            self.fill();
        }
        self.taken = self.ready.len().min(CHUNK);
        match self.ready.get(..self.taken) {
            Some(chunk) if !chunk.is_empty() => Ok(Some(chunk)),
            _ => self.failure.take().map_or(Ok(None), Err),
        }
    }

    /// Decodes one packet and moves what it completes to `ready`.
    fn fill(&mut self) {
        self.decoded.clear();
        let more = self.decoder.next_packet(&mut self.decoded);
        let resampled = self.resample().map_err(|rate| self.decoder.unsupported(rate));
        match (more, resampled) {
            (Ok(true), Ok(())) => return,
            (Ok(_), Err(failure)) | (Err(failure), _) => self.failure = Some(failure),
            (Ok(false), Ok(())) => {}
        }
        self.ended = true;
        if let Err(rate) = self.resampler.finish(&mut self.ready) {
            self.failure.get_or_insert(self.decoder.unsupported(rate));
        }
    }

    /// Resamples what was decoded. A stream of another rate may follow in the same file.
    fn resample(&mut self) -> Result<(), RateError> {
        self.resampler.push(&self.decoded, &mut self.ready)?;
        if self.decoder.rate() != self.resampler.rate() {
            self.resampler.finish(&mut self.ready)?;
            self.resampler = ToSixteenKilohertz::new(self.decoder.rate())?;
        }
        Ok(())
    }

    /// The remark on a file that is decodable nevertheless: its header does not state its length, or it begins in the middle.
    pub fn remark(&self) -> Option<&str> {
        self.decoder.remark()
    }

    /// The container that was found.
    pub fn container(&self) -> Container {
        self.decoder.container()
    }

    /// Samples per second in the file, before resampling.
    pub fn source_rate(&self) -> u32 {
        self.decoder.rate()
    }

    /// Channels in the file, before they became one.
    pub fn channels(&self) -> usize {
        self.decoder.channels()
    }

    /// Seconds of audio decoded so far.
    pub fn seconds_read(&self) -> f64 {
        self.decoder.seconds()
    }
}

/// The entry point of a fuzzer: decodes any bytes to their end, and checks what every caller relies on.
///
/// # Panics
/// When a chunk is too long, or a sample is not a finite number within -1..=1.
pub fn fuzz_audio(bytes: &[u8]) {
    /// Ten minutes: a few bytes may declare hours of silence, which is no finding.
    const ENOUGH: usize = 600 * SAMPLE_RATE as usize / CHUNK;
    let Ok(mut reader) = AudioReader::from_bytes(bytes.to_vec()) else { return };
    for _ in 0..ENOUGH {
        match reader.next_chunk() {
            Ok(Some(chunk)) => {
                assert!(chunk.len() <= CHUNK, "a chunk of {} samples", chunk.len());
                assert!(chunk.iter().all(|s| (-1.0..=1.0).contains(s)), "a sample outside -1..=1");
            }
            Ok(None) | Err(_) => return,
        }
    }
}
