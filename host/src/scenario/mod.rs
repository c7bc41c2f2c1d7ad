//! Scenarios: what happens before a device and what it is to do, as a text of one instruction a line, run on a simulated board.
//!
//! ```text
//! at 1s    show ada for 5s          # a picture, or a folder's pictures one after the other, before the camera
//!          expect known Ada within 4s
//!          expect lock open
//! at 10s   power off
//! at 12s   power on
//!          expect lock closed for 1s
//! ```
//!
//! The time is the device's, not the wall's: a day runs in as long as its pictures take. A line without a time follows the one before
//! at once. [`parse`] reads a text, [`run`] plays it; the board, its main loop and its flashes are those of
//! [`sim`](arcgate_firmware::sim).

mod failure;
mod parse;
mod run;
mod stage;

pub use failure::Failure;
pub use parse::{Do, Expect, LANGUAGE, Line, ScriptError, parse};
pub use run::{Report, Step, run};
pub use stage::Setting;
