//! Before the camera: votes, lock-out, guided enrolment, and what the log says afterwards.

use std::vec::Vec;

use super::*;
use crate::bundle::{HEADER, Header};
use crate::camera::CameraFault;
use crate::decide::lockout::Wait;
use crate::events::{Trouble, What};
use crate::gallery::Name;
use crate::gallery::layout::{self, SLOTS_AT};
use crate::guide::ShotFault;
use crate::link::status::Enrolment;
use crate::pairings::{Label, Pairing, Pairings};

/// Shows one picture after the other, the last for ever; `None` is a camera that fails.
pub(crate) struct Shows(pub(crate) Vec<Option<[u8; 64]>>, pub(crate) usize);

impl Camera for Shows {
    fn poll(&mut self, _: Uptime) -> Result<bool, CameraFault> {
        self.1 = (self.1 + 1).min(self.0.len());
        self.0[self.1 - 1].map(|_| true).ok_or(CameraFault::Driver)
    }

    fn shot(&self) -> Option<Shot<'_>> {
        let frame = Frame::new(PixelFormat::Grey8, 8, 8, self.0[self.1 - 1].as_ref()?).ok()?;
        Some(Shot { frame, landmarks: None })
    }

    fn rest(&mut self) {}
}

fn shows(picture: [u8; 64]) -> Shows {
    Shows(vec![Some(picture)], 0)
}

/// The picture that [`frame`] sends, somebody else's, and one that is no evidence.
pub(crate) fn pictures() -> [[u8; 64]; 3] {
    let same = core::array::from_fn(|i| i as u8 + 1);
    let other = core::array::from_fn(|i| if i % 2 == 0 { 1 } else { 129 });
    [same, other, [0; 64]]
}

/// With flash for its state and its events.
pub(crate) fn lasting(gallery: Vec<u8>, state: Vec<u8>, events: Vec<u8>) -> TestDevice {
    lasting_with(engine(), gallery, state, events)
}

fn lasting_with(models: Copier, gallery: Vec<u8>, state: Vec<u8>, events: Vec<u8>) -> TestDevice {
    let secret = SoftwareSecret::default();
    let [gallery, state, events] = [gallery, state, events].map(MemoryNor::new);
    let memory =
        Memory { frame: vec![0; 256], crop: vec![0; 256], gallery: Owned::new(16, index_lines(64, 64)) };
    let parts = Parts {
        models,
        gallery,
        events: Some(events),
        kept: Kept::open(state, &secret),
        updates: None,
        port: Port { takes: usize::MAX, ..Port::default() },
        link: LinkTrust::Open,
        counter: NoCounter,
        memory,
    };
    begun(parts, &secret)
}

pub(crate) fn new_lasting() -> TestDevice {
    lasting(vec![0xff; 4 * 4096], vec![0xff; 2 * 4096], vec![0xff; 2 * 4096])
}

fn after_a_cut(device: TestDevice) -> TestDevice {
    started_again(device, engine())
}

fn started_again(device: TestDevice, models: Copier) -> TestDevice {
    let remains = device.take_apart();
    lasting_with(
        models,
        remains.gallery.into_inner(),
        remains.state.unwrap().into_inner(),
        remains.events.unwrap().into_inner(),
    )
}

pub(crate) fn enroll_ada(device: &mut TestDevice) {
    frame(device, 1);
    device.endpoint.port.input.extend(packet(3, &Request::Enroll(Who::New("Ada"))));
    run(device);
    replies(device);
}

pub(crate) fn asked(device: &mut TestDevice, sequence: u32, request: &Request<'_>) -> std::string::String {
    device.endpoint.port.input.extend(packet(sequence, request));
    run(device);
    replies(device).pop().expect("a reply").1
}

