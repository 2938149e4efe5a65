//! Any bytes as an update's payload: read without harm, or refused.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| headwater_federation::compress::payload::fuzz(bytes));
