//! The client of a device: over TCP to a simulator, over a serial port, or in this process on a gallery file.
//!
//! All three speak the same messages to the same device state machine; see [`arcgate_firmware::link`].

mod client;
mod local;
mod target;

pub use client::{Client, Laps, LinkError, Wire};
pub use local::LocalWire;
pub use target::{DEFAULT_BAUD, Target, TargetError};
