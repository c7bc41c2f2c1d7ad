//! Requests and their replies: everything of a device behind its port.

use heapless::Vec;

use crate::decide::{Decision, Rejection, Rules, Thresholds, decide};
use crate::embedding::norm_squared;
use crate::engine::{Embedder, Models};
use crate::events::{Trouble, What};
use crate::gallery::{Candidate, Gallery, GalleryError, Nearest, PersonId};
use crate::link::answer::{Answer, Named};
use crate::link::message::{FIRMWARE, PROTOCOL, Who};
use crate::link::status::{DeviceInfo, Enrolment};
use crate::link::{Fault, LinkTrust, Reply, Request};
use crate::model::thresholds::Scope;
use crate::pairings::{PairedHost, Pairing, Pairings};
use crate::random::Random;
use crate::state::State;
use crate::time::{UnixTime, Uptime, WallClock};
use crate::update::{self, UpdateError};

use super::backup::Outgoing;
use super::counts::Counts;
use super::kept::Journal;
use super::machine::Machine;
use super::picture::{Missing, Picture};
use super::port::Service;
use super::restore::Wish;
use super::updates::stated;
use super::{Clock, Event, Hardware, Incoming, Kept, Keys, Updates, profile};

/// Everything behind the port.
pub(super) struct Core<H: Hardware> {
    pub(super) engine: H::Models,
    pub(super) gallery: Gallery<H::Flash, H::Room, H::Counter>,
    pub(super) picture: Picture<H::Bytes>,
    pub(super) rules: Rules,
    /// The camera's side.
    pub(super) machine: Machine,
    pub(super) enrolment: Enrolment,
    pub(super) counts: Counts,
    /// Whether the camera has failed since it last gave a picture.
    pub(super) camera_failed: bool,
    pub(super) clock: Option<Clock>,
    /// The board's uptime, as far as it was told.
    pub(super) now: Option<Uptime>,
    pub(super) wall: WallClock,
    pub(super) keys: Keys,
    pub(super) random: Random,
    pub(super) kept: Kept<H::Store>,
    pub(super) journal: Journal<H::Store>,
    pub(super) updates: Option<Updates<H::Slots>>,
    /// Whether the board is to start anew.
    pub(super) restart: bool,
    /// When the camera was last asked for a picture.
    pub(super) watched: Option<Uptime>,
    pub(super) link: LinkTrust,
    /// A backup that a host reads.
    pub(super) backup: Option<Outgoing>,
    /// A bundle that a host sends.
    pub(super) restore: Option<Incoming>,
}

impl<H: Hardware> Service for Core<H> {
    type Pairings = Kept<H::Store>;

    fn answer(&mut self, request: Request<'_>) -> (Reply<'_>, Option<Event>) {
        let stated = match (&request, &self.updates) {
            (Request::BeginUpdate { header }, Some(_)) => Some(stated(header)),
            (Request::FinishUpdate, Some(updates)) => Some(updates.coming()),
            _ => None,
        };
        self.try_answer(request).unwrap_or_else(|fault| {
            let event = match (fault, stated) {
                (Fault::Update(UpdateError::Incomplete { .. }), _) | (_, None) => Event::Refused(fault),
                (_, Some(version)) => Event::NotUpdated { version },
            };
            (Reply::Fault(fault), Some(event))
        })
    }

    fn pairings(&mut self) -> &mut Kept<H::Store> {
        &mut self.kept
    }

    fn now(&self) -> Uptime {
        self.uptime()
    }

    fn is_over(&self) -> bool {
        self.restart
    }
}

