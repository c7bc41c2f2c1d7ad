//! arcgate's firmware on QEMU's mps2-an386, a Cortex-M4F with 4 MB of code memory, 4 MB of SRAM and 16 MB of PSRAM.
//!
//! The models are plans that QEMU loads into code memory: the embedder (`-device loader,file=MODEL.plan,addr=0x100000,force-raw=on`)
//! and, if the board is to find faces itself, a detector (the same with `addr=0x380000`).
//!
//! ```text
//! code memory   0x0000_0000  1.0 MB  firmware
//!               0x0010_0000  2.5 MB  embedder's plan
//!               0x0038_0000  0.5 MB  detector's plan, or zeros
//! SRAM          0x2000_0000  4.0 MB  arena of both plans, pictures, templates, stack
//! PSRAM         0x2100_0000  1.0 MB  gallery
//! ```
//!
//! The gallery lies in the first megabyte of the PSRAM, which QEMU can keep in a file; killing QEMU is a power cut. The
//! link is UART0. What happens is said through semihosting; a panic or a boot that fails ends QEMU with a non-zero status.
#![no_std]
#![no_main]

mod events;
mod uart;

use core::panic::PanicInfo;

use arcgate_firmware::device::{Clock, Device, Hardware, MANIFEST_BYTES, Manifest, Memory, Parts, stack};
use arcgate_firmware::engine::plan::{MAGIC, PlanModels, Target};
use arcgate_firmware::gallery::nor::MemoryNor;
use arcgate_firmware::gallery::{
    Entry, Lent, Line, NoCounter, Rooms, SoftwareSecret, index_lines_of_flash, records_of_flash,
};
use arcgate_firmware::link::message::Unit;
use cortex_m_rt::entry;
use cortex_m_semihosting::{debug, hprintln};
use static_cell::{ConstStaticCell, StaticCell};

/// Bytes of code memory and of SRAM; `memory.x`.
const FLASH: usize = 4 << 20;
const RAM: usize = 4 << 20;

/// Where the embedder's plan lies in code memory, and how much room it has.
const MODEL: (usize, usize) = (0x0010_0000, 0x0028_0000);

/// The same of the detector's.
const DETECTOR: (usize, usize) = (0x0038_0000, 0x0008_0000);

/// Where a plan states its length.
const PLAN_LENGTH: usize = 12;

/// The gallery's flash: the first megabyte of the PSRAM.
const GALLERY: (usize, usize) = (0x2100_0000, 0x0010_0000);

/// Room for running a model.
const ARENA: usize = 2 << 20;

/// Bytes in which a picture is kept: 320 x 240 in three colours.
const FRAME: usize = 320 * 240 * 3;

/// Bytes of the largest input of a model: a detector's, 256 x 256 in three colours.
const CROP: usize = 256 * 256 * 3;

/// People and templates that the gallery keeps track of: all that its flash holds.
const RECORDS: usize = records_of_flash(GALLERY.1);

/// Lines of RAM for opened templates: half of what the flash holds. The others are opened in each search.
const TEMPLATES: usize = index_lines_of_flash(GALLERY.1 / 2);

/// The most stack that was painted over in the tests, which do everything that the firmware can do, and a little more.
const STACK: usize = 217_000;

/// Bytes of stack that are watched: more than it takes.
const PAINTED: usize = 512 << 10;

/// What `arcgate compile --board` reads.
#[used]
#[unsafe(no_mangle)]
static ARCGATE_MANIFEST: [u8; MANIFEST_BYTES] = Manifest {
    flash: FLASH as u32,
    plan: MODEL.1 as u32,
    ram: RAM as u32,
    arena: ARENA as u32,
    crop: CROP as u32,
    stack: STACK as u32,
    target: Target::Dsp as u32,
}
.to_bytes();

/// The board's counter of cycles at 25 MHz. Under `-icount shift=0`, where an instruction takes a nanosecond, it counts
/// instructions by forties.
const CLOCK: Clock = Clock { now: cycles, unit: Unit::Nanoseconds, per_tick: 40 };

