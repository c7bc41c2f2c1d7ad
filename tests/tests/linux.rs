//! The Linux board's program on this computer: models by tract over the link and before its camera, the same as their plans to the byte.
#![cfg(target_os = "linux")]

use std::fs::Permissions;
use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Command, Stdio};

use arcgate::data::ImageSet;
use arcgate::engine::{Kind, Model};
use arcgate::onnx::file;
use arcgate::photo::Detector;
use arcgate_tests::program::{self, arcgate};
use arcgate_tests::simulator::Simulator;
use arcgate_tests::whole::{Pictures, aligning_model};
use arcgate_tests::{data, or_skip};

/// ONNX TensorProto.DataType.INT8.
const INT8: i32 = 3;
const UNKNOWN: i32 = 10;

/// The board's program: this computer's, or what ARCGATE_TEST_LINUX says in words between spaces, another core's in an emulator
/// (`tests/aarch64`).
fn board() -> Command {
    let told = std::env::var("ARCGATE_TEST_LINUX").unwrap_or_default();
    let mut words = told.split_ascii_whitespace();
    let mut command =
        words.next().map_or_else(|| Command::new(program::named("arcgate-linux")), Command::new);
    command.args(words);
    command
}

/// A board's files in a folder of its own.
struct Board {
    folder: tempfile::TempDir,
}

impl Board {
    /// With its keys and a signed image of these plans.
    fn new(embedder: &[u8], detector: Option<&[u8]>) -> Self {
        let board = Board { folder: tempfile::tempdir().expect("a folder") };
        arcgate(["keys", "device", "-o", &board.at("device.key")]).done();
        arcgate(["keys", "update", "-o", &board.at("update.key")]).done();
        std::fs::write(board.at("model.plan"), embedder).expect("a file");
        let (plan, key, image) = (board.at("model.plan"), board.at("update.key"), board.at("model.update"));
        let mut words = vec!["pack", &plan, "--key", &key, "--model-version", "1", "-o", &image];
        let detector_plan = board.at("detector.plan");
        if let Some(detector) = detector {
            std::fs::write(&detector_plan, detector).expect("a file");
            words.extend(["--detector", &detector_plan]);
        }
        arcgate(words).done();
        board
    }

    fn at(&self, name: &str) -> String {
        self.folder.path().join(name).to_string_lossy().into_owned()
    }

    fn start(&self, more: &[&str]) -> Simulator {
        let mut command = board();
        command.args(["--home", &self.at("home"), "--device-key", &self.at("device.key")]);
        command.args(["--update-key", &self.at("update.key.pub"), "--port", "tcp:127.0.0.1:0"]).args(more);
        Simulator::run(command)
    }

    /// Gives it its model over the link, with which it starts anew.
    fn update(&self, device: &Simulator) {
        let updated =
            arcgate(["device", "update", &self.at("model.update"), "--port", device.target(), "--json"]);
        updated.done();
    }
}

/// The int8 ONNX of [`aligning_model`].
fn onnx() -> String {
    let shipped = || data::workspace().join("models/synth-s/synth-s.onnx");
    data::made_embedder().unwrap_or_else(shipped).to_string_lossy().into_owned()
}

#[test]
fn the_boards_tract_gives_the_plans_embeddings_of_whole_pictures() {
    let (model, folder) = (or_skip!(aligning_model()), tempfile::tempdir().expect("a folder"));
    let pictures = Pictures::new(6, folder.path());
    // In the ONNX that the pictures' detector was imported to, which sees nobody on drawn portraits: those come with landmarks.
    let detector_onnx = folder.path().join("detector.onnx");
    let detector = Detector::open(&detector_onnx).expect("the detector as it was imported");
    let board = Board::new(model.plan_bytes(), Some(detector.plan().expect("an int8 detector")));
    let graphs = ["--onnx", &onnx(), "--detector-onnx", detector_onnx.to_str().expect("a name")];
    let device = board.start(&[&["--open"], &graphs[..]].concat());
    board.update(&device);
    device.note("tract runs");

    let mut client = device.connect();
    let mut engine = model.embedder(Kind::Plan).expect("the plan's engine");
    let mut compared = 0;
    for photo in &pictures.photos {
        let told = (!pictures.real).then(|| {
            let (w, h) = (f32::from(photo.width()), f32::from(photo.height()));
            [[0.35, 0.4], [0.65, 0.4], [0.5, 0.55], [0.38, 0.7], [0.62, 0.7]].map(|[x, y]| [x * w, y * h])
        });
        client.send_frame(&photo.frame(), told, &mut |_| ()).expect("the picture arrives");
        let Ok(crop) = client.read_crop() else { continue };
        if pictures.real {
            assert!(pictures.crop(photo, &model).as_ref() == Some(&crop), "{}", photo.path().display());
        }
        let mut expected = vec![0; model.info().dimension.into()];
        engine.embed(&crop, &mut expected).expect("an embedding");
        assert_eq!(client.read_embedding().expect("an embedding"), expected, "{}", photo.path().display());
        compared += 1;
    }
    println!("{compared} embeddings of {} pictures equal", pictures.photos.len());
    assert!(compared >= 5, "{compared}");
}

/// The shipped model's plan and ONNX, for portraits that are taken whole.
fn shipped() -> (Model, String) {
    let onnx = data::workspace().join("models/synth-s/synth-s.onnx");
    (Model::open(&onnx).expect("the shipped model"), onnx.to_string_lossy().into_owned())
}

