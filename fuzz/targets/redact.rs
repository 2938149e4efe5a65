//! Any bytes as a text: the redactor must keep its promises.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| headwater_stages::redact::fuzz::fuzz_redact(bytes));
