//! A device in this process: the wire is its memory, and reading from it runs it.

use std::io::{self, Read, Write};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use arcgate_firmware::device::{Kept, Parts};
use arcgate_firmware::engine::Models;
use arcgate_firmware::gallery::NoCounter;
use arcgate_firmware::link::LinkTrust;
use arcgate_firmware::sim::{MemoryPort, SimDevice, SimSecret, memory};
use arcgate_firmware::time::{UnixTime, Uptime};
use embedded_storage::nor_flash::NorFlash;

use super::transport::Wire;

/// A device on a flash `F` that runs whenever the host reads.
pub struct LocalWire<F: NorFlash> {
    device: SimDevice<F, MemoryPort>,
}

impl<F: NorFlash> LocalWire<F> {
    /// Starts the device with this secret.
    pub fn new(engine: Box<dyn Models + Send>, flash: F, secret: &SimSecret) -> Self {
        let memory = memory(&flash);
        let parts = Parts {
            models: engine,
            gallery: flash,
            events: None,
            kept: Kept::nothing(),
            updates: None,
            port: MemoryPort::default(),
            // Nobody else reaches this wire.
            link: LinkTrust::Open,
            counter: NoCounter,
            memory,
        };
        let mut device = SimDevice::new(parts, secret);
        // This computer knows it.
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        device.set_time(UnixTime(now.as_secs()), Uptime(0));
        LocalWire { device }
    }
}

impl<F: NorFlash> Read for LocalWire<F> {
    fn read(&mut self, bytes: &mut [u8]) -> io::Result<usize> {
        while self.device.port().to_host.is_empty() && !self.device.port().to_device.is_empty() {
            // Events are for the device's own log; here the replies say the same.
            let Ok(_event) = self.device.poll();
        }
        // A reply is sent by the poll after the one that made it.
        let Ok(_event) = self.device.poll();
        match Read::read(&mut self.device.port().to_host, bytes)? {
            0 => Err(io::ErrorKind::TimedOut.into()),
            length => Ok(length),
        }
    }
}

impl<F: NorFlash> Write for LocalWire<F> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.device.port().to_device.extend(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl<F: NorFlash + Send> Wire for LocalWire<F> {
    fn set_patience(&mut self, _: Duration) -> io::Result<()> {
        Ok(())
    }
}
