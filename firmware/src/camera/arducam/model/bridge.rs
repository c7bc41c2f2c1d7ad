//! The bridge of the model: its registers, the FIFO and the capture.

use super::super::Module;
use super::sensor::Sensor;
use super::{FRAME_US, Fault, Scene};

// Registers and bits as the vendor's notes have them, written out again: the driver's own would be as wrong here as there.

/// Set in a command that writes.
const WRITE: u8 = 0x80;
const TEST: u8 = 0x00;
/// Capture control; bits 2..0: pictures, less one.
const FRAMES: u8 = 0x01;
const FIFO: u8 = 0x04;
/// Pins to the sensor.
const PINS: u8 = 0x06;
const RESET: u8 = 0x07;
const BURST: u8 = 0x3c;
const TRIGGER: u8 = 0x41;
/// Bytes in the FIFO, the lowest first.
const LENGTH: [u8; 3] = [0x42, 0x43, 0x44];

/// [`FIFO`]: the capture-done flag goes out.
const CLEAR: u8 = 1 << 0;
/// [`FIFO`]: the next picture is captured.
const START: u8 = 1 << 1;
/// [`FIFO`]: the next byte is written at the beginning.
const REWIND_WRITE: u8 = 1 << 4;
/// [`FIFO`]: the next byte is read at the beginning. (The vendor's library has these two the other way round; the driver sets both.)
const REWIND_READ: u8 = 1 << 5;
/// [`PINS`]: the sensor stands by.
const STANDBY: u8 = 1 << 1;
/// [`PINS`] after power-on: the sensor is powered, and not in reset.
const POWERED: u8 = 1 << 2 | 1 << 0;
/// [`RESET`]: held in reset.
const HELD: u8 = 1 << 7;
/// [`TRIGGER`]: a picture is in the FIFO.
const DONE: u8 = 1 << 3;

/// Microseconds that the bridge takes after its reset.
const RESET_US: u64 = 50_000;
/// What a FIFO gives that has nothing left.
const EMPTY: u8 = 0xff;

#[derive(Debug)]
pub(super) struct Bridge {
    module: Module,
    test: u8,
    frames: u8,
    pins: u8,
    held: bool,
    /// When it answers after a reset.
    ready_us: u64,
    fifo: Vec<u8>,
    /// What is read next.
    read: usize,
    /// The byte before the picture is still to come.
    dummy: bool,
    done: bool,
    /// When the picture that is to be captured begins, and what it shows once it has begun.
    armed: Option<u64>,
    exposed: Option<Scene>,
    /// Bytes since the module was selected, and the first of them.
    clocked: usize,
    command: u8,
    /// Bytes missing from the next picture.
    missing: usize,
    /// No capture ends before a reset.
    hung: bool,
}

impl Bridge {
    pub fn new(module: Module) -> Self {
        Bridge {
            module,
            test: 0,
            frames: 0,
            pins: POWERED,
            held: false,
            ready_us: 0,
            fifo: Vec::new(),
            read: 0,
            dummy: false,
            done: false,
            armed: None,
            exposed: None,
            clocked: 0,
            command: 0,
            missing: 0,
            hung: false,
        }
    }

    pub fn power_off(&mut self) {
        let Bridge { module, clocked, command, missing, .. } = *self;
        *self = Bridge { clocked, command, missing, ..Bridge::new(module) };
    }

    pub fn is_resting(&self) -> bool {
        self.pins & STANDBY != 0
    }

    pub fn set_missing(&mut self, fault: Option<Fault>) {
        self.missing = if let Some(Fault::Short(bytes)) = fault { bytes as usize } else { 0 };
    }

    /// Hangs the capture that is under way; returns whether captures end.
    pub fn hang(&mut self) -> bool {
        self.hung |= self.armed.is_some();
        !self.hung
    }

    /// Captures what was to be captured until now, if captures end.
    pub fn advance(&mut self, now: u64, sensor: &Sensor, scene: &Scene, ends: bool) {
        let Some(begin) = self.armed else { return };
        if now >= begin && self.exposed.is_none() {
            self.exposed = Some(scene.clone());
        }
        if now < begin + FRAME_US {
            return;
        }
        let picture = self
            .exposed
            .take()
            .filter(|_| ends && !self.hung && !self.is_resting())
            .and_then(|s| sensor.picture(&s));
        let Some(mut picture) = picture else {
            // The sensor began none: the bridge goes on waiting.
            self.armed = Some(now.next_multiple_of(FRAME_US));
            return;
        };
        picture.truncate(picture.len().saturating_sub(self.missing));
        let room = (self.module.fifo() as usize).saturating_sub(self.fifo.len());
        self.fifo.extend(picture.into_iter().take(room));
        (self.armed, self.done, self.dummy) = (None, true, self.module == Module::Mini2Mp);
    }

    /// The chip-select line falls.
    pub fn select(&mut self) {
        self.clocked = 0;
    }

    /// One byte each way.
    pub fn exchange(&mut self, byte: u8, now: u64) -> u8 {
        self.clocked += 1;
        if self.clocked == 1 {
            self.command = byte;
            return EMPTY;
        }
        if now < self.ready_us {
            return EMPTY;
        }
        let register = self.command & !WRITE;
        if self.command & WRITE != 0 {
            if self.clocked == 2 {
                self.write(register, byte, now);
            }
            return EMPTY;
        }
        if register == BURST {
            return self.burst();
        }
        if self.clocked == 2 { self.read(register) } else { EMPTY }
    }

    fn write(&mut self, register: u8, value: u8, now: u64) {
        if register == RESET {
            let held = value & HELD != 0;
            if held {
                self.power_off();
            } else if self.held {
                self.ready_us = now + RESET_US;
            }
            self.held = held;
        }
        if self.held {
            return;
        }
        match register {
            TEST => self.test = value,
            FRAMES => self.frames = value,
            PINS => self.pins = value,
            FIFO => {
                if value & CLEAR != 0 {
                    self.done = false;
                }
                if value & REWIND_WRITE != 0 {
                    self.fifo.clear();
                }
                if value & REWIND_READ != 0 {
                    self.read = 0;
                }
                if value & START != 0 && self.frames & 7 == 0 {
                    (self.armed, self.exposed) = (Some((now + 1).next_multiple_of(FRAME_US)), None);
                }
            }
            _ => {}
        }
    }

    fn read(&self, register: u8) -> u8 {
        let length = (self.fifo.len() as u32).to_le_bytes();
        match register {
            TEST => self.test,
            FRAMES => self.frames,
            PINS => self.pins,
            TRIGGER => u8::from(self.done) * DONE,
            _ => {
                let bytes = LENGTH.iter().zip(length);
                bytes.filter(|(at, _)| **at == register).map(|(_, byte)| byte).next().unwrap_or(0)
            }
        }
    }

    fn burst(&mut self) -> u8 {
        if std::mem::take(&mut self.dummy) {
            return 0;
        }
        self.read += 1;
        self.fifo.get(self.read - 1).copied().unwrap_or(EMPTY)
    }
}
