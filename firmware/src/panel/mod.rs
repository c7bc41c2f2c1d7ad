//! What a door has besides a camera: a lock, lights, a buzzer, a button, and whether somebody stands there.
//!
//! In: answers and [`Signal`]s of the device, the time, and levels of pins. Out: levels of pins, [`Press`]es, presence. All of it is
//! state machines without hardware; pins are `embedded-hal`'s, behind [`Outputs`] and [`Inputs`], and a board that lacks some of it has
//! [`NoPin`] or [`AlwaysThere`] in its place.
//!
//! ```text
//! Answer, Signal -> Panel -+-> Lock    -> lock
//!                          +-> Lights  -> green, red, yellow, buzzer
//! enrol button  -> Button   -> Press
//! presence      -> Presence -> bool
//! ```
//!
//! The lock is fail-secure: it opens only for a pulse of bounded length, and is closed at start, on any fault, when time
//! jumps back, and when the panel is dropped. A pulse ends at the first tick after its time: a round in which a host has a model run
//! makes it longer by so much, one that hangs by what the watchdog waits, so a board whose program may hang needs one.

mod button;
mod code;
mod inputs;
mod lights;
mod lock;
mod outputs;
mod presence;

pub use button::{Button, Press};
pub use code::Code;
pub use inputs::{Inputs, Seen};
pub use lights::{Lamps, Lights, Signal};
pub use lock::{Lock, LockRules, MAX_OPEN_MS, PulseError};
pub use outputs::{AlwaysThere, NoPin, Output, OutputError, Outputs, Pin, Pins, Polarity};
pub use presence::Presence;

use crate::link::answer::Answer;
use crate::time::Uptime;

/// The lock and the lights of a board, on its [`Outputs`] `O`.
#[derive(Debug)]
pub struct Panel<O> {
    outputs: O,
    lock: Lock,
    lights: Lights,
    /// What each output was last set to; nothing where that failed or was never done.
    written: [Option<bool>; Output::ALL.len()],
}

impl<O: Outputs> Panel<O> {
    /// A panel that says [`Signal::Ready`]; the first [`Panel::tick`] sets all outputs.
    ///
    /// # Errors
    /// When the lock's rules have no bounded pulse.
    pub fn new(outputs: O, rules: LockRules) -> Result<Self, PulseError> {
        Ok(Panel {
            outputs,
            lock: Lock::new(rules)?,
            lights: Lights::default(),
            written: [None; Output::ALL.len()],
        })
    }

    /// Shows a signal from the next tick on. [`Signal::Fault`] closes the lock, which stays closed while that is shown.
    pub fn show(&mut self, signal: Signal) {
        self.lights.show(signal);
        if self.lights.is_fault() {
            self.lock.close();
        }
    }

    /// Shows who was before the camera, and opens the lock for somebody known. Not for the answer to a host's picture: nobody stands
    /// there.
    pub fn answered(&mut self, answer: &Answer) {
        let signal = Signal::from(answer);
        self.show(signal);
        if signal == Signal::Known {
            self.open();
        }
    }

    /// Opens the lock for a pulse at the next tick, unless [`Signal::Fault`] is shown.
    pub fn open(&mut self) {
        if !self.lights.is_fault() {
            self.lock.open();
        }
    }

    /// Closes the lock at the next tick.
    pub fn close(&mut self) {
        self.lock.close();
    }

    /// Whether the lock is open, as far as its pin did what it was told.
    pub fn is_open(&self) -> bool {
        self.written[Output::Lock as usize] == Some(true)
    }

    /// Sets the outputs to what they should be at this time. To be called often: pulses and flashes last from one call to another.
    ///
    /// # Errors
    /// When an output cannot be set: the lock is closed, and opens for nobody until a call has set all of them. Each call tries again.
    pub fn tick(&mut self, now: Uptime) -> Result<(), OutputError> {
        let lamps = self.lights.tick(now);
        let open = self.lock.tick(now);
        // Closed before anything else, and opened when all else has succeeded.
        let mut result = if open { Ok(()) } else { self.set(Output::Lock, false) };
        for output in Output::LIGHTS {
            // One that fails keeps no other from being set.
            let set = self.set(output, lamps.contains(output));
            result = result.and(set);
        }
        if open && result.is_ok() {
            result = self.set(Output::Lock, true);
        }
        if result.is_err() {
            self.lock.close();
            // The first error is told; if this fails too, the next tick tries again.
            let _ = self.set(Output::Lock, false);
        }
        result
    }

    fn set(&mut self, output: Output, on: bool) -> Result<(), OutputError> {
        let written = &mut self.written[output as usize];
        if *written == Some(on) {
            return Ok(());
        }
        let set = self.outputs.set(output, on);
        *written = set.is_ok().then_some(on);
        set.map_err(|kind| OutputError { output, kind })
    }
}

#[cfg(test)]
pub(crate) mod tests;
