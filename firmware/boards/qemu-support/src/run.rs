//! The device, put together and run.

use core::cell::Cell;
use core::ops::Range;
use core::panic::PanicInfo;

use arcgate_firmware::board::{Board, Next};
use arcgate_firmware::camera::Grabber;
use arcgate_firmware::decide::Rules;
use arcgate_firmware::device::{
    Device, Hardware, Kept, MANIFEST_BYTES, Manifest, Memory, Parts, Updates, stack,
};
use arcgate_firmware::engine::Embedder;
use arcgate_firmware::engine::plan::{MAGIC, PairError, PlanError, PlanModels};
use arcgate_firmware::gallery::{
    Entry, Lent, Line, NoCounter, Rooms, index_lines_of_flash, records_of_flash,
};
use arcgate_firmware::panel::{Inputs, LockRules, Panel, Pin};
use arcgate_firmware::state::Slot;
use arcgate_firmware::time::Uptime;
use arcgate_firmware::update::{Development, HEADER, Slots, UpdateKey, Verifier};
use semihosting::process;
use static_cell::{ConstStaticCell, StaticCell};

use crate::camera::{PATIENCE, Pictures};
use crate::level::{Level, pressed};
use crate::machine::{self, CLOCK, DETECTOR, FLASH, PLAN, RAM, STACK};
use crate::say::{
    Part::{Hexadecimal, Words},
    fail, say,
};
use crate::uart::Uart;
use crate::{MAP, Region, events, words};

/// Where a plan states its length.
const PLAN_LENGTH: usize = 12;

/// Room for running the models, one after the other.
const ARENA: usize = 2 << 20;

/// Bytes in which a picture is kept, the host's and the camera's: 320 x 240 in three colours.
const FRAME: usize = 320 * 240 * 3;

/// Bytes of the largest input of a model, a detector's: 256 x 256 in three colours.
const CROP: usize = 256 * 256 * 3;

/// People and templates that the gallery keeps track of: all that its flash holds.
const RECORDS: usize = records_of_flash(MAP.gallery.length as usize);

/// Lines of RAM for opened templates: half of what the flash holds. The others are opened in each search.
const TEMPLATES: usize = index_lines_of_flash(MAP.gallery.length as usize / 2);

/// Bytes of stack that are watched: more than it takes.
const PAINTED: usize = 512 << 10;

/// What `arcgate compile --board` reads.
#[used]
#[unsafe(no_mangle)]
static ARCGATE_MANIFEST: [u8; MANIFEST_BYTES] = Manifest {
    flash: FLASH.bytes as u32,
    plan: MAP.models[0].length - HEADER as u32,
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
    type Flash = machine::Flash;
    type Store = machine::Flash;
    type Slots = machine::Flash;
    type Port = Uart;
    type Counter = NoCounter;
    type Bytes = &'static mut [u8];
    type Room = Lent;
}

/// An arena that begins where plans for any core want it.
#[repr(align(4))]
struct Aligned([u8; ARENA]);

/// A plan that QEMU has laid somewhere, if it has; all of the place if the plan does not say how long it is, for the error that follows.
fn loaded(place: Region) -> Option<&'static [u8]> {
    // SAFETY: nothing writes there while the firmware runs.
    let place = unsafe { place.bytes() };
    let stated = place.get(PLAN_LENGTH..).and_then(|tail| tail.first_chunk());
    let length = stated.map_or(0, |&bytes| u32::from_le_bytes(bytes) as usize);
    let plan = place.get(..length).filter(|plan| plan.len() > PLAN_LENGTH).unwrap_or(place);
    Some(plan).filter(|plan| plan.starts_with(&MAGIC))
}

