//! A serial port whose driver works by interrupts, for a loop that never waits.
//!
//! The HALs' buffered drivers have asynchronous calls and calls that wait. Here each asynchronous call is polled once: it does what
//! can be done now, and is dropped; the drivers say that nothing is lost by that.

use core::convert::Infallible;

use embassy_futures::poll_once;
use embedded_io::{ErrorType, ReadReady, WriteReady};
use embedded_io_async::{Read, Write};

/// Bytes between the device and the driver, each way.
const BUFFER: usize = 64;

/// Bytes on their way.
#[derive(Debug)]
struct Bytes {
    bytes: [u8; BUFFER],
    begin: usize,
    end: usize,
}

impl Bytes {
    const NONE: Bytes = Bytes { bytes: [0; BUFFER], begin: 0, end: 0 };

    fn rest(&self) -> &[u8] {
        self.bytes.get(self.begin..self.end).unwrap_or_default()
    }

    fn is_empty(&self) -> bool {
        self.begin >= self.end
    }
}

/// The driver `U`, polled. What it says of a break or of bytes that came too fast is left out: packets have a checksum.
#[derive(Debug)]
pub struct Polled<U> {
    driver: U,
    received: Bytes,
    to_send: Bytes,
}

impl<U: Read + Write> Polled<U> {
    /// Over a driver with buffers of its own.
    pub const fn new(driver: U) -> Self {
        Polled { driver, received: Bytes::NONE, to_send: Bytes::NONE }
    }

    fn receive(&mut self) {
        if self.received.is_empty()
            && let core::task::Poll::Ready(Ok(count)) = poll_once(self.driver.read(&mut self.received.bytes))
        {
            (self.received.begin, self.received.end) = (0, count);
        }
    }

    fn send(&mut self) {
        if !self.to_send.is_empty()
            && let core::task::Poll::Ready(Ok(count)) = poll_once(self.driver.write(self.to_send.rest()))
        {
            self.to_send.begin += count;
        }
    }
}

impl<U> ErrorType for Polled<U> {
    type Error = Infallible;
}

impl<U: Read + Write> ReadReady for Polled<U> {
    fn read_ready(&mut self) -> Result<bool, Infallible> {
        self.receive();
        Ok(!self.received.is_empty())
    }
}

impl<U: Read + Write> embedded_io::Read for Polled<U> {
    /// As many as there are; none where [`ReadReady`] says so.
    fn read(&mut self, out: &mut [u8]) -> Result<usize, Infallible> {
        self.receive();
        let count = out.len().min(self.received.rest().len());
        for (out, &byte) in out.iter_mut().zip(self.received.rest()) {
            *out = byte;
        }
        self.received.begin += count;
        Ok(count)
    }
}

impl<U: Read + Write> WriteReady for Polled<U> {
    fn write_ready(&mut self) -> Result<bool, Infallible> {
        self.send();
        Ok(self.to_send.is_empty())
    }
}

impl<U: Read + Write> embedded_io::Write for Polled<U> {
    /// As many as fit; none where [`WriteReady`] says so.
    fn write(&mut self, bytes: &[u8]) -> Result<usize, Infallible> {
        self.send();
        if !self.to_send.is_empty() {
            return Ok(0);
        }
        let count = bytes.len().min(BUFFER);
        for (to, &byte) in self.to_send.bytes.iter_mut().zip(bytes) {
            *to = byte;
        }
        (self.to_send.begin, self.to_send.end) = (0, count);
        self.send();
        Ok(count)
    }

    /// Hands over what the driver takes now.
    fn flush(&mut self) -> Result<(), Infallible> {
        self.send();
        Ok(())
    }
}
