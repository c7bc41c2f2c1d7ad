//! The bridge of the model: its registers, the FIFO and the capture.

use super::super::Module;
use super::super::bridge::{
    BURST, FIFO, FIFO_CLEAR, FIFO_START, FRAMES, LENGTH, PINS, PINS_STANDBY, RESET, RESET_HELD, TEST,
    TRIGGER, TRIGGER_DONE, WRITE,
};
use super::sensor::Sensor;
use super::{FRAME_US, Fault, Scene};

/// Microseconds that the bridge takes after its reset.
const RESET_US: u64 = 50_000;
/// [`FIFO`]: the next byte is written at the beginning.
const REWIND_WRITE: u8 = 0x10;
/// [`FIFO`]: the next byte is read at the beginning.
const REWIND_READ: u8 = 0x20;
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
}

impl Bridge {
    pub fn new(module: Module) -> Self {
        Bridge {
            module,
            test: 0,
            frames: 0,
            pins: 0x05,
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
        }
    }

    pub fn power_off(&mut self) {
        let Bridge { module, clocked, command, missing, .. } = *self;
        *self = Bridge { clocked, command, missing, ..Bridge::new(module) };
    }

    pub fn is_resting(&self) -> bool {
        self.pins & PINS_STANDBY != 0
    }

    pub fn set_missing(&mut self, fault: Option<Fault>) {
        self.missing = if let Some(Fault::Short(bytes)) = fault { bytes as usize } else { 0 };
    }

    /// Captures what was to be captured until now.
    pub fn advance(&mut self, now: u64, sensor: &Sensor, scene: &Scene, never: bool) {
        let Some(begin) = self.armed else { return };
        if now >= begin && self.exposed.is_none() {
            self.exposed = Some(scene.clone());
        }
        if now < begin + FRAME_US {
            return;
        }
        let picture =
            self.exposed.take().filter(|_| !never && !self.is_resting()).and_then(|s| sensor.picture(&s));
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
            let held = value & RESET_HELD != 0;
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
                if value & FIFO_CLEAR != 0 {
                    self.done = false;
                }
                if value & REWIND_WRITE != 0 {
                    self.fifo.clear();
                }
                if value & REWIND_READ != 0 {
                    self.read = 0;
                }
                if value & FIFO_START != 0 && self.frames & 7 == 0 {
                    (self.armed, self.exposed) = (Some((now + 1).next_multiple_of(FRAME_US)), None);
                }
            }
            _ => {}
        }
    }

    fn read(&self, register: u8) -> u8 {
        let [low, middle, high, _] = (self.fifo.len() as u32).to_le_bytes();
        match register {
            TEST => self.test,
            FRAMES => self.frames,
            PINS => self.pins,
            TRIGGER => u8::from(self.done) * TRIGGER_DONE,
            LENGTH => low,
            register if register == LENGTH + 1 => middle,
            register if register == LENGTH + 2 => high,
            _ => 0,
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
