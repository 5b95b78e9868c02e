#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| rejoinder_platforms::x_fuzz::event(data));