/// Says that a plan cannot run.
fn no_model(place: Region, error: PlanError) -> ! {
    say(&[Words("no model at "), Hexadecimal(place.begin)]);
    #[cfg(feature = "text")]
    crate::say::say_all(format_args!("  {error}"));
    #[cfg(not(feature = "text"))]
    let _ = error;
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
    static CAMERA: ConstStaticCell<[u8; FRAME]> = ConstStaticCell::new([0; FRAME]);
    static INPUT: ConstStaticCell<[u8; CROP]> = ConstStaticCell::new([0; CROP]);
    static LINES: ConstStaticCell<[Line; TEMPLATES]> = ConstStaticCell::new([Line::ZERO; TEMPLATES]);
    static ENTRIES: ConstStaticCell<[Entry; RECORDS]> = ConstStaticCell::new([Entry::NONE; RECORDS]);
    static DEVICE: StaticCell<Device<Machine>> = StaticCell::new();
    let (Some(arena), Some(frame), Some(shown), Some(crop)) =
        (ROOM.try_take(), PICTURE.try_take(), CAMERA.try_take(), INPUT.try_take())
    else {
        fail("the board's main runs once")
    };
    let (Some(lines), Some(records)) = (LINES.try_take(), ENTRIES.try_take()) else {
        fail("the board's main runs once")
    };
    let words::Asked { link, button, camera, secret } = words::read();
    let room = Rooms { records: &mut records[..], lines: &mut lines[..] };
    let memory = Memory { frame: &mut frame[..], crop: &mut crop[..], gallery: room };
    // SAFETY: each part of the chip, which are apart, is taken once, here. Bytes of a slot are given out below for the model that is
    // started, and the slots are written to where that model is not.
    let part = |region| unsafe { machine::flash(Region::of_chip(machine::chip(), region)) };
    let mut kept = Kept::open(part(MAP.state), &secret);
    let read = |slot, range: Range<usize>| {
        let [a, b] = MAP.models;
        let region = Region::of_chip(machine::chip(), if slot == Slot::A { a } else { b });
        // SAFETY: the slot lies in memory, and as long as its model runs only the other one is written to.
        unsafe { region.bytes() }.get(range).unwrap_or_default()
    };
    // No other key signs for a bench: a build that refuses this one takes no images.
    let (mut updates, mut models) = match Verifier::new(UpdateKey::DEVELOPMENT, Development::BUILD) {
        Ok(verifier) => {
            let slots = Slots::new(MAP.models.map(part), verifier);
            let (updates, models) = Updates::start(slots, &mut kept, read, &mut arena.0[..], memory.crop);
            (Some(updates), models)
        }
        Err(_) => (None, PlanModels::none(&mut arena.0[..])),
    };
    if models.info().is_none()
        && let Some(plan) = loaded(PLAN)
    {
        // It is there to be run, and not to be replaced.
        updates = None;
        match models.load(plan, loaded(DETECTOR)) {
            Ok(()) => {}
            Err(PairError::Embedder(error)) => no_model(PLAN, error),
            Err(PairError::Detector(error)) => no_model(DETECTOR, error),
        }
    }
    let parts = Parts {
        models,
        gallery: part(MAP.gallery),
        events: Some(part(MAP.events)),
        kept,
        updates,
        port: Uart::start(),
        link,
        counter: NoCounter,
        memory,
    };
    let Some(device) = DEVICE.try_init_with(|| Device::new(parts, &secret)) else {
        fail("the board's main runs once")
    };
    device.set_clock(CLOCK);
    let somebody = Cell::new(false);
    if camera.is_some() && device.set_rules(Rules::photographs()).is_err() {
        fail("photographs are voted on by rules that cannot hold")
    }
    let camera =
        camera.map(|folder| Grabber::new(Pictures::new(folder, &somebody), &mut shown[..], PATIENCE));
    let Ok(panel) = Panel::new(machine::Lights::default(), LockRules::default()) else {
        fail("the lock's rules have no bounded pulse")
    };
    let inputs = Inputs::new(Pin::high(pressed(button)), Pin::high(Level(|| somebody.get())), 0);
    let mut board = Board::new(camera, panel, inputs, ());
    let gallery = device.gallery();
    events::boot(gallery.state().is_ok().then(|| gallery.usage().people));
    let mut lowest = usize::MAX;
    let (mut open, mut pairing) = (false, false);
    loop {
        let now = Uptime(machine::milliseconds());
        let next = board.round(device, now, &mut |event| {
            events::tell(event);
            let reached = painted.lowest();
            if reached < lowest {
                lowest = reached;
                events::stack(lowest);
            }
        });
        if open != board.panel().is_open() {
            open = !open;
            events::changed(if open { "the lock opens" } else { "the lock closes" });
        }
        if pairing != device.pairing(now).is_some() {
            pairing = !pairing;
            events::changed(if pairing { "a host may be paired" } else { "no host may be paired" });
        }
        match next {
            Next::Again => {}
            Next::Sleep => device.port().sleep(),
            Next::Restart => machine::restart(),
        }
    }
}
