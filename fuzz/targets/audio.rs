//! Any bytes as a recording: the reader must give samples or say what is wrong.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| headwater_datasets::audio::fuzz_audio(bytes));
