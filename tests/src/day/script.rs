//! What is done in the course of a day, step by step.

mod bundle;

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use arcgate::enroll::Place;
use arcgate::link::{Client, LinkError};
use arcgate_firmware::gallery::{GalleryError, Person as Listed};
use arcgate_firmware::link::Fault;
use arcgate_firmware::link::answer::Answer;
use arcgate_firmware::link::message::Who;
use arcgate_firmware::link::pairing::Code;
use arcgate_firmware::link::status::DeviceInfo;
use arcgate_firmware::pairings::Role;
use sha2::{Digest, Sha256};

use super::bench::Bench;
use super::cast::{Cast, Person, Shot};
use super::models::{Image, LATER, Models};

/// A step: what it is called, and what is done.
type Named = (&'static str, fn(&mut Script) -> Result<()>);

/// The day.
pub(super) const STEPS: [Named; 12] = [
    ("start without a model", Script::start_without_a_model),
    ("pair by the button", Script::pair),
    ("push a model", Script::push),
    ("enroll five people", Script::enroll),
    ("identify mated photographs and strangers", Script::identify),
    ("remove one person", Script::remove),
    ("cut the power in enrolments", Script::cut),
    ("update to the same embedding id", Script::update_alike),
    ("update to another model", Script::update_otherwise),
    ("refuse bad updates", Script::refuse),
    ("take people in as a bundle, and no older one", Script::bundles),
    ("remember the day", Script::remember),
];

/// People who are enrolled first.
const ENROLLED: usize = 5;

/// Seconds for which the button is held: an administrator's press.
const HELD: u32 = 4;

/// Who goes in the afternoon, by their number in the cast, and who comes.
const GOES: usize = 2;
const COMES: usize = 5;

/// How often [`Moment::Begun`] may be missed. The simulator answers some tenths of a millisecond after it.
const MOST_MISSED: usize = 100;

/// The longest wait for a request that the power ends.
const UNANSWERED: Duration = Duration::from_secs(20);

/// When the power goes.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Moment {
    /// Half of the picture is there.
    Picture,
    /// So much of the time that an enrolment takes is over.
    Enrolment(f64),
    /// The first bytes of an enrolment are in flash that was erased, and nobody has an answer.
    Begun,
    /// The device has said that it is done.
    Done,
}

const MOMENTS: [Moment; 6] = [
    Moment::Picture,
    Moment::Enrolment(0.0),
    Moment::Enrolment(0.4),
    Moment::Begun,
    Moment::Enrolment(0.9),
    Moment::Done,
];

/// How far the day is.
pub(super) struct Script {
    bench: Bench,
    cast: Cast,
    models: Models,
    /// Over all embeddings.
    hash: Sha256,
    given: usize,
    /// By the model's version and the picture's name: whole or cropped, it has one embedding.
    seen: BTreeMap<(u32, String), Vec<i8>>,
    /// The version of the model that runs.
    version: u32,
    /// Starts of the device.
    boots: u32,
    /// How long an enrolment takes once its picture is embedded.
    takes: Duration,
    answers: Vec<String>,
    notes: Vec<String>,
}

impl Script {
    pub(super) fn new(bench: Bench, cast: Cast, models: Models) -> Self {
        Script {
            bench,
            cast,
            models,
            hash: Sha256::new(),
            given: 0,
            seen: BTreeMap::new(),
            version: 0,
            boots: 0,
            takes: Duration::ZERO,
            answers: Vec::new(),
            notes: Vec::new(),
        }
    }

    /// What was answered and noted since it was asked last.
    pub(super) fn take_said(&mut self) -> (Vec<String>, Vec<String>) {
        (std::mem::take(&mut self.answers), std::mem::take(&mut self.notes))
    }

    /// How many embeddings there were, and their hash.
    pub(super) fn embeddings(self) -> (usize, [u8; 32]) {
        (self.given, self.hash.finalize().into())
    }

    fn start_without_a_model(&mut self) -> Result<()> {
        self.boot(None);
        match self.bench.client() {
            Ok(_) => bail!("a stranger has a session"),
            Err(why) => self.refused("a session before any pairing", why, |why| {
                matches!(why, LinkError::NotPaired { .. })
            })?,
        }
        match self.bench.pair(Role::Administrator, |code| code) {
            Ok(_) => bail!("it is paired without its button"),
            Err(why) => {
                self.refused("pairing without the button", why, |why| matches!(why, LinkError::NotPairing))
            }
        }
    }

