//! The device in the simulator, over TCP: what a host may ask, what stays, what noise does.

use std::path::Path;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use arcgate::enroll::Place;
use arcgate::link::{Client, LinkError, Target};
use arcgate_firmware::align;
use arcgate_firmware::device::Event;
use arcgate_firmware::embedding::Angle;
use arcgate_firmware::engine::{EmbedError, Embedder, Models};
use arcgate_firmware::frame::{Frame, PixelFormat};
use arcgate_firmware::gallery::{GalleryError, PersonId};
use arcgate_firmware::link::Fault;
use arcgate_firmware::link::answer::Answer;
use arcgate_firmware::link::message::Who;
use arcgate_firmware::model::thresholds::ThresholdTable;
use arcgate_firmware::model::{ChannelOrder, ModelInfo};
use arcgate_firmware::sim::{FileFlash, Running, StoredCamera, StoredShot};
use arcgate_tests::noise::noisy;
use arcgate_tests::people::one_threshold;
use nalgebra::Point2;

const SIDE: u16 = 32;
const DIMENSION: u16 = 64;

/// A model that needs no file: the mean of each of 8 x 8 fields, relative to the whole.
struct Fields {
    info: ModelInfo,
    thresholds: Vec<u8>,
}

impl Fields {
    fn new(id: u8) -> Box<Self> {
        let info = ModelInfo {
            width: SIDE,
            height: SIDE,
            order: ChannelOrder::Rgb,
            template: Some([[10., 12.], [22., 12.], [16., 18.], [11., 24.], [21., 24.]].map(Point2::from)),
            dimension: DIMENSION,
            embedding_id: [id; 32],
        };
        Box::new(Fields { info, thresholds: one_threshold(Angle::from_millidegrees(20_000)) })
    }
}

impl Models for Fields {}

impl Embedder for Fields {
    fn info(&self) -> &ModelInfo {
        &self.info
    }

    fn thresholds(&self) -> Option<ThresholdTable<'_>> {
        ThresholdTable::parse(&self.thresholds).ok()
    }

    fn embed(&mut self, crop: &[u8], out: &mut [i8]) -> Result<(), EmbedError> {
        let side = SIDE as usize;
        let mean = crop.iter().map(|&b| b as i32).sum::<i32>() / crop.len() as i32;
        for (field, place) in out.iter_mut().enumerate() {
            let (u, v) = (field % 8 * 4, field / 8 * 4);
            let pixels = (0..16).map(|i| ((v + i / 4) * side + u + i % 4) * 3);
            let sum: i32 = pixels.flat_map(|at| &crop[at..at + 3]).map(|&b| b as i32).sum();
            *place = (sum / 48 - mean).clamp(-127, 127) as i8;
        }
        Ok(())
    }
}

/// A picture of `person` with a little of `view` in it.
fn picture(person: u64, view: u64, width: u16, height: u16) -> Vec<u8> {
    let mut out = Vec::new();
    for y in 0..height as u64 {
        for x in 0..width as u64 {
            let field =
                (person + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15).rotate_left((x / 4 * 7 + y / 4 * 13) as u32);
            let grain = (x * 31 + y * 17 + view * 101) % 13;
            out.extend([(field as u8 / 2) + grain as u8; 3]);
        }
    }
    out
}

fn start(folder: &Path, id: u8) -> Running {
    let flash = FileFlash::open_or_create(&folder.join("flash"), 16).expect("a flash");
    Running::start(Fields::new(id), flash, "127.0.0.1:0", StoredCamera::default(), |_| ()).expect("a device")
}

fn connect(device: &Running) -> Client {
    Client::connect(&Target::Tcp(device.address().to_string())).expect("a client").0
}

fn send(client: &mut Client, person: u64, view: u64) {
    client.send_crop(&picture(person, view, SIDE, SIDE), SIDE, SIDE).expect("the picture arrives");
}

fn known(answer: &Answer) -> Option<&str> {
    match answer {
        Answer::Known { best, .. } => Some(&best.name),
        _ => None,
    }
}

