//! Any bytes as the first part of a frame of a recording: read without harm, or refused.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| headwater_vault::fuzz_recording(bytes));
