//! The CMSDK APB UART of the MPS2 boards: one byte of buffer in each direction. The core sleeps while nothing arrives.

use core::convert::Infallible;
use core::ptr::{read_volatile, write_volatile};

use cortex_m::interrupt::InterruptNumber;
use cortex_m::peripheral::NVIC;
use embedded_io::{ErrorType, Read, ReadReady, Write, WriteReady};

use crate::machine::{UART, UART_INTERRUPTS, wait};

const DATA: usize = UART;
const STATE: usize = UART + 0x04;
const CTRL: usize = UART + 0x08;
const INTSTATUS: usize = UART + 0x0c;
const BAUDDIV: usize = UART + 0x10;

const STATE_TX_FULL: u32 = 1 << 0;
const STATE_RX_FULL: u32 = 1 << 1;
const CTRL_TX_ENABLE: u32 = 1 << 0;
const CTRL_RX_ENABLE: u32 = 1 << 1;
const CTRL_RX_INTERRUPT: u32 = 1 << 3;
const INTSTATUS_RX: u32 = 1 << 1;

/// One of the UART's interrupts. Only that of the receiver is switched on.
#[derive(Clone, Copy)]
struct Interrupt(u16);

// SAFETY: the machines have these interrupts, and they are the UART's.
unsafe impl InterruptNumber for Interrupt {
    fn number(self) -> u16 {
        self.0
    }
}

/// Looks for a byte before going to sleep, and cycles between two of them. Within a packet the next byte is about as far away
/// as waking up takes; between looks the emulator is left alone, which moves the bytes.
const LOOKS: usize = 50;
const CYCLES_BETWEEN: u32 = 400;

/// The smallest divider that the UART takes: as fast as it goes.
const FASTEST: u32 = 16;

fn get(register: usize) -> u32 {
    // SAFETY: called with the addresses above only, which are registers of this UART.
    unsafe { read_volatile(register as *const u32) }
}

fn set(register: usize, value: u32) {
    // SAFETY: as in `get`; no value of these registers touches memory.
    unsafe { write_volatile(register as *mut u32, value) }
}

/// The link's UART.
#[derive(Debug)]
pub struct Uart(());

impl Uart {
    /// Switches it on.
    pub fn start() -> Self {
        // The interrupt only ends a sleep; nothing is to handle it.
        cortex_m::interrupt::disable();
        // SAFETY: with interrupts disabled no handler runs, whatever is unmasked.
        UART_INTERRUPTS.into_iter().for_each(|interrupt| unsafe { NVIC::unmask(Interrupt(interrupt)) });
        set(BAUDDIV, FASTEST);
        set(CTRL, CTRL_TX_ENABLE | CTRL_RX_ENABLE | CTRL_RX_INTERRUPT);
        Uart(())
    }

    /// Sleeps until a byte has arrived, if none has, or for as long as a board may.
    pub fn sleep(&mut self) {
        for _ in 0..LOOKS {
            if get(STATE) & STATE_RX_FULL != 0 {
                return;
            }
            cortex_m::asm::delay(CYCLES_BETWEEN);
        }
        if get(STATE) & STATE_RX_FULL == 0 {
            // A byte that arrives before the sleep begins leaves the interrupt pending, which ends it at once.
            wait();
            set(INTSTATUS, INTSTATUS_RX);
            UART_INTERRUPTS.into_iter().for_each(|interrupt| NVIC::unpend(Interrupt(interrupt)));
        }
    }
}

impl ErrorType for Uart {
    type Error = Infallible;
}

impl ReadReady for Uart {
    fn read_ready(&mut self) -> Result<bool, Infallible> {
        Ok(get(STATE) & STATE_RX_FULL != 0)
    }
}

impl Read for Uart {
    /// What has arrived, without waiting for more; nothing when nothing has.
    fn read(&mut self, bytes: &mut [u8]) -> Result<usize, Infallible> {
        let mut length = 0;
        for place in bytes {
            if get(STATE) & STATE_RX_FULL == 0 {
                break;
            }
            *place = get(DATA) as u8;
            length += 1;
        }
        Ok(length)
    }
}

impl WriteReady for Uart {
    fn write_ready(&mut self) -> Result<bool, Infallible> {
        Ok(get(STATE) & STATE_TX_FULL == 0)
    }
}

impl Write for Uart {
    /// What the transmitter takes now.
    fn write(&mut self, bytes: &[u8]) -> Result<usize, Infallible> {
        let mut length = 0;
        for &byte in bytes {
            if get(STATE) & STATE_TX_FULL != 0 {
                break;
            }
            set(DATA, byte as u32);
            length += 1;
        }
        Ok(length)
    }

    fn flush(&mut self) -> Result<(), Infallible> {
        Ok(())
    }
}