#[test]
fn the_cameras_frames_are_voted_on_and_the_hosts_picture_stays() {
    let mut device = device();
    enroll_ada(&mut device);
    let [same, other, nothing] = pictures();
    let known = |event| matches!(event, Some(Event::Answered(Answer::Known { .. })));
    let mut camera = Shows([same, other, same].map(Some).to_vec(), 0);
    assert_eq!(look(&mut device, &mut camera, 0), None);
    assert_eq!(look(&mut device, &mut camera, 10), None);
    assert!(known(look(&mut device, &mut camera, 20)));
    // While the answer is held, the model has a rest.
    let runs = device.core.engine.runs;
    assert_eq!(look(&mut device, &mut camera, 30), None);
    assert_eq!(device.core.engine.runs, runs);
    for now in [40, 2000] {
        assert_eq!(device.watch(&mut camera, false, Uptime(now)), None);
    }
    let mut camera = shows(nothing);
    assert_eq!(look(&mut device, &mut camera, 2010), None);
    assert_eq!(device.watch(&mut camera, false, Uptime(2020)), None);
    let rejected = Event::Answered(Answer::Rejected(Rejection::ZeroEmbedding));
    assert_eq!(device.watch(&mut camera, false, Uptime(4000)), Some(rejected));
    assert!(asked(&mut device, 4, &Request::Identify).contains("Known"));
}

#[test]
fn a_hosts_picture_never_answers_for_who_stands_there() {
    let [_, other, _] = pictures();
    // A request comes after each number of steps, and Ada's picture is looked at in the middle of the stranger's.
    for steps in 0..9 {
        let mut device = device();
        enroll_ada(&mut device);
        let mut camera = shows(other);
        for _ in 0..steps {
            device.watch(&mut camera, true, Uptime(0));
        }
        assert!(asked(&mut device, 4, &Request::Identify).contains("Known"), "{steps}");
        let answers: Vec<Event> =
            (0..60).filter_map(|_| device.watch(&mut camera, true, Uptime(0))).collect();
        assert!(matches!(answers[0], Event::Answered(Answer::Unknown { .. })), "{steps}: {answers:?}");
    }
}

#[test]
fn a_hosts_picture_that_only_begins_stops_nobody_who_stands_there() {
    let [same, ..] = pictures();
    for steps in 0..9 {
        let mut device = device();
        enroll_ada(&mut device);
        let mut camera = shows(same);
        for _ in 0..steps {
            device.watch(&mut camera, true, Uptime(0));
        }
        let header = FrameHeader { format: PixelFormat::Grey8, width: 8, height: 8, landmarks: None };
        assert_eq!(asked(&mut device, 4, &Request::BeginFrame(header)), "Received { bytes: 0 }", "{steps}");
        let answers: Vec<Event> =
            (0..60).filter_map(|_| device.watch(&mut camera, true, Uptime(0))).collect();
        assert!(matches!(answers[..], [Event::Answered(Answer::Known { .. })]), "{steps}: {answers:?}");
    }
}

#[test]
fn a_stranger_is_locked_out_over_a_restart_and_a_host_is_not() {
    let mut locked = new_lasting();
    enroll_ada(&mut locked);
    let mut stranger = shows(pictures()[1]);
    let mut answers = |device: &mut TestDevice, span: u64| {
        let looks = (0..span / 100).filter_map(|i| look(device, &mut stranger, 100 * i));
        looks.collect::<Vec<_>>()
    };
    let wait = |event: &Event| match event {
        Event::Answered(Answer::Rejected(Rejection::Wait(wait))) => Some(*wait),
        _ => None,
    };
    let heard = answers(&mut locked, 40_000);
    let failures = heard.iter().filter(|e| matches!(e, Event::Answered(Answer::Unknown { .. }))).count();
    assert_eq!((failures, locked.phase()), (5, Phase::LockedOut));
    assert!(wait(heard.last().unwrap()).is_some_and(|w| w.locked && w.ms <= 30_000), "{heard:?}");
    let mut restarted = after_a_cut(locked);
    let first = answers(&mut restarted, 4000);
    assert!(matches!(wait(&first[0]), Some(Wait { locked: true, ms }) if ms > 29_000), "{first:?}");
    assert_eq!(first.len(), 1, "it is told once");
    frame(&mut restarted, 1);
    assert!(asked(&mut restarted, 3, &Request::Identify).contains("Known"));
}

