//! A simulated device in a thread of its own.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use embedded_storage::nor_flash::NorFlash;

use super::board::{Nature, Unpowered};
use super::{StoredCamera, TcpPort, Wires};
use crate::board::Next;
use crate::decide::Rules;
use crate::device::Event;
use crate::engine::Models;
use crate::gallery::Monotonic;
use crate::time::Uptime;

/// How long the device sleeps when nothing came.
const PAUSE: Duration = Duration::from_micros(200);

/// A simulated device in a thread of its own; stops when dropped.
#[derive(Debug)]
pub struct Running {
    address: SocketAddr,
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Running {
    /// Starts a device that listens on `address` (port 0: any free one), stores its people on `flash`, shows its
    /// camera `camera`, and tells `log` what happens.
    ///
    /// # Errors
    /// When the address cannot be listened on.
    pub fn start<F: NorFlash + Send + 'static>(
        engine: Box<dyn Models + Send>,
        flash: F,
        address: &str,
        camera: StoredCamera,
        log: impl FnMut(&Event) + Send + 'static,
    ) -> io::Result<Self> {
        Self::start_with(engine, flash, address, camera, log, Nature::default())
    }

    /// As [`Running::start`], a device of this nature.
    ///
    /// # Errors
    /// When the address cannot be listened on.
    pub fn start_with<F: NorFlash + Send + 'static, M: Monotonic + Send + 'static>(
        engine: Box<dyn Models + Send>,
        flash: F,
        address: &str,
        camera: StoredCamera,
        mut log: impl FnMut(&Event) + Send + 'static,
        nature: Nature<M>,
    ) -> io::Result<Self> {
        let port = TcpPort::listen(address)?;
        let address = port.address()?;
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = stop.clone();
        let body = move || {
            let (wires, mut press) = (Wires::default(), nature.press);
            let rules = Rules { matching: nature.matching, ..Rules::default() };
            let mut unpowered = Unpowered::new(engine, flash, port, camera, &wires, nature);
            while !stopped.load(Ordering::Relaxed) {
                let (mut powered, boot) = (unpowered.start(), Instant::now());
                let frames = powered.camera().shows_frames();
                if frames {
                    powered
                        .device()
                        .set_rules(rules)
                        .expect("a vote can be held by the rules of every device");
                }
                if let Some(at_most) = press.take() {
                    powered.device().allow_pairing(at_most, Uptime(0));
                }
                while !stopped.load(Ordering::Relaxed) {
                    wires.presence.set(powered.camera().has_more());
                    match powered.round(Uptime(boot.elapsed().as_millis() as u64), &mut log) {
                        // Most of the time of somebody who stays is waiting for the next frame.
                        Next::Again if frames && powered.device().port().is_quiet() => {
                            std::thread::sleep(PAUSE);
                        }
                        Next::Again => {}
                        Next::Sleep if !powered.device().port().is_quiet() => {}
                        Next::Sleep => std::thread::sleep(PAUSE),
                        Next::Restart => break,
                    }
                }
                unpowered = powered.cut();
            }
        };
        let thread = std::thread::Builder::new().name("device".into()).spawn(body)?;
        Ok(Running { address, stop, thread: Some(thread) })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Stops the device as a power cut would, and waits until its flash is free.
    pub fn stop(mut self) {
        self.end();
    }

    fn end(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            // A device that panicked has said so on standard error.
            let _ = thread.join();
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.end();
    }
}
