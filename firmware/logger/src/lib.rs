//! What the device logs by defmt where it is a program: on the simulator and on Linux boards.
//!
//! ```text
//! what happens -> a thread's frame (rzCOBS) -> whole into the file -> arcgate-logs, with the program as the ELF file
//! ```
//!
//! The words are in the program's file alone, in a section that [`defmt.x`](../defmt.x) places: a program that logs passes that script to
//! its linker, and is not position-independent, for its words' addresses are their numbers. Without the feature `defmt` nothing is logged.

use std::io;
use std::path::Path;

use arcgate_firmware::device::Event;

#[cfg(all(feature = "defmt", not(target_os = "linux")))]
compile_error!("programs log by defmt on Linux, whose linkers take the script that places the words");

#[cfg(feature = "defmt")]
mod frames;

/// Everything that is logged from now on goes into this file, which is made anew, and may be a pipe.
///
/// # Errors
/// When it cannot be written, and in a build without the feature `defmt`.
#[cfg(feature = "defmt")]
pub fn log_to(path: &Path) -> io::Result<()> {
    frames::into(std::fs::File::create(path)?);
    Ok(())
}

/// As it is without the feature `defmt`.
///
/// # Errors
/// Always, with the way to a build that logs.
#[cfg(not(feature = "defmt"))]
pub fn log_to(_: &Path) -> io::Result<()> {
    Err(io::Error::new(
        io::ErrorKind::Unsupported,
        "this build logs nothing by defmt\n  accepted: one with --features defmt",
    ))
}

/// The device is up, with so many people in its gallery, if that is open.
pub fn up(people: Option<u32>) {
    #[cfg(feature = "defmt")]
    match people {
        Some(people) => defmt::info!("up, {} people", people),
        None => defmt::error!("up, without a gallery"),
    }
    #[cfg(not(feature = "defmt"))]
    let _ = people;
}

/// Something happened on the device.
pub fn happened(event: &Event) {
    #[cfg(feature = "defmt")]
    defmt::info!("{}", event);
    #[cfg(not(feature = "defmt"))]
    let _ = event;
}
