//! Whole devices on every emulated board, through the program: a first start without a model, a computer paired by the code on the
//! board's console, a model over the link and the restart after it, people enrolled and found, all of it there after a power cut, and a
//! camera that opens the lock. What each board takes of flash, RAM and stack is printed.

use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use arcgate::chips::board::Board;
use arcgate::engine::Model;
use arcgate::link::Target;
use arcgate_firmware::engine::plan::Plan;
use arcgate_tests::data::workspace;
use arcgate_tests::or_skip;
use arcgate_tests::program::{self, Run, arcgate};
use arcgate_tests::qemu::{Emulator, MACHINES, Machine, numbers};
use image::codecs::pnm::{PnmEncoder, PnmSubtype, SampleEncoding};

const MODEL: &str = "models/synth-s/synth-s.onnx";
const FAILED: i32 = 1;
const UNKNOWN: i32 = 10;
/// Bytes of flash that the firmware may take on mps2-an386, link and cryptography with it, a model without.
const MOST_FLASH: usize = 200 * 1024;

/// A device, and a computer that keeps its keys in a file.
struct Bench<'f> {
    machine: &'static Machine,
    folder: &'f Path,
    emulator: Emulator,
    /// The most bytes of stack that the board has said.
    deepest: usize,
}

impl<'f> Bench<'f> {
    fn boot(machine: &'static Machine, folder: &'f Path, words: &[&str]) -> Self {
        let mut bench = Bench {
            machine,
            folder,
            emulator: Emulator::boot(machine, &folder.join(machine.name), words),
            deepest: 0,
        };
        bench.wait(words);
        bench
    }

    /// Cuts the power, and boots with these words.
    fn reboot(&mut self, words: &[&str]) {
        self.deepest = self.deepest();
        self.emulator = Emulator::boot(self.machine, &self.folder.join(self.machine.name), words);
        self.wait(words);
    }

    /// The most bytes of stack that were taken until now.
    fn deepest(&mut self) -> usize {
        numbers(&self.emulator.said(), "stack: ")
            .into_iter()
            .flatten()
            .max()
            .unwrap_or_default()
            .max(self.deepest)
    }

    /// Waits until it is up and its button has been pressed, if it is.
    fn wait(&mut self, words: &[&str]) {
        let emulator = &mut self.emulator;
        emulator.hear("up, ");
        if words.iter().any(|word| word.starts_with("button=")) {
            emulator.hear("a host may be paired");
        }
    }

    fn at(&self, name: &str) -> String {
        self.folder.join(name).to_string_lossy().into_owned()
    }

    fn target(&self) -> String {
        match self.emulator.target() {
            Target::Tcp(address) => format!("tcp:{address}"),
            other => panic!("an emulator at {other:?}"),
        }
    }

    /// The program, with this board's keys.
    fn run(&self, words: &[&str]) -> Run {
        let keys = self.at(&format!("{}.keys", self.machine.name));
        arcgate(words.iter().copied().chain(["--json", "--keys", &keys]))
    }

    fn device(&self, verb: &[&str]) -> Run {
        self.run(&[&["device"], verb, &["--port", &self.target()]].concat())
    }

    /// Pairs this computer, typing what `typed` makes of the code that the board says.
    fn pair(&mut self, typed: impl FnOnce(&str) -> String) -> bool {
        let (target, keys) = (self.target(), self.at(&format!("{}.keys", self.machine.name)));
        let words = ["device", "pair", "--role", "administrator", "--label", "a test", "--json"];
        let mut child = Command::new(program::path())
            .args(words)
            .args(["--port", &target, "--keys", &keys])
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("the program runs");
        let code = self.emulator.hear("code ");
        let (code, rest) = code.split_once(' ').expect("a code and for whom it is");
        assert_eq!(rest, "for an administrator: type it at a test");
        writeln!(child.stdin.take().expect("its input"), "{}", typed(code)).expect("the program reads");
        child.wait().expect("the program ends").success()
    }
}

