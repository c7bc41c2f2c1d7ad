//! Before the camera: what the phases of the [`Machine`](super::machine::Machine) do, and what comes of it.

use crate::decide::{Decision, Rejection, Thresholds};
use crate::engine::Embedder;
use crate::events::{Trouble, What};
use crate::gallery::{Binding, GalleryError, Name, Nearest};
use crate::link::message::Who;
use crate::link::status::{Enrolment, Stats};
use crate::link::{Fault, Reply};
use crate::model::thresholds::Scope;
use crate::pairings::Pairings;
use crate::time::Uptime;

use super::counts::Counts;
use super::machine::{Outcome, Stages};
use super::picture::Missing;
use super::service::Core;
use super::{Camera, Event, Hardware};
use crate::guide::{Bars, Enrolee, Guide};

/// Milliseconds after which a camera that nobody asked for a picture does not count as one.
const WATCHED_MS: u64 = 10_000;

/// A device and its camera in one step.
struct Looking<'d, H: Hardware, C> {
    core: &'d mut Core<H>,
    camera: &'d mut C,
    somebody: bool,
}

impl<H: Hardware, C: Camera> Stages for Looking<'_, H, C> {
    fn is_somebody_there(&mut self) -> bool {
        self.somebody && !self.core.engine.info().is_none()
    }

    fn capture(&mut self, now: Uptime) -> Result<bool, Fault> {
        let whole = self.camera.poll(now)?;
        if whole && core::mem::take(&mut self.core.camera_failed) {
            self.core.note(What::Recovered(Trouble::Camera));
        }
        Ok(whole)
    }

    fn rest(&mut self) {
        self.camera.rest();
    }

    fn detect(&mut self) -> Result<u8, Fault> {
        let Core { picture, engine, .. } = &mut *self.core;
        let Some(shot) = self.camera.shot() else { return Ok(0) };
        picture.detect(&shot, engine)
    }

    fn align(&mut self) -> Result<(), Missing> {
        let Core { picture, engine, rules, .. } = &mut *self.core;
        let shot = self.camera.shot().ok_or(Fault::NoCamera)?;
        picture.align(&shot, engine.info())?;
        picture.assess(&rules.quality, engine.info())
    }

    fn embed(&mut self) -> Result<(), Fault> {
        let Core { picture, engine, .. } = &mut *self.core;
        Ok(picture.embed(engine)?)
    }

    fn search(&mut self) -> Result<Nearest, Fault> {
        let core = &mut *self.core;
        let (bound, model) = (core.gallery.binding(), Binding::from(core.engine.info()));
        if bound != model {
            // A backup of the people of the model before is under way.
            return Err(GalleryError::wrong_model([&bound.embedding_id, &model.embedding_id]).into());
        }
        core.search()
    }

    fn decide(&mut self, found: &Nearest) -> Result<Decision, Fault> {
        let votes = self.core.rules.vote.frames > 1;
        self.core.judge(found, if votes { Scope::Presentation } else { Scope::Frame })
    }

    fn embedding(&self) -> &[i8] {
        self.core.picture.embedding()
    }

    fn bars(&self) -> Bars {
        let fpir = self.core.rules.matching.target_fpir;
        let known = self.core.thresholds(Scope::Frame);
        let one = Thresholds { people: 1, ..known };
        Bars { same: one.at(fpir), known: known.at(fpir) }
    }
}

impl<H: Hardware> Core<H> {
    /// One step of the machine.
    pub(super) fn look<C: Camera>(&mut self, camera: &mut C, somebody: bool, now: Uptime) -> Option<Event> {
        if camera.is_fitted() {
            self.watched = Some(now);
        }
        let coming = self.updates.as_ref().is_some_and(|updates| updates.is_coming(now));
        if self.machine.set_updating(coming) {
            self.enrolment = Enrolment::GaveUp;
        }
        // It is taken out so that it may ask for everything else.
        let mut machine = core::mem::take(&mut self.machine);
        let outcome = machine.step(&mut Looking { core: self, camera, somebody }, now);
        self.machine = machine;
        if !self.machine.has_picture() {
            self.picture.restart();
        }
        Some(match outcome? {
            Outcome::Answered(decision) => self.named(decision).map_or_else(Event::Refused, Event::Answered),
            Outcome::Failed(fault) => Event::Refused(fault),
            Outcome::GaveUp => {
                self.enrolment = Enrolment::GaveUp;
                Event::GaveUp
            }
            Outcome::Shot(Err(why)) => {
                self.progress(Some(why));
                Event::Shot(Err(why))
            }
            Outcome::Shot(Ok(progress)) if !progress.is_complete() => {
                self.progress(None);
                Event::Shot(Ok(progress))
            }
            Outcome::Shot(Ok(_)) => self.enroll_shots(),
        })
    }