fn cycles() -> u32 {
    const COUNTER: *const u32 = 0x4002_8018 as *const u32;
    // SAFETY: the FPGA's I/O block has this register, which reading does not change.
    unsafe { COUNTER.read_volatile() }
}

/// What the board is made of.
struct Mps2;

impl Hardware for Mps2 {
    type Models = PlanModels<&'static [u8], &'static mut [u8]>;
    type Flash = MemoryNor<&'static mut [u8]>;
    type Port = uart::Uart;
    type Counter = NoCounter;
    type Bytes = &'static mut [u8];
    type Room = Lent;
}

/// An arena that begins where plans for the core want it.
#[repr(align(4))]
struct Aligned([u8; ARENA]);

/// The plan in a slot; the whole slot if the plan does not say how long it is, for the error that follows.
fn plan((address, room): (usize, usize)) -> &'static [u8] {
    // SAFETY: code memory goes on to the end of each slot, nothing writes to it while the firmware runs, and any bytes are bytes.
    let slot = unsafe { core::slice::from_raw_parts(address as *const u8, room) };
    let stated = slot[PLAN_LENGTH..].first_chunk().map_or(room, |&b| u32::from_le_bytes(b) as usize);
    // An empty slot states nothing: the whole of it is no plan either.
    slot.get(..stated).filter(|plan| plan.len() > PLAN_LENGTH).unwrap_or(slot)
}

/// The flash of the gallery, as it was when the power went.
fn flash() -> MemoryNor<&'static mut [u8]> {
    let (address, length) = GALLERY;
    // SAFETY: the PSRAM is in nobody's hands: the linker places nothing there, and this is called once, from `main`.
    MemoryNor::new(unsafe { core::slice::from_raw_parts_mut(address as *mut u8, length) })
}

fn fail(what: core::fmt::Arguments<'_>) -> ! {
    hprintln!("{}", what);
    debug::exit(debug::EXIT_FAILURE);
    // A debugger that does not take the exit finds the firmware here.
    loop {
        cortex_m::asm::wfi();
    }
}

#[panic_handler]
fn panic(info: &PanicInfo<'_>) -> ! {
    fail(format_args!("{info}"))
}

#[entry]
fn main() -> ! {
    // SAFETY: of 4 MiB of SRAM the static data take less than 3, and the stack has the rest.
    let painted = unsafe { stack::paint(PAINTED) };
    // Each of them is taken here and nowhere else, and main runs once.
    static ROOM: ConstStaticCell<Aligned> = ConstStaticCell::new(Aligned([0; ARENA]));
    static PICTURE: ConstStaticCell<[u8; FRAME]> = ConstStaticCell::new([0; FRAME]);
    static INPUT: ConstStaticCell<[u8; CROP]> = ConstStaticCell::new([0; CROP]);
    static LINES: ConstStaticCell<[Line; TEMPLATES]> = ConstStaticCell::new([Line::ZERO; TEMPLATES]);
    static ENTRIES: ConstStaticCell<[Entry; RECORDS]> = ConstStaticCell::new([Entry::NONE; RECORDS]);
    static DEVICE: StaticCell<Device<Mps2>> = StaticCell::new();
    let arena = &mut ROOM.take().0[..];
    let detector = Some(plan(DETECTOR)).filter(|plan| plan.starts_with(&MAGIC));
    let models = match PlanModels::new(plan(MODEL), detector, arena) {
        Ok(models) => models,
        Err(error) => fail(format_args!("no models at {:#x} and {:#x}: {error}", MODEL.0, DETECTOR.0)),
    };
    let port = uart::Uart::start();
    let gallery = Rooms { records: &mut ENTRIES.take()[..], lines: &mut LINES.take()[..] };
    let memory = Memory { frame: &mut PICTURE.take()[..], crop: &mut INPUT.take()[..], gallery };
    let parts = Parts { models, flash: flash(), port, counter: NoCounter, memory };
    let device = DEVICE.init_with(|| Device::new(parts, &SoftwareSecret::default()));
    device.set_clock(CLOCK);
    events::boot(device.gallery());
    events::footprint();
    let mut lowest = usize::MAX;
    loop {
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
