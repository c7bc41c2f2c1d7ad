//! Devices that find the face themselves: whole photographs over the link and before the camera.

use std::path::{Path, PathBuf};

use arcgate::engine::Model;
use arcgate::enroll::{Place, Sending};
use arcgate::link::{Client, LocalWire};
use arcgate::photo::Photo;
use arcgate_firmware::decide::Rejection;
use arcgate_firmware::flash::nor::MemoryNor;
use arcgate_firmware::link::answer::Answer;
use arcgate_firmware::sim::SimSecret;
use arcgate_tests::people::{Crowd, calibrated};
use arcgate_tests::program::arcgate;
use arcgate_tests::simulator::Simulator;
use arcgate_tests::whole::{Pictures, aligning_model, crop};
use arcgate_tests::{data, or_skip};
use image::imageops::{self, FilterType};

/// A device with the pictures' detector, in this process.
fn device(model: &Model, pictures: &Pictures) -> Client {
    let flash: MemoryNor<Vec<u8>> = MemoryNor::new(vec![0xff; 16 * 4096]);
    let models = model.with_detector(pictures.plan()).expect("two plans");
    let wire = LocalWire::new(models, flash, &SimSecret::software());
    Client::over(Box::new(wire), None).expect("a device").0
}

fn text(path: &Path) -> String {
    path.to_string_lossy().into_owned()
}

#[test]
fn the_devices_crop_is_the_hosts() {
    let (model, folder) = (or_skip!(aligning_model()), tempfile::tempdir().expect("a folder"));
    let pictures = Pictures::new(60, folder.path());
    let mut client = device(&model, &pictures);
    let info = client.info().unwrap();
    assert_eq!(info.detector.map(|[w, h]| (w, h)), pictures.detector.picture());
    let mut seen = 0;
    for photo in &pictures.photos {
        let wanted = pictures.crop(photo, &model);
        assert!(crop(&mut client, &photo.frame()) == wanted, "{}", photo.path().display());
        seen += usize::from(wanted.is_some());
    }
    println!("{seen} faces in {} pictures", pictures.photos.len());
    assert!(if pictures.real { seen >= 58 } else { seen >= 10 }, "{seen}");
}

#[test]
fn large_photographs_are_halved_by_the_host_as_the_device_would() {
    let (model, folder) = (or_skip!(aligning_model()), tempfile::tempdir().expect("a folder"));
    let pictures = Pictures::new(3, folder.path());
    let mut client = device(&model, &pictures);
    let capacity = client.info().unwrap().frame_capacity;
    for (photo, side) in pictures.photos.iter().zip([1500, 2309, 3001]) {
        let large = imageops::resize(&photo.to_rgb(), side, side + 7, FilterType::Triangle);
        let large = Photo::from_rgb(photo.path(), large).unwrap();
        let sending = Sending::whole(&large, capacity);
        let halved = sending.frame(model.info()).unwrap();
        assert!(halved.data().len() <= capacity as usize && halved.width() < large.width());
        let kept = Photo::from_rgb(
            photo.path(),
            image::RgbImage::from_raw(halved.width().into(), halved.height().into(), halved.data().to_vec())
                .expect("a picture"),
        );
        let wanted = pictures.crop(&kept.unwrap(), &model);
        assert!(wanted.is_some() || !pictures.real, "{}", photo.path().display());
        assert!(crop(&mut client, &halved) == wanted, "halved by the host");
        assert!(crop(&mut client, &large.frame()) == wanted, "halved by the device");
    }
}

/// The program on a simulated device with a detector.
struct Gate {
    model: String,
    detector: String,
    folder: tempfile::TempDir,
    people: PathBuf,
    stranger: String,
}

/// Two people with two photographs each in folders, and a stranger; `None` without photographs.
fn gate() -> Option<Gate> {
    let model = aligning_model().ok()?;
    let folder = tempfile::tempdir().expect("a folder");
    let lfw = data::find("lfw")?;
    let pictures = Pictures::new(1, folder.path());
    let [plan, detector] = ["model.plan", "detector.plan"].map(|name| folder.path().join(name));
    let model = calibrated(model, &Crowd::for_model(&aligning_model().ok()?).ok()?);
    std::fs::write(&plan, model.plan_bytes()).expect("a file");
    std::fs::write(&detector, pictures.plan()).expect("a file");
    let people = folder.path().join("people");
    for name in ["Abdullah_Gul", "Adam_Sandler"] {
        std::fs::create_dir_all(people.join(name)).expect("a folder");
        for view in 1..=2 {
            let file = format!("{name}_{view:04}.jpg");
            std::fs::copy(lfw.join(name).join(&file), people.join(name).join(&file)).expect("a photograph");
        }
    }
    let stranger = text(&lfw.join("Aaron_Eckhart/Aaron_Eckhart_0001.jpg"));
    Some(Gate { model: text(&plan), detector: text(&detector), folder, people, stranger })
}

