//! Packets of a compressed file to mono samples at the file's own rate, by symphonia.

use std::panic::{AssertUnwindSafe, catch_unwind};

use symphonia::core::codecs::audio::well_known::{CODEC_ID_FLAC, CODEC_ID_MP3, CODEC_ID_VORBIS};
use symphonia::core::codecs::audio::{AudioDecoder, AudioDecoderOptions};
use symphonia::core::errors::Error;
use symphonia::core::formats::probe::Hint;
use symphonia::core::formats::{FormatOptions, FormatReader, TrackType};
use symphonia::core::io::{MediaSource, MediaSourceStream, MediaSourceStreamOptions};
use symphonia::core::meta::MetadataOptions;

use super::{AudioError, Container, RateError};

pub(super) struct Decoder {
    format: Box<dyn FormatReader>,
    codec: Box<dyn AudioDecoder>,
    container: Container,
    track: u32,
    rate: u32,
    channels: usize,
    /// Frames that the header promises, where it does.
    promised: Option<u64>,
    frames: u64,
    interleaved: Vec<f32>,
}

impl Decoder {
    pub(super) fn new(source: Box<dyn MediaSource>, likely: Container) -> Result<Self, AudioError> {
        guarded(likely, 0.0, || Self::probe(source, likely))?
    }

    fn probe(source: Box<dyn MediaSource>, likely: Container) -> Result<Self, AudioError> {
        let stream = MediaSourceStream::new(source, MediaSourceStreamOptions::default());
        let format = symphonia::default::get_probe()
            .probe(&Hint::new(), stream, FormatOptions::default(), MetadataOptions::default())
            .map_err(|error| header_error(likely, &error))?;
        let container = match format.format_info().short_name {
            "wave" => Container::Wav,
            "flac" => Container::Flac,
            "ogg" => Container::Ogg,
            _ => Container::Mp3,
        };
        let unsupported = |what: &str| AudioError::Unsupported { container, what: what.to_owned() };
        let track = format.default_track(TrackType::Audio).ok_or_else(|| unsupported("no audio track"))?;
        let audio = track.codec_params.as_ref().and_then(|params| params.audio());
        let audio = audio.ok_or_else(|| unsupported("an unknown codec"))?;
        let rate = audio.sample_rate.ok_or_else(|| unsupported("no sample rate"))?;
        // Every check the format offers: FLAC carries the MD5 of its samples.
        let options = AudioDecoderOptions::default().verify(true);
        let decoder = symphonia::default::get_codecs()
            .make_audio_decoder(audio, &options)
            .map_err(|error| unsupported(&error.to_string()))?;
        let known = [CODEC_ID_FLAC, CODEC_ID_MP3, CODEC_ID_VORBIS].contains(&audio.codec);
        if !known && container != Container::Wav {
            return Err(unsupported("an unknown codec"));
        }
        let channels = audio.channels.as_ref().map_or(0, symphonia::core::audio::Channels::count);
        let (track, promised) = (track.id, track.num_frames);
        Ok(Self {
            format,
            codec: decoder,
            container,
            track,
            rate,
            channels,
            promised,
            frames: 0,
            interleaved: Vec::new(),
        })
    }

    pub(super) fn container(&self) -> Container {
        self.container
    }

    pub(super) fn rate(&self) -> u32 {
        self.rate
    }

    pub(super) fn channels(&self) -> usize {
        self.channels
    }

    pub(super) fn seconds(&self) -> f64 {
        self.frames as f64 / f64::from(self.rate.max(1))
    }

    /// Appends the mono samples of the next packet; `false` at the end of the file.
    pub(super) fn next_packet(&mut self, mono: &mut Vec<f32>) -> Result<bool, AudioError> {
        let (container, seconds) = (self.container, self.seconds());
        guarded(container, seconds, || self.decode_packet(mono))?
    }

    fn decode_packet(&mut self, mono: &mut Vec<f32>) -> Result<bool, AudioError> {
        let packet = loop {
            match self.format.next_packet() {
                Ok(Some(packet)) if packet.track_id == self.track => break packet,
                Ok(Some(_)) => {}
                Ok(None) => return self.end().map(|()| false),
                Err(error) => return self.broken(&error).map(|()| false),
            }
        };
        let buffer = match self.codec.decode(&packet) {
            Ok(buffer) => buffer,
            Err(error) => return self.broken(&error).map(|()| false),
        };
        let (rate, channels) = (buffer.spec().rate(), buffer.num_planes());
        self.interleaved.clear();
        self.interleaved.resize(buffer.samples_interleaved(), 0.0);
        buffer.copy_to_slice_interleaved(&mut self.interleaved);
        if rate != self.rate && !self.interleaved.is_empty() {
            let reason = format!("the sample rate changes from {} to {rate}", self.rate);
            return Err(self.corrupt(reason));
        }
        self.channels = channels;
        self.mix(channels, mono)?;
        Ok(true)
    }

