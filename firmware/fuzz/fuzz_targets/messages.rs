//! Bytes read as messages: see [`arcgate_firmware::sim::fuzz::link::messages`].
#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| arcgate_firmware::sim::fuzz::link::messages(input));
