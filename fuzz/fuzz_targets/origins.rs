//! `cargo xtask fuzz origins`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| vestibule_fuzz::origins(data));
