//! The same device on simulated hardware: image files as camera, a file as flash, TCP as UART.
//!
//! Only the drivers differ from a board: [`Device`] is the firmware.

mod chip;
mod counter;
pub mod cuts;
mod flash;
pub mod fuzz;
pub mod images;
mod port;
mod raw;
mod secret;

use std::collections::VecDeque;
use std::io;
use std::marker::PhantomData;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, LazyLock};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use embedded_io::{Read, ReadReady, Write, WriteReady};
use embedded_storage::nor_flash::{NorFlash, ReadNorFlash};

use crate::decide::table::ThresholdTable;
use crate::decide::time::Uptime;
use crate::decide::{MatchRules, Rules};
use crate::detect::{Face, MOST_FACES, Settings};
use crate::device::{Camera, CameraFault, Clock, Device, Event, Hardware, Memory, Phase, Shot};
use crate::engine::{EmbedError, Embedder, LookError, ModelInfo, Models};
use crate::frame::{Frame, Intake, Landmarks, PixelFormat};
use crate::gallery::{Monotonic, NoCounter, Owned, index_lines_of_flash};
use crate::link::message::Unit;
use crate::link::{LinkTrust, Role};
pub use chip::{Bench, Chip, FromSlot};
pub use counter::FileCounter;
pub use flash::{ERASE, FileFlash, FlashError};
pub use port::{MemoryPort, TcpPort};
pub use raw::Raw;
pub use secret::SimSecret;

/// Bytes in which a simulated device keeps a picture: 1280 x 1024 in three colours. A larger one is halved as it arrives.
pub const FRAME: usize = 1280 * 1024 * 3;

/// Bytes of the largest crop.
pub const CROP: usize = 256 * 256 * 3;

/// People and templates that a simulated device keeps track of.
pub const RECORDS: usize = 12_288;

/// A computer's parts: a flash `F`, a port `P` and a counter `M`.
#[derive(Debug)]
pub struct Desktop<F, P, M = NoCounter>(PhantomData<(F, P, M)>);

impl<F: NorFlash, P: Read + ReadReady + Write + WriteReady, M: Monotonic> Hardware for Desktop<F, P, M> {
    type Models = Box<dyn Models + Send>;
    type Flash = F;
    type Store = FileFlash;
    type Slots = FileFlash;
    type Port = P;
    type Counter = M;
    type Bytes = Vec<u8>;
    type Room = Owned;
}

/// A simulated device on a flash `F` with a port `P` and a counter `M`.
pub type SimDevice<F, P, M = NoCounter> = Device<Desktop<F, P, M>>;

/// This computer's own clock.
pub const CLOCK: Clock = Clock { now: nanoseconds, unit: Unit::Nanoseconds, per_tick: 1 };

/// Nanoseconds since some moment, of more than 4 seconds the rest.
fn nanoseconds() -> u32 {
    static BEGIN: LazyLock<Instant> = LazyLock::new(Instant::now);
    BEGIN.elapsed().as_nanos() as u32
}

/// Memory for a simulated device: for its pictures, and for all templates that fit into `flash`.
pub fn memory<F: ReadNorFlash>(flash: &F) -> Memory<Vec<u8>, Owned> {
    let gallery = Owned::new(RECORDS, index_lines_of_flash(flash.capacity()));
    Memory { frame: vec![0; FRAME], crop: vec![0; CROP], gallery }
}

/// How long the device sleeps when nothing came.
const PAUSE: Duration = Duration::from_micros(200);

impl<E: Embedder + ?Sized> Embedder for Box<E> {
    fn info(&self) -> &ModelInfo {
        (**self).info()
    }

    fn thresholds(&self) -> Option<ThresholdTable<'_>> {
        (**self).thresholds()
    }

    fn embed(&mut self, crop: &[u8], out: &mut [i8]) -> Result<(), EmbedError> {
        (**self).embed(crop, out)
    }

    fn embed_watched(
        &mut self,
        crop: &[u8],
        out: &mut [i8],
        after: &mut dyn FnMut(usize),
    ) -> Result<(), EmbedError> {
        (**self).embed_watched(crop, out, after)
    }
}

impl<M: Models + ?Sized> Models for Box<M> {
    fn detector(&self) -> Option<&ModelInfo> {
        (**self).detector()
    }

    fn find(
        &mut self,
        picture: &[u8],
        settings: &Settings,
    ) -> Result<heapless::Vec<Face, MOST_FACES>, LookError> {
        (**self).find(picture, settings)
    }

    fn arena(&mut self) -> &mut [u8] {
        (**self).arena()
    }
}

/// A picture for the camera.
#[derive(Debug, Clone)]
pub struct StoredShot {
    /// How its pixels lie.
    pub format: PixelFormat,
    /// Pixels in a row.
    pub width: u16,
    /// Rows.
    pub height: u16,
    /// The pixels.
    pub data: Vec<u8>,
    /// The face's landmarks, where somebody found them.
    pub landmarks: Option<Landmarks>,
}

