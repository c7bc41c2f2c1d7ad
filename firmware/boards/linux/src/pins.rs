//! Lock, lights, buzzer, button and presence sensor on lines of the GPIO character device.
//!
//! A line is `CHIP:OFFSET`, such as `/dev/gpiochip0:17`, or its name in the device tree, such as `GPIO17`; `!` before it says that low is
//! on. Inputs keep the bias that the board gives them.

use std::fmt;
use std::str::FromStr;

use anyhow::Context;
use arcgate_firmware::panel::{Inputs, NoPin, Pin, Pins};
use arcgate_firmware::sim::Wire;
use embedded_hal::digital::{ErrorType, InputPin, OutputPin, PinState};
use gpiocdev_embedded_hal as gpio;

/// Milliseconds for which somebody is taken to be there after the sensor went off.
const PRESENCE_HOLD_MS: u32 = 5000;

/// Which line is what; what is not named is not there.
#[derive(clap::Args, Debug)]
pub struct Wiring {
    /// Opens the lock while on. A resistor must hold it closed while no program runs.
    #[arg(long, value_name = "LINE")]
    lock: Option<Line>,
    /// The green light.
    #[arg(long, value_name = "LINE")]
    green: Option<Line>,
    /// The red light.
    #[arg(long, value_name = "LINE")]
    red: Option<Line>,
    /// The yellow light.
    #[arg(long, value_name = "LINE")]
    yellow: Option<Line>,
    /// The buzzer.
    #[arg(long, value_name = "LINE")]
    buzzer: Option<Line>,
    /// The button: lets a computer be paired, held for 10 s forgets everybody.
    #[arg(long, value_name = "LINE")]
    button: Option<Line>,
    /// The presence sensor; without one the camera always looks.
    #[arg(long, value_name = "LINE")]
    presence: Option<Line>,
}

/// A GPIO line.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Line {
    place: Place,
    active_low: bool,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Place {
    At(String, u32),
    Named(String),
}

impl FromStr for Line {
    type Err = &'static str;

    fn from_str(word: &str) -> Result<Self, Self::Err> {
        let (word, active_low) = word.strip_prefix('!').map_or((word, false), |rest| (rest, true));
        let place = match word.rsplit_once(':') {
            Some((chip, offset)) if chip.starts_with('/') => {
                let offset =
                    offset.parse().map_err(|_| "after the colon comes the line's number on its chip")?;
                Place::At(chip.into(), offset)
            }
            _ if word.is_empty() || word.starts_with('/') => {
                return Err(
                    "accepted: /dev/gpiochipN:OFFSET or a line's name, with ! before it where low is on",
                );
            }
            _ => Place::Named(word.into()),
        };
        Ok(Line { place, active_low })
    }
}

impl fmt::Display for Line {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.active_low { "!" } else { "" })?;
        match &self.place {
            Place::At(chip, offset) => write!(f, "{chip}:{offset}"),
            Place::Named(name) => f.write_str(name),
        }
    }
}

impl Line {
    fn pin<P>(&self, pin: P) -> Pin<P> {
        if self.active_low { Pin::low(pin) } else { Pin::high(pin) }
    }

    fn input(&self) -> Result<gpio::InputPin, gpio::Error> {
        match &self.place {
            Place::At(chip, offset) => gpio::InputPin::new(chip, *offset),
            Place::Named(name) => gpio::InputPin::from_name(name),
        }
    }

    /// Switched off.
    fn output(&self) -> Result<gpio::OutputPin, gpio::Error> {
        let off = if self.active_low { PinState::High } else { PinState::Low };
        match &self.place {
            Place::At(chip, offset) => gpio::OutputPin::new(chip, *offset, off),
            Place::Named(name) => gpio::OutputPin::from_name(name, off),
        }
    }
}

/// A line that is set, or none.
pub enum Out {
    /// It.
    Line(gpio::OutputPin),
    /// Setting it does nothing.
    None(NoPin),
}

impl ErrorType for Out {
    type Error = gpio::Error;
}

impl OutputPin for Out {
    fn set_low(&mut self) -> Result<(), gpio::Error> {
        match self {
            Out::Line(line) => line.set_low(),
            Out::None(none) => none.set_low().map_err(|never| match never {}),
        }
    }

