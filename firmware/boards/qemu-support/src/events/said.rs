//! In plain words, on QEMU's standard error.

use arcgate_firmware::device::Event;
use arcgate_firmware::link::answer::Answer;
use arcgate_firmware::pairings::Role;

use super::{above, placed};
use crate::say::{
    Part::{Code, Number, Words},
    say,
};

/// The device is up, with so many people in its gallery, if that is open.
pub fn boot(people: Option<u32>) {
    match people {
        Some(people) => say(&[Words("up, "), Number(people as u64), Words(" people")]),
        None => say(&[Words("up, without a gallery")]),
    }
    let [flash, ram] = placed().map(|bytes| Number(bytes as u64));
    say(&[Words("placed: "), flash, Words(" bytes of flash, "), ram, Words(" bytes of RAM")]);
}

/// The stack has reached further down than before.
pub fn stack(lowest: usize) {
    say(&[Words("stack: "), Number(above(lowest) as u64), Words(" bytes")]);
}

/// Something that lasts has changed.
pub fn changed(what: &'static str) {
    say(&[Words(what)]);
}

/// Something happened.
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

fn role(role: Role) -> &'static str {
    match role {
        Role::Operator => "operator",
        Role::Administrator => "administrator",
    }
}
