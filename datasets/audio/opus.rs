//! Opus as a codec of symphonia, which has none of its own.
//!
//! Packets flow in; samples at 48 kHz flow out, without those that the encoder put in front. One or two channels: more are several streams in a
//! packet, which `opus-decoder` takes apart otherwise than encoders put them together.
//!
//! Knows nothing of files.

use opus_decoder::OpusDecoder;
use symphonia::core::audio::{
    AsGenericAudioBufferRef, AudioBuffer, AudioMut, AudioSpec, Channels, GenericAudioBufferRef, Position,
};
use symphonia::core::codecs::CodecInfo;
use symphonia::core::codecs::audio::well_known::CODEC_ID_OPUS;
use symphonia::core::codecs::audio::{
    AudioCodecParameters, AudioDecoder, AudioDecoderOptions, FinalizeResult,
};
use symphonia::core::codecs::registry::{RegisterableAudioDecoder, SupportedAudioCodec};
use symphonia::core::errors::{Error, Result};
use symphonia::core::packet::PacketRef;

/// The rate at which Opus counts.
const RATE: u32 = 48_000;

/// Samples of the longest packet, 120 ms.
const LONGEST: usize = 5_760;

/// The stream as its header describes it (RFC 7845, 5.1).
struct Head {
    channels: u8,
    pre_skip: u16,
    gain: f32,
}

impl Head {
    /// Reads the identification header; nothing for what is none, or has several streams in a packet.
    fn read(head: &[u8]) -> Option<Head> {
        let body = head.strip_prefix(b"OpusHead")?;
        let &[version, channels, s0, s1, _, _, _, _, g0, g1, family, ref rest @ ..] = body else {
            return None;
        };
        // MP4 numbers its versions from 0, and writes the high byte first.
        let (skip, gain) = if version == 0 { ([s1, s0], [g1, g0]) } else { ([s0, s1], [g0, g1]) };
        if !(1..=2).contains(&channels) || family != 0 && rest.first() != Some(&1) {
            return None;
        }
        let decibels = f32::from(i16::from_le_bytes(gain)) / 256.0;
        let pre_skip = u16::from_le_bytes(skip);
        Some(Head { channels, pre_skip, gain: 10f32.powf(decibels / 20.0) })
    }

    /// Of a file that says no more than the number of channels.
    fn plain(channels: usize) -> Option<Head> {
        let channels = u8::try_from(channels).ok().filter(|channels| (1..=2).contains(channels))?;
        Some(Head { channels, pre_skip: 0, gain: 1.0 })
    }
}

/// A decoder of one track.
pub(super) struct Opus {
    params: AudioCodecParameters,
    decoder: OpusDecoder,
    gain: f32,
    /// Samples of each channel that are still to be dropped.
    skip: usize,
    channels: usize,
    interleaved: Vec<f32>,
    buffer: AudioBuffer<f32>,
}

impl RegisterableAudioDecoder for Opus {
    fn try_registry_new(
        params: &AudioCodecParameters,
        _: &AudioDecoderOptions,
    ) -> Result<Box<dyn AudioDecoder>> {
        let unsupported = || Error::Unsupported("opus: more than two channels");
        let head = match params.extra_data.as_deref().filter(|data| data.starts_with(b"OpusHead")) {
            Some(data) => Head::read(data),
            None => Head::plain(params.channels.as_ref().map_or(1, Channels::count)),
        };
        let head = head.ok_or_else(unsupported)?;
        let channels = usize::from(head.channels);
        let decoder = OpusDecoder::new(RATE, channels).map_err(|_| unsupported())?;
        let position = Position::from_count(u32::from(head.channels)).ok_or_else(unsupported)?;
        let buffer = AudioBuffer::new(AudioSpec::new(RATE, Channels::Positioned(position)), LONGEST);
        Ok(Box::new(Opus {
            params: params.clone(),
            decoder,
            gain: head.gain,
            skip: usize::from(head.pre_skip),
            channels,
            interleaved: vec![0.0; LONGEST * channels],
            buffer,
        }))
    }

    fn supported_codecs() -> &'static [SupportedAudioCodec] {
        const CODECS: &[SupportedAudioCodec] = &[SupportedAudioCodec { id: CODEC_ID_OPUS, info: INFO }];
        CODECS
    }
}

const INFO: CodecInfo = CodecInfo { short_name: "opus", long_name: "Opus", profiles: &[] };

impl AudioDecoder for Opus {
    fn codec_info(&self) -> &CodecInfo {
        &INFO
    }

    fn codec_params(&self) -> &AudioCodecParameters {
        &self.params
    }

    fn reset(&mut self) {
        self.decoder.reset();
    }

    fn decode_ref(&mut self, packet: &PacketRef<'_>) -> Result<GenericAudioBufferRef<'_>> {
        self.buffer.clear();
        let frames = self
            .decoder
            .decode_float(packet.data, &mut self.interleaved, false)
            .map_err(|_| Error::DecodeError("opus: a packet contradicts the format"))?;
        self.buffer.resize_with_silence(frames);
        for channel in 0..self.channels {
            let Some(plane) = self.buffer.plane_mut(channel) else { continue };
            let samples = self.interleaved.iter().skip(channel).step_by(self.channels);
            plane.iter_mut().zip(samples).for_each(|(to, from)| *to = *from * self.gain);
        }
        let skipped = self.skip.min(frames);
        self.skip -= skipped;
        let behind = usize::try_from(packet.trim_end.get()).unwrap_or(frames).min(frames - skipped);
        self.buffer.trim(skipped, behind);
        Ok(self.buffer.as_generic_audio_buffer_ref())
    }

    fn finalize(&mut self) -> FinalizeResult {
        FinalizeResult::default()
    }

    fn last_decoded(&self) -> GenericAudioBufferRef<'_> {
        self.buffer.as_generic_audio_buffer_ref()
    }
}