#[test]
fn whoever_is_enrolled_before_the_camera_is_told_about_every_shot() {
    let mut device = new_lasting();
    let here = Request::EnrollHere { who: Who::New("Ada"), shots: 2 };
    assert_eq!(asked(&mut device, 1, &here), "Fault(NoCamera)");
    let [same, other, nothing] = pictures();
    let nearly = core::array::from_fn(|i| i as u8 + 1 + 20 * (i as u8 % 2));
    let mut camera = Shows(vec![Some(same), Some(nothing), Some(same), None, Some(other), Some(nearly)], 0);
    device.watch(&mut camera, false, Uptime(0));
    assert!(asked(&mut device, 2, &here).contains("UnderWay { progress: Progress { taken: 0, wanted: 2 }"));
    let told: Vec<Event> = (1..9).filter_map(|now| look(&mut device, &mut camera, now)).take(6).collect();
    let name = Name::try_from("Ada").unwrap();
    assert!(
        matches!(
            &told[..],
            [
                Event::Shot(Ok(_)),
                Event::Shot(Err(ShotFault::Rejected(Rejection::ZeroEmbedding))),
                Event::Shot(Err(ShotFault::Unchanged)),
                Event::Refused(Fault::Camera(CameraFault::Driver)),
                Event::Shot(Err(ShotFault::Differs { .. })),
                Event::Enrolled(PersonId(1)),
            ]
        ),
        "{told:?}"
    );
    assert_eq!(
        asked(&mut device, 3, &Request::Enrolling),
        format!("Enrolling({:?})", Enrolment::Done(PersonId(1)))
    );
    let person = device.gallery().person(PersonId(1)).unwrap();
    assert_eq!((person.name, person.templates), (name, 2));
    assert!(asked(&mut device, 4, &here).contains("NameTaken"));
}

#[test]
fn the_log_has_what_was_kept_of_an_enrolment_that_became_full() {
    let mut device = new_lasting();
    enroll_ada(&mut device);
    let free = |device: &mut TestDevice| {
        let usage = device.gallery().usage();
        usage.record_capacity - usage.records
    };
    let lines = |device: &mut TestDevice, sequence| {
        asked(device, sequence, &Request::ReadLog { from: 0 }).matches("Enrolled(PersonId(1))").count()
    };
    while free(&mut device) > 1 {
        device.gallery().add_template(PersonId(1), &[3; 64]).unwrap();
    }
    let before = lines(&mut device, 11);
    let [same, ..] = pictures();
    let nearly = core::array::from_fn(|i| i as u8 + 1 + 20 * (i as u8 % 2));
    let mut camera = Shows(vec![Some(same), Some(nearly)], 0);
    device.watch(&mut camera, false, Uptime(0));
    asked(&mut device, 12, &Request::EnrollHere { who: Who::Person(PersonId(1)), shots: 2 });
    let told: Vec<Event> = (1..20).filter_map(|now| look(&mut device, &mut camera, now)).take(2).collect();
    let full = Event::Refused(GalleryError::Full { needed: 1, free: 0 }.into());
    assert!(matches!(&told[..], [Event::Shot(Ok(_)), refused] if *refused == full), "{told:?}");
    assert_eq!((free(&mut device), lines(&mut device, 13)), (0, before + 1));
}

#[test]
fn a_cut_in_the_middle_of_an_enrolment_enrols_nobody() {
    let mut device = new_lasting();
    let mut camera = shows(pictures()[0]);
    device.watch(&mut camera, false, Uptime(0));
    asked(&mut device, 1, &Request::EnrollHere { who: Who::New("Ada"), shots: 3 });
    assert!(matches!(look(&mut device, &mut camera, 1), Some(Event::Shot(Ok(_)))));
    let mut device = after_a_cut(device);
    assert_eq!(device.gallery().usage().people, 0);
    assert_eq!(asked(&mut device, 1, &Request::Enrolling), "Enrolling(None)");
}

#[test]
fn who_asks_for_an_enrolment_in_a_lock_out_is_told_how_long_it_lasts() {
    let mut device = new_lasting();
    enroll_ada(&mut device);
    // Its state is erased, and with it how often somebody failed.
    let gallery = device.take_apart().gallery.into_inner();
    let mut device = lasting(gallery, vec![0xff; 2 * 4096], vec![0xff; 2 * 4096]);
    let mut camera = shows(pictures()[1]);
    look(&mut device, &mut camera, 1000);
    let here = Request::EnrollHere { who: Who::New("Bob"), shots: 1 };
    let said = asked(&mut device, 1, &here);
    assert!(said.starts_with("Fault(Rejected(Wait(") && said.contains("locked: true"), "{said}");
    assert_eq!(asked(&mut device, 2, &Request::Enrolling), "Enrolling(None)");
}

