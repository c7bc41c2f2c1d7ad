//! defmt's logger: each thread makes its frames by itself, and a frame is written when it is whole.

use std::cell::RefCell;
use std::fs::File;
use std::io::Write;
use std::sync::{LazyLock, Mutex, PoisonError};
use std::time::Instant;

/// Where frames go; nowhere until somebody asks for them.
static FILE: Mutex<Option<File>> = Mutex::new(None);

/// From here the time of a frame counts.
static BEGIN: LazyLock<Instant> = LazyLock::new(Instant::now);

thread_local! {
    static FRAME: RefCell<Frame> =
        const { RefCell::new(Frame { encoder: defmt::Encoder::new(), bytes: Vec::new() }) };
}

/// The frame that a thread is at.
struct Frame {
    encoder: defmt::Encoder,
    bytes: Vec<u8>,
}

/// Frames go into this file from now on.
pub fn into(file: File) {
    LazyLock::force(&BEGIN);
    *FILE.lock().unwrap_or_else(PoisonError::into_inner) = Some(file);
}

#[defmt::global_logger]
struct Logger;

// SAFETY: a frame is its thread's own, and is encoded by defmt's encoder from its begin to its end.
unsafe impl defmt::Logger for Logger {
    fn acquire() {
        FRAME.with_borrow_mut(|Frame { encoder, bytes }| {
            bytes.clear();
            encoder.start_frame(|part| bytes.extend_from_slice(part));
        });
    }

    unsafe fn flush() {}

    unsafe fn release() {
        FRAME.with_borrow_mut(|Frame { encoder, bytes }| {
            encoder.end_frame(|part| bytes.extend_from_slice(part));
            if let Some(file) = &mut *FILE.lock().unwrap_or_else(PoisonError::into_inner) {
                // A door goes on without its log.
                let _ = file.write_all(bytes);
            }
        });
    }

    unsafe fn write(part: &[u8]) {
        FRAME.with_borrow_mut(|Frame { encoder, bytes }| {
            encoder.write(part, |part| bytes.extend_from_slice(part));
        });
    }
}

defmt::timestamp!("{=u64:us}", BEGIN.elapsed().as_micros() as u64);
