//! The device, put together and run.

use core::cell::RefCell;
use core::marker::PhantomData;

use arcgate_firmware::board::{Board, Guarded, Next, Watchdog};
use arcgate_firmware::camera::{Camera, Grabber, Patience};
use arcgate_firmware::device::{Clock, Device, Hardware, Kept, Memory, Parts, Updates};
use arcgate_firmware::engine::plan::PlanModels;
use arcgate_firmware::flash::{Alive, Mapped, MemoryMap, Partition, Region};
use arcgate_firmware::gallery::{self, NoCounter};
use arcgate_firmware::link::LinkTrust;
use arcgate_firmware::panel::{Inputs, LockRules, Outputs, Panel, PulseError};
use arcgate_firmware::state::Slot;
use arcgate_firmware::time::Uptime;
use arcgate_firmware::update::{Development, Room, Slots, UpdateKey, Verifier};
use embedded_hal::digital::InputPin;
use embedded_io::{Read, ReadReady, Write, WriteReady};
use embedded_storage::nor_flash::NorFlash;

use crate::told::Told;
use crate::{ChipSecret, Entropy, Lent, given};

/// What a board with chip `F` and port `P` is made of.
#[derive(Debug)]
pub struct Machine<F, P>(PhantomData<(F, P)>);

impl<F: NorFlash + 'static, P: Read + ReadReady + Write + WriteReady> Hardware for Machine<F, P>
where
    &'static RefCell<F>: Alive,
{
    type Models = PlanModels<&'static [u8], &'static mut [u8]>;
    type Flash = Partition<'static, F>;
    type Store = Partition<'static, F>;
    type Slots = Mapped<Partition<'static, F>>;
    type Port = P;
    type Counter = NoCounter;
    type Bytes = &'static mut [u8];
    type Room = gallery::Lent;
}

/// What a device starts from.
#[derive(Debug)]
pub struct Start<F: 'static, P, R> {
    /// The flash that `map` draws.
    pub flash: &'static RefCell<F>,
    /// Where everything lies on it.
    pub map: MemoryMap,
    /// Where the core reads the flash's first byte, or would if it read more than the model slots.
    pub base: *const u8,
    /// The wire of the link.
    pub port: P,
    /// What seals the flash.
    pub secret: ChipSecret<R>,
    /// What measures operations.
    pub clock: Clock,
}

/// Why a board does not start.
#[derive(Debug, Clone, Copy, PartialEq, Eq, defmt::Format)]
pub enum StartFault {
    /// The flash is smaller than its map, or in use.
    Flash,
    /// The lock's rules have no bounded pulse.
    Lock(PulseError),
}

impl From<PulseError> for StartFault {
    fn from(error: PulseError) -> Self {
        StartFault::Lock(error)
    }
}