#[test]
fn people_are_enrolled_named_listed_and_removed_over_restarts() {
    let folder = tempfile::tempdir().unwrap();
    let device = start(folder.path(), 1);
    let mut client = connect(&device);
    assert!(matches!(client.identify(), Err(LinkError::Fault(Fault::NoFrame { received: 0, total: 0 }))));
    send(&mut client, 0, 0);
    assert!(matches!(client.identify().unwrap(), Answer::Unknown { nearest: None, .. }));
    for person in 0..20 {
        send(&mut client, person, 0);
        let (id, templates) = client.enroll(Who::New(&format!("person {person}"))).unwrap();
        assert_eq!((id, templates), (PersonId(person as u32 + 1), 1));
    }
    send(&mut client, 3, 1);
    assert_eq!(client.enroll(Who::Person(PersonId(4))).unwrap(), (PersonId(4), 2));
    let taken = client.enroll(Who::New("person 7"));
    let error = GalleryError::NameTaken { person: PersonId(8) };
    assert!(matches!(taken, Err(LinkError::Fault(Fault::Gallery(e))) if e == error), "{taken:?}");
    for person in 0..20 {
        send(&mut client, person, 2);
        let answer = client.identify().unwrap();
        assert_eq!(known(&answer), Some(format!("person {person}").as_str()), "{answer:?}");
    }
    send(&mut client, 999, 0);
    assert!(matches!(client.identify().unwrap(), Answer::Unknown { nearest: Some(_), .. }));
    drop(client);
    device.stop();

    let device = start(folder.path(), 1);
    let mut client = connect(&device);
    // More than one page.
    let people = client.people().unwrap();
    assert_eq!(people.len(), 20);
    assert_eq!((people[3].name.as_str(), people[3].templates), ("person 3", 2));
    client.remove(PersonId(4)).unwrap();
    send(&mut client, 3, 2);
    assert_eq!(known(&client.identify().unwrap()), None);
    drop(client);
    device.stop();

    // Another model leaves the gallery alone and says why, until it is told to begin anew.
    let device = start(folder.path(), 2);
    let mut client = connect(&device);
    let wrong = GalleryError::WrongModel { gallery: [1; 4], model: [2; 4] };
    assert_eq!(client.info().unwrap().gallery, Some(wrong));
    send(&mut client, 3, 2);
    let refused = client.identify();
    assert!(matches!(refused, Err(LinkError::Fault(Fault::Gallery(e))) if e == wrong), "{refused:?}");
    drop(client);
    device.stop();
    let device = start(folder.path(), 1);
    let mut client = connect(&device);
    assert_eq!(client.people().unwrap().len(), 19);
    client.erase_gallery().unwrap();
    assert_eq!(client.people().unwrap(), []);
}

#[test]
fn a_photograph_is_aligned_on_the_device_to_the_same_bytes() {
    let folder = tempfile::tempdir().unwrap();
    let device = start(folder.path(), 1);
    let mut client = connect(&device);
    let data = picture(5, 0, 100, 90);
    let frame = Frame::new(PixelFormat::Rgb8, 100, 90, &data).unwrap();
    let landmarks = [[30., 31.], [61., 28.5], [47., 47.], [34., 62.], [60.25, 60.]];
    client.send_frame(&frame, Some(landmarks), &mut |_| ()).unwrap();
    let mut engine = Fields::new(1);
    let mut crop = vec![0; engine.info().crop_bytes()];
    align::crop(&frame, &landmarks.map(Point2::from), engine.info(), &mut crop).unwrap();
    assert_eq!(client.read_crop().unwrap(), crop);
    let mut embedding = [0; DIMENSION as usize];
    engine.embed(&crop, &mut embedding).unwrap();
    assert_eq!(client.read_embedding().unwrap(), embedding);

    client.send_frame(&frame, None, &mut |_| ()).unwrap();
    let whole = Fault::NotFramed { expected: [32, 32], found: [100, 90] };
    let refused = client.identify();
    assert!(matches!(refused, Err(LinkError::Fault(f)) if f == whole), "{refused:?}");
    client.send_frame(&frame, Some([[30., 31.]; 5]), &mut |_| ()).unwrap();
    assert!(matches!(client.identify().unwrap(), Answer::Rejected(_)));

    // A picture larger than the device's memory is halved there, its landmarks with it.
    let large = image::imageops::resize(
        &image::RgbImage::from_raw(100, 90, data).unwrap(),
        1600,
        1440,
        image::imageops::FilterType::Triangle,
    );
    let frame = Frame::new(PixelFormat::Rgb8, 1600, 1440, large.as_raw()).unwrap();
    let landmarks = landmarks.map(|p| p.map(|v| (v + 0.5) * 16.0 - 0.5));
    client.send_frame(&frame, Some(landmarks), &mut |_| ()).unwrap();
    let kept =
        StoredShot::kept(&frame, Some(landmarks.map(Point2::from)), client.info().unwrap().frame_capacity);
    assert_eq!((kept.width, kept.height), (800, 720));
    let frame = Frame::new(kept.format, kept.width, kept.height, &kept.data).unwrap();
    align::crop(&frame, &kept.landmarks.unwrap(), engine.info(), &mut crop).unwrap();
    assert_eq!(client.read_crop().unwrap(), crop);
}

