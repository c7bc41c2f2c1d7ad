//! Taking in whatever model image: see [`arcgate_firmware::sim::fuzz::image`].
#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| arcgate_firmware::sim::fuzz::image(input));