impl<F: NorFlash + 'static, P: Read + ReadReady + Write + WriteReady, R: Entropy> Start<F, P, R>
where
    &'static RefCell<F>: Alive,
{
    /// Puts the device together with the model that a slot holds; without one it waits for a model over the link.
    ///
    /// # Errors
    /// When the flash is not what the map says.
    ///
    /// # Safety
    /// From `base` on the core reads the flash's model slots, each at its offset, for ever, and they show what was
    /// programmed as soon as a write has returned.
    unsafe fn device(
        self,
        memory: Memory<&'static mut [u8], gallery::Lent>,
        arena: &'static mut [u8],
    ) -> Result<Device<Machine<F, P>>, StartFault> {
        let Start { flash, map, base, port, secret, clock } = self;
        let part = |region: Region| Partition::new(flash, region).map_err(|_| StartFault::Flash);
        let at = |region: Region| base.wrapping_add(region.offset as usize);
        let slot = |region: Region| -> Result<_, StartFault> {
            // SAFETY: the caller says that the slot's bytes are there; they are written through this alone.
            Ok(unsafe { Mapped::new(part(region)?, at(region)) })
        };
        let mut kept = Kept::open(part(map.state)?, &secret);
        let [a, b] = map.models;
        let key = given::UPDATE_KEY.map_or(UpdateKey::DEVELOPMENT, UpdateKey);
        let (updates, models) = match Verifier::new(key, Development::BUILD) {
            Ok(verifier) => {
                let mut slots = Slots::new([slot(a)?, slot(b)?], verifier);
                if let Some(image) = given::MODEL {
                    let room = Room { arena: &mut *arena, crop: &mut *memory.crop };
                    match slots.install(image, kept.state(), room) {
                        Ok(None) => {}
                        Ok(Some(accepted)) => {
                            // If that cannot be kept, the start below keeps what it finds.
                            let _ = kept.update(|state| accepted.apply(state));
                        }
                        Err(error) => defmt::error!("the program's model is not installed: {}", error),
                    }
                }
                let read = |slot, range: core::ops::Range<usize>| {
                    let region = if slot == Slot::A { a } else { b };
                    // SAFETY: as above, and nothing is written to a slot whose model runs.
                    let bytes = unsafe { core::slice::from_raw_parts(at(region), region.length as usize) };
                    bytes.get(range).unwrap_or_default()
                };
                let (updates, models) = Updates::start(slots, &mut kept, read, arena, &mut *memory.crop);
                (Some(updates), models)
            }
            Err(_) => {
                defmt::error!("no update key was given to the build: no model is taken, none runs");
                (None, PlanModels::none(arena))
            }
        };
        let parts = Parts {
            models,
            gallery: part(map.gallery)?,
            events: Some(part(map.events)?),
            kept,
            updates,
            port,
            link: LinkTrust::Paired,
            counter: NoCounter,
            memory,
        };
        let mut device = Device::new(parts, &secret);
        device.set_clock(clock);
        Ok(device)
    }
}

/// What is around a device, and how its board lives.
#[derive(Debug)]
pub struct Around<C, O, B, S> {
    /// A camera's driver, whose errors are logged.
    pub camera: C,
    /// Lock, lights, buzzer.
    pub outputs: O,
    /// Button and presence.
    pub inputs: Inputs<B, S>,
    /// The time since the start.
    pub uptime: fn() -> Uptime,
    /// Waits for an interrupt, at most [`LONGEST_SLEEP_MS`](arcgate_firmware::board::LONGEST_SLEEP_MS).
    pub sleep: fn(),
}

/// Runs the device until the chip is to start anew.
///
/// # Errors
/// When it cannot be put together; nothing has moved then.
///
/// # Safety
/// From [`Start::base`] on the core reads the flash's model slots, each at its offset, for ever, and they show what was
/// programmed as soon as a write has returned.
pub unsafe fn run<F, W, P, R, C, O, B, S>(
    start: Start<Guarded<F, W>, P, R>,
    around: Around<C, O, B, S>,
    memory: Lent,
) -> Result<(), StartFault>
where
    F: NorFlash + 'static,
    W: Watchdog + 'static,
    P: Read + ReadReady + Write + WriteReady,
    R: Entropy,
    C: Camera<Error: defmt::Format>,
    O: Outputs,
    B: InputPin,
    S: InputPin,
{
    let Around { camera, outputs, inputs, uptime, sleep } = around;
    let Lent { arena, crop, frame, camera: picture, gallery } = memory;
    let panel = Panel::new(outputs, LockRules::default())?;
    let camera = Grabber::new(Told(camera), picture, Patience::default());
    let watchdog = start.flash;
    // SAFETY: as the caller says.
    let mut device = unsafe { start.device(Memory { frame, crop, gallery }, arena) }?;
    let mut board = Board::new(camera, panel, inputs, watchdog);
    let gallery = device.gallery();
    match gallery.state() {
        Ok(()) => defmt::info!("up, {} people", gallery.usage().people),
        Err(error) => defmt::error!("up, without a gallery: {}", error),
    }
    loop {
        let next = board.round(&mut device, uptime(), &mut |event| defmt::info!("{}", event));
        match next {
            Next::Again => {}
            Next::Sleep => sleep(),
            Next::Restart => return Ok(()),
        }
    }
}
