//! Mounting whatever bytes: see [`arcgate_firmware::sim::fuzz::mount`].
#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| arcgate_firmware::sim::fuzz::mount(input));
