//! The wires between a simulated board and whoever stands before it.

use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use embedded_hal::digital::{ErrorType, InputPin, OutputPin};

use crate::panel::{Inputs, Pin, Pins};

/// A wire: its level, at both of its ends. Low at first.
#[derive(Debug, Clone, Default)]
pub struct Wire(Arc<AtomicBool>);

impl Wire {
    /// Sets its level.
    pub fn set(&self, high: bool) {
        self.0.store(high, Ordering::Relaxed);
    }

    /// Its level.
    pub fn is_set(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}

impl ErrorType for Wire {
    type Error = Infallible;
}

impl InputPin for Wire {
    fn is_high(&mut self) -> Result<bool, Infallible> {
        Ok(self.is_set())
    }

    fn is_low(&mut self) -> Result<bool, Infallible> {
        Ok(!self.is_set())
    }
}

impl OutputPin for Wire {
    fn set_low(&mut self) -> Result<(), Infallible> {
        self.set(false);
        Ok(())
    }

    fn set_high(&mut self) -> Result<(), Infallible> {
        self.set(true);
        Ok(())
    }
}

/// All wires of a simulated board: each is high while the thing is on, pressed or there.
#[derive(Debug, Clone, Default)]
pub struct Wires {
    /// The enrol button.
    pub button: Wire,
    /// The presence sensor.
    pub presence: Wire,
    /// Opens the lock.
    pub lock: Wire,
    /// The green light.
    pub green: Wire,
    /// The red light.
    pub red: Wire,
    /// The yellow light.
    pub yellow: Wire,
    /// The buzzer.
    pub buzzer: Wire,
}

/// A simulated board's outputs.
pub(super) type Outputs = Pins<Wire, Wire, Wire, Wire, Wire>;

impl Wires {
    /// The board's end of what it sets.
    pub(super) fn outputs(&self) -> Outputs {
        let [lock, green, red, yellow, buzzer] =
            [&self.lock, &self.green, &self.red, &self.yellow, &self.buzzer]
                .map(|wire| Pin::high(wire.clone()));
        Pins { lock, green, red, yellow, buzzer }
    }

    /// The board's end of what it reads. Somebody is there for as long as the sensor says so, and no longer.
    pub(super) fn inputs(&self) -> Inputs<Wire, Wire> {
        Inputs::new(Pin::high(self.button.clone()), Pin::high(self.presence.clone()), 0)
    }
}