#[test]
fn the_log_tells_what_happened_over_a_restart_and_never_who_a_host_asked_about() {
    let mut device = new_lasting();
    enroll_ada(&mut device);
    let [same, ..] = pictures();
    let mut camera = Shows(vec![None, Some(same)], 0);
    for now in 1..4 {
        look(&mut device, &mut camera, now);
    }
    asked(&mut device, 4, &Request::Identify);
    let mut device = after_a_cut(device);
    let page = device.core.journal.page::<16>(0).unwrap();
    let told: Vec<What> = page.entries.iter().map(|entry| entry.what).collect();
    let ada = Candidate { person: PersonId(1), angle: Angle::from_millidegrees(0) };
    let camera = Trouble::Camera;
    let expected = [
        What::Boot,
        What::Enrolled(PersonId(1)),
        What::Fault(camera),
        What::Recovered(camera),
        What::Known(ada),
        What::Boot,
    ];
    assert_eq!(told, expected);
    let said = asked(&mut device, 1, &Request::ReadLog { from: page.entries[5].number });
    assert!(
        said.contains("Boot { boots: 2") && said.contains("what: Boot") && !said.contains("Known"),
        "{said}"
    );
    assert!(asked(&mut device, 2, &Request::Stats).contains("boots: 2"));
}

#[test]
fn the_log_tells_of_a_bundle_that_never_ends() {
    let mut device = new_lasting();
    enroll_ada(&mut device);
    let bytes = bundles::backup(&mut device).unwrap();
    let length = Header::read(&bytes).unwrap().record_bytes();
    for (replace, told) in [(false, &[][..]), (true, &[What::Erased])] {
        let before = device.core.journal.page::<16>(0).unwrap().entries.len();
        let begin = Request::BeginRestore { header: &bytes[..HEADER], replace, people_only: false };
        bundles::asked(&mut device, begin, |_| ()).unwrap();
        let seed = Request::RestoreRecord { number: 0, bytes: &bytes[HEADER..][..length] };
        bundles::asked(&mut device, seed, |_| ()).unwrap();
        let page = device.core.journal.page::<16>(0).unwrap();
        let logged: Vec<What> = page.entries.iter().map(|entry| entry.what).collect();
        assert_eq!((logged[before], &logged[before + 1..]), (What::Restoring(1), told));
    }
}

#[test]
fn a_camera_that_stays_dead_is_logged_once_and_so_is_its_recovery() {
    let mut device = new_lasting();
    let picture = Some(pictures()[0]);
    let mut camera = Shows(vec![None, None, None, picture, None, None, picture], 0);
    let told: Vec<Event> = (0..200).filter_map(|now| device.watch(&mut camera, true, Uptime(now))).collect();
    let failed = |event: &&Event| matches!(event, Event::Refused(Fault::Camera(_)));
    assert_eq!(told.iter().filter(failed).count(), 5, "{told:?}");
    assert_eq!(device.core.stats().camera_faults, 5, "each is counted");
    let page = device.core.journal.page::<16>(0).unwrap();
    let logged: Vec<What> = page
        .entries
        .iter()
        .map(|entry| entry.what)
        .filter(|what| matches!(what, What::Fault(_) | What::Recovered(_)))
        .collect();
    let (fault, recovered) = (What::Fault(Trouble::Camera), What::Recovered(Trouble::Camera));
    assert_eq!(logged, [fault, recovered, fault, recovered]);
}

/// Somebody before the device has it forget everybody: no host is paired any more, and its log tells of nothing before.
fn forgotten(device: &mut TestDevice) -> Event {
    let host = Pairing { host: 3, role: Role::Operator, key: [7; 32], label: Label::new() };
    device.core.kept.add(host).unwrap();
    let event = device.forget_everybody(Uptime(1000));
    assert_eq!(device.core.kept.list().len(), 0);
    let log = asked(device, 77, &Request::ReadLog { from: 0 });
    assert!(log.contains("LogErased") && !log.contains("what: Boot") && !log.contains("Enrolled"), "{log}");
    event
}

