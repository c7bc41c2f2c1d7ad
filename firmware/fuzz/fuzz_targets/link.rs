//! Bytes and messages into a device: see [`arcgate_firmware::sim::fuzz::link::link`].
#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| arcgate_firmware::sim::fuzz::link::link(input));
