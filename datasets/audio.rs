//! Audio files as mono samples at 16 kHz, a chunk at a time.
//!
//! WAV, FLAC, Ogg Vorbis and MP3 flow in, of any rate and any number of channels; chunks of `f32` in -1..=1
//! flow out. What is held in memory is one packet, one resampler block and one chunk, however long the
//! file is. The same bytes give the same samples, whatever the sizes of the reads below.
//!
//! Knows nothing of devices, utterances or pipelines.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::path::Path;

use symphonia::core::io::MediaSource;

mod decode;
mod error;
mod resample;
mod sniff;

pub use error::{AudioError, Container};
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
    /// Opens a file by its content (the suffix of its name does not matter).
    pub fn open(path: &Path) -> Result<Self, AudioError> {
        let meta = std::fs::metadata(path).map_err(AudioError::from_open)?;
        if meta.is_dir() {
            return Err(AudioError::NotAudio { found: "a folder" });
        }
        if !meta.is_file() {
            return Err(AudioError::NotAudio { found: "neither a file nor a folder" });
        }
        Self::from_source(Box::new(File::open(path).map_err(AudioError::from_open)?))
    }

    /// Reads a whole file that is already in memory.
    pub fn from_bytes(bytes: Vec<u8>) -> Result<Self, AudioError> {
        Self::from_source(Box::new(io::Cursor::new(bytes)))
    }

    fn from_source(mut source: Box<dyn MediaSource>) -> Result<Self, AudioError> {
        let mut head = Vec::with_capacity(sniff::HEAD);
        source.by_ref().take(sniff::HEAD as u64).read_to_end(&mut head).map_err(AudioError::Unreadable)?;
        let container = sniff::audio(&head)?;
        source.seek(SeekFrom::Start(0)).map_err(AudioError::Unreadable)?;
        let decoder = Decoder::new(source, container)?;
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
        let resampled = self.resampler.push(&self.decoded, &mut self.ready);
        let resampled = resampled.map_err(|rate| self.decoder.unsupported(rate));
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

    /// The container that was found.
    pub fn container(&self) -> Container {
        self.decoder.container()
    }

    /// Samples per second in the file, before resampling.
    pub fn source_rate(&self) -> u32 {
        self.decoder.rate()
    }

    /// Channels in the file, before they were averaged to one.
    pub fn channels(&self) -> usize {
        self.decoder.channels()
    }

    /// Seconds of audio decoded so far.
    pub fn seconds_read(&self) -> f64 {
        self.decoder.seconds()
    }
}

/// What a fuzzer calls: decodes any bytes to their end, and checks what every caller relies on.
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
