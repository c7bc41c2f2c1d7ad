//! Plays a scenario, line by line, until one fails.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use arcgate_firmware::device::Event;
use arcgate_firmware::gallery::PersonId;
use arcgate_firmware::link::answer::Answer;
use arcgate_firmware::link::message::Who;
use arcgate_firmware::pairings::{Label, Pairing, Role};
use arcgate_firmware::sim::StoredShot;
use serde::Serialize;

use super::failure::Failure;
use super::parse::{Do, Expect, Line};
use super::stage::{Setting, Stage, StageWire, locked};
use crate::link::{Client, pair_over};

/// Milliseconds for which the button is seen released before and after it is held.
const RELEASED_MS: u64 = 100;

/// A line that was played.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Step {
    /// Its number.
    pub line: usize,
    /// What it says.
    pub text: String,
    /// When it was over, in the device's milliseconds.
    pub at_ms: u64,
    /// What happened meanwhile, or in the time in which an expectation looked for it.
    pub seen: Vec<String>,
    /// Why it failed, if it did.
    pub failure: Option<String>,
}

/// What came of a scenario.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Report {
    /// The lines up to the first that failed.
    pub steps: Vec<Step>,
    /// Whether none did.
    pub passed: bool,
}

/// Plays `lines`, whose pictures are in `pictures`, by their paths.
pub fn run(lines: &[Line], pictures: &BTreeMap<String, Vec<Arc<StoredShot>>>, setting: Setting) -> Report {
    let stage = Arc::new(Mutex::new(Stage::new(setting)));
    let mut play = Play { stage, pictures, pairing: None, since: 0 };
    let mut report = Report { steps: Vec::new(), passed: true };
    for line in lines {
        if let Some(at) = line.at {
            play.until(at);
        }
        if !matches!(line.what, Do::Within(..) | Do::For(..)) {
            play.since = locked(&play.stage).told.len();
        }
        let from = play.since;
        let failure = play.line(&line.what).err().map(|why| why.to_string());
        let stage = locked(&play.stage);
        let seen = stage.told.iter().skip(from).map(|(at, event)| format!("{at} ms: {event}")).collect();
        report.passed = failure.is_none();
        let (text, at_ms) = (line.text.clone(), stage.now());
        report.steps.push(Step { line: line.number, text, at_ms, seen, failure });
        if !report.passed {
            break;
        }
    }
    report
}

struct Play<'p> {
    stage: Arc<Mutex<Stage>>,
    pictures: &'p BTreeMap<String, Vec<Arc<StoredShot>>>,
    /// What a host and the device share.
    pairing: Option<Pairing>,
    /// The first event that the next expectation looks at.
    since: usize,
}

impl Play<'_> {
    fn until(&mut self, time: u64) {
        let mut stage = locked(&self.stage);
        while stage.now() < time {
            stage.round();
        }
    }

    fn wait(&mut self, time: u64) {
        let now = locked(&self.stage).now();
        self.until(now.saturating_add(time));
    }

    fn line(&mut self, what: &Do) -> Result<(), Failure> {
        match what {
            Do::Show { path, lasting } => {
                let shots = self.pictures.get(path).map(Vec::as_slice).unwrap_or_default();
                locked(&self.stage).show(shots, *lasting);
            }
            Do::Nobody => locked(&self.stage).show(&[], None),
            Do::Press(time) => self.press(*time),
            Do::PowerOff => locked(&self.stage).power_off()?,
            Do::PowerOffAfter(writes) => locked(&self.stage).power_off_after(*writes)?,
            Do::PowerOn => locked(&self.stage).power_on()?,
            Do::Camera(works) => locked(&self.stage).set_camera(*works),
            Do::Pair(role) => self.pair(*role)?,
            Do::Enroll { name, shots } => {
                let mut host = self.host()?;
                let who = person(&mut host, name)?.map_or(Who::New(name), Who::Person);
                host.enroll_here(who, *shots)?;
            }
            Do::Remove(name) => {
                let mut host = self.host()?;
                let person = person(&mut host, name)?.ok_or_else(|| Failure::Nobody(name.clone()))?;
                host.remove(person)?;
            }
            Do::Wait(time) => self.wait(*time),
            Do::Within(expect, time) => self.within(expect, *time)?,
            Do::For(expect, time) => self.all_the_time(expect, *time)?,
        }
        Ok(())
    }

    fn press(&mut self, time: u64) {
        for (pressed, time) in [(false, RELEASED_MS), (true, time), (false, RELEASED_MS)] {
            locked(&self.stage).wires.button.set(pressed);
            self.wait(time);
        }
    }

    fn wire(&self) -> Result<Box<StageWire>, Failure> {
        match locked(&self.stage).has_power() {
            true => Ok(Box::new(StageWire(self.stage.clone()))),
            false => Err(Failure::NoPower),
        }
    }

    fn host(&self) -> Result<Client, Failure> {
        let (client, _) = Client::over(self.wire()?, self.pairing.as_ref())?;
        Ok(client)
    }

    fn pair(&mut self, role: Role) -> Result<(), Failure> {
        let (stage, from) = (self.stage.clone(), self.since);
        let shown = || {
            let stage = locked(&stage);
            let told = stage.told.get(from..).unwrap_or_default();
            let code = told.iter().rev().find_map(|(_, event)| match event {
                Event::Pairing(shown) => Some(shown.code),
                _ => None,
            });
            code.ok_or(Failure::NoCode)
        };
        let label = Label::try_from("a scenario").unwrap_or_default();
        let (_, pairing) = pair_over(self.wire()?, role, label, shown)?;
        self.pairing = Some(pairing);
        Ok(())
    }

    fn within(&mut self, expect: &Expect, time: u64) -> Result<(), Failure> {
        let mut stage = locked(&self.stage);
        let until = stage.now().saturating_add(time);
        loop {
            if let Some(next) = met(expect, &mut stage, self.since) {
                self.since = next;
                return Ok(());
            }
            if stage.now() >= until {
                return Err(Failure::NotSeen);
            }
            stage.round();
        }
    }

    fn all_the_time(&mut self, expect: &Expect, time: u64) -> Result<(), Failure> {
        let mut stage = locked(&self.stage);
        let until = stage.now().saturating_add(time);
        while met(expect, &mut stage, self.since).is_some() {
            if stage.now() >= until {
                return Ok(());
            }
            stage.round();
        }
        Err(Failure::Ended)
    }
}

/// Whether it is so, and the first event that is to be looked at then.
fn met(expect: &Expect, stage: &mut Stage, since: usize) -> Option<usize> {
    let is_so = match expect {
        Expect::LockOpen(open) => stage.wires.lock.is_set() == *open,
        Expect::People(people) => stage.people() == Some(*people),
        event => {
            let found = stage.told.iter().skip(since).position(|(_, told)| is_it(event, told));
            return found.map(|found| since + found + 1);
        }
    };
    is_so.then_some(since)
}

fn is_it(expect: &Expect, event: &Event) -> bool {
    match (expect, event) {
        (Expect::Known(name), Event::Answered(Answer::Known { best, .. })) => best.name.as_str() == name,
        (Expect::Unknown, Event::Answered(Answer::Unknown { .. })) => true,
        (Expect::Rejected, Event::Answered(Answer::Rejected(_))) => true,
        (Expect::Log(words), event) => event.to_string().contains(words),
        _ => false,
    }
}

fn person(host: &mut Client, name: &str) -> Result<Option<PersonId>, Failure> {
    let people = host.people()?;
    Ok(people.into_iter().find(|person| person.name.as_str() == name).map(|person| person.id))
}
