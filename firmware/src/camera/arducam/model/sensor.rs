//! The sensor of the model: its registers, and the picture that they make of a scene.

use super::super::sensor::{
    BANK, COM1, COM7, COM7_RESET, COM8, COM8_AUTOMATIC, CTRL2, CTRLI, HREFEND, HREFST, HSIZE, HSIZE8,
    IMAGE_MODE, IMAGE_MODE_RGB565, PIDH, PIDL, R_BYPASS, REG04, REG04_FLIP, REG04_MIRROR, REG32, RESET,
    RESET_OUTPUT, SIZEL, TEST, VEND, VHYX, VSIZE, VSIZE8, VSTRT, XOFFL, YOFFL, ZMHH, ZMOH, ZMOW,
};
use super::{Bank, BusError, Fault, Scene};
use crate::align::luma;

/// Microseconds that the sensor takes after its reset.
const RESET_US: u64 = 3000;
/// [`CTRL2`]: the scaler works.
const SCALER: u8 = 0x20;
/// [`IMAGE_MODE`]: the lower byte of a pixel first.
const LOWER_FIRST: u8 = 0x01;

#[derive(Debug)]
pub(super) struct Sensor {
    banks: [[u8; 256]; 2],
    /// Nothing after a reset: what a register's number means is then not described.
    bank: Option<Bank>,
    /// The register that the last write named.
    named: u8,
    awake_us: u64,
}

/// Where a picture's pixels come from, along one direction.
#[derive(Debug, Clone, Copy)]
struct Side {
    array: usize,
    window: usize,
    offset: usize,
    output: usize,
    reversed: bool,
}

impl Side {
    /// Which of `count` equal parts of the field of view the pixel `at` shows the middle of.
    fn source(&self, at: usize, count: usize) -> usize {
        let at = if self.reversed { self.output - 1 - at } else { at };
        ((2 * at + 1) * self.window + 2 * self.output * self.offset) * count / (2 * self.output * self.array)
    }

    /// Whether the window lies on the array, and the scaler can make the output of it.
    fn is_possible(&self, divider: u8, scaler: bool) -> bool {
        let divided = self.window >> divider;
        let scaled = divided < 2 * self.output && self.output < divided && scaler;
        self.window > 0 && self.offset + self.window <= self.array && (scaled || divided == self.output)
    }
}

impl Sensor {
    pub fn new() -> Self {
        let mut banks = [[0; 256]; 2];
        banks[Bank::Array as usize][usize::from(PIDH)] = 0x26;
        banks[Bank::Array as usize][usize::from(PIDL)] = 0x42;
        banks[Bank::Dsp as usize][usize::from(R_BYPASS)] = 1;
        Sensor { banks, bank: None, named: 0, awake_us: 0 }
    }

    pub fn power_off(&mut self, now: u64) {
        *self = Sensor { awake_us: now + RESET_US, ..Sensor::new() };
    }

    pub fn is_awake(&self, now: u64) -> bool {
        now >= self.awake_us
    }

    pub fn peek(&self, bank: Bank, register: u8) -> u8 {
        self.banks[bank as usize][usize::from(register)]
    }

    pub fn poke(&mut self, bank: Bank, register: u8, value: u8) {
        self.banks[bank as usize][usize::from(register)] = value;
    }

    pub fn write(&mut self, bytes: &[u8], now: u64, fault: Option<Fault>) -> Result<(), BusError> {
        match (bytes, self.bank) {
            (&[register], _) => self.named = register,
            (&[BANK, 0], _) => self.bank = Some(Bank::Dsp),
            (&[BANK, 1], _) => self.bank = Some(Bank::Array),
            (&[COM7, value], Some(Bank::Array)) if value & COM7_RESET != 0 => self.power_off(now),
            (&[register, _], Some(Bank::Dsp)) if fault == Some(Fault::Stuck(register)) => {}
            (&[register, value], Some(bank)) => self.poke(bank, register, value),
            _ => return Err(BusError),
        }
        Ok(())
    }