    /// Averages the channels: full scale stays full scale, whatever their number.
    fn mix(&mut self, channels: usize, mono: &mut Vec<f32>) -> Result<(), AudioError> {
        if channels == 0 {
            return Ok(());
        }
        let share = 1.0 / channels as f32;
        for frame in self.interleaved.chunks_exact(channels) {
            if let Some(channel) = frame.iter().position(|sample| !sample.is_finite()) {
                let (container, seconds, frame) = (self.container, self.seconds(), self.frames);
                return Err(AudioError::NotFinite { container, frame, channel, seconds });
            }
            // Float files may exceed full scale; clamped here, no later sum can overflow.
            let sum: f32 = frame.iter().map(|sample| sample.clamp(-1.0, 1.0)).sum();
            mono.push((sum * share).clamp(-1.0, 1.0));
            self.frames += 1;
        }
        Ok(())
    }

    /// The file ended in good order; was it whole?
    fn end(&mut self) -> Result<(), AudioError> {
        if let Some(promised) = self.promised.filter(|promised| self.frames < *promised) {
            return Err(self.truncated(Some(promised)));
        }
        if self.frames == 0 {
            return Err(AudioError::NoSamples { container: self.container });
        }
        if self.codec.finalize().verify_ok == Some(false) {
            return Err(self.corrupt("the samples do not match the file's own checksum".to_owned()));
        }
        Ok(())
    }

    fn broken(&mut self, error: &Error) -> Result<(), AudioError> {
        match error {
            // A WAV that was written to a pipe promises no length: there, the end is the end.
            Error::IoError(io) if io.kind() == std::io::ErrorKind::UnexpectedEof => {
                match (self.container, self.promised) {
                    (Container::Wav, None) => self.end(),
                    (_, promised) => Err(self.truncated(promised)),
                }
            }
            Error::IoError(io) => Err(AudioError::Unreadable(std::io::Error::new(io.kind(), io.to_string()))),
            Error::ResetRequired => Err(AudioError::Unsupported {
                container: self.container,
                what: "several streams one after the other".to_owned(),
            }),
            other => Err(self.corrupt(other.to_string())),
        }
    }

    pub(super) fn unsupported(&self, rate: RateError) -> AudioError {
        AudioError::Unsupported { container: self.container, what: rate.to_string() }
    }

    fn truncated(&self, promised: Option<u64>) -> AudioError {
        let expected = promised.map(|frames| frames as f64 / f64::from(self.rate.max(1)));
        AudioError::Truncated { container: self.container, seconds: self.seconds(), expected }
    }

    fn corrupt(&self, reason: String) -> AudioError {
        AudioError::Corrupt { container: self.container, reason, seconds: self.seconds() }
    }
}

/// A header that starts as audio and is none.
fn header_error(container: Container, error: &Error) -> AudioError {
    match error {
        Error::IoError(io) if io.kind() == std::io::ErrorKind::UnexpectedEof => {
            AudioError::Truncated { container, seconds: 0.0, expected: None }
        }
        Error::IoError(io) => AudioError::Unreadable(std::io::Error::new(io.kind(), io.to_string())),
        // What the probe says when no reader recognises the file's start.
        Error::Unsupported(what) if what.starts_with("core (probe)") => {
            let reason = "its header is incomplete or unknown".to_owned();
            AudioError::Corrupt { container, reason, seconds: 0.0 }
        }
        other => AudioError::Corrupt { container, reason: other.to_string(), seconds: 0.0 },
    }
}

/// Files come from strangers. Should the decoder panic on one, that file is damaged; the others are not.
fn guarded<T>(container: Container, seconds: f64, work: impl FnOnce() -> T) -> Result<T, AudioError> {
    catch_unwind(AssertUnwindSafe(work)).map_err(|_| AudioError::Corrupt {
        container,
        reason: "the decoder gave up on it".to_owned(),
        seconds,
    })
}
