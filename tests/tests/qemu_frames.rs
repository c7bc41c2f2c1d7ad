//! Whole pictures on every emulated board, which finds the face itself: its crop and embedding are the simulator's to the byte, and those
//! are the desktop's. Whoever was enrolled from a picture that a host sent is known before the camera from the same one, at no angle.
//!
//! The pictures are photographs of LFW, 250 x 250, with YuNet in int8 where the data folder is; elsewhere drawn portraits with a detector of
//! random weights.

use std::path::PathBuf;
use std::sync::Mutex;
use std::thread;
use std::time::Instant;

use arcgate::engine::Model;
use arcgate::enroll::Sending;
use arcgate::link::{Client, LinkError};
use arcgate::lower;
use arcgate::photo::Photo;
use arcgate_firmware::embedding::Angle;
use arcgate_firmware::frame::{Frame, PixelFormat};
use arcgate_firmware::link::Fault;
use arcgate_firmware::link::message::Who;
use arcgate_tests::or_skip;
use arcgate_tests::people::{describe, embed, one_threshold};
use arcgate_tests::qemu::{Emulator, MACHINES, Machine};
use arcgate_tests::simulator::Simulator;
use arcgate_tests::whole::{Pictures, aligning_model, crop, pixels};
use tempfile::TempDir;

/// What is made of a picture: the crop of the face that is found and its embedding; `None` where there is none.
type Made = Option<(Vec<u8>, Vec<i8>)>;

/// Pictures, and the files of a device that looks at them.
struct Bench {
    model: Model,
    pictures: Pictures,
    plan: PathBuf,
    detector: PathBuf,
    folder: TempDir,
}

impl Bench {
    fn new() -> Result<Self, String> {
        let (model, folder) = (knowing(aligning_model()?), tempfile::tempdir().map_err(|e| e.to_string())?);
        let pictures = Pictures::new(12, folder.path());
        println!("model: {}", describe(&model));
        let [plan, detector] = ["model.plan", "detector.plan"].map(|name| folder.path().join(name));
        std::fs::write(&plan, model.plan_bytes()).map_err(|e| e.to_string())?;
        std::fs::write(&detector, pictures.plan()).map_err(|e| e.to_string())?;
        Ok(Bench { model, pictures, plan, detector, folder })
    }

    /// A board that finds faces.
    fn board(&self, machine: &Machine, chip: &str) -> (Emulator, Client) {
        let (emulator, mut client) =
            Emulator::start(machine, &self.plan, Some(&self.detector), &self.folder.path().join(chip));
        let sides = client.info().expect("a device").detector.map(|[width, height]| (width, height));
        assert_eq!(sides, self.pictures.detector.picture());
        (emulator, client)
    }

    fn simulator(&self) -> Simulator {
        let flash = self.folder.path().join("simulator");
        let files = [&self.plan, &self.detector, &flash].map(|path| path.to_string_lossy());
        Simulator::start(["--model", &files[0], "--detector", &files[1], "--flash", &files[2]])
    }

    /// What the desktop makes of a picture.
    fn desktops(&self, photo: &Photo) -> Made {
        let crop = self.pictures.crop(photo, &self.model)?;
        let embedding = embed(&self.model, &crop);
        Some((crop, embedding))
    }
}

/// A model with thresholds, its own or some.
fn knowing(model: Model) -> Model {
    if model.thresholds().is_some() {
        return model;
    }
    let table = one_threshold(Angle::from_millidegrees(20_000));
    let plan = lower::with_thresholds(model.plan_bytes(), &table).expect("a valid plan");
    Model::from_plan("knowing.plan".as_ref(), plan).expect("a valid plan")
}

/// A picture in other sides.
fn resized(photo: &Photo, width: u32, height: u32) -> Photo {
    let picture =
        image::imageops::resize(&photo.to_rgb(), width, height, image::imageops::FilterType::Triangle);
    Photo::from_rgb(photo.path(), picture).expect("a picture")
}

/// What a device makes of a picture.
fn made(client: &mut Client, frame: &Frame<'_>) -> Made {
    let crop = crop(client, frame)?;
    Some((crop, client.read_embedding().expect("the embedding of a crop")))
}

