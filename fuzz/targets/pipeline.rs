//! Any bytes as a pipeline file: the check must answer, and the answer must be drawn.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| headwater_runtime::check::fuzz_pipeline(
    bytes,
    headwater_stages::STAGES
));
