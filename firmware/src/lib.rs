//! Everything of arcgate that runs on a device: a frame comes in, a person's name or "unknown" goes out.
//!
//! The library is `no_std` and never allocates. Capacities are in types, every fallible call returns a `Result` whose
//! error carries the numbers, and the same code runs on a microcontroller, on the desktop and in the simulator.
//!
//! A frame's way down: [`camera`] -> [`frame`] -> [`detect`] -> [`align`] -> [`engine`] (int8 [`embedding`]) -> [`gallery`]
//! search by angle -> [`decide`] -> [`panel`]. [`link`] carries the requests of a host, [`bundle`] people in a file, [`device`] ties
//! the rooms together, and [`board`] runs it with what is around it; [`random`] draws what must never repeat. Of one [`flash`] chip a
//! device keeps, besides people, its [`state`], a log of [`events`] and two models ([`update`]).
#![cfg_attr(not(any(feature = "std", test)), no_std)]
// Nothing panics on a device; the simulated hardware and the tests may.
#![cfg_attr(not(any(feature = "sim", test)), deny(clippy::unwrap_used, clippy::expect_used, clippy::panic))]

pub mod align;
pub mod board;
pub mod bundle;
mod bytes;
pub mod camera;
pub mod decide;
pub mod detect;
pub mod device;
pub mod embedding;
pub mod engine;
pub mod events;
pub mod flash;
pub mod frame;
pub mod gallery;
pub mod guide;
pub mod link;
pub mod model;
pub mod pairings;
pub mod panel;
pub mod random;
pub mod secret;
#[cfg(feature = "sim")]
pub mod sim;
pub mod state;
pub mod time;
pub mod update;
mod wire;

pub use arcgate_kernels as kernels;

/// Words of an error where somebody reads them: without feature `text` there are none, and no board links them.
const fn text(words: &'static str) -> &'static str {
    if cfg!(feature = "text") { words } else { "" }
}
