//! The main loop of every board, simulated ones too: a [`Device`] and what is around it, one bounded round at a time.
//!
//! ```text
//! watchdog <- fed
//! button   -> short: an operator may be paired; 3 s: an administrator; 10 s: everybody enrolled and paired is forgotten, and the log
//! presence -> whether the camera looks
//! port    <-> Device::poll
//! camera   -> Device::watch -> who is there -> lock, lights, buzzer
//! ```
//!
//! The lock opens for who is before the camera and for nothing else. It is closed while something is at fault, whatever the lights
//! show meanwhile: a camera that is dead, a gallery that cannot be read, a model that is not there, a pin that cannot be set; and
//! while a model comes in, whose trial is one long round in which nobody could close it.

mod guarded;
#[cfg(test)]
mod tests;

use embedded_hal::digital::InputPin;
pub use guarded::Guarded;

use crate::device::{Camera, Device, Event, Hardware};
use crate::link::status::{Enrolment, Phase};
use crate::panel::{Code, Inputs, Outputs, Panel, Press, Seen, Signal};
use crate::time::Uptime;

/// Milliseconds that a board may sleep at most between two rounds, so that lights flash and the lock closes in time.
pub const LONGEST_SLEEP_MS: u32 = 10;

/// Milliseconds for which rounds go on before a restart once the port was given the last of a reply: its driver and its FIFO hold up to
/// 64 + 256 bytes, which take 28 ms at 115,200 baud and which the restart would lose.
pub const DRAIN_MS: u64 = 100;

/// Restarts the chip when it is not fed for a time that the board chose: longer than its longest round, see
/// [`device`](crate::device). Where everybody is forgotten that erases gallery and log and removes every pairing, and the trial of a model
/// takes up to [`vectors::MAX`](crate::engine::vectors::MAX) runs of each of its plans: a [`Guarded`] chip feeds it while it erases and
/// before each run. A chip that restarts closes its lock.
pub trait Watchdog {
    /// All is well.
    fn feed(&mut self);
}

impl<W: Watchdog> Watchdog for &mut W {
    fn feed(&mut self) {
        W::feed(self);
    }
}

/// None.
impl Watchdog for () {
    fn feed(&mut self) {}
}

/// What a board does after a round.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Next {
    /// The next round: there is work.
    Again,
    /// There is nothing to do before the port has something, or for [`LONGEST_SLEEP_MS`]; then the next round.
    Sleep,
    /// Starts anew: a model was accepted or an administrator asked for it, and the reply had [`DRAIN_MS`] to get away.
    Restart,
}

/// What is around a device: camera `C` (an `Option` where there may be none), outputs `O`, pin `B` of the button and `S` of the
/// presence sensor, watchdog `W`.
#[derive(Debug)]
pub struct Board<C, O, B, S, W = ()> {
    camera: C,
    panel: Panel<O>,
    inputs: Inputs<B, S>,
    watchdog: W,
    /// What people before the device are to type.
    code: Option<Code>,
    /// Whether a pin could not be read or set in the last round.
    pins_fail: bool,
    /// Since when nothing but what its port holds back keeps it from a restart.
    drains: Option<Uptime>,
}

impl<C: Camera, O: Outputs, B: InputPin, S: InputPin, W: Watchdog> Board<C, O, B, S, W> {
    /// A board before its first round, its lock closed.
    pub fn new(camera: C, panel: Panel<O>, inputs: Inputs<B, S>, watchdog: W) -> Self {
        Board { camera, panel, inputs, watchdog, code: None, pins_fail: false, drains: None }
    }

    /// One round; `tell` hears what happened, the port's before the camera's.
    pub fn round<H: Hardware>(
        &mut self,
        device: &mut Device<H>,
        now: Uptime,
        tell: &mut impl FnMut(&Event),
    ) -> Next {
        self.watchdog.feed();
        let Seen { press, present, fault: unread } = self.inputs.look(now);
        let pressed = press.and_then(|press| self.press(press, device, now));
        device.tick(now);
        // A port that fails is a wire pulled out: the device waits for the next packet.
        let asked = device.poll().unwrap_or_default();
        let seen = device.watch(&mut self.camera, present, now);
        for event in [&pressed, &asked, &seen].into_iter().flatten() {
            self.happened(event);
            tell(event);
        }
        let signal = self.signal(device, now);
        self.panel.show(signal);
        if keeps_closed(device) {
            self.panel.close();
        }
        let unset = self.panel.tick(now).err();
        if self.pins_fail != (unread.is_some() || unset.is_some()) {
            self.pins_fail = !self.pins_fail;
            device.tell_pins(self.pins_fail);
        }
        let quiet = pressed.is_none() && asked.is_none() && seen.is_none();
        match device.is_idle() {
            true if device.wants_restart() && self.is_drained(now) => Next::Restart,
            true if device.wants_restart() => Next::Sleep,
            true if quiet && matches!(device.phase(), Phase::Idle | Phase::LockedOut) => Next::Sleep,
            _ => Next::Again,
        }
    }

    /// The camera.
    pub fn camera(&mut self) -> &mut C {
        &mut self.camera
    }

    /// The lock and the lights.
    pub fn panel(&self) -> &Panel<O> {
        &self.panel
    }

    /// The camera again, for another start. The lock closes.
    pub fn into_camera(self) -> C {
        self.camera
    }

    /// Whether the port had its time; also when the clock went back, which wraps to more.
    fn is_drained(&mut self, now: Uptime) -> bool {
        let since = *self.drains.get_or_insert(now);
        now.0.wrapping_sub(since.0) >= DRAIN_MS
    }

    fn press<H: Hardware>(&mut self, press: Press, device: &mut Device<H>, now: Uptime) -> Option<Event> {
        let Some(at_most) = press.role() else { return Some(device.forget_everybody(now)) };
        device.allow_pairing(at_most, now);
        None
    }

    fn happened(&mut self, event: &Event) {
        match event {
            Event::Answered(answer) => self.panel.answered(answer),
            Event::Pairing(shown) => self.code = Code::new(shown.code.0),
            Event::Paired { .. } => self.code = None,
            _ => {}
        }
    }

    /// What the lights say for as long as nobody has an answer.
    fn signal<H: Hardware>(&mut self, device: &mut Device<H>, now: Uptime) -> Signal {
        if device.pairing(now).is_none() {
            self.code = None;
        }
        match (device.phase(), device.enrolment(), self.code) {
            (Phase::Updating, ..) => Signal::Updating,
            // Also at fault: who looks after the device is paired to learn why.
            (.., Some(code)) => Signal::PairingCode(code),
            (Phase::Fault, ..) => Signal::Fault,
            (_, Enrolment::UnderWay { progress, .. }, _) => {
                Signal::Enrolling { done: progress.taken, of: progress.wanted }
            }
            _ if keeps_closed(device) => Signal::Fault,
            (Phase::Idle | Phase::LockedOut, ..) => Signal::Ready,
            _ => Signal::LookHere,
        }
    }
}

/// Whether the lock is closed, whatever the lights show. Once in the flash.
#[inline(never)]
fn keeps_closed<H: Hardware>(device: &Device<H>) -> bool {
    matches!(device.phase(), Phase::Updating | Phase::Fault) || !device.can_recognise()
}
