//! The samples of a recording at 16 kHz.

use std::path::Path;

use symphonia::core::codecs::audio::AudioDecoderOptions;
use symphonia::core::formats::probe::Hint;
use symphonia::core::formats::{FormatOptions, TrackType};
use symphonia::core::io::MediaSourceStream;
use symphonia::core::meta::MetadataOptions;

pub fn read(path: &Path) -> Vec<f32> {
    let file = std::fs::File::open(path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    let source = MediaSourceStream::new(Box::new(file), Default::default());
    let mut format = symphonia::default::get_probe()
        .probe(&Hint::new(), source, FormatOptions::default(), MetadataOptions::default())
        .unwrap();
    let codec = format.default_track(TrackType::Audio).unwrap().codec_params.as_ref().unwrap().audio().unwrap();
    assert_eq!(codec.sample_rate, Some(16_000));
    let mut decoder =
        symphonia::default::get_codecs().make_audio_decoder(codec, &AudioDecoderOptions::default()).unwrap();
    let (mut samples, mut packet_samples) = (Vec::new(), Vec::<f32>::new());
    while let Some(packet) = format.next_packet().unwrap() {
        decoder.decode(&packet).unwrap().copy_to_vec_interleaved(&mut packet_samples);
        samples.extend_from_slice(&packet_samples);
    }
    samples
}
