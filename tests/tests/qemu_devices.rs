//! Whole devices on every emulated board, through the program: a first start without a model, a computer paired by the code on the
//! board's console, a model over the link and the restart after it, people enrolled and found, and all of it there after a power cut.

use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};

use arcgate::link::Target;
use arcgate_tests::or_skip;
use arcgate_tests::program::{self, Run, arcgate};
use arcgate_tests::qemu::{Emulator, MACHINES, Machine};

const MODEL: &str = "models/synth-s/synth-s.onnx";
const FAILED: i32 = 1;
const UNKNOWN: i32 = 10;

/// A device, and a computer that keeps its keys in a file.
struct Bench<'f> {
    machine: &'static Machine,
    folder: &'f Path,
    emulator: Emulator,
}

impl<'f> Bench<'f> {
    fn boot(machine: &'static Machine, folder: &'f Path, words: &[&str]) -> Self {
        let mut emulator = Emulator::boot(machine, &folder.join(machine.name), words);
        emulator.hear("up, ");
        Bench { machine, folder, emulator }
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
        drop(bench);
        let mut bench = Bench::boot(machine, folder.path(), &["button=4", &entropy]);
        assert!(bench.pair(str::to_owned));

        // Taken, and run by the same machine after its restart.
        bench.device(&["update", &at("1.update")]).done();
        let stats = bench.device(&["stats"]).done().json();
        assert_eq!((stats["model_version"].as_u64(), stats["boots"].as_u64()), (Some(1), Some(4)), "{stats}");
        bench.run(&["enroll", &at("people"), "--to", &bench.target(), "--accept-findings"]).done();
        let identify = |bench: &Bench<'_>, person: &Path| {
            let picture =
                std::fs::read_dir(person).expect("pictures").next().expect("one").expect("one").path();
            bench.run(&["identify", &picture.to_string_lossy(), "--to", &bench.target()])
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
        drop(bench);
        let bench = Bench::boot(machine, folder.path(), &[]);
        all_known(&bench);
        bench.device(&["update", &at("2.update")]).done();
        all_known(&bench);
        let older = bench.device(&["update", &at("1.update")]);
        assert_eq!(older.code, FAILED, "{}", older.stderr);
        drop(bench);
        let bench = Bench::boot(machine, folder.path(), &[]);
        let stats = bench.device(&["stats"]).done().json();
        assert_eq!((stats["model_version"].as_u64(), stats["boots"].as_u64()), (Some(2), Some(7)), "{stats}");
        all_known(&bench);
    }
}

#[test]
fn a_word_that_is_none_ends_the_board() {
    let machine = Machine::m4();
    or_skip!(machine.elf());
    let folder = tempfile::tempdir().expect("a folder");
    for word in ["opne", "button=soon", "entropy=5a"] {
        let mut emulator = Emulator::boot(machine, &folder.path().join("chip"), &[word]);
        assert_eq!(emulator.hear("no word for this board: "), word);
    }
}
