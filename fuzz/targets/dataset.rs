//! Bytes of any kind as a manifest of a data set, and as its rows.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| headwater_datasets::dataset::fuzz_dataset(bytes));
