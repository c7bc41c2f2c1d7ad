//! Pins that a panel sets.

use embedded_hal::digital::{Error, ErrorKind, ErrorType, InputPin, OutputPin};

/// Something that is on or off.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Output {
    /// Opens the lock.
    Lock,
    /// The green light.
    Green,
    /// The red light.
    Red,
    /// The yellow light.
    Yellow,
    /// A buzzer that makes its own tone.
    Buzzer,
}

impl Output {
    /// All of them; the lock first.
    pub const ALL: [Output; 5] = [Output::Lock, Output::Green, Output::Red, Output::Yellow, Output::Buzzer];
    /// All but the lock.
    pub const LIGHTS: [Output; 4] = [Output::Green, Output::Red, Output::Yellow, Output::Buzzer];
}

/// An output that could not be set.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct OutputError {
    /// Which one.
    pub output: Output,
    /// What its pin said.
    #[cfg_attr(feature = "defmt", defmt(Debug2Format))]
    pub kind: ErrorKind,
}

impl core::fmt::Display for OutputError {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(f, "the pin of {:?} could not be set: {}", self.output, self.kind)
    }
}

impl core::error::Error for OutputError {}

/// What a board sets its outputs by; `()` for one that has none. Whoever implements it switches the lock off when dropped, as [`Pins`]
/// does.
pub trait Outputs {
    /// Switches an output.
    ///
    /// # Errors
    /// What its pin said.
    fn set(&mut self, output: Output, on: bool) -> Result<(), ErrorKind>;
}

impl Outputs for () {
    fn set(&mut self, _: Output, _: bool) -> Result<(), ErrorKind> {
        Ok(())
    }
}

/// At which level something is on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Polarity {
    /// High is on.
    #[default]
    ActiveHigh,
    /// Low is on.
    ActiveLow,
}

/// A pin that is not there: setting it does nothing, and it reads low.
#[derive(Debug, Clone, Copy, Default)]
pub struct NoPin;

impl ErrorType for NoPin {
    type Error = core::convert::Infallible;
}

impl OutputPin for NoPin {
    fn set_low(&mut self) -> Result<(), Self::Error> {
        Ok(())
    }

    fn set_high(&mut self) -> Result<(), Self::Error> {
        Ok(())
    }
}

impl InputPin for NoPin {
    fn is_high(&mut self) -> Result<bool, Self::Error> {
        Ok(false)
    }

    fn is_low(&mut self) -> Result<bool, Self::Error> {
        Ok(true)
    }
}

/// The presence sensor of a board that has none: it reads high, somebody is always there.
#[derive(Debug, Clone, Copy, Default)]
pub struct AlwaysThere;

impl ErrorType for AlwaysThere {
    type Error = core::convert::Infallible;
}

impl InputPin for AlwaysThere {
    fn is_high(&mut self) -> Result<bool, Self::Error> {
        Ok(true)
    }

    fn is_low(&mut self) -> Result<bool, Self::Error> {
        Ok(false)
    }
}

/// A pin, and at which level it is on.
#[derive(Debug, Clone, Copy, Default)]
pub struct Pin<P> {
    /// The pin.
    pub pin: P,
    /// The level.
    pub polarity: Polarity,
}

impl<P> Pin<P> {
    /// A pin that is on when high.
    pub const fn high(pin: P) -> Self {
        Pin { pin, polarity: Polarity::ActiveHigh }
    }

    /// A pin that is on when low.
    pub const fn low(pin: P) -> Self {
        Pin { pin, polarity: Polarity::ActiveLow }
    }
}

impl<P: OutputPin> Pin<P> {
    pub(super) fn set(&mut self, on: bool) -> Result<(), ErrorKind> {
        let high = on == (self.polarity == Polarity::ActiveHigh);
        let set = if high { self.pin.set_high() } else { self.pin.set_low() };
        set.map_err(|e| e.kind())
    }
}

impl<P: InputPin> Pin<P> {
    pub(super) fn is_on(&mut self) -> Result<bool, ErrorKind> {
        let high = self.pin.is_high().map_err(|e| e.kind())?;
        Ok(high == (self.polarity == Polarity::ActiveHigh))
    }
}

/// One pin for each [`Output`]; all are switched off when this is dropped. Until a program runs, a resistor on the board must hold
/// the lock's pin at its closed level.
#[derive(Debug)]
pub struct Pins<L: OutputPin, G: OutputPin, R: OutputPin, Y: OutputPin, B: OutputPin> {
    /// Opens the lock while on.
    pub lock: Pin<L>,
    /// The green light.
    pub green: Pin<G>,
    /// The red light.
    pub red: Pin<R>,
    /// The yellow light.
    pub yellow: Pin<Y>,
    /// The buzzer.
    pub buzzer: Pin<B>,
}

impl<L: OutputPin, G: OutputPin, R: OutputPin, Y: OutputPin, B: OutputPin> Outputs for Pins<L, G, R, Y, B> {
    fn set(&mut self, output: Output, on: bool) -> Result<(), ErrorKind> {
        match output {
            Output::Lock => self.lock.set(on),
            Output::Green => self.green.set(on),
            Output::Red => self.red.set(on),
            Output::Yellow => self.yellow.set(on),
            Output::Buzzer => self.buzzer.set(on),
        }
    }
}

impl<L: OutputPin, G: OutputPin, R: OutputPin, Y: OutputPin, B: OutputPin> Drop for Pins<L, G, R, Y, B> {
    fn drop(&mut self) {
        for output in Output::ALL {
            // Nobody is left to be told of an error.
            let _ = self.set(output, false);
        }
    }
}
