//! The client of a device: over TCP to a simulator, over a serial port, or in this process on a gallery file.
//!
//! All three speak the same messages to the same device state machine; see [`arcgate_firmware::link`].

mod client;
pub mod devices;
mod handshake;
mod local;
mod target;
mod transport;
mod upkeep;

pub use client::{Client, Laps};
pub use devices::Devices;
pub use handshake::{pair, pair_over};
pub use local::LocalWire;
pub use target::{DEFAULT_BAUD, Target, TargetError};
pub use transport::{LinkError, Wire};
