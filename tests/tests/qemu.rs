//! The firmware on the emulated Cortex-M4: the same bytes as the desktop, names from its gallery, people who stay.
//!
//! With ARCGATE_TEST_PLAN naming a plan for aligned faces and the data folder there, it is sent LFW photographs; else
//! synthetic portraits for the model that the repository ships.

use std::path::PathBuf;

use arcgate::chips::board::Board;
use arcgate::engine::Model;
use arcgate::link::{Client, LinkError};
use arcgate_firmware::align;
use arcgate_firmware::decide::TARGET_FPIR;
use arcgate_firmware::engine::plan::Plan;
use arcgate_firmware::flash::nor::MemoryNor;
use arcgate_firmware::frame::{Frame, PixelFormat};
use arcgate_firmware::gallery::{Gallery, Owned, PersonId};
use arcgate_firmware::link::Fault;
use arcgate_firmware::link::answer::Answer;
use arcgate_firmware::link::message::Who;
use arcgate_firmware::model::thresholds::Scope;
use arcgate_tests::or_skip;
use arcgate_tests::people::{Crowd, Shot, calibrated, describe, embed, model};
use arcgate_tests::qemu::{Emulator, Machine, numbers};
use arcgate_tests::whole::pixels;
use nalgebra::Point2;

/// Everything that a test with a device needs.
struct Bench {
    elf: PathBuf,
    model: Model,
    crowd: Crowd,
    folder: tempfile::TempDir,
}

fn bench(calibrate: bool) -> Result<Bench, String> {
    let elf = Machine::m4().elf()?;
    let model = model()?;
    let crowd = Crowd::for_model(&model)?;
    let model = if calibrate { calibrated(model, &crowd) } else { model };
    println!("model: {}", describe(&model));
    let folder = tempfile::tempdir().map_err(|e| e.to_string())?;
    std::fs::write(folder.path().join("model.plan"), model.plan_bytes()).map_err(|e| e.to_string())?;
    Ok(Bench { elf, model, crowd, folder })
}

impl Bench {
    /// A board whose flash is kept in the file `psram`.
    fn start(&self, psram: &str) -> (Emulator, Client) {
        let at = |name: &str| self.folder.path().join(name);
        Emulator::start(Machine::m4(), &at("model.plan"), None, &at(psram))
    }
}

fn send(client: &mut Client, shot: &Shot) {
    client.send_frame(&shot.photo.frame(), shot.landmarks(), &mut |_| ()).expect("the photograph arrives");
}

#[test]
fn embeddings_equal_the_desktops_and_people_are_named() {
    let bench = or_skip!(bench(true));
    let (emulator, mut client) = bench.start("psram");
    let names = ["Ada Lovelace", "Grace Hopper", "Mary Somerville"];
    let check_bytes = |client: &mut Client, shot: &Shot| {
        let crop = shot.crop(bench.model.info());
        assert_eq!(client.read_crop().unwrap(), crop, "crop of {}", shot.photo.path().display());
        let embedding = client.read_embedding().unwrap();
        assert_eq!(embedding, embed(&bench.model, &crop), "embedding of {}", shot.photo.path().display());
    };
    let desktops = |shot: &Shot| embed(&bench.model, &shot.crop(bench.model.info()));
    let bar = bench.model.thresholds().and_then(|table| table.lookup(3, TARGET_FPIR, Scope::Frame));
    let threshold = bar.expect("a calibrated model").angle;
    // A gallery on the desktop that begins as the board's does, so that it has the same transform.
    let flash: MemoryNor<_> = MemoryNor::new(vec![0xff; 16 * 4096]);
    let mut twin = Gallery::open(flash, bench.model.info().into(), Owned::new(64, 0));
    twin.format().unwrap();
    for (person, name) in names.iter().enumerate() {
        let shot = bench.crowd.shot(person, 0);
        send(&mut client, &shot);
        check_bytes(&mut client, &shot);
        assert_eq!(client.enroll(Who::New(name)).unwrap(), (PersonId(person as u32 + 1), 1));
        twin.enroll(name, &[&desktops(&shot)]).unwrap();
    }
    // Another photograph of each: the board decides what the desktop would, at the same angle.
    let mut known = 0;
    for person in 0..names.len() {
        let shot = bench.crowd.shot(person, 1);
        send(&mut client, &shot);
        let answer = client.identify().unwrap();
        check_bytes(&mut client, &shot);
        let probe = desktops(&shot);
        let found = twin.nearest(&probe).unwrap().best.unwrap();
        let nearest = (found.angle, names[found.person.0 as usize - 1]);
        println!("{}: {answer:?}", names[person]);
        match &answer {
            Answer::Known { best, .. } => {
                assert_eq!((best.angle, best.name.as_str()), nearest);
                assert!(best.angle <= threshold, "{answer:?}");
                known += 1;
            }
            Answer::Unknown { nearest: Some(found), .. } => {
                assert_eq!((found.angle, found.name.as_str()), nearest);
                assert!(found.angle > threshold, "{answer:?}");
            }
            other => panic!("{other:?}"),
        }
    }
    assert!(known >= 1, "nobody is recognised");
    let shot = bench.crowd.shot(bench.crowd.stranger(), 0);
    send(&mut client, &shot);
    let answer = client.identify().unwrap();
    assert!(matches!(answer, Answer::Unknown { .. }), "a stranger is {answer:?}");

    // People stay over a power cut, and a removed one is gone after the next.
    drop((client, emulator));
    let (emulator, mut client) = bench.start("psram");
    let listed: Vec<_> = client.people().unwrap().iter().map(|p| p.name.to_string()).collect();
    assert_eq!(listed, names);
    client.remove(PersonId(2)).unwrap();
    drop((client, emulator));
    let (_emulator, mut client) = bench.start("psram");
    let listed: Vec<_> = client.people().unwrap().iter().map(|p| p.name.to_string()).collect();
    assert_eq!(listed, ["Ada Lovelace", "Mary Somerville"]);
    send(&mut client, &bench.crowd.shot(0, 0));
    match client.identify().unwrap() {
        Answer::Known { best, .. } => {
            assert_eq!((best.name.as_str(), best.angle.millidegrees()), ("Ada Lovelace", 0));
        }
        other => panic!("the photograph that was enrolled is {other:?}"),
    }
}