impl StoredShot {
    /// A picture and its face's landmarks as a device keeps them in a memory of `capacity` bytes. One that does not fit however often
    /// it is halved stays as it is.
    pub fn kept(frame: &Frame<'_>, landmarks: Option<Landmarks>, capacity: u32) -> Self {
        let (mut buffer, capacity) = (Vec::new(), capacity as usize);
        let (mut shown, mut points) = (*frame, landmarks);
        if let Ok(mut intake) = Intake::new(frame.format(), frame.width(), frame.height(), capacity)
            && intake.halvings() > 0
        {
            buffer.resize(capacity, 0);
            intake.push(frame.data(), &mut buffer);
            points = landmarks.map(|points| intake.landmarks(&points));
            shown = intake.frame(&buffer).unwrap_or(shown);
        }
        let (format, width, height) = (shown.format(), shown.width(), shown.height());
        StoredShot { format, width, height, data: shown.data().to_vec(), landmarks: points }
    }
}

/// A camera that shows stored pictures, each once; the device takes each for a presentation ([`Rules::photographs`]).
#[derive(Debug, Default)]
pub struct StoredCamera {
    shots: VecDeque<StoredShot>,
    shown: Option<StoredShot>,
}

impl StoredCamera {
    /// A camera that will show `shots` in order.
    pub fn new(shots: impl IntoIterator<Item = StoredShot>) -> Self {
        StoredCamera { shots: shots.into_iter().collect(), ..StoredCamera::default() }
    }

    /// Whether there are pictures that it has not shown.
    pub fn has_more(&self) -> bool {
        !self.shots.is_empty()
    }
}

impl Camera for StoredCamera {
    fn poll(&mut self, _: Uptime) -> Result<bool, CameraFault> {
        self.shown = self.shots.pop_front();
        Ok(self.shown.is_some())
    }

    fn shot(&self) -> Option<Shot<'_>> {
        let shown = self.shown.as_ref()?;
        let frame = Frame::new(shown.format, shown.width, shown.height, &shown.data).ok()?;
        Some(Shot { frame, landmarks: shown.landmarks })
    }

    fn rest(&mut self) {}
}

/// What sets one simulated device apart from another.
#[derive(Debug)]
pub struct Nature<M = NoCounter> {
    /// By what it knows people.
    pub matching: MatchRules,
    /// Its secret.
    pub secret: SimSecret,
    /// Its counter against flashes put back.
    pub counter: M,
    /// What it has beside its gallery; without it, it forgets when it stops what was paired, and takes no models.
    pub chip: Option<Chip>,
    /// Whom it trusts on its link.
    pub link: LinkTrust,
    /// Somebody presses its button as it starts: a host may be paired, for this at most.
    pub press: Option<Role>,
}

impl Default for Nature {
    fn default() -> Self {
        Nature {
            matching: MatchRules::default(),
            secret: SimSecret::software(),
            counter: NoCounter,
            chip: None,
            link: LinkTrust::Open,
            press: None,
        }
    }
}

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
        mut camera: StoredCamera,
        mut log: impl FnMut(&Event) + Send + 'static,
        nature: Nature<M>,
    ) -> io::Result<Self> {
        let port = TcpPort::listen(address)?;
        let address = port.address()?;
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = stop.clone();
        let body = move || {
            let Nature { matching, secret, counter, chip, link, press } = nature;
            // Rules by which a vote can be held.
            let rules = Rules { matching, ..Rules::photographs() };
            let mut bench = chip::Bench { model: engine, chip, gallery: flash, port, counter };
            let mut pressed = press;
            while !stopped.load(Ordering::Relaxed) {
                let mut device: SimDevice<F, TcpPort, M> = bench.start(link, &secret);
                device.set_clock(CLOCK);
                let _ = device.set_rules(rules);
                let boot = Instant::now();
                if let Some(at_most) = pressed.take() {
                    device.allow_pairing(at_most, Uptime(0));
                }
                // The reply to whoever asked for the restart goes first.
                while !stopped.load(Ordering::Relaxed) && (!device.wants_restart() || !device.is_idle()) {
                    // A connection that broke is the wire pulled out: the port waits for the next one.
                    let event = device.poll().unwrap_or_default();
                    let somebody = camera.has_more() || device.phase() != Phase::Idle;
                    let now = Uptime(boot.elapsed().as_millis() as u64);
                    let seen = device.watch(&mut camera, somebody, now);
                    let quiet = event.is_none() && seen.is_none() && !somebody;
                    event.iter().chain(&seen).for_each(&mut log);
                    if quiet && device.port().is_quiet() {
                        std::thread::sleep(PAUSE);
                    }
                }
                bench = chip::Bench::after(device.take_apart());
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
