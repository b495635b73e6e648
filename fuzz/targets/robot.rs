#![no_main]

libfuzzer_sys::fuzz_target!(|text: &str| softflow_fuzz::robot::robot(text));
