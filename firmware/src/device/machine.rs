//! What a device with a camera is doing: one bounded piece of work a step, so that its link is answered in between.
//!
//! ```text
//!  idle --somebody--> presence --> capture --> detect --> align --> embed --> match --> decide --> act --> idle
//!   ^                    |            |           |         |                              |
//!   |                    |            |           +- no face, or the answer is held -------+- not decided yet
//!   |                    |            v           |         +- not worth embedding: decided as rejected
//!   |                    |          fault         v
//!   |                    v        (tried again) idle
//!   +---- waited --- locked out
//!
//!  updating: from anywhere while a model is replaced, and back to idle
//! ```
//!
//! During a guided enrolment a picture takes the same way, but what is decided is whether the shot is kept. Nobody is enrolled
//! while the device is locked out.
//!
//! It owns no hardware: what is done in a step is behind [`Stages`].

use crate::decide::lockout::Wait;
use crate::decide::watch::{Admission, Watch};
use crate::decide::{Decision, Rejection};
use crate::gallery::Nearest;
use crate::link::Fault;
use crate::link::status::Phase;
use crate::time::Uptime;

use super::picture::Missing;
use crate::guide::{Bars, Guide, Progress, ShotFault};

/// The work behind the phases. Each call is one bounded piece.
pub(super) trait Stages {
    /// Whether somebody may be there.
    fn is_somebody_there(&mut self) -> bool;
    /// Goes on taking a picture; whether it is there.
    fn capture(&mut self, now: Uptime) -> Result<bool, Fault>;
    /// Nobody is there: lets the camera rest.
    fn rest(&mut self);
    /// How many faces the picture has.
    fn detect(&mut self) -> Result<u8, Fault>;
    /// Crops the face that is meant.
    fn align(&mut self) -> Result<(), Missing>;
    /// Embeds the crop.
    fn embed(&mut self) -> Result<(), Fault>;
    /// Who is nearest to the embedding.
    fn search(&mut self) -> Result<Nearest, Fault>;
    /// Whether that is near enough.
    fn decide(&mut self, found: &Nearest) -> Result<Decision, Fault>;
    /// The embedding.
    fn embedding(&self) -> &[i8];
    /// What shots of an enrolment are held against.
    fn bars(&self) -> Bars;
}

/// What a step brought.
#[derive(Debug, PartialEq)]
pub(super) enum Outcome {
    /// The answer of a presentation.
    Answered(Decision),
    /// What became of a shot of the enrolment.
    Shot(Result<Progress, ShotFault>),
    /// Nobody stood still for the enrolment, which is over.
    GaveUp,
    /// A stage failed.
    Failed(Fault),
}

/// The phase, and what is needed to leave it.
#[derive(Debug, Default)]
pub(super) struct Machine {
    phase: Phase,
    /// The presentations before the camera.
    pub(super) watch: Watch,
    /// A guided enrolment.
    pub(super) guide: Option<Guide>,
    found: Option<Nearest>,
    /// Whether the camera was told to rest.
    resting: bool,
}

impl Machine {
    /// What it is doing.
    pub(super) fn phase(&self) -> Phase {
        self.phase
    }

    /// Presentations are judged by another watch from now on; what was under way begins anew.
    pub(super) fn set_watch(&mut self, watch: Watch) {
        (self.watch, self.phase) = (watch, Phase::Idle);
    }

    /// The lock-out under way, in which nobody is enrolled.
    pub(super) fn lockout(&mut self, now: Uptime) -> Option<Wait> {
        self.watch.lockout(now)
    }

    /// Begins a guided enrolment: as [`Machine::interrupt`].
    pub(super) fn begin(&mut self, guide: Guide) -> bool {
        self.guide = Some(guide);
        self.interrupt()
    }

    /// Whether a picture of the camera is being looked at.
    pub(super) fn has_picture(&self) -> bool {
        matches!(self.phase, Phase::Align | Phase::Embed | Phase::Match | Phase::Decide)
    }

    /// What was made of the camera's picture is lost, and the next one is looked at; whether there was any such thing.
    pub(super) fn interrupt(&mut self) -> bool {
        let interrupted = self.has_picture();
        if interrupted {
            (self.phase, self.found) = (Phase::Idle, None);
        }
        interrupted
    }

    /// The model is being replaced, or is no longer. An enrolment is given up, since its shots were of the model before; whether there
    /// was one.
    pub(super) fn set_updating(&mut self, updating: bool) -> bool {
        match (updating, self.phase) {
            (true, _) => {
                self.phase = Phase::Updating;
                self.guide.take().is_some()
            }
            (false, Phase::Updating) => {
                self.phase = Phase::Idle;
                false
            }
            (false, _) => false,
        }
    }