    fn pair(&mut self) -> Result<()> {
        self.boot(Some(HELD));
        match self.bench.pair(Role::Administrator, |Code(code)| Code((code + 1) % 1_000_000)) {
            Ok(_) => bail!("a wrong code pairs"),
            Err(why) => self.refused("a wrong code", why, |why| matches!(why, LinkError::Code))?,
        }
        let role = self.bench.pair(Role::Administrator, |code| code)?.role;
        self.answers.push(format!("the right code: {role}"));
        let (mut client, info) = self.bench.client()?;
        ensure!(client.pairings()?.len() == 1, "one computer is paired");
        ensure!(!info.open_link && info.takes_models, "{info:?}");
        match client.people() {
            Err(LinkError::Fault(why @ Fault::NoModel)) => self.answers.push(format!("people: {why}")),
            other => bail!("without a model it says {other:?}"),
        }
        Ok(())
    }

    fn push(&mut self) -> Result<()> {
        let info = self.update(|models| &models.first)?;
        ensure!(info.detector.is_some() == self.models.are_real, "{:?}", info.detector);
        ensure!(info.gallery.is_none() && info.usage.people == 0, "{info:?}");
        Ok(())
    }

    fn enroll(&mut self) -> Result<()> {
        let (client, info) = self.bench.client()?;
        let mut place = Place::new(client, info);
        for number in 0..ENROLLED {
            self.view(&mut place, |cast| &cast.people[number].enrolled, Pixels::Whole)?;
            let name = &self.cast.people[number].name;
            let begin = Instant::now();
            let (person, templates) = place.client().enroll(Who::New(name))?;
            self.takes = begin.elapsed();
            self.answers.push(format!("{name} is person {person} with {templates} template"));
        }
        self.notes.push(format!("the last enrolment took {:.1} ms", 1000.0 * self.takes.as_secs_f64()));
        self.list(place.client())?;
        Ok(())
    }

    fn identify(&mut self) -> Result<()> {
        let (client, info) = self.bench.client()?;
        let mut place = Place::new(client, info);
        self.all_known(&mut place, 0..ENROLLED, Pixels::Whole)?;
        for stranger in 0..self.cast.strangers.len() {
            let answer = self.view(&mut place, |cast| &cast.strangers[stranger], Pixels::Whole)?;
            ensure!(matches!(answer, Answer::Unknown { .. }), "a stranger is {answer:?}");
        }
        Ok(())
    }

    fn remove(&mut self) -> Result<()> {
        let (client, info) = self.bench.client()?;
        let mut place = Place::new(client, info);
        let gone = self.cast.people[GOES].name.clone();
        self.forget(place.client(), &gone)?;
        self.list(place.client())?;
        let answer = self.view(&mut place, |cast| &cast.people[GOES].enrolled, Pixels::Whole)?;
        ensure!(matches!(answer, Answer::Unknown { .. }), "{gone} is gone, and is {answer:?}");
        Ok(())
    }

    /// Cuts the power at several moments. Whoever was being enrolled is there then, wholly, or is not; nothing else has changed.
    fn cut(&mut self) -> Result<()> {
        let mut before = self.list(&mut self.bench.client()?.0)?;
        let (mut there, mut missed) = (0, 0);
        // Who comes is there only after some of the cuts.
        let staying: Vec<usize> = self.staying().into_iter().filter(|&number| number != COMES).collect();
        for (round, moment) in MOMENTS.into_iter().enumerate() {
            let (mut place, new) = loop {
                let again = missed > 0 && moment == Moment::Begun;
                let met = self.cut_at(moment, again)?;
                self.boot(None);
                let (mut place, new) = self.whole_or_not(&before, moment)?;
                if met {
                    break (place, new);
                }
                missed += 1;
                ensure!(missed <= MOST_MISSED, "{moment:?} was missed {missed} times");
                new.map_or(Ok(()), |new| place.client().remove(new.id))?;
            };
            there += usize::from(new.is_some());
            let other = staying[round % staying.len()];
            self.all_known(&mut place, other..other + 1, Pixels::Crop)?;
            match new {
                Some(_) if moment == Moment::Done => before = place.people()?,
                Some(new) => place.client().remove(new.id)?,
                None => {}
            }
        }
        self.notes.push(format!("{there} of {} were there after the cut", MOMENTS.len()));
        self.notes.push(format!("one between first byte and answer of an enrolment, at try {}", missed + 1));
        self.answers.push(format!("{} people, and no damage", before.len()));
        Ok(())
    }

