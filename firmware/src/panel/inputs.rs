//! Pins that a panel looks at.

use embedded_hal::digital::{ErrorKind, InputPin};

use super::{Button, Pin, Presence, Press};
use crate::time::Uptime;

/// What there was to see.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Seen {
    /// A press of the enrol button that came to its end.
    pub press: Option<Press>,
    /// Whether somebody is there.
    pub present: bool,
    /// What a pin said that could not be read: a button is then left as it was, and somebody is taken to be there.
    #[cfg_attr(feature = "defmt", defmt(Debug2Format))]
    pub fault: Option<ErrorKind>,
}

/// The enrol button on pin `B` and the presence sensor on pin `S`.
#[derive(Debug)]
pub struct Inputs<B, S> {
    button_pin: Pin<B>,
    button: Button,
    presence_pin: Pin<S>,
    presence: Presence,
}

impl<B: InputPin, S: InputPin> Inputs<B, S> {
    /// Nothing pressed, and nobody there; see [`Presence::new`] for `hold_ms`.
    pub fn new(button: Pin<B>, presence: Pin<S>, hold_ms: u32) -> Self {
        Inputs {
            button_pin: button,
            button: Button::default(),
            presence_pin: presence,
            presence: Presence::new(hold_ms),
        }
    }

    /// Looks at both pins.
    pub fn look(&mut self, now: Uptime) -> Seen {
        let (pressed, active) = (self.button_pin.is_on(), self.presence_pin.is_on());
        let press = pressed.ok().and_then(|pressed| self.button.look(pressed, now));
        let present = self.presence.look(active.unwrap_or(true), now);
        Seen { press, present, fault: pressed.and(active).err() }
    }

    /// As [`Button::held_ms`], for a signal while the button is held.
    pub fn held_ms(&self) -> u32 {
        self.button.held_ms()
    }
}
