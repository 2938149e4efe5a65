//! A recording's packets to mono samples at the file's own rate, by symphonia.
//!
//! Bytes of a known container flow in; samples flow out, a packet at a time. What cannot be decoded in the middle of a file is passed over, and said
//! at its end; a stream that follows another in one file is heard, too.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::LazyLock;

use symphonia::core::codecs::audio::{AudioCodecParameters, AudioDecoder, AudioDecoderOptions};
use symphonia::core::codecs::registry::CodecRegistry;
use symphonia::core::errors::Error;

use super::mix::{Mixer, NotFinite};
use super::opus::Opus;
use super::packets::{Next, Packets, Stream};
use super::sniff::Start;
use super::{AudioError, Container, RateError, codecs};

static CODECS: LazyLock<CodecRegistry> = LazyLock::new(|| {
    let mut codecs = CodecRegistry::new();
    symphonia::default::register_enabled_codecs(&mut codecs);
    codecs.register_audio_decoder::<Opus>();
    codecs
});

pub(super) struct Decoder {
    packets: Packets,
    codec: Box<dyn AudioDecoder>,
    container: Container,
    stream: Stream,
    /// Seconds of the streams before this one.
    before: f64,
    /// Frames given of this stream.
    frames: u64,
    /// Frames of this stream that are still to be dropped at its start.
    skip: u64,
    /// The last samples of this stream, as many as may be padding.
    held: Vec<f32>,
    damage: Option<Damage>,
    /// True if any packet was decoded.
    decoded: bool,
    interleaved: Vec<f32>,
    /// The channel that is heard alone, from 0.
    only: Option<usize>,
    mixer: Mixer,
}

/// A part of a file that could not be decoded, before parts that could.
struct Damage {
    /// Seconds before the first place.
    seconds: f64,
    reason: String,
    places: u64,
}

impl Decoder {
    /// A decoder of all channels, or of one alone (from 0).
    pub(super) fn new(start: Start, only: Option<usize>) -> Result<Self, AudioError> {
        let container = start.container;
        guarded(container, 0.0, || Self::open(start, only))?
    }

    fn open(start: Start, only: Option<usize>) -> Result<Self, AudioError> {
        let mut packets = Packets::open(start)?;
        let (container, stream) = (packets.container(), packets.stream()?);
        let mut decoder = Self {
            codec: codec(&stream.params, container)?,
            packets,
            container,
            stream,
            before: 0.0,
            frames: 0,
            skip: 0,
            held: Vec::new(),
            damage: None,
            decoded: false,
            interleaved: Vec::new(),
            only,
            mixer: Mixer::new(only),
        };
        decoder.skip = decoder.stream.delay;
        decoder.set_channels(decoder.stream.channels)?;
        Ok(decoder)
    }

    /// The packets that follow have so many channels; 0 where that is not known yet.
    fn set_channels(&mut self, channels: usize) -> Result<(), AudioError> {
        self.stream.channels = channels;
        self.mixer.set(channels, self.stream.rate, &mut self.held);
        match self.only.filter(|only| channels > 0 && *only >= channels) {
            Some(only) => {
                Err(AudioError::NoChannel { container: self.container, channel: only + 1, channels })
            }
            None => Ok(()),
        }
    }

    pub(super) fn container(&self) -> Container {
        self.container
    }

    pub(super) fn rate(&self) -> u32 {
        self.stream.rate
    }

    pub(super) fn channels(&self) -> usize {
        self.stream.channels
    }

    pub(super) fn seconds(&self) -> f64 {
        self.before + self.frames as f64 / f64::from(self.stream.rate.max(1))
    }

    /// The remark on a file that is decodable nevertheless.
    pub(super) fn remark(&self) -> Option<&str> {
        self.packets.remark()
    }

    /// Appends the mono samples of the next packet; `false` at the end of the file. What comes out of one packet has one rate: the
    /// one before it, where it changes.
    pub(super) fn next_packet(&mut self, mono: &mut Vec<f32>) -> Result<bool, AudioError> {
        let (container, seconds) = (self.container, self.seconds());
        let more = guarded(container, seconds, || self.decode_packet(mono)).and_then(|more| more);
        if !matches!(more, Ok(true)) {
            self.release(mono);
        }
        more
    }

    fn decode_packet(&mut self, mono: &mut Vec<f32>) -> Result<bool, AudioError> {
        let (packet, samples) = match self.packets.next() {
            Ok(Next::Packet(packet, samples)) => (packet, samples),
            Ok(Next::Gap(reason)) => {
                self.codec.reset();
                self.damaged(reason);
                return Ok(true);
            }
            Ok(Next::NewStream) => return self.switch(mono).map(|()| true),
            Ok(Next::Truncated) => return Err(self.truncated()),
            Ok(Next::End) => return self.end().map(|()| false),
            Err(error) => return self.broken(&error).map(|()| false),
        };
        let buffer = match self.codec.decode(&packet) {
            Ok(buffer) => buffer,
            Err(Error::DecodeError(reason)) => {
                self.damaged(reason.to_owned());
                self.interleaved.clear();
                let silence = usize::try_from(samples).unwrap_or(0).min(MOST) * self.stream.channels;
                self.interleaved.resize(silence, 0.0);
                return self.give(mono).map(|()| true);
            }
            Err(error) => return self.broken(&error).map(|()| false),
        };
        let (rate, channels) = (buffer.spec().rate(), buffer.num_planes());
        self.interleaved.clear();
        self.interleaved.resize(buffer.samples_interleaved(), 0.0);
        buffer.copy_to_slice_interleaved(&mut self.interleaved);
        if self.interleaved.is_empty() {
            return Ok(true);
        }
        if rate != self.stream.rate {
            let reason = format!("the sample rate changes from {} to {rate}", self.stream.rate);
            return Err(self.corrupt(reason));
        }
        if channels != self.stream.channels {
            self.set_channels(channels)?;
        }
        self.decoded = true;
        self.give(mono)?;
        Ok(true)
    }

