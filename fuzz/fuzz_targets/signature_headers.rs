//! `cargo xtask fuzz signature_headers`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| vestibule_fuzz::signature_headers(data));