#[test]
fn a_hundred_crops_equal_the_desktops() {
    let bench = or_skip!(bench(false));
    let info = bench.model.info();
    let formats = [PixelFormat::Rgb8, PixelFormat::Rgb565, PixelFormat::Grey8];
    let compare = |people: std::ops::Range<usize>, psram: &str| {
        let (_emulator, mut client) = bench.start(psram);
        for person in people {
            let whole = bench.crowd.shot(person, 0);
            // The emulated UART moves some 15 KB a second: the first photographs whole, of the others the part around
            // the face.
            let shot = if person % 50 == 0 { whole } else { whole.window(128) };
            let format = formats[person % formats.len()];
            let data = pixels(shot.photo.frame().data(), format);
            let frame =
                Frame::new(format, shot.photo.width(), shot.photo.height(), &data).expect("a picture");
            client.send_frame(&frame, shot.landmarks(), &mut |_| ()).expect("the picture arrives");
            let mut ours = vec![0; info.crop_bytes()];
            match shot.landmarks() {
                Some(at) => align::crop(&frame, &at.map(Point2::from), info, &mut ours),
                None => align::framed(&frame, info, &mut ours),
            }
            .expect("landmarks that can be aligned");
            let name = shot.photo.path().display();
            assert!(client.read_crop().unwrap() == ours, "the crops of {name} in {format:?} differ");
        }
    };
    // Two boards, one for each core of a small machine.
    std::thread::scope(|scope| {
        let first = scope.spawn(|| compare(0..50, "psram-a"));
        compare(50..100, "psram-b");
        first.join().expect("the first board's crops are equal");
    });
}

#[test]
fn flash_ram_and_stack_are_those_that_were_told() {
    let bench = or_skip!(bench(true));
    let board = Board::named(&bench.elf.to_string_lossy()).expect("a firmware with a manifest");
    let bytes = bench.model.plan_bytes();
    let told = board.take(&Plan::parse(bytes).expect("a plan"), bytes.len()).expect("it fits");
    println!("{told:?}");

    let (mut emulator, mut client) = bench.start("psram");
    // All that can be asked of it, and answers of every kind.
    let shot = bench.crowd.shot(0, 0);
    assert!(client.identify().is_err(), "there is no picture");
    send(&mut client, &shot);
    assert!(matches!(client.identify().unwrap(), Answer::Unknown { nearest: None, .. }));
    client.read_crop().unwrap();
    client.read_embedding().unwrap();
    let (person, _) = client.enroll(Who::New("Ada Lovelace")).unwrap();
    client.enroll(Who::Person(person)).unwrap();
    assert!(matches!(client.identify().unwrap(), Answer::Known { .. }));
    send(&mut client, &bench.crowd.shot(bench.crowd.stranger(), 0).window(128));
    client.identify().unwrap();
    for (number, name) in ["Grace Hopper", "Mary Somerville"].into_iter().enumerate() {
        send(&mut client, &bench.crowd.shot(number + 1, 0).window(128));
        client.enroll(Who::New(name)).unwrap();
    }
    assert_eq!(client.people().unwrap().len(), 3);
    client.remove(person).unwrap();
    client.info().unwrap();
    client.erase_gallery().unwrap();
    client.info().unwrap();

    let said = emulator.said();
    let placed = numbers(&said, "placed: ");
    let [flash, ram] = placed[0][..] else { panic!("{said}") };
    let deepest =
        numbers(&said, "stack: ").into_iter().flatten().max().expect("events with the stack's depth");
    println!("the firmware says: {flash} bytes of flash, {ram} of RAM; its stack was {deepest} bytes deep");
    assert_eq!(told.flash.firmware, flash);
    assert_eq!(told.ram.firmware + told.ram.plan, ram);
    assert!(told.stack >= deepest, "{} bytes of stack were told, {deepest} were taken", told.stack);
    assert!(told.stack as f64 <= 1.15 * deepest as f64, "{} told, {deepest} taken", told.stack);
}

#[test]
fn a_board_without_a_model_says_so_and_waits_for_one() {
    or_skip!(Machine::m4().elf());
    let folder = tempfile::tempdir().unwrap();
    let plan = folder.path().join("no.plan");
    std::fs::write(&plan, b"this is no plan").unwrap();
    let (_emulator, mut client) = Emulator::start(Machine::m4(), &plan, None, &folder.path().join("psram"));
    let asked = client.identify();
    assert!(matches!(asked, Err(LinkError::Fault(Fault::NoModel))), "{asked:?}");
}