#[test]
fn people_stay_known_over_the_link_and_before_the_camera_after_a_kill() {
    let (model, onnx) = shipped();
    let board = Board::new(model.plan_bytes(), None);
    let (people, strangers) = (board.at("people"), board.at("strangers"));
    arcgate(["synth", "-o", &people, "--identities", "2", "--views", "3", "--size", "48x48"]).done();
    arcgate([
        "synth",
        "-o",
        &strangers,
        "--identities",
        "1",
        "--views",
        "1",
        "--first",
        "900",
        "--size",
        "48x48",
    ])
    .done();
    let pictures = |folder: &str| -> Vec<String> {
        let mut files: Vec<_> = ImageSet::open(Path::new(folder))
            .map(|set| (0..set.images.len()).map(|i| set.path(i)).collect())
            .expect("portraits");
        files.sort();
        files.iter().map(|path: &std::path::PathBuf| path.to_string_lossy().into_owned()).collect()
    };
    let (known, stranger) = (pictures(&people), pictures(&strangers).remove(0));

    let device = board.start(&["--open", "--onnx", &onnx]);
    board.update(&device);
    device.note("tract runs");
    arcgate(["enroll", &people, "--to", device.target(), "--accept-findings"]).done();
    // No time to do anything: what was enrolled is on the disk.
    drop(device);

    let watchdog = board.at("watchdog");
    std::fs::write(&watchdog, []).expect("a file");
    let door = board.at("door");
    std::fs::create_dir(&door).expect("a folder");
    std::fs::copy(&known[4], board.at("door/1.png")).expect("a portrait");
    std::fs::copy(&stranger, board.at("door/2.png")).expect("a portrait");
    let device = board.start(&["--open", "--onnx", &onnx, "--camera", &door, "--watchdog", &watchdog]);
    device.note("up, 2 people");
    assert!(device.hear("known: ").starts_with("known: "), "who is known comes first");
    device.hear("unknown: ");
    let identify = |picture: &str| arcgate(["identify", picture, "--to", device.target(), "--json"]);
    for picture in [&known[1], &known[4]] {
        let answer = identify(picture).done().json();
        let name = Path::new(picture).parent().and_then(Path::file_name).expect("a person's folder");
        assert_eq!(answer["best"]["name"].as_str(), name.to_str(), "{answer}");
    }
    assert_eq!(identify(&stranger).code, UNKNOWN);
    assert_eq!(device.terminate(), 0);
    let fed = std::fs::read(&watchdog).expect("a file");
    assert!(fed.len() > 1 && fed.ends_with(b"V"), "{fed:?}");
}

#[test]
fn an_onnx_that_is_not_the_plans_is_named_and_not_run() {
    let (model, onnx) = shipped();
    let board = Board::new(model.plan_bytes(), None);
    let mut changed = file::read(Path::new(&onnx)).expect("the shipped model");
    let graph = changed.graph.as_mut().expect("a graph");
    let weights = graph.initializer.iter_mut().filter(|tensor| tensor.data_type == INT8);
    let weights = weights.max_by_key(|tensor| tensor.raw_data.len()).expect("weights in int8");
    weights.raw_data.iter_mut().for_each(|byte| *byte ^= 1);
    let other = board.at("changed.onnx");
    file::write(Path::new(&other), &changed).expect("a file");
    let device = board.start(&["--open", "--onnx", &other]);
    board.update(&device);
    let line = device.note("the plan runs: ");
    assert!(line.contains("the embedder's ONNX differs from its plan on drawn crop 0"), "{line}");
    assert_eq!(device.terminate(), 0);
}

#[test]
fn a_computer_is_paired_and_keys_that_others_can_read_are_refused() {
    let (model, _) = shipped();
    let board = Board::new(model.plan_bytes(), None);
    let keys = board.at("devices.toml");
    let device = board.start(&["--pair", "4"]);
    let with_keys = |words: &[&str]| arcgate(words.iter().copied().chain(["--keys", &keys]));
    let info = ["device", "info", "--port", device.target(), "--json"];
    assert_ne!(with_keys(&info).code, 0);
    let mut pair = Command::new(program::path())
        .args([
            "device",
            "pair",
            "--port",
            device.target(),
            "--role",
            "administrator",
            "--label",
            "a test",
            "--keys",
            &keys,
        ])
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("the program runs");
    let line = device.hear("code ");
    let code = line.strip_prefix("code ").and_then(|rest| rest.split_once(':')).expect("a code").0;
    writeln!(pair.stdin.take().expect("its input"), "{code}").expect("the program reads");
    assert!(pair.wait().expect("the program ends").success());
    let told = with_keys(&info).done().json();
    assert_eq!((&told["open_link"], &told["software_key"]), (&false.into(), &true.into()), "{told}");
    assert_eq!(device.terminate(), 0);

    std::fs::set_permissions(board.at("device.key"), Permissions::from_mode(0o644)).expect("a mode");
    let mut command = self::board();
    command.args(["--home", &board.at("home"), "--device-key", &board.at("device.key")]);
    let refused = command.output().expect("the program runs");
    let why = String::from_utf8_lossy(&refused.stderr);
    assert!(!refused.status.success() && why.contains("its mode is 644"), "{why}");
}
