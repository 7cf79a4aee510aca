//! `cargo xtask fuzz strict_reader`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| vestibule_fuzz::strict_reader(data));
