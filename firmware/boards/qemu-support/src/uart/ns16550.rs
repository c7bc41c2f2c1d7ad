//! The NS16550 of QEMU's virt. The core sleeps while nothing arrives; its interrupt comes by way of the PLIC.

use core::convert::Infallible;

use embedded_io::{ErrorType, Read, ReadReady, Write, WriteReady};

use crate::machine::{PLIC, UART, UART_INTERRUPT, wait};

const DATA: usize = UART;
const INTERRUPTS: usize = UART + 1;
const FIFO_CONTROL: usize = UART + 2;
const LINE_CONTROL: usize = UART + 3;
const LINE_STATUS: usize = UART + 5;

const INTERRUPTS_RECEIVED: u8 = 1 << 0;
/// FIFOs on; the receiver interrupts when 14 bytes are there, or when fewer have been there for the time of four.
const FIFO_CONTROL_14: u8 = 0xc1;
const LINE_CONTROL_8N1: u8 = 0x03;
/// The first two registers are the divider of the clock.
const LINE_CONTROL_DIVIDER: u8 = 1 << 7;
const LINE_STATUS_RECEIVED: u8 = 1 << 0;
const LINE_STATUS_ROOM: u8 = 1 << 5;

/// The PLIC's registers for the first hart in machine mode.
const PRIORITY: usize = PLIC + 4 * UART_INTERRUPT;
const ENABLED: usize = PLIC + 0x2000;
const THRESHOLD: usize = PLIC + 0x20_0000;
const CLAIM: usize = PLIC + 0x20_0004;

/// Looks for a byte before going on without it, and cycles between two of them. Within a packet the next byte is about as far away
/// as waking up takes, or as all else that a board does in a round; between looks the emulator is left alone, which moves the bytes.
const LOOKS: usize = 50;
const CYCLES_BETWEEN: u32 = 400;

fn get(register: usize) -> u8 {
    // SAFETY: called with the addresses of the UART only.
    unsafe { (register as *const u8).read_volatile() }
}

fn set(register: usize, value: u8) {
    // SAFETY: as in `get`; no value of these registers touches memory.
    unsafe { (register as *mut u8).write_volatile(value) }
}

fn set_plic(register: usize, value: u32) {
    // SAFETY: called with the addresses of the PLIC only, which touches no memory.
    unsafe { (register as *mut u32).write_volatile(value) }
}

fn has_byte() -> bool {
    get(LINE_STATUS) & LINE_STATUS_RECEIVED != 0
}

/// Whether there is a byte, or comes one in a moment.
fn soon() -> bool {
    (0..LOOKS).any(|_| {
        let found = has_byte();
        if !found {
            riscv::asm::delay(CYCLES_BETWEEN);
        }
        found
    })
}

fn has_room() -> bool {
    get(LINE_STATUS) & LINE_STATUS_ROOM != 0
}

/// The link's UART.
#[derive(Debug)]
pub struct Uart(());

impl Uart {
    /// Switches its interrupt on, which only ends a sleep: the core takes none.
    pub fn start() -> Self {
        set_plic(PRIORITY, 1);
        set_plic(ENABLED, 1 << UART_INTERRUPT);
        set_plic(THRESHOLD, 0);
        // SAFETY: interrupts stay switched off in `mstatus`, so that no handler runs.
        unsafe { riscv::register::mie::set_mext() };
        // The emulator moves bytes as fast as it can, and as many at a time as the FIFO takes; the divider, as fast as it goes, is for
        // the time after which it tells of fewer.
        set(LINE_CONTROL, LINE_CONTROL_8N1 | LINE_CONTROL_DIVIDER);
        set(DATA, 1);
        set(INTERRUPTS, 0);
        set(LINE_CONTROL, LINE_CONTROL_8N1);
        set(FIFO_CONTROL, FIFO_CONTROL_14);
        set(INTERRUPTS, INTERRUPTS_RECEIVED);
        Uart(())
    }

    /// Sleeps until a byte has arrived, if none has, or for as long as a board may.
    pub fn sleep(&mut self) {
        if soon() {
            return;
        }
        // A byte that arrives before the sleep begins leaves the interrupt pending, which ends it at once.
        wait();
        // SAFETY: reading this register of the PLIC's claims the interrupt, and writing it completes that.
        let claimed = unsafe { (CLAIM as *const u32).read_volatile() };
        set_plic(CLAIM, claimed);
    }
}

impl ErrorType for Uart {
    type Error = Infallible;
}

impl ReadReady for Uart {
    fn read_ready(&mut self) -> Result<bool, Infallible> {
        Ok(has_byte())
    }
}

impl Read for Uart {
    /// What has arrived, and what follows it at once; nothing when nothing has.
    fn read(&mut self, bytes: &mut [u8]) -> Result<usize, Infallible> {
        let mut length = 0;
        for place in bytes {
            if !soon() {
                break;
            }
            *place = get(DATA);
            length += 1;
        }
        Ok(length)
    }
}

impl WriteReady for Uart {
    fn write_ready(&mut self) -> Result<bool, Infallible> {
        Ok(has_room())
    }
}

impl Write for Uart {
    /// What the transmitter takes now.
    fn write(&mut self, bytes: &[u8]) -> Result<usize, Infallible> {
        let mut length = 0;
        for &byte in bytes {
            if !has_room() {
                break;
            }
            set(DATA, byte);
            length += 1;
        }
        Ok(length)
    }

    fn flush(&mut self) -> Result<(), Infallible> {
        Ok(())
    }
}
