#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| softflow_fuzz::properties::datagrams(bytes));
