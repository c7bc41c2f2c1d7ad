//! The state machine that ties the rooms together; owns no hardware.
//!
//! A board builds one [`Device`] from its engine, its gallery flash and its serial port and calls [`Device::poll`]
//! for ever; a board with a camera also calls [`Device::watch`]. Each call does a bounded piece of work: it takes at
//! most one buffer of bytes from the port, answers at most one request, and never waits for the port. The longest pieces
//! are one run of the models, an enrolment or removal that replaces sectors of the gallery, and [`Request::Info`],
//! [`Request::Verify`] and [`Request::BeginBackup`], which open every record of it, the last one twice: time grows with the
//! records, 2 microseconds each on a desktop. A template that is put back is held against the person's others.

mod backup;
mod camera;
mod hardware;
mod keys;
mod manifest;
mod picture;
mod port;
mod profile;
mod restore;
pub mod stack;
#[cfg(test)]
mod tests;

use embedded_io::ErrorType;
use heapless::Vec;

use crate::decide::table::Scope;
use crate::decide::time::{UnixTime, Uptime, WallClock};
use crate::decide::vote::VoteError;
use crate::decide::watch::{Admission, Watch};
use crate::decide::{Decision, Rejection, Rules, Thresholds, decide};
use crate::embedding::norm_squared;
use crate::engine::{Embedder, Models};
use crate::gallery::{Binding, Candidate, DeviceSecret, Gallery, GalleryError, PersonId};
use crate::link::handshake::Refusal;
use crate::link::message::{Answer, DeviceInfo, FIRMWARE, Named, PROTOCOL, Restored, Who};
use crate::link::packet::Noise;
use crate::link::pairing::Shown;
use crate::link::pairings::{PairedHost, Pairings};
use crate::link::{Fault, LinkTrust, Reply, Request, Role};
use crate::random::Random;
use backup::Outgoing;
pub use camera::{Camera, Shot};
pub use hardware::{Hardware, Memory, Parts, Setup};
pub(crate) use keys::Keys;
pub use manifest::{MANIFEST_BYTES, MANIFEST_SYMBOL, Manifest};
use picture::{Missing, Picture};
pub use port::Forgery;
use port::{Endpoint, Service};
pub use profile::Clock;
pub(crate) use restore::Incoming;

