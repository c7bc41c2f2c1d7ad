//! The link's UART: what comes in is taken by an interrupt, since its FIFO of 128 bytes fills in a millisecond or two.

use core::cell::RefCell;

use arcgate_firmware::link::packet::MAX_PACKET;
use critical_section::Mutex;
use embedded_io::{ErrorType, Read, ReadReady, Write, WriteReady};
use esp_hal::uart::{IoError, Uart, UartInterrupt};
use esp_hal::{Blocking, handler};
use heapless::Deque;

/// The UART, and what it has received: a host has one packet under way at a time.
struct Link {
    uart: Option<Uart<'static, Blocking>>,
    received: Deque<u8, MAX_PACKET>,
}

static LINK: Mutex<RefCell<Link>> = Mutex::new(RefCell::new(Link { uart: None, received: Deque::new() }));

/// Runs with the link, which nobody else has: one core, and no interrupt meanwhile.
fn with<R>(run: impl FnOnce(&mut Link) -> R) -> Option<R> {
    critical_section::with(|token| LINK.borrow(token).try_borrow_mut().ok().map(|mut link| run(&mut link)))
}

/// What does not fit is lost, and its packet with it, which its checksum shows.
#[handler]
fn receive() {
    let _ = with(|Link { uart, received }| {
        let Some(uart) = uart else { return };
        let mut bytes = [0; 64];
        while let Ok(count @ 1..) = uart.read_buffered(&mut bytes) {
            for &byte in bytes.iter().take(count) {
                let _ = received.push_back(byte);
            }
        }
        uart.clear_interrupts(UartInterrupt::RxFifoFull | UartInterrupt::RxTimeout);
    });
}

/// The port, once [`Port::start`] has given it its UART.
pub struct Port(());

impl Port {
    /// Starts to receive.
    pub fn start(mut uart: Uart<'static, Blocking>) -> Self {
        uart.set_interrupt_handler(receive);
        uart.listen(UartInterrupt::RxFifoFull | UartInterrupt::RxTimeout);
        let _ = with(|link| link.uart = Some(uart));
        Port(())
    }
}

impl ErrorType for Port {
    type Error = IoError;
}

impl ReadReady for Port {
    fn read_ready(&mut self) -> Result<bool, IoError> {
        Ok(with(|link| !link.received.is_empty()).unwrap_or(false))
    }
}

impl Read for Port {
    /// As many as there are; none where [`ReadReady`] says so.
    fn read(&mut self, out: &mut [u8]) -> Result<usize, IoError> {
        let taken = with(|link| {
            let mut count = 0;
            for place in out {
                let Some(byte) = link.received.pop_front() else { break };
                *place = byte;
                count += 1;
            }
            count
        });
        Ok(taken.unwrap_or(0))
    }
}

impl WriteReady for Port {
    fn write_ready(&mut self) -> Result<bool, IoError> {
        with(|link| link.uart.as_mut().map_or(Ok(false), WriteReady::write_ready)).unwrap_or(Ok(false))
    }
}

impl Write for Port {
    /// As many as the FIFO takes; none where [`WriteReady`] says so.
    fn write(&mut self, bytes: &[u8]) -> Result<usize, IoError> {
        if !self.write_ready()? {
            return Ok(0);
        }
        with(|link| link.uart.as_mut().map_or(Ok(0), |uart| Write::write(uart, bytes))).unwrap_or(Ok(0))
    }

    /// The FIFO empties by itself.
    fn flush(&mut self) -> Result<(), IoError> {
        Ok(())
    }
}