#[test]
fn a_board_is_paired_takes_a_model_and_remembers() {
    let folder = tempfile::tempdir().expect("a folder");
    let at = |name: &str| folder.path().join(name).to_string_lossy().into_owned();
    arcgate(["synth", "-o", &at("people"), "--identities", "4", "--views", "3", "--size", "48x48"]).done();
    for version in ["1", "2"] {
        let image = at(&format!("{version}.update"));
        arcgate(["pack", MODEL, "--model-version", version, "--development", "-o", &image]).done();
    }
    let mut people: Vec<_> = std::fs::read_dir(at("people"))
        .expect("people")
        .map(|entry| entry.expect("a folder of pictures").path())
        .collect();
    people.sort();
    let stranger = at("stranger");
    std::fs::rename(people.pop().expect("the last of them"), &stranger).expect("a place elsewhere");
    let mated = folder.path().join("mated.png");
    std::fs::rename(a_picture(&people[0]), &mated).expect("a picture that nobody enrolls");
    let camera = folder.path().join("camera");
    std::fs::create_dir(&camera).expect("a folder");
    show(&a_picture(Path::new(&stranger)), &camera.join("0.ppm"));
    std::fs::write(camera.join("1.pgm"), "P5 48 48 65535\n").expect("a file that is no such picture");
    show(&mated, &camera.join("2.ppm"));
    let camera = format!("camera={}", camera.display());
    let name = people[0].file_name().expect("a name").to_string_lossy().into_owned();
    let model = Model::open(&workspace().join(MODEL)).expect("the shipped model");
    let mut stacks = Vec::new();
    for machine in &MACHINES {
        or_skip!(machine.elf());
        println!("{}", machine.name);
        // Nobody holds the button, and nobody is let in.
        let closed = Bench::boot(machine, folder.path(), &[]);
        assert_eq!(closed.device(&["info"]).code, FAILED);
        drop(closed);

        let entropy = format!("entropy={}", "5a".repeat(32));
        let mut bench = Bench::boot(machine, folder.path(), &["button=4", &entropy]);
        let wrong = |code: &str| format!("{:06}", (code.parse::<u32>().expect("six digits") + 1) % 1_000_000);
        assert!(!bench.pair(wrong), "a wrong code was taken");
        bench.reboot(&["button=4", &entropy]);
        assert!(bench.pair(str::to_owned));

        // Taken, and run by the same machine after its restart.
        bench.device(&["update", &at("1.update")]).done();
        let stats = bench.device(&["stats"]).done().json();
        assert_eq!((stats["model_version"].as_u64(), stats["boots"].as_u64()), (Some(1), Some(4)), "{stats}");
        bench.run(&["enroll", &at("people"), "--to", &bench.target(), "--accept-findings"]).done();
        let identify = |bench: &Bench<'_>, person: &Path| {
            bench.run(&["identify", &a_picture(person).to_string_lossy(), "--to", &bench.target()])
        };
        let all_known = |bench: &Bench<'_>| {
            for person in &people {
                let name = person.file_name().expect("a name").to_string_lossy();
                let answer = identify(bench, person).done().json();
                assert!(answer.to_string().contains(&*name), "{name}: {answer}");
            }
            assert_eq!(identify(bench, Path::new(&stranger)).code, UNKNOWN);
        };
        all_known(&bench);

        // The power goes; the pairing, the model and the people stay. A second model goes into the other slot.
        bench.reboot(&[]);
        all_known(&bench);
        bench.device(&["update", &at("2.update")]).done();
        all_known(&bench);
        let older = bench.device(&["update", &at("1.update")]);
        assert_eq!(older.code, FAILED, "{}", older.stderr);
        bench.reboot(&[]);
        let stats = bench.device(&["stats"]).done().json();
        assert_eq!((stats["model_version"].as_u64(), stats["boots"].as_u64()), (Some(2), Some(7)), "{stats}");
        all_known(&bench);
        bench
            .run(&[
                "gallery",
                "backup",
                "--to",
                &bench.target(),
                "-o",
                &at(&format!("{}.backup", machine.name)),
            ])
            .done();

        // Before the camera a stranger, a file that is no picture, and another picture of somebody enrolled.
        bench.reboot(&[&camera]);
        bench.emulator.hear("the lock closes");
        let said = bench.emulator.said();
        let happened: Vec<&str> = said
            .lines()
            .skip_while(|line| !line.starts_with("placed: "))
            .skip(1)
            .filter(|line| !line.starts_with("stack: "))
            .collect();
        let [stranger, why, failed, known, opens, closes] = happened[..] else { panic!("{said}") };
        assert_eq!(
            [stranger, failed, opens, closes],
            ["unknown", "refused", "the lock opens", "the lock closes"]
        );
        assert_eq!(why, "no binary PPM or PGM of one byte a value: picture 1");
        assert!(known.starts_with(&format!("known: {name} at ")), "{known}");
        all_known(&bench);
        let stats = bench.device(&["stats"]).done().json();
        assert_eq!(stats["camera_faults"].as_u64(), Some(1), "{stats}");

        // What was told of it before is what it takes.
        let board =
            Board::named(&or_skip!(machine.elf()).to_string_lossy()).expect("a firmware with a manifest");
        let plan = model.plan_bytes();
        let told = board.take(&Plan::parse(plan).expect("a plan"), plan.len()).expect("it fits");
        let placed = numbers(&bench.emulator.said(), "placed: ");
        let [flash, ram] = placed[0][..] else { panic!("{placed:?}") };
        let deepest = bench.deepest();
        println!(
            "{}: {flash} bytes of flash (text and data), {ram} of RAM (data and bss), {deepest} of stack, {} told",
            machine.name, told.stack
        );
        assert_eq!((told.flash.firmware, told.ram.firmware + told.ram.plan), (flash, ram));
        assert!(machine.name != "mps2-an386" || flash <= MOST_FLASH, "{flash} bytes of flash");
        stacks.push((machine.name, told.stack, deepest));
    }
    // No less than what is taken, and not much more.
    let is_told = |told: usize, taken: usize| (taken..=taken * 115 / 100).contains(&told);
    assert!(stacks.iter().all(|&(_, told, taken)| is_told(told, taken)), "stack told and taken: {stacks:?}");
}

/// A picture of a person's folder.
fn a_picture(person: &Path) -> PathBuf {
    let mut pictures: Vec<_> =
        std::fs::read_dir(person).expect("pictures").map(|entry| entry.expect("a picture").path()).collect();
    pictures.sort();
    pictures.swap_remove(0)
}

/// Writes a picture as a board's camera reads it.
fn show(picture: &Path, file: &Path) {
    let colours = PnmSubtype::Pixmap(SampleEncoding::Binary);
    let encoder = PnmEncoder::new(File::create(file).expect("a file")).with_subtype(colours);
    let picture = image::open(picture).expect("a picture").to_rgb8();
    picture.write_with_encoder(encoder).expect("a picture that can be written");
}

#[test]
fn a_word_that_is_none_ends_the_board() {
    let machine = Machine::m4();
    or_skip!(machine.elf());
    let folder = tempfile::tempdir().expect("a folder");
    for word in ["opne", "button=soon", "entropy=5a", "camera"] {
        let mut emulator = Emulator::boot(machine, &folder.path().join("chip"), &[word]);
        assert_eq!(emulator.hear("no word for this board: "), word);
    }
}
