//! Any bytes as what a process of a cluster says: read without harm, or refused.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| headwater_runtime::cluster::fuzz::fuzz(bytes));
