//! The sensor of the model: its registers, and the picture that they make of a scene.

use super::{Bank, BusError, Fault, Scene};
use crate::align::luma;

/// The sensor's address: 0x60 to write and 0x61 to read, without the lowest bit.
pub(super) const ADDRESS: u8 = 0x60 >> 1;

// Registers and bits as the datasheet has them, written out again: the driver's own would be as wrong here as there.

/// Both banks: which bank is selected, 0 the DSP's, 1 the array's.
const BANK: u8 = 0xff;

/// The array's bank.
const COM1: u8 = 0x03;
const REG04: u8 = 0x04;
const PIDH: u8 = 0x0a;
const PIDL: u8 = 0x0b;
const COM7: u8 = 0x12;
const COM8: u8 = 0x13;
const HREFST: u8 = 0x17;
const HREFEND: u8 = 0x18;
const VSTRT: u8 = 0x19;
const VEND: u8 = 0x1a;
const REG32: u8 = 0x32;

/// The DSP's bank.
const R_BYPASS: u8 = 0x05;
const CTRLI: u8 = 0x50;
const HSIZE: u8 = 0x51;
const VSIZE: u8 = 0x52;
const XOFFL: u8 = 0x53;
const YOFFL: u8 = 0x54;
const VHYX: u8 = 0x55;
const TEST: u8 = 0x57;
const ZMOW: u8 = 0x5a;
const ZMOH: u8 = 0x5b;
const ZMHH: u8 = 0x5c;
const CTRL2: u8 = 0x86;
const SIZEL: u8 = 0x8c;
const HSIZE8: u8 = 0xc0;
const VSIZE8: u8 = 0xc1;
const IMAGE_MODE: u8 = 0xda;
const RESET: u8 = 0xe0;

/// Product numbers of an OV2640, [`PIDH`] and [`PIDL`].
const PRODUCT: [u8; 2] = [0x26, 0x42];
/// [`COM7`]: all registers are reset.
const ALL_RESET: u8 = 1 << 7;
/// [`REG04`]: columns from right to left.
const MIRROR: u8 = 1 << 7;
/// [`REG04`]: rows from bottom to top.
const FLIP: u8 = 1 << 6;
/// [`COM8`]: exposure and gain are automatic. Without them the model's pictures are black: where registers for light stand is not modelled.
const AUTOMATIC: u8 = 1 << 2 | 1 << 0;
/// [`CTRL2`]: the scaler works.
const SCALER: u8 = 1 << 5;
/// [`IMAGE_MODE`], bits 3..2: RGB565; YUV422 is 0.
const RGB565: u8 = 2 << 2;
/// [`IMAGE_MODE`]: the lower byte of a pixel first.
const LOWER_FIRST: u8 = 1 << 0;
/// [`RESET`]: the output is held.
const OUTPUT_HELD: u8 = 1 << 2;

/// Microseconds that the sensor takes after its reset.
const RESET_US: u64 = 3000;

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
    /// As it is after power-on; of what does not matter for a picture all is 0.
    pub fn new() -> Self {
        let mut banks = [[0; 256]; 2];
        banks[Bank::Array as usize][usize::from(PIDH)] = PRODUCT[0];
        banks[Bank::Array as usize][usize::from(PIDL)] = PRODUCT[1];
        for (register, value) in [(R_BYPASS, 1), (VHYX, 0x08), (RESET, OUTPUT_HELD)] {
            banks[Bank::Dsp as usize][usize::from(register)] = value;
        }
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
            (&[COM7, value], Some(Bank::Array)) if value & ALL_RESET != 0 => self.power_off(now),
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
            reversed: orientation & MIRROR != 0,
        };
        let y = Side {
            array: height,
            window: 4 * (bits(upper, 7, 1) << 8 | dsp(VSIZE)),
            offset: bits(upper, 4, 3) << 8 | dsp(YOFFL),
            output: 4 * (bits(zoom, 2, 1) << 8 | dsp(ZMOH)),
            reversed: orientation & FLIP != 0,
        };
        let divider = |from| bits(dsp(CTRLI), from, 3) as u8;
        let scaler = self.peek(Bank::Dsp, CTRL2) & SCALER != 0;
        let runs = dsp(R_BYPASS) & 1 == 0 && self.peek(Bank::Dsp, RESET) & OUTPUT_HELD == 0;
        if !runs || !x.is_possible(divider(0), scaler) || !y.is_possible(divider(3), scaler) {
            return None;
        }
        let mode = self.peek(Bank::Dsp, IMAGE_MODE);
        let lit = self.peek(Bank::Array, COM8) & AUTOMATIC == AUTOMATIC;
        let columns: Vec<usize> = (0..x.output).map(|column| x.source(column, scene.width)).collect();
        let mut bytes = Vec::with_capacity(2 * x.output * y.output);
        for row in 0..y.output {
            let line = y.source(row, scene.height) * scene.width;
            for column in &columns {
                let pixel = scene.pixels[line + column];
                let [red, green, blue] = if lit { pixel.map(u16::from) } else { [0; 3] };
                let sent = match mode & !LOWER_FIRST {
                    RGB565 => red >> 3 << 11 | green >> 2 << 5 | blue >> 3,
                    _ => u16::from_be_bytes([luma(pixel), 0x80]),
                };
                bytes.extend(if mode & LOWER_FIRST == 0 { sent.to_be_bytes() } else { sent.to_le_bytes() });
            }
        }
        Some(bytes)
    }
}
