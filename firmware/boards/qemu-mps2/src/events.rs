//! What happens on the device, for whoever watches QEMU's standard error or a defmt decoder.

use arcgate_firmware::device::Event;
use arcgate_firmware::gallery::nor::MemoryNor;
use arcgate_firmware::gallery::{Gallery, Lent};

#[cfg(feature = "defmt")]
use defmt_semihosting as _;

unsafe extern "C" {
    // Where cortex-m-rt's linker script puts things: only their addresses mean something.
    static _stack_start: u8;
    static __sheap: u8;
    static __sdata: u8;
    static __edata: u8;
    static __sidata: u8;
}

/// Where the SRAM begins; `memory.x`.
const RAM: usize = 0x2000_0000;

/// Bytes that the linker placed in code memory, which begins at 0, and in SRAM.
fn placed() -> [usize; 2] {
    let initial = &raw const __edata as usize - &raw const __sdata as usize;
    [&raw const __sidata as usize + initial, &raw const __sheap as usize - RAM]
}

/// Bytes of stack above `lowest`.
fn above(lowest: usize) -> usize {
    &raw const _stack_start as usize - lowest
}

type BoardGallery = Gallery<MemoryNor<&'static mut [u8]>, Lent>;

/// The device is up.
#[cfg(not(feature = "defmt"))]
pub fn boot(gallery: &BoardGallery) {
    use cortex_m_semihosting::hprintln;
    match gallery.state() {
        Ok(()) => hprintln!("up, {} people", gallery.usage().people),
        Err(error) => hprintln!("up, without a gallery: {}", error),
    }
}

/// What the linker placed.
#[cfg(not(feature = "defmt"))]
pub fn footprint() {
    let [flash, ram] = placed();
    cortex_m_semihosting::hprintln!("placed: {} bytes of flash, {} bytes of RAM", flash, ram);
}

/// The stack has reached further down than before.
#[cfg(not(feature = "defmt"))]
pub fn stack(lowest: usize) {
    cortex_m_semihosting::hprintln!("stack: {} bytes", above(lowest));
}

/// Something happened.
#[cfg(not(feature = "defmt"))]
pub fn tell(event: &Event) {
    use arcgate_firmware::link::message::Answer;
    use cortex_m_semihosting::hprintln;
    match event {
        Event::Answered(Answer::Known { best, .. }) | Event::Asked(Answer::Known { best, .. }) => {
            hprintln!("known: {} at {}", best.name, best.angle)
        }
        Event::Answered(Answer::Unknown { why, .. }) | Event::Asked(Answer::Unknown { why, .. }) => {
            hprintln!("unknown: {}", why)
        }
        Event::Answered(Answer::Rejected(why)) | Event::Asked(Answer::Rejected(why)) => {
            hprintln!("rejected: {}", why)
        }
        Event::Enrolled(person) => hprintln!("enrolled a template of person {}", person),
        Event::Removed(person) => hprintln!("removed person {}", person),
        Event::Erased => hprintln!("the gallery is empty"),
        Event::BackedUp(people) => hprintln!("a backup of {} people was taken", people),
        Event::Restored(done) => hprintln!("took in {} people, {} templates", done.people, done.templates),
        Event::ClockSet(time) => hprintln!("it is {} s after 1970", time.0),
        Event::Refused(fault) => hprintln!("refused: {}", fault),
        Event::Noise(noise) => hprintln!("noise on the link: {:?}", noise),
    }
}

/// The device is up.
#[cfg(feature = "defmt")]
pub fn boot(gallery: &BoardGallery) {
    match gallery.state() {
        Ok(()) => defmt::info!("up, {} people", gallery.usage().people),
        Err(error) => defmt::error!("up, without a gallery: {}", error),
    }
}

/// What the linker placed.
#[cfg(feature = "defmt")]
pub fn footprint() {
    let [flash, ram] = placed();
    defmt::info!("placed: {} bytes of flash, {} bytes of RAM", flash, ram);
}

/// The stack has reached further down than before.
#[cfg(feature = "defmt")]
pub fn stack(lowest: usize) {
    defmt::info!("stack: {} bytes", above(lowest));
}

/// Something happened.
#[cfg(feature = "defmt")]
pub fn tell(event: &Event) {
    defmt::info!("{}", defmt::Debug2Format(event));
}