    fn set_high(&mut self) -> Result<(), gpio::Error> {
        match self {
            Out::Line(line) => line.set_high(),
            Out::None(none) => none.set_high().map_err(|never| match never {}),
        }
    }
}

/// A line that is read, or a wire in the program.
pub enum In {
    /// A line.
    Line(gpio::InputPin),
    /// A wire.
    Wire(Wire),
}

impl ErrorType for In {
    type Error = gpio::Error;
}

impl InputPin for In {
    fn is_high(&mut self) -> Result<bool, gpio::Error> {
        match self {
            In::Line(line) => line.is_high(),
            In::Wire(wire) => Ok(wire.is_set()),
        }
    }

    fn is_low(&mut self) -> Result<bool, gpio::Error> {
        self.is_high().map(|high| !high)
    }
}

impl Wiring {
    /// Takes the lines of lock, lights and buzzer, all off.
    ///
    /// # Errors
    /// When a line is not there or in use.
    pub fn outputs(&self) -> anyhow::Result<Pins<Out, Out, Out, Out, Out>> {
        let take = |what: &str, line: &Option<Line>| -> anyhow::Result<Pin<Out>> {
            let Some(line) = line else { return Ok(Pin::high(Out::None(NoPin))) };
            Ok(line.pin(Out::Line(line.output().with_context(|| format!("the line of the {what}, {line}"))?)))
        };
        Ok(Pins {
            lock: take("lock", &self.lock)?,
            green: take("green light", &self.green)?,
            red: take("red light", &self.red)?,
            yellow: take("yellow light", &self.yellow)?,
            buzzer: take("buzzer", &self.buzzer)?,
        })
    }

    /// Takes the lines of button and presence sensor. Where `somebody` tells who is there, no sensor is looked at.
    ///
    /// # Errors
    /// When a line is not there or in use.
    pub fn inputs(&self, somebody: Option<Wire>) -> anyhow::Result<Inputs<In, In>> {
        let take = |what: &str, line: &Option<Line>, without: bool| -> anyhow::Result<Pin<In>> {
            let Some(line) = line else {
                let wire = Wire::default();
                wire.set(without);
                return Ok(Pin::high(In::Wire(wire)));
            };
            Ok(line.pin(In::Line(line.input().with_context(|| format!("the line of the {what}, {line}"))?)))
        };
        let presence = match somebody {
            Some(wire) => Pin::high(In::Wire(wire)),
            None => take("presence sensor", &self.presence, true)?,
        };
        Ok(Inputs::new(take("button", &self.button, false)?, presence, PRESENCE_HOLD_MS))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_and_what_they_mean() {
        let line = |place, active_low| Ok(Line { place, active_low });
        let cases = [
            ("/dev/gpiochip0:17", line(Place::At("/dev/gpiochip0".into(), 17), false)),
            ("!/dev/gpiochip4:3", line(Place::At("/dev/gpiochip4".into(), 3), true)),
            ("GPIO17", line(Place::Named("GPIO17".into()), false)),
            ("!PIN:7", line(Place::Named("PIN:7".into()), true)),
        ];
        for (word, expected) in cases {
            assert_eq!(word.parse(), expected, "{word}");
            assert_eq!(expected.map(|line| line.to_string()).as_deref(), Ok(word));
        }
        for word in ["", "!", "/dev/gpiochip0", "/dev/gpiochip0:", "/dev/gpiochip0:x"] {
            assert!(word.parse::<Line>().is_err(), "{word}");
        }
    }

    #[test]
    fn a_line_that_is_not_there_is_named() {
        let line = |word: &str| word.parse().ok();
        let none = Wiring {
            lock: None,
            green: None,
            red: None,
            yellow: None,
            buzzer: None,
            button: None,
            presence: None,
        };
        assert!(none.outputs().is_ok() && none.inputs(None).is_ok());
        let lock = Wiring { lock: line("/dev/no-such-chip:3"), ..none };
        let why = lock.outputs().err().map(|why| format!("{why:#}")).unwrap_or_default();
        assert!(why.contains("the lock, /dev/no-such-chip:3: "), "{why}");
        let presence = Wiring { lock: None, presence: line("!no such line"), ..lock };
        let why = presence.inputs(None).err().map(|why| format!("{why:#}")).unwrap_or_default();
        assert!(why.contains("the presence sensor, !no such line: "), "{why}");
        assert!(presence.inputs(Some(Wire::default())).is_ok());
    }
}