#[test]
fn every_board_makes_the_simulators_crops_and_embeddings() {
    for machine in &MACHINES {
        or_skip!(machine.elf());
    }
    let bench = or_skip!(Bench::new());
    // An emulated UART moves some 15 KB a second: a photograph in colours and one in grey, or all the portraits, which are smaller.
    let formats = [PixelFormat::Rgb8, PixelFormat::Grey8];
    let count = if bench.pictures.real { formats.len() } else { bench.pictures.photos.len() };
    let photos = || bench.pictures.photos[..count].iter().zip(formats.into_iter().cycle());
    let sent: Vec<Vec<u8>> = photos().map(|(photo, format)| pixels(photo.frame().data(), format)).collect();
    let frames: Vec<Frame<'_>> = photos()
        .zip(&sent)
        .map(|((photo, format), data)| {
            Frame::new(format, photo.width(), photo.height(), data).expect("a picture")
        })
        .collect();

    let simulator = bench.simulator();
    let mut client = simulator.connect();
    let expected: Vec<Made> = frames.iter().map(|frame| made(&mut client, frame)).collect();
    for ((photo, format), made) in photos().zip(&expected) {
        let name = photo.path().display();
        assert!(
            format != PixelFormat::Rgb8 || *made == bench.desktops(photo),
            "the desktop differs on {name}"
        );
    }
    let seen = expected.iter().flatten().count();
    println!("{seen} faces in {count} pictures");
    assert!(if bench.pictures.real { seen == count } else { seen >= 3 }, "{seen}");

    let compare = |machine: &Machine| {
        let begin = Instant::now();
        let (_emulator, mut client) = bench.board(machine, machine.name);
        for (at, (frame, expected)) in frames.iter().zip(&expected).enumerate() {
            let (name, format) = (machine.name, frame.format());
            assert!(made(&mut client, frame) == *expected, "{name} differs on picture {at}, in {format:?}");
        }
        println!("{:<11} equal, in {:.0} s", machine.name, begin.elapsed().as_secs_f32());
    };
    // Two boards at a time, one for each core of a small machine.
    let machines = Mutex::new(MACHINES.iter());
    let next = || machines.lock().expect("no board has failed").next();
    thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                while let Some(machine) = next() {
                    compare(machine);
                }
            });
        }
    });
}

#[test]
fn a_picture_that_is_too_large_is_halved_as_the_host_would() {
    or_skip!(Machine::m4().elf());
    let bench = or_skip!(Bench::new());
    let (_emulator, mut client) = bench.board(Machine::m4(), "halving");
    let photo = &bench.pictures.photos[0];
    let large = resized(photo, 281, 283);
    let sending = Sending::whole(&large, client.info().expect("a device").frame_capacity);
    let halved = sending.frame(bench.model.info()).expect("a picture");
    assert_eq!((halved.width(), halved.height()), (141, 142));
    let kept =
        image::RgbImage::from_raw(halved.width().into(), halved.height().into(), halved.data().to_vec());
    let kept = Photo::from_rgb(photo.path(), kept.expect("a picture")).expect("a picture");
    let expected = bench.desktops(&kept);
    assert!(expected.is_some() || !bench.pictures.real, "no face in the halved picture");
    assert!(made(&mut client, &large.frame()) == expected, "{}", photo.path().display());
}

#[test]
fn a_camera_sees_what_a_host_sends_larger_than_the_memory_and_as_it_is() {
    const PEOPLE: usize = 2;
    let machine = Machine::m4();
    or_skip!(machine.elf());
    let bench = or_skip!(Bench::new());
    let camera = bench.folder.path().join("camera");
    std::fs::create_dir(&camera).expect("a folder");
    let (emulator, mut client) = bench.board(machine, "camera-chip");
    let capacity = client.info().expect("a device").frame_capacity as usize;
    let mut people = 0;
    for photo in &bench.pictures.photos {
        let photo = if people == 0 { resized(photo, 281, 283) } else { photo.clone() };
        let frame = photo.frame();
        assert_eq!(frame.data().len() > capacity, people == 0, "{}", photo.path().display());
        client.send_frame(&frame, None, &mut |_| ()).expect("the picture arrives");
        match client.enroll(Who::New(&format!("person {people}"))) {
            Ok(_) => {}
            // No face is found, or one that is worth nothing.
            Err(LinkError::Fault(Fault::Rejected(_))) => continue,
            Err(error) => panic!("{}: {error}", photo.path().display()),
        }
        let header = format!("P6 {} {} 255\n", frame.width(), frame.height());
        let file = [header.as_bytes(), frame.data()].concat();
        std::fs::write(camera.join(format!("{people}.ppm")), file).expect("a file");
        people += 1;
        if people == PEOPLE {
            break;
        }
    }
    assert!(people == PEOPLE || !bench.pictures.real, "{people} people enrolled");
    drop((client, emulator));
    let [chip, pictures] = ["camera-chip", "camera"].map(|name| bench.folder.path().join(name));
    let mut emulator = Emulator::look(machine, &bench.plan, Some(&bench.detector), &chip, &pictures);
    for person in 0..people {
        let seen = emulator.hear(&format!("known: person {person} at "));
        assert_eq!(seen, "0 millidegrees", "person {person}");
    }
    println!("{people} people known before the camera");
}
