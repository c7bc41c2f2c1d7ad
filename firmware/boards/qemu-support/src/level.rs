//! Input pins of a board that has none.

use core::convert::Infallible;

use embedded_hal::digital::{ErrorType, InputPin};

use crate::machine;

/// Milliseconds after the start in which the button is seen released: one that is held from before on is jammed.
const RELEASED_MS: u64 = 300;

/// Milliseconds for which it is held longer than asked for, by which its beginning may be seen late.
const LATE_MS: u64 = 100;

/// A pin whose level a function gives: high for `true`.
#[derive(Debug)]
pub struct Level<F>(pub F);

impl<F> ErrorType for Level<F> {
    type Error = Infallible;
}

impl<F: FnMut() -> bool> InputPin for Level<F> {
    fn is_high(&mut self) -> Result<bool, Infallible> {
        Ok((self.0)())
    }

    fn is_low(&mut self) -> Result<bool, Infallible> {
        Ok(!(self.0)())
    }
}

/// A button that somebody presses once, just after now, for so many seconds; nobody without them.
pub fn pressed(seconds: Option<u32>) -> Level<impl FnMut() -> bool> {
    let begin = machine::milliseconds() + RELEASED_MS;
    let held = seconds.map_or(0, |seconds| u64::from(seconds) * 1000 + LATE_MS);
    Level(move || (begin..begin + held).contains(&machine::milliseconds()))
}