    fn progress(&mut self, last: Option<crate::guide::ShotFault>) {
        if let Some(guide) = &self.machine.guide {
            self.enrolment = Enrolment::UnderWay { progress: guide.progress(), last };
        }
    }

    /// All shots are there and become templates: of somebody new all or none, of somebody enrolled one after the other.
    fn enroll_shots(&mut self) -> Event {
        let Some(guide) = self.machine.guide.take() else { return Event::GaveUp };
        let shots = guide.embeddings();
        let mut partly = None;
        let enrolled = match guide.who() {
            Enrolee::New(name) => self.gallery.enroll(name, &shots),
            Enrolee::Person(person) => shots
                .iter()
                .try_for_each(|shot| {
                    self.gallery.add_template(*person, shot)?;
                    partly = Some(*person);
                    Ok(())
                })
                .map(|()| *person),
        };
        match enrolled {
            Ok(person) => {
                self.enrolment = Enrolment::Done(person);
                Event::Enrolled(person)
            }
            Err(error) => {
                if let Some(person) = partly {
                    self.note(What::Enrolled(person));
                }
                self.enrolment = Enrolment::Failed(error);
                Event::Refused(error.into())
            }
        }
    }

    /// Begins a guided enrolment; one that is under way is given up.
    pub(super) fn enroll_here(&mut self, who: Who<'_>, shots: u8) -> Result<Reply<'static>, Fault> {
        let now = self.uptime();
        if self.watched.is_none_or(|watched| now.0.saturating_sub(watched.0) > WATCHED_MS) {
            return Err(Fault::NoCamera);
        }
        // Nobody is enrolled in one, and whoever asks had better know than wait.
        if let Some(wait) = self.machine.lockout(now) {
            return Err(Fault::Rejected(Rejection::Wait(wait)));
        }
        self.gallery.state()?;
        let who = match who {
            Who::New(name) => {
                self.gallery.check_new(name)?;
                Enrolee::New(
                    Name::try_from(name)
                        .map_err(|_| GalleryError::NameLength { found: name.len() as u32 })?,
                )
            }
            Who::Person(person) => Enrolee::Person(self.gallery.person(person)?.id),
        };
        if self.machine.begin(Guide::begin(who, shots, now)) {
            self.picture.restart();
        }
        self.progress(None);
        Ok(Reply::Enrolling(self.enrolment))
    }

    /// How the guided enrolment goes.
    pub(super) fn enrolling(&self) -> Enrolment {
        self.enrolment
    }

    /// Gives the guided enrolment up.
    pub(super) fn stop_enrolling(&mut self) {
        if self.machine.guide.take().is_some() {
            self.enrolment = Enrolment::GaveUp;
        }
    }

    /// How the device does.
    pub(super) fn stats(&self) -> Stats {
        let Counts { answers, camera_faults, noise } = self.counts;
        Stats {
            boots: self.kept.state().boots,
            uptime: self.uptime(),
            phase: self.machine.phase(),
            failures: self.machine.watch.failures(),
            answers,
            camera_faults,
            noise,
            pairings: self.kept.list().len() as u8,
            lines_lost: self.journal.lost(),
            model_version: self.updates.as_ref().and_then(|updates| updates.version()),
            bundle_version: Some(self.kept.state().bundle_version).filter(|&version| version > 0),
        }
    }

    /// Counts an event, keeps what is to be kept of it, and tells the log.
    pub(super) fn happened(&mut self, event: &Event) {
        self.counts.count(event);
        let failures = self.machine.watch.failures();
        if matches!(event, Event::Answered(_)) {
            self.keep_failures(failures);
        }
        // A camera that stays dead is tried again and again: only the change is news.
        if matches!(event, Event::Refused(Fault::Camera(_)))
            && core::mem::replace(&mut self.camera_failed, true)
        {
            return;
        }
        if let Some(what) = event.told(failures) {
            self.note(what);
        }
    }

    /// Keeps the count of failures over a restart, as well as that can be.
    pub(super) fn keep_failures(&mut self, failures: u8) {
        // It counts on in RAM whether or not it can be kept.
        let _ = self.kept.update(|state| state.failures = failures);
    }

    /// Tells the log.
    pub(super) fn note(&mut self, what: What) {
        let now = self.uptime();
        self.journal.note(what, &self.wall, now);
    }
}