    /// Whoever is there after a cut besides those who were: nobody, or the one who comes, wholly.
    fn whole_or_not(&mut self, before: &[Listed], moment: Moment) -> Result<(Place, Option<Listed>)> {
        let (mut client, info) = self.bench.client()?;
        ensure!((info.gallery, info.damaged) == (None, 0), "after {moment:?}: {info:?}");
        ensure!(client.verify()?.is_empty(), "damages after {moment:?}");
        let (old, mut new): (Vec<_>, Vec<_>) =
            client.people()?.into_iter().partition(|person| before.contains(person));
        ensure!(old == before, "{before:?} were there before {moment:?}, of them now {old:?}");
        let Person { name, enrolled, .. } = &self.cast.people[COMES];
        let whole = |person: &Listed| (person.name.as_str(), person.templates) == (name, 1);
        ensure!(new.len() <= 1 && new.iter().all(whole), "after {moment:?} there are {new:?} too");
        match moment {
            Moment::Picture => ensure!(new.is_empty(), "{new:?} after half of a picture"),
            Moment::Done => ensure!(new.len() == 1, "what was answered for is lost"),
            Moment::Enrolment(_) | Moment::Begun => {}
        }
        let mut place = Place::new(client, info);
        if !new.is_empty() {
            // Not told among the answers: on another machine the power may come an instant earlier.
            let answer = place.identify(&enrolled.crop)?;
            ensure!(named(&answer) == Some(name), "{name} is there, and is {answer:?}");
        }
        Ok((place, new.pop()))
    }

    /// Begins to enroll the one who comes, and cuts the power at this moment; whether it was met. Another picture of the same moment is
    /// not counted.
    fn cut_at(&mut self, moment: Moment, again: bool) -> Result<bool> {
        let (client, info) = self.bench.client()?;
        let mut place = Place::new(client, info);
        if moment == Moment::Picture {
            let Script { bench, cast, .. } = self;
            let picture = &cast.people[COMES].enrolled.whole;
            let half = picture.pixels().len() as u64 / 2;
            let model = place.model().clone();
            let sent = place.client().send_frame(&picture.frame(&model)?, None, &mut |sent| {
                if sent >= half {
                    bench.cut();
                }
            });
            ensure!(sent.is_err(), "the picture arrives without power");
            return Ok(true);
        }
        match again {
            false => drop(self.view(&mut place, |cast| &cast.people[COMES].enrolled, Pixels::Crop)?),
            true => drop(place.identify(&self.cast.people[COMES].enrolled.crop)?),
        }
        let Script { bench, cast, takes, .. } = self;
        let name = &cast.people[COMES].name;
        if moment == Moment::Done {
            place.client().enroll(Who::New(name))?;
            bench.cut();
            return Ok(true);
        }
        let mut unwritten = bench.unwritten()?;
        std::thread::scope(|scope| {
            let asked = scope.spawn(|| place.client().enroll(Who::New(name)));
            match moment {
                Moment::Enrolment(share) => std::thread::sleep(takes.mul_f64(share)),
                _ => while unwritten.is_erased()? && !asked.is_finished() {},
            }
            bench.cut();
            let begin = Instant::now();
            let answered = asked.join().is_ok_and(|answer| answer.is_ok());
            ensure!(begin.elapsed() < UNANSWERED, "the connection outlives the power");
            // At a share of the time either may be; what is there is seen after the start.
            Ok(moment != Moment::Begun || (!unwritten.is_erased()? && !answered))
        })
    }

    fn update_alike(&mut self) -> Result<()> {
        let info = self.update(|models| &models.same)?;
        ensure!(info.gallery.is_none() && info.usage.people == ENROLLED as u32, "{info:?}");
        let mut place = Place::new(self.bench.client()?.0, info);
        self.list(place.client())?;
        for number in self.staying() {
            self.all_known(&mut place, number..number + 1, Pixels::Crop)?;
        }
        Ok(())
    }

