//! The device, put together and run.

use core::cell::RefCell;
use core::panic::PanicInfo;

use arcgate_firmware::decide::time::Uptime;
use arcgate_firmware::device::{
    Device, Hardware, Kept, MANIFEST_BYTES, Manifest, Memory, NoSlots, Parts, stack,
};
use arcgate_firmware::engine::plan::{MAGIC, PairError, PlanError, PlanModels};
use arcgate_firmware::flash::Partition;
use arcgate_firmware::gallery::{
    Entry, Lent, Line, NoCounter, Rooms, SoftwareSecret, index_lines_of_flash, records_of_flash,
};
use arcgate_firmware::link::LinkTrust;
use semihosting::process;
use static_cell::{ConstStaticCell, StaticCell};

use crate::machine::{self, CLOCK, DETECTOR, EVENTS, FLASH, GALLERY, MODELS, RAM, STACK, STATE};
use crate::say::{
    Part::{Hexadecimal, Words},
    say,
};
use crate::uart::Uart;
use crate::{Region, events};

/// Where a plan states its length.
const PLAN_LENGTH: usize = 12;

/// Room for running the models, one after the other.
const ARENA: usize = 2 << 20;

/// Bytes in which a picture is kept: 320 x 240 in three colours.
const FRAME: usize = 320 * 240 * 3;

/// Bytes of the largest input of a model, a detector's: 256 x 256 in three colours.
const CROP: usize = 256 * 256 * 3;

/// People and templates that the gallery keeps track of: all that its flash holds.
const RECORDS: usize = records_of_flash(GALLERY.bytes);

/// Lines of RAM for opened templates: half of what the flash holds. The others are opened in each search.
const TEMPLATES: usize = index_lines_of_flash(GALLERY.bytes / 2);

/// Bytes of stack that are watched: more than it takes.
const PAINTED: usize = 512 << 10;

/// What `arcgate compile --board` reads.
#[used]
#[unsafe(no_mangle)]
static ARCGATE_MANIFEST: [u8; MANIFEST_BYTES] = Manifest {
    flash: FLASH.bytes as u32,
    plan: MODELS[0].bytes as u32,
    ram: RAM.bytes as u32,
    arena: ARENA as u32,
    crop: CROP as u32,
    stack: STACK as u32,
    target: machine::TARGET as u32,
}
.to_bytes();

/// What a board is made of.
struct Machine;

impl Hardware for Machine {
    type Models = PlanModels<&'static [u8], &'static mut [u8]>;
    type Flash = Partition<'static, machine::Chip>;
    type Store = Partition<'static, machine::Chip>;
    type Slots = NoSlots;
    type Port = Uart;
    type Counter = NoCounter;
    type Bytes = &'static mut [u8];
    type Room = Lent;
}

/// An arena that begins where plans for any core want it.
#[repr(align(4))]
struct Aligned([u8; ARENA]);

/// The plan in a slot; the whole slot if the plan does not say how long it is, for the error that follows.
fn plan(slot: Region) -> &'static [u8] {
    // SAFETY: the slots are memory that nothing writes to while the firmware runs.
    let slot = unsafe { slot.bytes() };
    let stated = slot.get(PLAN_LENGTH..).and_then(|tail| tail.first_chunk());
    // An empty slot states nothing: the whole of it is no plan either.
    let length = stated.map_or(0, |&bytes| u32::from_le_bytes(bytes) as usize);
    slot.get(..length).filter(|plan| plan.len() > PLAN_LENGTH).unwrap_or(slot)
}

fn no_model(slot: Region, error: PlanError) -> ! {
    say(&[Words("no model at "), Hexadecimal(slot.begin)]);
    #[cfg(feature = "text")]
    crate::say::say_all(format_args!("  {error}"));
    #[cfg(not(feature = "text"))]
    let _ = error;
    process::exit(1)
}

fn fail(why: &str) -> ! {
    say(&[Words(why)]);
    process::exit(1)
}

#[panic_handler]
fn panic(info: &PanicInfo<'_>) -> ! {
    #[cfg(feature = "text")]
    crate::say::say_all(format_args!("  {info}"));
    #[cfg(not(feature = "text"))]
    let _ = info;
    fail("the firmware has panicked")
}

/// Puts the device together and runs it for ever: a board's `main`.
pub fn run() -> ! {
    // SAFETY: the boards' variables leave a megabyte of RAM to the stack.
    let painted = unsafe { stack::paint(PAINTED) };
    static ROOM: ConstStaticCell<Aligned> = ConstStaticCell::new(Aligned([0; ARENA]));
    static PICTURE: ConstStaticCell<[u8; FRAME]> = ConstStaticCell::new([0; FRAME]);
    static INPUT: ConstStaticCell<[u8; CROP]> = ConstStaticCell::new([0; CROP]);
    static LINES: ConstStaticCell<[Line; TEMPLATES]> = ConstStaticCell::new([Line::ZERO; TEMPLATES]);
    static ENTRIES: ConstStaticCell<[Entry; RECORDS]> = ConstStaticCell::new([Entry::NONE; RECORDS]);
    static CHIP: StaticCell<RefCell<machine::Chip>> = StaticCell::new();
    static DEVICE: StaticCell<Device<Machine>> = StaticCell::new();
    let (Some(arena), Some(frame), Some(crop), Some(lines), Some(records)) =
        (ROOM.try_take(), PICTURE.try_take(), INPUT.try_take(), LINES.try_take(), ENTRIES.try_take())
    else {
        fail("the board's main runs once")
    };
    // A board whose slot for a detector holds none is sent faces that a host has found.
    let detector = Some(plan(DETECTOR)).filter(|plan| plan.starts_with(&MAGIC));
    let models = match PlanModels::new(plan(MODELS[0]), detector, &mut arena.0[..]) {
        Ok(models) => models,
        Err(PairError::Embedder(error)) => no_model(MODELS[0], error),
        Err(PairError::Detector(error)) => no_model(DETECTOR, error),
    };
    let room = Rooms { records: &mut records[..], lines: &mut lines[..] };
    let memory = Memory { frame: &mut frame[..], crop: &mut crop[..], gallery: room };
    // SAFETY: it is taken here and nowhere else.
    let chip = unsafe { machine::chip() };
    let Some(chip) = CHIP.try_init_with(|| RefCell::new(chip)) else { fail("the board's main runs once") };
    let chip = &*chip;
    let part = |region: Region| Partition::new(chip, region.of_chip());
    let (Ok(gallery), Ok(events), Ok(state)) = (part(GALLERY), part(EVENTS), part(STATE)) else {
        fail("the chip is smaller than its map")
    };
    let secret = SoftwareSecret::default();
    let parts = Parts {
        models,
        gallery,
        events: Some(events),
        kept: Kept::open(state, &secret),
        updates: None,
        port: Uart::start(),
        // A bench, with an emulator's port for a wire.
        link: LinkTrust::Open,
        counter: NoCounter,
        memory,
    };
    let Some(device) = DEVICE.try_init_with(|| Device::new(parts, &secret)) else {
        fail("the board's main runs once")
    };
    device.set_clock(CLOCK);
    let gallery = device.gallery();
    events::boot(gallery.state().is_ok().then(|| gallery.usage().people));
    let mut lowest = usize::MAX;
    loop {
        device.tick(Uptime(machine::milliseconds()));
        // The UART cannot fail.
        let Ok(event) = device.poll();
        if let Some(event) = event {
            events::tell(&event);
            let reached = painted.lowest();
            if reached < lowest {
                lowest = reached;
                events::stack(lowest);
            }
        }
        if device.is_idle() {
            device.port().sleep();
        }
    }
}