    /// One step.
    pub(super) fn step(&mut self, stages: &mut impl Stages, now: Uptime) -> Option<Outcome> {
        if self.guide.as_ref().is_some_and(|guide| guide.is_over(now)) {
            self.guide = None;
            self.phase = Phase::Idle;
            return Some(Outcome::GaveUp);
        }
        match self.enter(stages, now) {
            Ok((phase, outcome)) => {
                self.phase = phase;
                outcome
            }
            Err(fault) => {
                self.phase = Phase::Fault;
                Some(Outcome::Failed(fault))
            }
        }
    }

    /// Does what the phase asks for, and says which comes next.
    fn enter(&mut self, stages: &mut impl Stages, now: Uptime) -> Result<(Phase, Option<Outcome>), Fault> {
        let quiet = |phase| Ok((phase, None));
        match self.phase {
            Phase::Updating => quiet(Phase::Updating),
            Phase::Idle | Phase::Act | Phase::Fault => {
                if let Some(wait) = self.watch.lockout(now) {
                    self.rest(stages);
                    let answer = Decision::Rejected(Rejection::Wait(wait));
                    return Ok((Phase::LockedOut, Some(Outcome::Answered(answer))));
                }
                if self.guide.is_none() && !stages.is_somebody_there() {
                    self.rest(stages);
                    return Ok(self.nobody(now));
                }
                if self.phase != Phase::Fault {
                    return quiet(Phase::Presence);
                }
                // Still one, until there is a picture.
                quiet(if self.capture(stages, now)? { Phase::Detect } else { Phase::Fault })
            }
            Phase::LockedOut => match self.watch.lockout(now) {
                Some(_) => quiet(Phase::LockedOut),
                None => quiet(Phase::Idle),
            },
            Phase::Presence | Phase::Capture => match self.capture(stages, now)? {
                true => quiet(Phase::Detect),
                false => quiet(Phase::Capture),
            },
            Phase::Detect => match (stages.detect()?, self.guide.is_some()) {
                (0, true) => Ok((Phase::Idle, Some(Outcome::Shot(Err(ShotFault::NoFace))))),
                (0, false) => Ok(self.nobody(now)),
                (1, true) => quiet(Phase::Align),
                (faces, true) => Ok((Phase::Idle, Some(Outcome::Shot(Err(ShotFault::Faces(faces)))))),
                (_, false) => match self.watch.face(now) {
                    Admission::Ignore => quiet(Phase::Idle),
                    Admission::Look => quiet(Phase::Align),
                    Admission::Answer(answer) => Ok((Phase::Act, Some(Outcome::Answered(answer)))),
                },
            },
            Phase::Align => match stages.align() {
                Ok(()) => quiet(Phase::Embed),
                Err(Missing::Fault(fault)) => Err(fault),
                Err(Missing::Rejected(why)) if self.guide.is_some() => {
                    Ok((Phase::Idle, Some(Outcome::Shot(Err(ShotFault::Rejected(why))))))
                }
                Err(Missing::Rejected(why)) => Ok(self.frame(Decision::Rejected(why), now)),
            },
            Phase::Embed => {
                stages.embed()?;
                quiet(Phase::Match)
            }
            Phase::Match => {
                self.found = Some(stages.search()?);
                quiet(Phase::Decide)
            }
            Phase::Decide => {
                // Phases come in order, so that it is there.
                let found = self.found.take().ok_or(Fault::Engine)?;
                if let Some(guide) = &mut self.guide {
                    let shot = guide.shot(stages.embedding(), found.best, stages.bars(), now);
                    return Ok((Phase::Idle, Some(Outcome::Shot(shot))));
                }
                let decision = stages.decide(&found)?;
                Ok(self.frame(decision, now))
            }
        }
    }

    fn capture(&mut self, stages: &mut impl Stages, now: Uptime) -> Result<bool, Fault> {
        self.resting = false;
        stages.capture(now)
    }

    /// Lets the camera rest, once.
    fn rest(&mut self, stages: &mut impl Stages) {
        if !core::mem::replace(&mut self.resting, true) {
            stages.rest();
        }
    }

    /// A frame was judged.
    fn frame(&mut self, decision: Decision, now: Uptime) -> (Phase, Option<Outcome>) {
        match self.watch.frame(decision, now) {
            Some(answer) => (Phase::Act, Some(Outcome::Answered(answer))),
            None => (Phase::Idle, None),
        }
    }