    pub fn read(&self, fault: Option<Fault>) -> Result<u8, BusError> {
        let bank = self.bank.ok_or(BusError)?;
        if let (Bank::Array, Some(Fault::Product(number))) = (bank, fault) {
            match self.named {
                PIDH => return Ok((number >> 8) as u8),
                PIDL => return Ok(number as u8),
                _ => {}
            }
        }
        Ok(self.peek(bank, self.named))
    }

    /// The bytes on the way to the bridge, if the registers make a picture.
    pub fn picture(&self, scene: &Scene) -> Option<Vec<u8>> {
        let dsp = |register: u8| usize::from(self.peek(Bank::Dsp, register));
        let array = |register: u8| usize::from(self.peek(Bank::Array, register));
        let bits = |value: usize, from: u32, count: u32| value >> from & ((1 << count) - 1);
        let (width, height) = match bits(array(COM7), 4, 3) {
            0 => (1600, 1200),
            2 => (400, 296),
            4 => (800, 600),
            _ => return None,
        };
        let columns = (array(HREFEND) << 3 | bits(array(REG32), 3, 3)) as isize
            - (array(HREFST) << 3 | bits(array(REG32), 0, 3)) as isize;
        let rows = (array(VEND) << 2 | bits(array(COM1), 2, 2)) as isize
            - (array(VSTRT) << 2 | bits(array(COM1), 0, 2)) as isize;
        let given = (dsp(HSIZE8) << 3 | bits(dsp(SIZEL), 3, 3), dsp(VSIZE8) << 3 | bits(dsp(SIZEL), 0, 3));
        if (2 * columns, 2 * rows) != (width as isize, height as isize) || given != (width, height) {
            return None;
        }
        let orientation = self.peek(Bank::Array, REG04);
        let (upper, zoom) = (dsp(VHYX), dsp(ZMHH));
        let x = Side {
            array: width,
            window: 4 * (bits(dsp(TEST), 7, 1) << 9 | bits(upper, 3, 1) << 8 | dsp(HSIZE)),
            offset: bits(upper, 0, 3) << 8 | dsp(XOFFL),
            output: 4 * (bits(zoom, 0, 2) << 8 | dsp(ZMOW)),
            reversed: orientation & REG04_MIRROR != 0,
        };
        let y = Side {
            array: height,
            window: 4 * (bits(upper, 7, 1) << 8 | dsp(VSIZE)),
            offset: bits(upper, 4, 3) << 8 | dsp(YOFFL),
            output: 4 * (bits(zoom, 2, 1) << 8 | dsp(ZMOH)),
            reversed: orientation & REG04_FLIP != 0,
        };
        let divider = |from| bits(dsp(CTRLI), from, 3) as u8;
        let scaler = self.peek(Bank::Dsp, CTRL2) & SCALER != 0;
        let runs = dsp(R_BYPASS) & 1 == 0 && self.peek(Bank::Dsp, RESET) & RESET_OUTPUT == 0;
        if !runs || !x.is_possible(divider(0), scaler) || !y.is_possible(divider(3), scaler) {
            return None;
        }
        let mode = self.peek(Bank::Dsp, IMAGE_MODE);
        let lit = self.peek(Bank::Array, COM8) & COM8_AUTOMATIC == COM8_AUTOMATIC;
        let columns: Vec<usize> = (0..x.output).map(|column| x.source(column, scene.width)).collect();
        let mut bytes = Vec::with_capacity(2 * x.output * y.output);
        for row in 0..y.output {
            let line = y.source(row, scene.height) * scene.width;
            for column in &columns {
                let pixel = scene.pixels[line + column];
                let [red, green, blue] = if lit { pixel.map(u16::from) } else { [0; 3] };
                let sent = match mode & !LOWER_FIRST {
                    IMAGE_MODE_RGB565 => red >> 3 << 11 | green >> 2 << 5 | blue >> 3,
                    _ => u16::from_be_bytes([luma(pixel), 0x80]),
                };
                bytes.extend(if mode & LOWER_FIRST == 0 { sent.to_be_bytes() } else { sent.to_le_bytes() });
            }
        }
        Some(bytes)
    }
}