impl<H: Hardware> Core<H> {
    fn try_answer(&mut self, request: Request<'_>) -> Result<(Reply<'_>, Option<Event>), Fault> {
        let quiet = |reply| Ok((reply, None));
        let known = self.gallery.binding().dimension > 0 && looks_after_people(&request);
        if self.engine.info().is_none() && needs_model(&request) && !known {
            return Err(Fault::NoModel);
        }
        if !matches!(request, Request::BackupRecord { .. }) {
            self.rebind();
        }
        if takes_picture(&request) && self.machine.interrupt() {
            // What was made of the camera's picture is not the host's, nor the other way round.
            self.picture.restart();
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
                let decision = self.identify()?;
                let answer = self.named(decision)?;
                Ok((Reply::Decided(answer.clone()), Some(Event::Asked(answer))))
            }
            Request::List { after } => quiet(self.list(after)?),
            Request::Remove(person) => {
                // Of nobody nothing is spent.
                self.gallery.person(person)?;
                self.spend_bundle();
                // What is coming in was begun before they were removed.
                self.restore = None;
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
                self.spend_bundle();
                self.restore = None;
                self.gallery.format()?;
                Ok((Reply::Erased, Some(Event::Erased)))
            }
            Request::BeginBackup { salt } => quiet(self.begin_backup(&salt)?),
            Request::BackupRecord { number } => self.backup_record(number),
            Request::BeginRestore { header, replace, people_only } => {
                quiet(self.begin_restore(header, Wish { replace, people_only })?)
            }
            Request::RestoreRecord { number, bytes } => self.restore_record(number, bytes),
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
            Request::EnrollHere { who, shots } => quiet(self.enroll_here(who, shots)?),
            Request::Enrolling => quiet(Reply::Enrolling(self.enrolling())),
            Request::StopEnrolling => {
                self.stop_enrolling();
                quiet(Reply::Enrolling(self.enrolling()))
            }
            Request::Stats => quiet(Reply::Stats(self.stats())),
            Request::ReadLog { from } => quiet(Reply::Log(self.journal.page(from)?)),
            Request::BeginUpdate { header } => {
                let now = self.uptime();
                let updates = self.updates.as_mut().ok_or(Fault::NoSlots)?;
                let (received, total) = updates.begin(header, &self.kept, now)?;
                quiet(Reply::Updating { received, total })
            }
            Request::UpdatePiece { offset, bytes } => {
                let now = self.uptime();
                let updates = self.updates.as_mut().ok_or(Fault::NoSlots)?;
                let (received, total) = updates.piece(offset, bytes, now)?;
                quiet(Reply::Updating { received, total })
            }
            Request::FinishUpdate => {
                let Core { engine, picture, updates, kept, .. } = self;
                let crop = picture.lend();
                let room = update::Room { arena: engine.arena(), crop };
                let version = updates.as_mut().ok_or(Fault::NoSlots)?.finish(kept, room)?;
                self.restart = true;
                Ok((Reply::Updated { version }, Some(Event::Updated { version })))
            }
            Request::Restart => {
                self.restart = true;
                quiet(Reply::Restarting)
            }
            Request::ListPairings => {
                let mut hosts = Vec::new();
                for pairing in self.kept.list() {
                    // There are no more than have room.
                    let _ = hosts.push(PairedHost::from(pairing));
                }
                quiet(Reply::Pairings(hosts))
            }
            Request::RemovePairing { host } => {
                self.kept.remove(host)?;
                Ok((Reply::Unpaired { host }, Some(Event::Unpaired { host })))
            }
        }
    }

    /// Binds the gallery to the model in use again, after a backup of the model's before.
    fn rebind(&mut self) {
        let model = self.engine.info().into();
        if !self.engine.info().is_none() && self.gallery.binding() != model {
            self.gallery.rebind(model);
        }
    }

    /// Whether a gallery of another model than the one in use is whole and nobody is in it.
    pub(super) fn is_another_models_empty(&mut self) -> bool {
        let model = self.gallery.binding();
        let Ok(bound) = self.gallery.binding_in_flash() else { return false };
        self.gallery.rebind(bound);
        let empty = self.gallery.usage().records == 0 && self.gallery.damages() == Ok(0);
        self.gallery.rebind(model);
        empty
    }

    /// Forgets people, where they were, and hosts: each also where another one cannot be forgotten. Gives what failed first.
    pub(super) fn forget_everybody(&mut self) -> Result<(), Fault> {
        self.stop_enrolling();
        (self.backup, self.restore) = (None, None);
        self.spend_bundle();
        self.rebind();
        // Where there is no model and no gallery of one, nobody can say whose the empty one would be.
        let nobodys = self.gallery.binding().dimension == 0;
        let people = if nobodys { self.gallery.wipe() } else { self.gallery.format() };
        let now = self.uptime();
        let log = self.journal.erase(&self.wall, now);
        let mut hosts = Ok(());
        while let (Ok(()), Some(&Pairing { host, .. })) = (hosts, self.kept.list().first()) {
            hosts = self.kept.remove(host);
            if hosts.is_ok() {
                self.note(What::Unpaired { number: u32::from(host) });
            }
        }
        people?;
        log?;
        Ok(hosts?)
    }

    /// The bundle that brought whoever is removed now is not to bring them back. They go also where that cannot be kept.
    fn spend_bundle(&mut self) {
        if self.kept.update(State::spend_bundle).is_err() {
            self.note(What::Fault(Trouble::State));
        }
    }

    /// The time since boot; zero as long as the board has not told it.
    pub(super) fn uptime(&self) -> Uptime {
        self.now.unwrap_or_default()
    }

    /// What time it is, if that is known.
    fn time(&self) -> Option<UnixTime> {
        self.wall.now(self.now?)
    }

    pub(super) fn info(&mut self) -> DeviceInfo {
        let verified = self.gallery.damages();
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
            takes_models: self.updates.is_some(),
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

    /// Who is in the host's picture.
    fn identify(&mut self) -> Result<Decision, Fault> {
        self.gallery.state()?;
        match self.embed() {
            Ok(()) => {}
            Err(Missing::Rejected(why)) => return Ok(Decision::Rejected(why)),
            Err(Missing::Fault(fault)) => return Err(fault),
        }
        let found = self.search()?;
        self.judge(&found, Scope::Frame)
    }

    /// Who is nearest to the embedding at hand; nobody to one of zeros.
    pub(super) fn search(&mut self) -> Result<Nearest, Fault> {
        let probe = self.picture.embedding();
        match norm_squared(probe) {
            0 => Ok(Nearest { best: None, second: None }),
            _ => Ok(self.gallery.nearest(probe)?),
        }
    }

    /// Whether that is near enough, and may be known now.
    pub(super) fn judge(&mut self, found: &Nearest, scope: Scope) -> Result<Decision, Fault> {
        if norm_squared(self.picture.embedding()) == 0 {
            return Ok(Decision::Rejected(Rejection::ZeroEmbedding));
        }
        match decide(&self.rules.matching, &self.thresholds(scope), found) {
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
    pub(super) fn thresholds(&self, scope: Scope) -> Thresholds<'_> {
        let (usage, table) = (self.gallery.usage(), self.engine.thresholds());
        let people = table.map_or(usage.people, |table| table.counted(usage.people, usage.templates));
        Thresholds { table, people, scope }
    }

    pub(super) fn named(&mut self, decision: Decision) -> Result<Answer, Fault> {
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

/// Whether a gallery is enough for it, its model lost.
fn looks_after_people(request: &Request<'_>) -> bool {
    matches!(
        request,
        Request::List { .. }
            | Request::Remove(_)
            | Request::EraseGallery
            | Request::SetValidity { .. }
            | Request::Verify { .. }
            | Request::BeginBackup { .. }
            | Request::BackupRecord { .. }
    )
}

/// Whether there must be a model for it.
fn needs_model(request: &Request<'_>) -> bool {
    !matches!(
        request,
        Request::Info
            | Request::Challenge
            | Request::SetClock { .. }
            | Request::ListPairings
            | Request::RemovePairing { .. }
            | Request::Enrolling
            | Request::StopEnrolling
            | Request::Stats
            | Request::ReadLog { .. }
            | Request::BeginUpdate { .. }
            | Request::UpdatePiece { .. }
            | Request::FinishUpdate
            | Request::Restart
    )
}

/// Whether it takes the memory in which the camera's picture is looked at, or forgets what was made of the picture at hand.
fn takes_picture(request: &Request<'_>) -> bool {
    matches!(
        request,
        Request::BeginFrame(_)
            | Request::Enroll(_)
            | Request::Identify
            | Request::ReadCrop { .. }
            | Request::ReadEmbedding { .. }
            | Request::Profile { .. }
            | Request::FinishUpdate
    )
}