    fn update_otherwise(&mut self) -> Result<()> {
        let before = self.bench.client()?.0.people()?;
        let info = self.update(|models| &models.other)?;
        ensure!(matches!(info.gallery, Some(GalleryError::WrongModel { .. })), "{info:?}");
        let (mut client, _) = self.bench.client()?;
        // People and names of the model before, without its templates.
        let (backup, damages) = client.backup(&mut |_, _| ())?;
        let restored = client.restore(&backup, (true, true), &mut |_| ())?;
        ensure!(damages == 0 && restored.left_out == ENROLLED as u32, "{restored:?}");
        let listed = self.list(&mut client)?;
        let without = |person: Listed| Listed { templates: 0, ..person };
        ensure!(listed == before.into_iter().map(without).collect::<Vec<_>>(), "{listed:?} are listed");

        // What it says of itself has changed: another session, which the line takes one of at a time.
        drop(client);
        let (client, info) = self.bench.client()?;
        let mut place = Place::new(client, info);
        let staying = self.staying();
        for &number in &staying {
            let Person { name, enrolled, .. } = &self.cast.people[number];
            let (person, templates) = place.enroll(name, &enrolled.crop)?;
            // Their numbers are not told: that of who came last is higher, the more of the cuts they were there after.
            let kept = listed.iter().any(|listed| (listed.id, listed.name.as_str()) == (person, name));
            ensure!(kept, "{name} is enrolled again as person {person}, of {listed:?}");
            self.answers.push(format!("{name} has {templates} template again"));
            let (shot, embedding) = (enrolled.name.clone(), place.client().read_embedding()?);
            self.embedded(shot, embedding)?;
        }
        for (&number, pixels) in staying.iter().zip([Pixels::Whole].into_iter().chain([Pixels::Crop; 9])) {
            self.all_known(&mut place, number..number + 1, pixels)?;
        }
        let answer = self.view(&mut place, |cast| &cast.strangers[0], Pixels::Crop)?;
        ensure!(matches!(answer, Answer::Unknown { .. }), "a stranger is {answer:?}");
        Ok(())
    }

    fn refuse(&mut self) -> Result<()> {
        let (mut client, _) = self.bench.client()?;
        let older = [("an older model", self.models.same.bytes.clone())];
        for (what, image) in older.iter().chain(&self.models.bad) {
            match client.update(image, &mut |_, _| ()) {
                Err(LinkError::Fault(Fault::Update(why))) => self.answers.push(format!("{what}: {why}")),
                other => bail!("{what}: {other:?}"),
            }
            ensure!(client.stats()?.model_version == Some(self.version), "after {what}");
        }
        // One that is good, and never comes to its end.
        let Script { bench, models, .. } = self;
        let half = models.later.bytes.len() as u64 / 2;
        let sent = client.update(&models.later.bytes, &mut |sent, _| {
            if sent >= half {
                bench.cut();
            }
        });
        ensure!(sent.is_err(), "the image arrives without power");
        self.boot(None);
        let (client, info) = self.bench.client_of(self.version)?;
        ensure!(info.gallery.is_none() && info.usage.people == ENROLLED as u32, "{info:?}");
        self.answers.push(format!("the power cut in version {LATER}: runs version {}", self.version));
        let mut place = Place::new(client, info);
        for number in self.staying() {
            self.all_known(&mut place, number..number + 1, Pixels::Crop)?;
        }
        Ok(())
    }

    fn remember(&mut self) -> Result<()> {
        self.boot(None);
        let (mut client, _) = self.bench.client_of(self.version)?;
        let stats = client.stats()?;
        ensure!((stats.boots, stats.pairings) == (self.boots, 1), "{} starts, {stats:?}", self.boots);
        // Nor are starts told: a moment that is missed is tried again.
        self.answers.push(format!("{} pairing", stats.pairings));
        self.list(&mut client)?;
        let log = client.log(0, &mut |_| ())?;
        let told: Vec<String> = log.iter().map(|entry| format!("{:?}", entry.what)).collect();
        let count = |word: &str| told.iter().filter(|line| line.starts_with(word)).count();
        let (taken, refused) = (count("UpdateAccepted"), count("UpdateRefused"));
        ensure!((taken, refused) == (3, 1 + self.models.bad.len()), "{told:#?}");
        ensure!((count("Boot"), count("Paired")) == (self.boots as usize, 1), "{told:#?}");
        self.answers.push(format!("the log tells of {taken} models taken and {refused} refused"));
        self.notes.push(format!("{} lines in the log", told.len()));
        Ok(())
    }

    fn boot(&mut self, button: Option<u32>) {
        self.bench.boot(button);
        self.boots += 1;
    }

    /// Who is enrolled from the afternoon on, by their numbers in the cast.
    fn staying(&self) -> Vec<usize> {
        (0..self.cast.people.len()).filter(|&number| number != GOES).collect()
    }

