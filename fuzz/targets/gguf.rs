//! Any bytes as a GGUF file: read without harm, or refused.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| headwater_stages::train::model::gguf::fuzz(bytes));