    /// Mixes what was decoded, without what the encoder put in front and perhaps behind.
    fn give(&mut self, mono: &mut Vec<f32>) -> Result<(), AudioError> {
        let channels = self.stream.channels.max(1);
        let decoded = (self.interleaved.len() / channels) as u64;
        let skipped = self.skip.min(decoded);
        self.skip -= skipped;
        self.interleaved.drain(..usize::try_from(skipped).unwrap_or(0) * channels);
        let mixed = self.mixer.push(&self.interleaved, &mut self.held);
        if let Err(NotFinite { frame, channel }) = mixed {
            self.frames += frame as u64;
            let (container, seconds, frame) = (self.container, self.seconds(), self.frames);
            return Err(AudioError::NotFinite { container, frame, channel, seconds });
        }
        self.frames += decoded - skipped;
        let padding = usize::try_from(self.stream.padding).unwrap_or(0);
        let free = self.held.len().saturating_sub(padding);
        mono.extend(self.held.drain(..free));
        Ok(())
    }

    /// The stream is over: of what is held, padding is dropped as far as the header's promise allows.
    fn release(&mut self, mono: &mut Vec<f32>) {
        self.mixer.finish(&mut self.held);
        let more = self.stream.promised.map_or(0, |promised| self.frames.saturating_sub(promised));
        let more = usize::try_from(more.min(self.stream.padding)).unwrap_or(0).min(self.held.len());
        self.held.truncate(self.held.len() - more);
        self.frames -= more as u64;
        mono.append(&mut self.held);
    }

    /// Another stream begins behind this one, or its packets are of another kind.
    fn switch(&mut self, mono: &mut Vec<f32>) -> Result<(), AudioError> {
        self.release(mono);
        self.before = self.seconds();
        self.stream = self.packets.stream()?;
        self.codec = codec(&self.stream.params, self.container)?;
        (self.frames, self.skip) = (0, self.stream.delay);
        self.set_channels(self.stream.channels)
    }

    /// The file ended in good order; was it whole?
    fn end(&mut self) -> Result<(), AudioError> {
        if let Some(Damage { seconds, reason, places }) = self.damage.take() {
            if !self.decoded {
                return Err(AudioError::Corrupt { container: self.container, reason, seconds: 0.0 });
            }
            let (container, more) = (self.container, places - 1);
            return Err(AudioError::Damaged { container, seconds, reason, more });
        }
        if self.stream.promised.is_some_and(|promised| self.frames < promised) {
            return Err(self.truncated());
        }
        if self.frames == 0 && self.before == 0.0 {
            return Err(AudioError::NoSamples { container: self.container });
        }
        if self.codec.finalize().verify_ok == Some(false) {
            return Err(self.corrupt("the samples do not match the file's own checksum".to_owned()));
        }
        Ok(())
    }

    fn broken(&mut self, error: &Error) -> Result<(), AudioError> {
        match error {
            Error::IoError(io) if io.kind() == std::io::ErrorKind::UnexpectedEof => {
                // A file that promises no length ends where it ends.
                if self.packets.ends_anywhere() { self.end() } else { Err(self.truncated()) }
            }
            Error::IoError(io) => Err(AudioError::Unreadable(std::io::Error::new(io.kind(), io.to_string()))),
            other => Err(self.corrupt(other.to_string())),
        }
    }

    fn damaged(&mut self, reason: String) {
        let seconds = self.seconds();
        let damage = self.damage.get_or_insert(Damage { seconds, reason, places: 0 });
        damage.places += 1;
    }

    pub(super) fn unsupported(&self, rate: RateError) -> AudioError {
        AudioError::Unsupported { container: self.container, what: rate.to_string() }
    }

    fn truncated(&self) -> AudioError {
        let seconds = |frames: u64| self.before + frames as f64 / f64::from(self.stream.rate.max(1));
        let expected = self.stream.promised.filter(|promised| *promised > self.frames).map(seconds);
        AudioError::Truncated { container: self.container, seconds: self.seconds(), expected }
    }

    fn corrupt(&self, reason: String) -> AudioError {
        AudioError::Corrupt { container: self.container, reason, seconds: self.seconds() }
    }
}

/// Samples of the longest packet that is replaced by silence, of each channel.
const MOST: usize = 1 << 16;

fn codec(params: &AudioCodecParameters, container: Container) -> Result<Box<dyn AudioDecoder>, AudioError> {
    // Every check the format offers: FLAC carries the MD5 of its samples.
    let options = AudioDecoderOptions::default().verify(true);
    CODECS.make_audio_decoder(params, &options).map_err(|_| {
        let what = codecs::name(params, None).to_owned();
        AudioError::Unsupported { container, what }
    })
}

/// Files come from strangers. Should the decoder panic on one, that file is damaged; the others are not.
pub(super) fn guarded<T>(
    container: Container,
    seconds: f64,
    work: impl FnOnce() -> T,
) -> Result<T, AudioError> {
    catch_unwind(AssertUnwindSafe(work)).map_err(|_| AudioError::Corrupt {
        container,
        reason: "the decoder gave up on it".to_owned(),
        seconds,
    })
}
