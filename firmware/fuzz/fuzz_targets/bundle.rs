//! Taking in whatever bundle: see [`arcgate_firmware::sim::fuzz::bundle`].
#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| arcgate_firmware::sim::fuzz::bundle(input));
