//! What happens on the device, for whoever watches QEMU's standard error or a defmt decoder.

use arcgate_firmware::device::Event;
#[cfg(not(feature = "defmt"))]
use arcgate_firmware::link::answer::Answer;
use arcgate_firmware::pairings::Role;

#[cfg(feature = "defmt")]
use defmt_semihosting as _;

use crate::machine::{FLASH, RAM};
#[cfg(not(feature = "defmt"))]
use crate::say::{
    Part::{Code, Number, Words},
    say,
};

unsafe extern "C" {
    // Where the runtimes' linker scripts put things: only their addresses mean something.
    static _stack_start: u8;
    static __sheap: u8;
    static __sdata: u8;
    static __edata: u8;
    static __sidata: u8;
}

/// Bytes that the linker placed in flash and in RAM.
fn placed() -> [usize; 2] {
    let initial = &raw const __edata as usize - &raw const __sdata as usize;
    [
        (&raw const __sidata as usize).wrapping_add(initial).wrapping_sub(FLASH.begin),
        (&raw const __sheap as usize).wrapping_sub(RAM.begin),
    ]
}

/// Bytes of stack above `lowest`.
fn above(lowest: usize) -> usize {
    (&raw const _stack_start as usize).wrapping_sub(lowest)
}

/// The device is up, with so many people in its gallery, if that is open.
#[cfg(not(feature = "defmt"))]
pub fn boot(people: Option<u32>) {
    match people {
        Some(people) => say(&[Words("up, "), Number(people as u64), Words(" people")]),
        None => say(&[Words("up, without a gallery")]),
    }
    let [flash, ram] = placed().map(|bytes| Number(bytes as u64));
    say(&[Words("placed: "), flash, Words(" bytes of flash, "), ram, Words(" bytes of RAM")]);
}

/// The stack has reached further down than before.
#[cfg(not(feature = "defmt"))]
pub fn stack(lowest: usize) {
    say(&[Words("stack: "), Number(above(lowest) as u64), Words(" bytes")]);
}

/// Something that lasts has changed.
#[cfg(not(feature = "defmt"))]
pub fn changed(what: &'static str) {
    say(&[Words(what)]);
}

/// Something happened.
#[cfg(not(feature = "defmt"))]
pub fn tell(event: &Event) {
    let one = |words, number: u32| say(&[Words(words), Number(number as u64)]);
    match event {
        Event::Answered(answer) | Event::Asked(answer) => match answer {
            Answer::Known { best, .. } => {
                let angle = Number(best.angle.millidegrees() as u64);
                say(&[Words("known: "), Words(&best.name), Words(" at "), angle, Words(" millidegrees")]);
            }
            Answer::Unknown { .. } => say(&[Words("unknown")]),
            Answer::Rejected(_) => say(&[Words("rejected")]),
        },
        Event::Enrolled(person) => one("enrolled a template of person ", person.0),
        Event::Removed(person) => one("removed person ", person.0),
        Event::Erased => say(&[Words("the gallery is empty")]),
        Event::BackedUp(people) => one("people in the backup that was taken: ", *people),
        Event::Restored(done) => one("people taken in: ", done.people),
        Event::ClockSet(time) => say(&[Words("seconds after 1970: "), Number(time.0)]),
        Event::Refused(_) => say(&[Words("refused")]),
        Event::Noise(_) => say(&[Words("noise on the link")]),
        Event::Forged(_) => say(&[Words("a forgery on the link")]),
        Event::TurnedAway(_) => say(&[Words("turned away")]),
        Event::Session { host, .. } => one("a session with host ", (*host).into()),
        Event::Pairing(shown) => {
            let [code, role] = [Code(shown.code.0), Words(role(shown.role))];
            say(&[
                Words("code "),
                code,
                Words(" for an "),
                role,
                Words(": type it at "),
                Words(&shown.label),
            ]);
        }
        Event::Paired { host, .. } => one("paired with host ", (*host).into()),
        Event::Shot(Ok(progress)) => one("shots kept: ", progress.taken.into()),
        Event::Shot(Err(_)) => say(&[Words("a shot was not kept")]),
        Event::GaveUp => say(&[Words("nobody stood still for the enrolment")]),
        Event::Updated { version } => one("from the next start on runs model ", *version),
        Event::NotUpdated { version } => one("refused model ", *version),
        Event::Unpaired { host } => one("paired no more with host ", (*host).into()),
    }
    #[cfg(feature = "text")]
    crate::say::say_all(format_args!("  {event}"));
}

#[cfg(not(feature = "defmt"))]
fn role(role: Role) -> &'static str {
    match role {
        Role::Operator => "operator",
        Role::Administrator => "administrator",
    }
}

/// The device is up, with so many people in its gallery, if that is open.
#[cfg(feature = "defmt")]
pub fn boot(people: Option<u32>) {
    match people {
        Some(people) => defmt::info!("up, {} people", people),
        None => defmt::error!("up, without a gallery"),
    }
    let [flash, ram] = placed();
    defmt::info!("placed: {} bytes of flash, {} bytes of RAM", flash, ram);
}

/// The stack has reached further down than before.
#[cfg(feature = "defmt")]
pub fn stack(lowest: usize) {
    defmt::info!("stack: {} bytes", above(lowest));
}

/// Something that lasts has changed.
#[cfg(feature = "defmt")]
pub fn changed(what: &'static str) {
    defmt::info!("{}", what);
}

/// Something happened.
#[cfg(feature = "defmt")]
pub fn tell(event: &Event) {
    defmt::info!("{}", event);
}