impl Gate {
    fn start(&self, more: &[&str]) -> Simulator {
        let flash = text(&self.folder.path().join("flash"));
        let own = ["--model", &self.model, "--detector", &self.detector, "--flash", &flash];
        Simulator::start(own.into_iter().chain(more.iter().copied()))
    }
}

#[test]
fn photographs_go_whole_to_a_device_with_a_detector_and_to_its_camera() {
    let gate = or_skip!(gate(), "no LFW in the data folder, or no model");
    let device = gate.start(&[]);
    let told = arcgate(["device", "info", "--port", device.target(), "--json"]).json();
    assert_eq!(told["detector"], serde_json::json!([256, 256]), "{told}");
    let people = text(&gate.people);
    let to = device.target();
    let enrolled = arcgate(["enroll", &people, "--to", to, "--accept-findings", "--json"]).done();
    assert_eq!((&enrolled.json()["people"], &enrolled.json()["templates"]), (&2.into(), &4.into()));
    let photo = text(&gate.people.join("Adam_Sandler/Adam_Sandler_0001.jpg"));
    let known = arcgate(["identify", &photo, "--to", to, "--json"]).json();
    assert_eq!((&known["best"]["name"], &known["best"]["angle"]), (&"Adam Sandler".into(), &0.0.into()));

    // The host's detector of the same plan makes the same crop, and the device takes it for what it is.
    let cropped = arcgate(["identify", &photo, "--to", to, "--detector", &gate.detector, "--json"]).json();
    assert_eq!(cropped["best"], known["best"]);

    // Where nobody is.
    let blank = gate.folder.path().join("blank.png");
    image::RgbImage::from_pixel(300, 200, image::Rgb([90; 3])).save(&blank).unwrap();
    let none = arcgate(["identify", &text(&blank), "--to", to]);
    assert!(none.code == 11 && none.stdout.contains("no face found"), "{none:?}");
    let refused = arcgate(["enroll", "--name", "Nobody", &text(&blank), "--to", to]);
    assert!(refused.code == 1 && refused.stderr.contains("blank.png: no face found"), "{refused:?}");
    drop(device);

    // The camera shows the same photographs, whole; where nobody is, there is nothing to answer.
    let camera = gate.folder.path().join("camera");
    std::fs::create_dir(&camera).unwrap();
    std::fs::copy(&blank, camera.join("0.png")).unwrap();
    std::fs::copy(&photo, camera.join("1.jpg")).unwrap();
    std::fs::copy(&gate.stranger, camera.join("2.jpg")).unwrap();
    let device = gate.start(&["--camera", &text(&camera)]);
    let seen = device.next();
    // As sent over the link: from the same crop.
    assert_eq!(seen["best"], known["best"]);
    assert!(device.next()["answer"].is_string(), "the stranger is answered");
}

#[test]
fn whoever_sends_landmarks_is_believed_and_a_crop_is_one() {
    let (model, folder) = (or_skip!(aligning_model()), tempfile::tempdir().expect("a folder"));
    let pictures = Pictures::new(12, folder.path());
    let mut client = device(&model, &pictures);
    let info = client.info().unwrap();
    let photo = pictures.photos.iter().find(|photo| pictures.crop(photo, &model).is_some()).expect("a face");
    let wanted = pictures.crop(photo, &model).expect("a face");
    let mut place = Place::new(client, info);
    let answer = place.identify_crop(&wanted).unwrap();
    assert!(!matches!(answer, Answer::Rejected(Rejection::NoFace)), "{answer:?}");
    assert!(place.client().read_crop().unwrap() == wanted, "the crop that was sent");
    // Landmarks elsewhere: another crop, though the detector sees the face.
    let aside = photo.width() as f32 / 3.0;
    let elsewhere = model.info().template.expect("it aligns").map(|p| [p.x + aside, p.y]);
    place.client().send_frame(&photo.frame(), Some(elsewhere), &mut |_| ()).unwrap();
    assert!(place.client().read_crop().unwrap() != wanted);
}