/// The highest number that a sector of the gallery has, and the device started again.
fn newest_sector(device: TestDevice, models: Copier) -> (Option<u32>, TestDevice) {
    let remains = device.take_apart();
    let (gallery, state) = (remains.gallery.into_inner(), remains.state.unwrap().into_inner());
    let number = |(at, sector): (usize, &[u8])| {
        layout::Header::decode(sector.first_chunk()?, at as u16).value().map(|header| header.sequence)
    };
    let newest = gallery.chunks(4096).enumerate().filter_map(number).max();
    (newest, lasting_with(models, gallery, state, remains.events.unwrap().into_inner()))
}

fn no_model() -> Copier {
    let none = ModelInfo { width: 0, height: 0, dimension: 0, embedding_id: [0; 32], ..engine().info };
    Copier { info: none, ..engine() }
}

/// A device whose model is lost, with Ada in the gallery.
fn without_its_model() -> TestDevice {
    let mut device = new_lasting();
    enroll_ada(&mut device);
    started_again(device, no_model())
}

#[test]
fn everybody_is_forgotten_without_a_model_too() {
    let (before, mut device) = newest_sector(without_its_model(), no_model());
    assert!(before.is_some());
    assert_eq!(forgotten(&mut device), Event::Erased);
    let (after, mut device) = newest_sector(device, engine());
    assert!(after > before, "sectors go on being numbered: a nonce comes once");
    assert_eq!((device.gallery().state(), device.gallery().usage().people), (Ok(()), 0));
    // Nothing of her is left: what is written is the empty gallery's beginning.
    let flash = device.take_apart().gallery.into_inner();
    let written = |bytes: &&[u8]| bytes.iter().any(|&byte| byte != 0xff);
    assert_eq!(flash.chunks(4096).filter(written).count(), 1);
    assert_eq!(flash.chunks(4096).map(|sector| &sector[SLOTS_AT..]).filter(written).count(), 0);
}

#[test]
fn without_a_model_or_a_gallery_everything_is_erased() {
    let damaged = [vec![0xff; 3 * 4096], vec![0x5a; 4096]].concat();
    let mut device = lasting_with(no_model(), damaged, vec![0xff; 2 * 4096], vec![0xff; 2 * 4096]);
    assert_eq!(forgotten(&mut device), Event::Erased);
    assert!(device.take_apart().gallery.into_inner().iter().all(|&byte| byte == 0xff));
}

#[test]
fn who_is_enrolled_is_known_without_the_model() {
    let mut device = without_its_model();
    assert!(!device.can_recognise());
    let listed = asked(&mut device, 1, &Request::List { after: None });
    assert!(listed.contains("Ada"), "{listed}");
    let begun = asked(&mut device, 2, &Request::BeginBackup { salt: [1; 32] });
    assert!(begun.starts_with("Bundle"), "{begun}");
    assert!(asked(&mut device, 3, &Request::Identify).contains("NoModel"));
    let mut again = after_a_cut(device);
    assert_eq!((again.gallery().state(), again.gallery().usage().people), (Ok(()), 1));
    let mut lost = started_again(again, no_model());
    assert_eq!(asked(&mut lost, 1, &Request::EraseGallery), "Erased");
    assert_eq!(after_a_cut(lost).gallery().usage().people, 0);
}

#[test]
fn a_gallery_with_nobody_in_it_becomes_the_next_models() {
    let other = || {
        let mut other = engine();
        other.info.embedding_id = [9; 32];
        other
    };
    let mut device = new_lasting();
    enroll_ada(&mut device);
    let mut device = started_again(device, other());
    assert!(matches!(device.gallery().state(), Err(GalleryError::WrongModel { .. })));
    let mut device = started_again(device, engine());
    assert!(asked(&mut device, 1, &Request::Remove(PersonId(1))).starts_with("Removed"));
    let (before, device) = newest_sector(device, other());
    let (after, mut device) = newest_sector(device, other());
    assert!(after > before);
    assert_eq!((device.gallery().state(), device.gallery().usage().people), (Ok(()), 0));
}

#[test]
fn hosts_and_log_are_forgotten_where_people_cannot_be() {
    // Too small for a gallery.
    let mut device = lasting(vec![0xff; 4096], vec![0xff; 2 * 4096], vec![0xff; 2 * 4096]);
    let event = forgotten(&mut device);
    assert!(matches!(event, Event::Refused(Fault::Gallery(GalleryError::Small { .. }))), "{event:?}");
}