    /// There is no face.
    fn nobody(&mut self, now: Uptime) -> (Phase, Option<Outcome>) {
        match self.watch.nobody(now) {
            Some(answer) => (Phase::Act, Some(Outcome::Answered(answer))),
            None => (Phase::Idle, None),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::decide::Confidence;
    use crate::decide::lockout::LockoutRules;
    use crate::decide::vote::VoteRules;
    use crate::decide::{Known, Rules, Unknown};
    use crate::embedding::Angle;
    use crate::gallery::{Candidate, Name, PersonId};
    use crate::guide::{Enrolee, SHOT_MS};

    /// What stands before the camera.
    #[derive(Clone, Copy, PartialEq)]
    enum Scene {
        Nobody,
        /// The sensor sees something, the camera no face.
        Cat,
        Known,
        Stranger,
        Blurred,
        Two,
        /// The camera is unplugged.
        Dead,
    }

    struct Fake {
        scene: Scene,
        /// Polls until a picture is there.
        slow: u8,
        left: u8,
        turn: i8,
        rests: usize,
        pictures: usize,
    }

    impl Stages for Fake {
        fn is_somebody_there(&mut self) -> bool {
            self.scene != Scene::Nobody
        }
        fn capture(&mut self, _: Uptime) -> Result<bool, Fault> {
            if self.scene == Scene::Dead {
                return Err(Fault::Engine);
            }
            if self.left == 0 {
                self.left = self.slow;
                self.pictures += 1;
                return Ok(true);
            }
            self.left -= 1;
            Ok(false)
        }
        fn rest(&mut self) {
            self.rests += 1;
        }
        fn detect(&mut self) -> Result<u8, Fault> {
            Ok(match self.scene {
                Scene::Nobody | Scene::Cat | Scene::Dead => 0,
                Scene::Two => 2,
                Scene::Known | Scene::Stranger | Scene::Blurred => 1,
            })
        }
        fn align(&mut self) -> Result<(), Missing> {
            match self.scene {
                Scene::Blurred => Err(Missing::Rejected(Rejection::Landmarks)),
                _ => Ok(()),
            }
        }
        fn embed(&mut self) -> Result<(), Fault> {
            self.turn += 10;
            Ok(())
        }
        fn search(&mut self) -> Result<Nearest, Fault> {
            Ok(Nearest { best: None, second: None })
        }
        fn decide(&mut self, _: &Nearest) -> Result<Decision, Fault> {
            Ok(if self.scene == Scene::Known { KNOWN } else { STRANGER })
        }
        fn embedding(&self) -> &[i8] {
            // Turns so that no shot repeats the one before.
            [&[100, 0][..], &[100, 10], &[100, 20], &[100, 30], &[100, 40], &[100, 50]]
                [usize::from(self.turn.unsigned_abs() / 10) % 6]
        }
        fn bars(&self) -> Bars {
            Bars { same: None, known: None }
        }
    }

    const KNOWN: Decision = Decision::Known(Known {
        best: Candidate { person: PersonId(1), angle: Angle::from_millidegrees(20_000) },
        second: None,
        confidence: Confidence { fpir_ppm: 10_000 },
        may_adapt: false,
    });
    const STRANGER: Decision = Decision::Unknown { why: Unknown::TooFar, nearest: None };

    struct Bench {
        machine: Machine,
        fake: Fake,
        now: u64,
        phases: Vec<Phase>,
    }

    impl Bench {
        fn new() -> Self {
            let vote = VoteRules { agree: 2, frames: 3, limit_ms: 1000, gap_ms: 100, hold_ms: 50 };
            let lockout = LockoutRules {
                failures: 2,
                pause_ms: 20,
                first_ms: 5000,
                longest_ms: 8000,
                forget_ms: 60_000,
            };
            let mut machine = Machine::default();
            machine.set_watch(Watch::new(&Rules { vote, lockout, ..Rules::default() }).unwrap());
            let fake = Fake { scene: Scene::Nobody, slow: 2, left: 2, turn: 0, rests: 0, pictures: 0 };
            Bench { machine, fake, now: 0, phases: Vec::new() }
        }

        /// Steps of 1 ms until something comes out, at most so many.
        fn until(&mut self, scene: Scene, steps: usize) -> Option<Outcome> {
            self.fake.scene = scene;
            (0..steps).find_map(|_| {
                self.now += 1;
                let outcome = self.machine.step(&mut self.fake, Uptime(self.now));
                if self.phases.last() != Some(&self.machine.phase()) {
                    self.phases.push(self.machine.phase());
                }
                outcome
            })
        }
    }

    #[test]
    fn a_picture_goes_through_every_phase_and_two_of_three_answer() {
        let mut bench = Bench::new();
        assert_eq!(bench.until(Scene::Nobody, 50), None);
        assert_eq!(
            (bench.fake.pictures, bench.fake.rests),
            (0, 1),
            "nobody is photographed who is not there"
        );
        assert_eq!(bench.until(Scene::Known, 100), Some(Outcome::Answered(KNOWN)));
        assert_eq!(bench.fake.pictures, 2);
        use Phase::*;
        let once = [Presence, Capture, Detect, Align, Embed, Match, Decide];
        let expected: Vec<Phase> =
            [Idle].into_iter().chain(once).chain([Idle]).chain(once).chain([Act]).collect();
        assert_eq!(bench.phases, expected);
    }

    #[test]
    fn a_cat_is_nobody_and_a_blur_is_rejected() {
        let mut bench = Bench::new();
        assert_eq!(bench.until(Scene::Cat, 500), None);
        assert!(bench.fake.pictures > 20);
        let rejected = Some(Outcome::Answered(Decision::Rejected(Rejection::Landmarks)));
        assert_eq!(bench.until(Scene::Blurred, 2000), rejected, "when its time is over");
    }

    #[test]
    fn locked_out_the_camera_rests_and_nobody_is_enrolled() {
        let mut bench = Bench::new();
        for _ in 0..2 {
            let answer = loop {
                match bench.until(Scene::Stranger, 1000) {
                    Some(Outcome::Answered(Decision::Rejected(Rejection::Wait(wait)))) => {
                        assert!(!wait.locked)
                    }
                    answer => break answer,
                }
            };
            assert_eq!(answer, Some(Outcome::Answered(STRANGER)));
        }
        let locked = bench.until(Scene::Stranger, 10);
        assert!(
            matches!(locked, Some(Outcome::Answered(Decision::Rejected(Rejection::Wait(wait)))) if wait.locked),
            "{locked:?}"
        );
        assert_eq!(bench.machine.phase(), Phase::LockedOut);
        bench.machine.guide = Some(Guide::begin(Enrolee::New(Name::new()), 1, Uptime(bench.now)));
        let pictures = bench.fake.pictures;
        assert_eq!(bench.until(Scene::Known, 4500), None);
        assert_eq!(bench.fake.pictures, pictures);
        assert!(matches!(bench.until(Scene::Known, 1000), Some(Outcome::Shot(Ok(_)))));
    }

    #[test]
    fn a_dead_camera_is_a_fault_and_then_it_works_again() {
        let mut bench = Bench::new();
        for _ in 0..5 {
            assert_eq!(bench.until(Scene::Dead, 10), Some(Outcome::Failed(Fault::Engine)));
            assert_eq!(bench.machine.phase(), Phase::Fault);
        }
        assert_eq!(bench.until(Scene::Known, 100), Some(Outcome::Answered(KNOWN)));
    }

    #[test]
    fn an_enrolment_says_what_became_of_every_shot() {
        let mut bench = Bench::new();
        bench.machine.guide = Some(Guide::begin(Enrolee::New(Name::new()), 3, Uptime(0)));
        let kept = |taken| Some(Outcome::Shot(Ok(Progress { taken, wanted: 3 })));
        let refused = |why| Some(Outcome::Shot(Err(why)));
        for (scene, expected) in [
            (Scene::Nobody, refused(ShotFault::NoFace)),
            (Scene::Known, kept(1)),
            (Scene::Two, refused(ShotFault::Faces(2))),
            (Scene::Blurred, refused(ShotFault::Rejected(Rejection::Landmarks))),
            (Scene::Known, kept(2)),
            (Scene::Dead, Some(Outcome::Failed(Fault::Engine))),
            (Scene::Known, kept(3)),
        ] {
            assert_eq!(bench.until(scene, 100), expected);
        }
        // Whoever keeps away is not waited for.
        bench.fake.slow = u8::MAX;
        bench.fake.left = u8::MAX;
        bench.now += SHOT_MS;
        assert_eq!(bench.until(Scene::Nobody, 100), Some(Outcome::GaveUp));
        assert!(bench.machine.guide.is_none());
    }

    #[test]
    fn nothing_is_looked_at_while_the_model_is_replaced() {
        let mut bench = Bench::new();
        bench.machine.guide = Some(Guide::begin(Enrolee::New(Name::new()), 3, Uptime(0)));
        assert!(bench.machine.set_updating(true), "the enrolment is given up");
        assert_eq!(bench.until(Scene::Known, 200), None);
        assert_eq!((bench.machine.phase(), bench.fake.pictures), (Phase::Updating, 0));
        assert!(!bench.machine.set_updating(false));
        assert_eq!(bench.until(Scene::Known, 200), Some(Outcome::Answered(KNOWN)));
    }
}
