//! Any bytes as a sum of updates: read without harm, or refused.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| headwater_federation::aggregate::format::fuzz(bytes));