/// Something that happened on the device, for its log, its LED, its door.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// Who is before the camera: what a door may open for.
    Answered(Answer),
    /// Who is in a picture that a host sent: nobody stands there.
    Asked(Answer),
    /// Somebody has a template more.
    Enrolled(PersonId),
    /// Somebody was forgotten.
    Removed(PersonId),
    /// Everybody was forgotten.
    Erased,
    /// A host took a backup of so many people.
    BackedUp(u32),
    /// A host's bundle was taken in, all of it.
    Restored(Restored),
    /// A host with the device's key said what time it is.
    ClockSet(UnixTime),
    /// What a host or the camera asked for could not be done.
    Refused(Fault),
    /// Bytes on the wire that were no packet.
    Noise(Noise),
    /// A packet that was forged, changed or out of order.
    Forged(Forgery),
    /// Somebody without a session asked for what they were not given.
    TurnedAway(Refusal),
    /// A paired host has opened a session; the one before is over.
    Session {
        /// Its number.
        host: u16,
        /// What it may ask.
        role: Role,
    },
    /// A code to be shown to the people before the device, who type it at the host.
    Pairing(Shown),
    /// A host was paired.
    Paired {
        /// Its number.
        host: u16,
        /// What it may ask.
        role: Role,
    },
    /// A host is paired no more.
    Unpaired {
        /// Its number.
        host: u16,
    },
}

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
    /// Puts a device together with its secret ([`SoftwareSecret`](crate::gallery::SoftwareSecret) where it has none). A flash that
    /// holds nothing gets an empty gallery; one that holds another model's gallery or a damaged one is left alone, and
    /// [`Request::Info`] says so.
    pub fn new<S: DeviceSecret>(parts: Parts<H>, secret: &S) -> Self {
        let Parts { models, flash, port, pairings, counter, memory, setup } = parts;
        let binding = models.info().into();
        let (keys, mut random) = (Keys::of(secret), Random::new(secret, setup.boots));
        let (identity, split) = (keys.identity.public(), random.split());
        // Mounted where it will stay: every move is a copy on a small device's stack.
        let mut device = Device {
            core: Core {
                gallery: Gallery::unmounted(flash, binding, memory.gallery, secret, counter),
                engine: models,
                picture: Picture::new(memory.frame, memory.crop),
                rules: Rules::default(),
                watch: Watch::default(),
                clock: None,
                now: None,
                wall: WallClock::Unset,
                keys,
                random,
                pairings,
                link: setup.link,
                backup: None,
                restore: None,
            },
            endpoint: Endpoint::new(port, setup.link, identity, split),
        };
        let gallery = &mut device.core.gallery;
        gallery.reopen();
        if gallery.state() == Err(GalleryError::Blank) {
            // If this fails the gallery keeps the reason and gives it to whoever asks.
            let _ = gallery.format();
        }
        device
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

    /// Changes how answers are come to. The camera's presentation begins anew, and failures are forgotten.
    ///
    /// # Errors
    /// When no vote can be held by the rules; those before stay.
    pub fn set_rules(&mut self, rules: Rules) -> Result<(), VoteError> {
        self.core.watch = Watch::new(&rules)?;
        self.core.rules = rules;
        Ok(())
    }

    /// Failed presentations in a row before the camera. A board on whose power a stranger can lay hands stores the number when an
    /// answer has changed it, and gives it back by [`Device::resume`] after its boot.
    pub fn failures(&self) -> u8 {
        self.core.watch.failures()
    }

    /// Goes on with `failures` counted before a restart: whoever was locked out is again, from the beginning of that wait.
    pub fn resume(&mut self, failures: u8, now: Uptime) {
        self.core.watch.resume(failures, now);
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

    /// Whether there is nothing to send and nothing received to look at: the board may sleep until its port has something.
    pub fn is_idle(&self) -> bool {
        self.endpoint.is_idle()
    }

    /// Sends what the port takes of the last reply; when all is sent, takes bytes from the port and answers the next
    /// request, if one is complete.
    ///
    /// # Errors
    /// When the port fails. The device goes on with the next call.
    pub fn poll(&mut self) -> Result<Option<Event>, <H::Port as ErrorType>::Error> {
        self.endpoint.poll(&mut self.core)
    }

    /// Looks whether the camera has a picture, and if so, who is in it; answers once for the frames of a presentation, by the
    /// rules' vote and lock-out. `now` is the board's uptime. A picture that a host has sent stays.
    ///
    /// A host's [`Request::Identify`] is a presentation of one frame, and no failure of it locks anybody out: whoever has the link
    /// could as well enroll.
    pub fn watch<C: Camera>(&mut self, camera: &mut C, now: Uptime) -> Option<Event> {
        self.tick(now);
        let decided = match camera.capture() {
            Some(shot) => {
                let seen = self.core.look(&shot, now);
                self.core.picture.restart();
                seen
            }
            None => Ok(self.core.watch.nobody(now)),
        };
        let answer = decided.transpose()?.and_then(|decision| self.core.named(decision));
        Some(answer.map_or_else(Event::Refused, Event::Answered))
    }
}

/// Everything behind the port.
struct Core<H: Hardware> {
    engine: H::Models,
    gallery: Gallery<H::Flash, H::Room, H::Counter>,
    picture: Picture<H::Bytes>,
    rules: Rules,
    /// The presentations before the camera.
    watch: Watch,
    clock: Option<Clock>,
    /// The board's uptime, as far as it was told.
    now: Option<Uptime>,
    wall: WallClock,
    keys: Keys,
    random: Random,
    pairings: H::Pairings,
    link: LinkTrust,
    /// A backup that a host reads.
    backup: Option<Outgoing>,
    /// A bundle that a host sends.
    restore: Option<Incoming>,
}

impl<H: Hardware> Service for Core<H> {
    type Pairings = H::Pairings;

    fn answer(&mut self, request: Request<'_>) -> (Reply<'_>, Option<Event>) {
        self.try_answer(request).unwrap_or_else(|fault| (Reply::Fault(fault), Some(Event::Refused(fault))))
    }

    fn pairings(&mut self) -> &mut H::Pairings {
        &mut self.pairings
    }

    fn now(&self) -> Uptime {
        self.now.unwrap_or_default()
    }
}

impl<H: Hardware> Core<H> {
    fn try_answer(&mut self, request: Request<'_>) -> Result<(Reply<'_>, Option<Event>), Fault> {
        let quiet = |reply| Ok((reply, None));
        if !matches!(request, Request::BackupRecord { .. }) {
            self.rebind();
        }
        // A write that failed stopped the gallery; the flash may work again.
        if let Err(GalleryError::Flash(_)) = self.gallery.state() {
            self.gallery.reopen();
        }
        match request {
            Request::Info => quiet(Reply::Info(self.info())),
            Request::BeginFrame(header) => {
                self.picture.begin(header)?;
                quiet(Reply::Received { bytes: 0 })
            }
            Request::FramePiece { offset, bytes } => {
                quiet(Reply::Received { bytes: self.picture.take(offset, bytes)? })
            }
            Request::Enroll(who) => {
                let (person, templates) = self.enroll(who)?;
                Ok((Reply::Enrolled { person, templates }, Some(Event::Enrolled(person))))
            }
            Request::Identify => {
                let decision = self.decide(Ok(()), Scope::Frame)?;
                let answer = self.named(decision)?;
                Ok((Reply::Decided(answer.clone()), Some(Event::Asked(answer))))
            }
            Request::List { after } => quiet(self.list(after)?),
            Request::Remove(person) => {
                self.gallery.remove(person)?;
                Ok((Reply::Removed(person), Some(Event::Removed(person))))
            }
            Request::ReadCrop { offset } => {
                self.picture.crop(&mut self.engine)?;
                quiet(self.picture.crop_piece(offset)?)
            }
            Request::ReadEmbedding { offset } => {
                self.picture.embed(&mut self.engine)?;
                quiet(self.picture.embedding_piece(offset)?)
            }
            Request::EraseGallery => {
                self.gallery.format()?;
                Ok((Reply::Erased, Some(Event::Erased)))
            }
            Request::BeginBackup { salt } => {
                let Core { gallery, keys, backup, .. } = self;
                if let Err(GalleryError::WrongModel { .. }) = gallery.state() {
                    // The people of the model before can still be taken along.
                    let bound = gallery.binding_in_flash()?;
                    gallery.rebind(bound);
                }
                let backup = backup.insert(Outgoing::begin(gallery, keys, &salt)?);
                let (records, damaged) = (backup.records(), backup.damaged());
                quiet(Reply::Bundle { records, damaged, header: backup.header() })
            }
            Request::BackupRecord { number } => {
                let Core { gallery, keys, backup: Some(backup), .. } = self else {
                    return Err(Fault::NoBundle);
                };
                let (total, people) = (backup.records(), backup.people());
                let bytes = backup.record(gallery, keys, number)?;
                let last = number.checked_add(1) == Some(total);
                Ok((Reply::Piece { total, offset: number, bytes }, last.then_some(Event::BackedUp(people))))
            }
            Request::BeginRestore { header, replace, people_only } => {
                let Core { engine, gallery, keys, restore, .. } = self;
                *restore = None;
                let begun =
                    Incoming::begin(gallery, keys, engine.info().into(), header, (replace, people_only))?;
                quiet(Reply::Restored(restore.insert(begun).done()))
            }
            Request::RestoreRecord { number, bytes } => {
                let Core { gallery, keys, restore, .. } = self;
                // An error ends it.
                let mut incoming = restore.take().ok_or(Fault::NoBundle)?;
                incoming.record(gallery, keys, number, bytes)?;
                let (done, complete) = (incoming.done(), incoming.is_complete());
                *restore = (!complete).then_some(incoming);
                Ok((Reply::Restored(done), complete.then_some(Event::Restored(done))))
            }
            Request::Challenge => {
                let now = self.now.ok_or(Fault::NoUptime)?;
                quiet(Reply::Challenge(self.keys.challenge(self.random.draw(), now)))
            }
            Request::SetClock { time, proof } => {
                let now = self.now.ok_or(Fault::NoUptime)?;
                if !self.keys.is_proven(time, &proof, now) {
                    return Err(Fault::Proof);
                }
                self.wall.set(time, now);
                Ok((Reply::Clock(time), Some(Event::ClockSet(time))))
            }
            Request::SetValidity { person, validity } => {
                self.gallery.set_validity(person, validity)?;
                quiet(Reply::Valid(person))
            }
            Request::Profile { first } => {
                let Core { engine, picture, clock, .. } = self;
                let crop = picture.room(engine.info())?;
                quiet(profile::profile(engine, *clock, crop, first)?)
            }
            Request::Verify { first } => quiet(self.verify(first)?),
            Request::ListPairings => {
                // There are no more than have room.
                quiet(Reply::Pairings(self.pairings.list().iter().map(PairedHost::from).collect()))
            }
            Request::RemovePairing { host } => {
                self.pairings.remove(host)?;
                Ok((Reply::Unpaired { host }, Some(Event::Unpaired { host })))
            }
        }
    }

    /// Binds the gallery to the model in use again, after a backup of the model's before.
    fn rebind(&mut self) {
        let model = self.engine.info().into();
        if self.gallery.binding() != model {
            self.gallery.rebind(model);
        }
    }

    /// What time it is, if that is known.
    fn time(&self) -> Option<UnixTime> {
        self.wall.now(self.now?)
    }

    fn info(&mut self) -> DeviceInfo {
        let verified = self.gallery.verify(|_| ());
        DeviceInfo {
            protocol: PROTOCOL,
            firmware: FIRMWARE,
            model: self.engine.info().into(),
            usage: self.gallery.usage(),
            threshold: self.thresholds(Scope::Frame).at(self.rules.matching.target_fpir),
            gallery: verified.err(),
            damaged: verified.unwrap_or(0),
            detects_rollback: self.gallery.detects_rollback(),
            software_key: self.gallery.has_software_key(),
            time: self.time(),
            frame_capacity: self.picture.capacity(),
            detector: self.engine.detector().map(|info| [info.width, info.height]),
            open_link: self.link == LinkTrust::Open,
        }
    }

    fn enroll(&mut self, who: Who<'_>) -> Result<(PersonId, u16), Fault> {
        self.embed()?;
        let template = self.picture.embedding();
        Ok(match who {
            Who::New(name) => (self.gallery.enroll(name, &[template])?, 1),
            Who::Person(person) => (person, self.gallery.add_template(person, template)?),
        })
    }

    /// What the camera's picture adds to the presentation: its answer, if it has one now.
    fn look(&mut self, shot: &Shot<'_>, now: Uptime) -> Result<Option<Decision>, Fault> {
        let cropped = self.picture.shoot(shot, &mut self.engine);
        if cropped == Err(Missing::Rejected(Rejection::NoFace)) {
            return Ok(self.watch.nobody(now));
        }
        match self.watch.face(now) {
            Admission::Ignore => Ok(None),
            Admission::Answer(answer) => Ok(Some(answer)),
            Admission::Look => {
                let (bound, model) = (self.gallery.binding(), Binding::from(self.engine.info()));
                if bound != model {
                    // A backup of the people of the model before is under way.
                    let (gallery, model) = (bound.embedding_id, model.embedding_id);
                    return Err(GalleryError::WrongModel { gallery, model }.into());
                }
                let votes = self.rules.vote.frames > 1;
                let frame = self.decide(cropped, if votes { Scope::Presentation } else { Scope::Frame });
                Ok(self.watch.frame(frame?, now))
            }
        }
    }

    /// Who is in the picture; `cropped` says whether it could be cropped, as far as that has been tried.
    fn decide(&mut self, cropped: Result<(), Missing>, scope: Scope) -> Result<Decision, Fault> {
        self.gallery.state()?;
        match cropped.and_then(|()| self.embed()) {
            Ok(()) => {}
            Err(Missing::Rejected(why)) => return Ok(Decision::Rejected(why)),
            Err(Missing::Fault(fault)) => return Err(fault),
        }
        let probe = self.picture.embedding();
        if norm_squared(probe) == 0 {
            return Ok(Decision::Rejected(Rejection::ZeroEmbedding));
        }
        let found = self.gallery.nearest(probe)?;
        match decide(&self.rules.matching, &self.thresholds(scope), &found) {
            Decision::Known(known) => {
                let validity = self.gallery.person(known.best.person)?.validity;
                Ok(known.at(&validity, self.time()))
            }
            other => Ok(other),
        }
    }

    /// Embeds the picture at hand if it is good enough for that.
    fn embed(&mut self) -> Result<(), Missing> {
        let Core { engine, picture, rules, .. } = self;
        picture.crop(engine)?;
        picture.assess(&rules.quality, engine.info())?;
        picture.embed(engine)
    }

    /// The model's thresholds for the people who are enrolled now.
    fn thresholds(&self, scope: Scope) -> Thresholds<'_> {
        let (usage, table) = (self.gallery.usage(), self.engine.thresholds());
        let people = table.map_or(usage.people, |table| table.counted(usage.people, usage.templates));
        Thresholds { table, people, scope }
    }

    fn named(&mut self, decision: Decision) -> Result<Answer, Fault> {
        let gallery = &mut self.gallery;
        let named = |c: Candidate| gallery.person(c.person).map(|p| Named::new(c, p.name));
        Ok(Answer::new(decision, named)?)
    }

    fn list(&mut self, mut after: Option<PersonId>) -> Result<Reply<'static>, Fault> {
        let mut people = Vec::new();
        while !people.is_full() {
            let Some(person) = self.gallery.next_after(after)? else { break };
            after = Some(person.id);
            // The loop's condition leaves a place.
            let _ = people.push(person);
        }
        let more = self.gallery.next_after(after)?.is_some() && people.is_full();
        Ok(Reply::People { people, more })
    }

    fn verify(&mut self, first: u32) -> Result<Reply<'static>, Fault> {
        let (mut damages, mut at) = (Vec::new(), 0);
        let total = self.gallery.verify(|damage| {
            if at >= first {
                // What finds no place any more is on the next page.
                let _ = damages.push(damage);
            }
            at += 1;
        })?;
        Ok(Reply::Damages { total, first, damages })
    }
}