#[test]
fn a_noisy_link_loses_nothing_and_does_nothing_twice() {
    let folder = tempfile::tempdir().unwrap();
    let device = start(folder.path(), 1);
    // A request with a piece of a picture is about 1,100 bytes: two in three are damaged on their way.
    let (address, damage) = noisy(device.address(), 1000, 7);
    let target = Target::Tcp(address.to_string());
    let (mut client, info) = Client::connect(&target).expect("a client");
    client.set_first_wait(Duration::from_millis(5));
    let mut place = Place::new(client, info);
    for person in 0..12 {
        for view in 0..2 {
            let (id, templates) = place
                .enroll_crop(&format!("person {person}"), &picture(person, view, SIDE, SIDE))
                .expect("enrolled in spite of the noise");
            assert_eq!((id.0, templates), (person as u32 + 1, view as u16 + 1));
        }
    }
    let people = place.people().unwrap();
    assert_eq!(people.len(), 12);
    assert!(people.iter().all(|p| p.templates == 2), "{people:?}");
    for person in 0..12 {
        let answer = place.identify_crop(&picture(person, 3, SIDE, SIDE)).unwrap();
        assert_eq!(known(&answer), Some(format!("person {person}").as_str()), "{answer:?}");
    }
    place.remove(PersonId(6)).unwrap();
    assert_eq!(place.people().unwrap().len(), 11);
    let (damaged, retries) = (damage.bytes.load(Ordering::Relaxed), place.client().retries());
    println!("{damaged} bytes damaged, {retries} requests asked again");
    assert!(damaged > 50 && retries > 10, "only {damaged} bytes damaged, {retries} retries");
}

#[test]
fn the_camera_and_a_host_share_the_device() {
    let folder = tempfile::tempdir().unwrap();
    let device = start(folder.path(), 1);
    let mut client = connect(&device);
    send(&mut client, 1, 0);
    client.enroll(Who::New("Ada")).unwrap();
    drop(client);
    device.stop();

    let shot = |person| StoredShot {
        format: PixelFormat::Rgb8,
        width: SIDE,
        height: SIDE,
        data: picture(person, 1, SIDE, SIDE),
        landmarks: None,
    };
    let flash = FileFlash::open(&folder.path().join("flash")).unwrap();
    let log = Arc::new(Mutex::new(Vec::new()));
    let heard = log.clone();
    let note = move |event: &Event| heard.lock().unwrap().push(event.clone());
    let camera = StoredCamera::new([shot(1), shot(8)]);
    let device = Running::start(Fields::new(1), flash, "127.0.0.1:0", camera, note).unwrap();
    // A host that sends a picture interrupts the camera's, which shows each once.
    let answers = || {
        let events = log.lock().unwrap();
        let answers = events.iter().filter_map(|event| match event {
            Event::Answered(answer) => Some(known(answer).map(str::to_owned)),
            _ => None,
        });
        answers.collect::<Vec<_>>()
    };
    let begin = Instant::now();
    while answers().len() < 2 && begin.elapsed() < Duration::from_secs(20) {
        std::thread::sleep(Duration::from_millis(5));
    }
    assert_eq!(answers(), [Some("Ada".to_owned()), None]);
    let mut client = connect(&device);
    send(&mut client, 1, 0);
    let own = client.read_crop().unwrap();
    assert_eq!(own, picture(1, 0, SIDE, SIDE), "the host's picture, not the camera's");
    drop(client);
    device.stop();
    assert_eq!(answers().len(), 2, "nobody stands there whose picture a host sends");
}

#[test]
fn silence_ends_and_wrong_addresses_are_named() {
    let nobody = Client::connect(&Target::Tcp("127.0.0.1:1".into())).unwrap_err();
    assert!(matches!(&nobody, LinkError::Connect { target, .. } if target == "tcp:127.0.0.1:1"), "{nobody}");
}
