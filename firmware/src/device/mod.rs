//! The state machine that ties the rooms together; owns no hardware.
//!
//! A board names its parts ([`Hardware`]), builds one [`Device`] of them and calls [`Device::poll`] for ever; a board with a camera
//! also calls [`Device::watch`]. Each call does a bounded piece of work: it takes at most one buffer of bytes from the port, answers at
//! most one request, and never waits for the port; or it does one step before the camera. The longest pieces are one run of a
//! model, the trial of a new one (a hash over its slot, and [`vectors::MAX`](crate::engine::vectors::MAX) runs of each plan at most), an
//! enrolment or removal that replaces sectors of the gallery, forgetting everybody, which erases gallery and log, and requests for
//! information, a check or a backup, which open every record of it, the last one twice: time grows with the records, 2 microseconds
//! each on a desktop. A template that is put back is held against the person's others.

mod backup;
mod bundles;
mod camera;
mod counts;
mod door;
mod event;
mod hardware;
mod kept;
mod keys;
mod machine;
mod manifest;
mod picture;
mod port;
mod profile;
mod restore;
mod service;
pub mod stack;
#[cfg(test)]
pub(crate) mod tests;
mod updates;

use embedded_io::ErrorType;

use crate::decide::Rules;
use crate::decide::vote::VoteError;
use crate::decide::watch::Watch;
use crate::engine::Embedder;
use crate::events::{Trouble, What};
use crate::gallery::{Gallery, GalleryError};
use crate::link::status::{Enrolment, Phase};
use crate::pairings::Role;
use crate::random::Random;
use crate::secret::DeviceSecret;
use crate::state::FAILURES_UNKNOWN;
use crate::time::{UnixTime, Uptime, WallClock};
pub use camera::{Camera, Shot};
use counts::Counts;
pub use event::Event;
pub use hardware::{Hardware, Memory, NoSlots, Parts, Remains};
use kept::Journal;
pub use kept::Kept;
pub(crate) use keys::Keys;
use machine::Machine;
pub use manifest::{MANIFEST_BYTES, MANIFEST_SYMBOL, Manifest};
use picture::Picture;
use port::Endpoint;
pub use port::Forgery;
pub use profile::Clock;
pub(crate) use restore::Incoming;
#[cfg(feature = "sim")]
pub(crate) use restore::{Terms, Wish};
use service::Core;
pub use updates::Updates;

/// The device on hardware `H`.
pub struct Device<H: Hardware> {
    core: Core<H>,
    endpoint: Endpoint<H::Port>,
}

impl<H: Hardware> core::fmt::Debug for Device<H> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Device").finish_non_exhaustive()
    }
}

impl<H: Hardware> Device<H> {
    /// Puts a device together with its secret ([`SoftwareSecret`](crate::secret::SoftwareSecret) where it has none). A flash that
    /// holds nothing, or another model's gallery with nobody in it, gets an empty gallery; one that holds another model's people or a
    /// damaged gallery is left alone, and [`Request::Info`](crate::link::Request::Info) says so. Failures before the camera count on from before the start.
    pub fn new<S: DeviceSecret>(parts: Parts<H>, secret: &S) -> Self {
        let Parts { models, gallery, events, kept, updates, port, link, counter, memory } = parts;
        let binding = models.info().into();
        let boots = kept.state().boots;
        let (keys, mut random) = (Keys::of(secret), Random::new(secret, boots));
        let (identity, split) = (keys.identity.public(), random.split());
        // Mounted where it will stay: every move is a copy on a small device's stack.
        let mut device = Device {
            core: Core {
                gallery: Gallery::unmounted(gallery, binding, memory.gallery, secret, counter),
                engine: models,
                picture: Picture::new(memory.frame, memory.crop),
                rules: Rules::default(),
                machine: Machine::default(),
                enrolment: Enrolment::None,
                counts: Counts::default(),
                camera_failed: false,
                clock: None,
                now: None,
                wall: WallClock::Unset,
                keys,
                random,
                journal: Journal::open(events, secret, boots),
                kept,
                updates,
                restart: false,
                watched: None,
                link,
                backup: None,
                restore: None,
            },
            endpoint: Endpoint::new(port, link, identity, split),
        };
        device.start();
        device
    }

    /// Mounts the gallery, and notes what was found.
    fn start(&mut self) {
        let core = &mut self.core;
        core.note(What::Boot);
        let found = core.updates.as_mut().and_then(Updates::take_found);
        for what in [core.kept.trouble().map(What::Fault), found].into_iter().flatten() {
            core.note(what);
        }
        if core.engine.info().is_none() {
            // Its people can still be listed, removed and taken along.
            if let Ok(bound) = core.gallery.binding_in_flash() {
                core.gallery.rebind(bound);
            }
        } else {
            core.gallery.reopen();
            let unused = match core.gallery.state() {
                Err(GalleryError::Blank) => true,
                Err(GalleryError::WrongModel { .. }) => core.is_another_models_empty(),
                _ => false,
            };
            if unused {
                // If this fails the gallery keeps the reason and gives it to whoever asks.
                let _ = core.gallery.format();
            }
            if core.gallery.state().is_err() {
                core.note(What::Fault(Trouble::Gallery));
            }
        }
        self.resume();
    }