    /// Gives the device an image, and waits until it runs.
    fn update(&mut self, image: fn(&Models) -> &Image) -> Result<DeviceInfo> {
        let Image { version, bytes } = image(&self.models);
        let (mut client, _) = self.bench.client()?;
        let begin = Instant::now();
        let taken = client.update(bytes, &mut |_, _| ())?;
        ensure!(taken == *version, "version {taken} was taken for {version}");
        drop(client);
        let (_, info) = self.bench.client_of(*version)?;
        let [bytes, seconds] = [bytes.len() as f64, begin.elapsed().as_secs_f64()];
        self.notes.push(format!("{bytes} bytes, {:.1} KB/s", bytes / seconds / 1000.0));
        // It has started anew.
        (self.version, self.boots) = (*version, self.boots + 1);
        let id = arcgate::onnx::metadata::hex(&info.model.embedding_id);
        self.answers.push(format!("runs version {version}, embedding id {}", &id[..16]));
        Ok(info)
    }

    /// What the device says to a picture; its embedding is counted.
    fn view(&mut self, place: &mut Place, shot: impl Fn(&Cast) -> &Shot, pixels: Pixels) -> Result<Answer> {
        let shot = shot(&self.cast);
        let sent = if pixels == Pixels::Whole { &shot.whole } else { &shot.crop };
        let (answer, embedding) = place.view(sent)?;
        let name = shot.name.clone();
        let (said, angle) = match &answer {
            Answer::Known { best, .. } => (best.name.to_string(), Some(best.angle)),
            Answer::Unknown { nearest, .. } => ("unknown".into(), nearest.as_ref().map(|near| near.angle)),
            Answer::Rejected(why) => bail!("{name} is rejected: {why}"),
        };
        self.answers.push(format!("{name}: {said}"));
        let degrees = angle.map(|angle| f64::from(angle.millidegrees()) / 1000.0);
        self.notes.extend(degrees.map(|degrees| format!("{name} at {degrees:.1} degrees")));
        self.embedded(name, embedding)?;
        Ok(answer)
    }

    /// Counts an embedding, which must be the same as any before of the same picture by the same network.
    fn embedded(&mut self, name: String, embedding: Vec<i8>) -> Result<()> {
        ensure!(!embedding.is_empty(), "{name} has no embedding");
        self.hash.update(embedding.iter().map(|&value| value as u8).collect::<Vec<u8>>());
        self.given += 1;
        let before = self.seen.entry((self.network(), name)).or_insert_with(|| embedding.clone());
        ensure!(*before == embedding, "a picture has another embedding than before");
        Ok(())
    }

    /// Which network runs: the first two models are one.
    fn network(&self) -> u32 {
        self.version.max(2)
    }

    /// Looks for these people by their other pictures: each must be known.
    fn all_known(&mut self, place: &mut Place, who: std::ops::Range<usize>, pixels: Pixels) -> Result<()> {
        for number in who {
            let answer = self.view(place, |cast| &cast.people[number].mated, pixels)?;
            let name = &self.cast.people[number].name;
            ensure!(named(&answer) == Some(name), "{name} is {answer:?}");
        }
        Ok(())
    }

    /// Everybody enrolled, told among the answers.
    fn list(&mut self, client: &mut Client) -> Result<Vec<Listed>> {
        let people = client.people()?;
        let names: Vec<String> =
            people.iter().map(|person| format!("{} ({})", person.name, person.templates)).collect();
        self.answers.push(format!("enrolled: {}", names.join(", ")));
        Ok(people)
    }

    fn forget(&mut self, client: &mut Client, name: &str) -> Result<()> {
        let people = client.people()?;
        let person = people.iter().find(|person| person.name == name);
        client.remove(person.with_context(|| format!("{name} is not enrolled"))?.id)?;
        Ok(())
    }

    /// Notes that something was refused for the reason that it should be.
    fn refused(
        &mut self,
        what: &str,
        why: anyhow::Error,
        expected: impl Fn(&LinkError) -> bool,
    ) -> Result<()> {
        match why.downcast_ref::<LinkError>().filter(|why| expected(why)) {
            Some(_) => {
                self.answers.push(format!("{what}: refused"));
                Ok(())
            }
            None => Err(why.context(format!("{what} is refused for another reason"))),
        }
    }
}

/// Which of the pixels of a picture are sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Pixels {
    Whole,
    Crop,
}

fn named(answer: &Answer) -> Option<&str> {
    match answer {
        Answer::Known { best, .. } => Some(&best.name),
        Answer::Unknown { .. } | Answer::Rejected(_) => None,
    }
}
