//! Names of codecs that a recording can hold and nothing here decodes.
//!
//! The parameters of a track, or the number by which WAV names a codec, flow in; a name flows out.

use symphonia::core::codecs::audio::AudioCodecParameters;
use symphonia::core::codecs::audio::well_known as known;

/// Numbers of WAV whose codecs are decoded: PCM, ADPCM of Microsoft, floats, A-law, mu-law, ADPCM of IMA.
pub(super) const DECODED: [u16; 6] = [0x01, 0x02, 0x03, 0x06, 0x07, 0x11];

/// The name of a track's codec.
pub(super) fn name(params: &AudioCodecParameters, format: Option<u16>) -> &'static str {
    match params.codec {
        known::CODEC_ID_AAC => aac(params.extra_data.as_deref().unwrap_or_default()),
        known::CODEC_ID_ALAC => "Apple Lossless (ALAC)",
        known::CODEC_ID_AC3 => "Dolby Digital (AC-3)",
        known::CODEC_ID_EAC3 => "Dolby Digital Plus (E-AC-3)",
        known::CODEC_ID_DCA => "DTS",
        known::CODEC_ID_MP1 => "MPEG audio of layer I",
        known::CODEC_ID_OPUS => "Opus of more than two channels",
        known::CODEC_ID_SPEEX => "Speex",
        known::CODEC_ID_WAVPACK => "WavPack",
        known::CODEC_ID_WMA => "Windows Media Audio",
        _ => format.map_or("an unknown codec", wav),
    }
}

/// The kind of AAC that a configuration asks for, by its object type (ISO/IEC 14496-3, 1.6.2.1).
fn aac(config: &[u8]) -> &'static str {
    let first = config.first().copied().unwrap_or_default();
    let second = config.get(1).copied().unwrap_or_default();
    let object = match first >> 3 {
        31 => 32 + (u16::from(first & 0b111) << 3 | u16::from(second >> 5)),
        object => u16::from(object),
    };
    match object {
        2 if second >> 3 & 0x0f > 2 => "AAC of more than two channels",
        2 | 5 | 29 => "HE-AAC",
        23 => "AAC-LD",
        39 => "AAC-ELD",
        42 => "xHE-AAC (USAC)",
        _ => "AAC of a profile beyond LC",
    }
}

/// The name of a codec by its number in WAV.
pub(super) fn wav(format: u16) -> &'static str {
    match format {
        0x08 => "DTS",
        0x14 | 0x40 | 0x45 | 0x64 | 0x65 => "G.721 or G.726 ADPCM",
        0x22 => "TrueSpeech",
        0x31 | 0x32 => "GSM 06.10",
        0x42 | 0x111 => "G.723.1",
        0x50 => "MPEG audio of layer I or II",
        0x55 => "MP3",
        0x83 | 0x84 | 0x133 => "G.729",
        0xff | 0x1600 | 0x1601 | 0x706d => "AAC",
        0x130..=0x132 => "ACELP",
        0x160..=0x163 => "Windows Media Audio",
        0xa109 => "Speex",
        0xf1ac => "FLAC",
        0x704f => "Opus",
        _ => "an unknown codec",
    }
}

/// The name of a codec in Ogg by its first packet.
pub(super) fn ogg(packet: &[u8]) -> Option<&'static str> {
    const NAMES: [(&[u8], &str); 4] =
        [(b"Speex   ", "Speex"), (b"PCM     ", "PCM"), (b"CELT    ", "CELT"), (b"\x80theora", "a film")];
    NAMES.iter().find(|(mark, _)| packet.starts_with(mark)).map(|(_, name)| *name)
}