    /// Goes on with the failures counted before a restart: whoever was locked out is again, from the beginning of that wait. Where
    /// nobody is enrolled there is nobody to be taken for.
    fn resume(&mut self) {
        let core = &mut self.core;
        let failures = core.kept.state().failures;
        match failures {
            0 => {}
            FAILURES_UNKNOWN if core.gallery.usage().people == 0 => core.keep_failures(0),
            _ => core.machine.watch.resume(failures, core.uptime()),
        }
    }

    /// Gives the device a clock, so that it can say how long operations take.
    pub fn set_clock(&mut self, clock: Clock) {
        self.core.clock = Some(clock);
    }

    /// Tells the device its uptime, which [`Device::watch`] does too: without it no host can set the time of day.
    pub fn tick(&mut self, now: Uptime) {
        self.core.now = Some(now);
    }

    /// Tells the device what time it is: for boards whose own clock goes on while they are off.
    pub fn set_time(&mut self, time: UnixTime, now: Uptime) {
        self.tick(now);
        self.core.wall.set(time, now);
    }

    /// Changes how answers are come to. The camera's presentation begins anew.
    ///
    /// # Errors
    /// When no vote can be held by the rules; those before stay.
    pub fn set_rules(&mut self, rules: Rules) -> Result<(), VoteError> {
        self.core.machine.set_watch(Watch::new(&rules)?);
        self.core.rules = rules;
        self.resume();
        Ok(())
    }

    /// What it is doing before its camera.
    pub fn phase(&self) -> Phase {
        self.core.machine.phase()
    }

    /// Whether the board is to start anew: a model was accepted, or an administrator asks for it. It does so once
    /// [`Device::is_idle`] and its port has sent what it was given, so that the reply is away. No further request is answered.
    pub fn wants_restart(&self) -> bool {
        self.core.restart
    }

    /// The gallery, for boards that look after it themselves.
    pub fn gallery(&mut self) -> &mut Gallery<H::Flash, H::Room, H::Counter> {
        &mut self.core.gallery
    }

    /// The port.
    pub fn port(&mut self) -> &mut H::Port {
        &mut self.endpoint.port
    }

    /// Somebody has pressed the button: for [`PAIRING_MODE_MS`](crate::link::pairing::PAIRING_MODE_MS) a host may be paired, for at
    /// most this role. A board that offers it tells its uptime in each round ([`Device::tick`]).
    pub fn allow_pairing(&mut self, at_most: Role, now: Uptime) {
        self.tick(now);
        self.endpoint.allow_pairing(at_most, now);
    }

    /// For which role at most a host may be paired now, if it may.
    pub fn pairing(&self, now: Uptime) -> Option<Role> {
        self.endpoint.pairing(now)
    }

    /// How the guided enrolment before the camera goes.
    pub fn enrolment(&self) -> Enrolment {
        self.core.enrolment
    }

    /// Whether there is a model and a gallery that can be searched.
    pub fn can_recognise(&self) -> bool {
        !self.core.engine.info().is_none() && self.core.gallery.state().is_ok()
    }

    /// Somebody before the device wants it to forget everybody: who is enrolled, what the log says of them, and which hosts are paired,
    /// each also where another one cannot be forgotten. The model stays in its slot.
    pub fn forget_everybody(&mut self, now: Uptime) -> Event {
        self.tick(now);
        let event = self.core.forget_everybody().map_or_else(Event::Refused, |()| Event::Erased);
        self.core.happened(&event);
        event
    }

    /// Tells the log that the pins of lock, lights or button fail, or that they work again.
    pub(crate) fn tell_pins(&mut self, fail: bool) {
        self.core.note(if fail { What::Fault(Trouble::Port) } else { What::Recovered(Trouble::Port) });
    }

    /// Whether there is nothing to send and nothing received to look at: the board may sleep until its port has something.
    pub fn is_idle(&self) -> bool {
        self.endpoint.is_idle()
    }

    /// Sends what the port takes of the last reply; when all is sent, takes bytes from the port and answers the next
    /// request, if one is complete and no restart is due.
    ///
    /// # Errors
    /// When the port fails. The device goes on with the next call.
    pub fn poll(&mut self) -> Result<Option<Event>, <H::Port as ErrorType>::Error> {
        let event = self.endpoint.poll(&mut self.core)?;
        if let Some(event) = &event {
            self.core.happened(event);
        }
        Ok(event)
    }

    /// One step before the camera: takes a picture, or does the next thing with it ([`Phase`]). Answers once for the frames of a
    /// presentation, by the rules' vote and lock-out. `somebody` says whether somebody may be there, `now` the board's uptime. A
    /// picture that a host has sent stays.
    ///
    /// A host's [`Request::Identify`](crate::link::Request::Identify) is a presentation of one frame, and no failure of it locks
    /// anybody out: nobody stands there.
    pub fn watch<C: Camera>(&mut self, camera: &mut C, somebody: bool, now: Uptime) -> Option<Event> {
        self.tick(now);
        let event = self.core.look(camera, somebody, now)?;
        self.core.happened(&event);
        Some(event)
    }

    /// Takes it apart, as the power's going would: what the flashes hold is what the next start finds.
    pub fn take_apart(self) -> Remains<H> {
        let Core { engine, gallery, journal, kept, updates, .. } = self.core;
        let (gallery, counter) = gallery.into_parts();
        Remains {
            models: engine,
            gallery,
            events: journal.into_flash(),
            state: kept.into_flash(),
            slots: updates.map(Updates::into_slots),
            port: self.endpoint.port,
            counter,
        }
    }
}
