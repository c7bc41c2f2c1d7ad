//! `arcgate simulate`.

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::mpsc;

use anyhow::Context;
use arcgate_firmware::decide::{MatchRules, TARGET_FPIR};
use arcgate_firmware::device::Event;
use arcgate_firmware::engine::plan::PlanModels;
use arcgate_firmware::engine::{Embedder, Models};
use arcgate_firmware::link::LinkTrust;
use arcgate_firmware::link::pairing::Shown;
use arcgate_firmware::model::ModelInfo;
use arcgate_firmware::panel::Press;
use arcgate_firmware::sim::{Chip, FRAME, FileFlash, Nature, StoredCamera, StoredShot};
use arcgate_firmware::update::{Development, UpdateKey, Verifier};
use clap::ArgGroup;
use serde_json::json;

use super::clock;
use super::people::{KeyArg, ModelArg, answer_json, answer_text};
use super::scenario;
use super::shared::{self, FaceArgs};
use crate::data::ImageSet;
use crate::engine::Kind;
use crate::enroll::{self, EnrollError, FILE_SECTORS};
use crate::keys::update;
use crate::link::Target;
use crate::photo::{Detector, Finder, Found, Photo, PhotoError};
use crate::scenario::{LANGUAGE, Setting};
use crate::ui::Ui;

/// The device on this desktop: a file as its flash, TCP as its serial port, image files as its camera.
///
/// A --detector that a device can run, int8 ONNX or plan, becomes the device's own: it finds the face in whatever picture comes without
/// landmarks, from its camera or from a host. A float one looks at the camera's images beforehand.
#[derive(clap::Args, Debug)]
#[command(after_help = LANGUAGE, group = ArgGroup::new("signer").args(["update_key", "development"]).multiple(true))]
pub struct Args {
    #[command(flatten)]
    model: ModelArg,
    /// Start without a model, as a new device does, and wait for one (`arcgate device update`).
    #[arg(long, conflicts_with_all = ["model", "detector"], requires = "signer")]
    no_model: bool,
    /// The file that is the device's flash for people; a gallery file is one. Made if it is not there, and so is a folder of its name
    /// with ".d" behind, for pairings, events and models. Without it simulated.gallery, or a new one for a script alone.
    #[arg(long, value_name = "FILE")]
    flash: Option<PathBuf>,
    /// A file that stands for a counter outside of the flash: with it a flash that was put back is noticed and refused. Made if it
    /// is not there, which goes with a flash that holds nothing yet.
    #[arg(long, value_name = "FILE")]
    counter: Option<PathBuf>,
    /// Where it listens; port 0 takes any free one.
    #[arg(long, value_name = "tcp:HOST:PORT", default_value = "tcp:localhost:7700")]
    port: Target,
    /// What the camera shows: a folder of images, each once, after which the device goes on for its host; or one image for ever, like
    /// somebody who stays before a camera: voted on, and locked out when unknown too often. With --script, the folder of the script's
    /// pictures.
    #[arg(long, value_name = "DIR|FILE")]
    camera: Option<PathBuf>,
    /// Play a scenario instead of listening: what happens before the device and what it is to do, in the device's own time. Exits
    /// with 1 at the first line that fails.
    #[arg(long, value_name = "FILE", conflicts_with_all = ["port", "button", "counter"])]
    script: Option<PathBuf>,
    /// The share of strangers' searches that it may answer: the threshold is that of the model's next lower rate.
    #[arg(long, value_name = "RATE", default_value_t = TARGET_FPIR, value_parser = shared::rate::<f32>)]
    fpir: f32,
    /// Trust everybody who reaches the port: nobody is paired, nothing is sealed. Without it only paired computers are served.
    #[arg(long)]
    open: bool,
    /// The public half of a key (`arcgate keys update` writes it beside the private one): the device takes models that it signed
    /// (`arcgate device update`), and runs --model until one comes.
    #[arg(long, value_name = "FILE")]
    update_key: Option<PathBuf>,
    /// Take models that are signed with the development key, which everybody has.
    #[arg(long)]
    development: bool,
    /// Hold the device's button for so long as it starts, which allows pairing for a minute: less than 3 s for operators, longer for
    /// administrators too. It prints the code.
    #[arg(long, value_name = "SECONDS", conflicts_with = "open")]
    button: Option<f32>,
    /// Log what happens by defmt, as boards do, into this file: `arcgate-logs` puts it into words with this very program. It takes a
    /// build with --features defmt.
    #[arg(long, value_name = "FILE")]
    defmt: Option<PathBuf>,
    #[command(flatten)]
    key: KeyArg,
    #[command(flatten)]
    finder: FaceArgs,
}

/// Runs the command until it is interrupted.
///
/// # Errors
/// Whatever stopped it, in words for people.
pub fn run(args: Args, ui: &Ui) -> anyhow::Result<ExitCode> {
    let Target::Tcp(address) = &args.port else {
        anyhow::bail!("a simulated device listens on TCP\n  accepted: --port tcp:HOST:PORT");
    };
    if let Some(log) = &args.defmt {
        arcgate_logger::log_to(log).with_context(|| format!("cannot log into {}", log.display()))?;
    }
    let detector = args.finder.detector()?;
    let own = detector.as_ref().and_then(Detector::plan).cloned();
    let models: Box<dyn Models + Send> = match &own {
        _ if args.no_model => Box::new(PlanModels::<Vec<u8>, _>::none(Vec::new())),
        Some(detector) => args.model.open()?.with_detector(detector)?,
        None => args.model.open()?.embedder(Kind::Plan)?,
    };
    if let Some(script) = &args.script {
        let looks = own.is_some() || args.no_model;
        let landmarks = args.finder.landmarks_or(None)?;
        let finder = Finder::new(detector.filter(|_| own.is_none()), landmarks);
        let info = models.info().clone();
        let folder = args.camera.as_deref().or(script.parent()).unwrap_or(Path::new(""));
        if let Some(path) = args.camera.as_deref().filter(|path| !path.is_dir()) {
            anyhow::bail!(
                "the camera {} is no folder\n  accepted: with --script, the folder of its pictures",
                path.display()
            );
        }
        let scratch = tempfile::tempdir().context("cannot make a folder for the flash")?;
        let flash = args.flash.clone().unwrap_or_else(|| scratch.path().join("flash"));
        let file = |why| EnrollError::File { path: flash.clone(), why };
        let setting = Setting {
            flash: FileFlash::open_or_create(&flash, FILE_SECTORS).map_err(file)?,
            chip: Some(chip(&args, &flash)?),
            secret: args.key.secret()?,
            link: trust(&args),
            matching: matching(&args),
            models,
        };
        return scenario::play(script, folder, &|path| shot(path, &finder, &info, looks), setting, ui);
    }
    let camera = match &args.camera {
        Some(path) => {
            let (mut set, stays) = images(path)?;
            let landmarks = args.finder.landmarks_or(set.landmarks.take())?;
            let finder = Finder::new(detector.filter(|_| own.is_none()), landmarks);
            let looks = own.is_some() || args.no_model;
            if stays {
                StoredCamera::lasting(shot(&set.path(0), &finder, models.info(), looks)?)
            } else {
                pictures(&set, &finder, models.info(), looks, ui)
            }
        }
        None => StoredCamera::default(),
    };
    let flash = args.flash.clone().unwrap_or_else(|| "simulated.gallery".into());
    let (stop, stopped) = mpsc::channel();
    let interrupted = move || {
        // The receiver waits until the device stops.
        let _ = stop.send(());
    };
    ctrlc::set_handler(interrupted).context("cannot listen for the interrupt that stops the device")?;
    let talk = *ui;
    let log = move |event: &Event| tell(event, &talk);
    let nature = Nature {
        matching: matching(&args),
        secret: args.key.secret()?,
        counter: args.counter.as_deref(),
        chip: Some(chip(&args, &flash)?),
        link: trust(&args),
        press: args.button.map(|seconds| Press::ended_after((1000.0 * seconds) as u32)).and_then(Press::role),
    };
    let device = enroll::simulate(models, &flash, address, camera, nature, log)?;
    ui.note(format!("a device with its flash in {} listens on tcp:{}", flash.display(), device.address()));
    let next = if args.open { "enroll DIR --to" } else { "device pair --port" };
    ui.note(format!("next:   arcgate {next} tcp:{}   (interrupt with Ctrl-C)", device.address()));
    // The other end lives in the handler, which lives as long as the process.
    let _ = stopped.recv();
    device.stop();
    Ok(ExitCode::SUCCESS)
}

fn matching(args: &Args) -> MatchRules {
    MatchRules { target_fpir: args.fpir, ..MatchRules::default() }
}

fn trust(args: &Args) -> LinkTrust {
    if args.open { LinkTrust::Open } else { LinkTrust::Paired }
}

/// The flashes beside the gallery's.
fn chip(args: &Args, flash: &Path) -> anyhow::Result<Chip> {
    let accepted = if args.development { Development::Accepted } else { Development::Refused };
    let key = args.update_key.as_deref().map(update::read_public).transpose()?;
    let key = key.or(args.development.then_some(UpdateKey::DEVELOPMENT));
    let verifier = key.map(|key| Verifier::new(key, accepted)).transpose()?;
    let mut folder = flash.as_os_str().to_owned();
    folder.push(".d");
    let folder = PathBuf::from(folder);
    Chip::open(&folder, verifier).with_context(|| format!("the flashes in {}", folder.display()))
}

fn tell(event: &Event, ui: &Ui) {
    arcgate_logger::happened(event);
    match event {
        Event::Answered(answer) | Event::Asked(answer) if ui.json => ui.say(answer_json(answer).to_string()),
        Event::Answered(answer) | Event::Asked(answer) => ui.say(answer_text(answer, None)),
        Event::Enrolled(person) if ui.json => ui.say(json!({"enrolled": person.0}).to_string()),
        Event::Removed(person) if ui.json => ui.say(json!({"removed": person.0}).to_string()),
        Event::Erased if ui.json => ui.say("{\"erased\":true}"),
        Event::BackedUp(people) if ui.json => ui.say(json!({"backed_up": people}).to_string()),
        Event::Restored(done) if ui.json => ui.say(json!({"restored": done}).to_string()),
        Event::ClockSet(time) if ui.json => ui.say(json!({"time": time}).to_string()),
        Event::ClockSet(time) => ui.say(format!("it is {}", clock::text(*time))),
        Event::Updated { version } if ui.json => ui.say(json!({"updated": version}).to_string()),
        Event::Pairing(Shown { code, role, label }) if ui.json => {
            ui.say(json!({"code": code.to_string(), "role": role, "label": label.as_str()}).to_string());
        }
        Event::Paired { host, role } if ui.json => ui.say(json!({"paired": host, "role": role}).to_string()),
        Event::Unpaired { host } if ui.json => ui.say(json!({"unpaired": host}).to_string()),
        Event::Noise(_) if !ui.verbose => {}
        Event::Enrolled(_)
        | Event::Removed(_)
        | Event::Erased
        | Event::BackedUp(_)
        | Event::Restored(_)
        | Event::Updated { .. }
        | Event::Pairing(_)
        | Event::Paired { .. }
        | Event::Unpaired { .. } => ui.say(event.to_string()),
        Event::Shot(_)
        | Event::GaveUp
        | Event::NotUpdated { .. }
        | Event::Refused(_)
        | Event::Noise(_)
        | Event::Forged(_)
        | Event::TurnedAway(_)
        | Event::Session { .. } => ui.note(event.to_string()),
    }
}

/// The images at a path: a folder's, or one file and that it is one.
fn images(path: &Path) -> anyhow::Result<(ImageSet, bool)> {
    let name = path.display();
    let kind = std::fs::metadata(path).with_context(|| format!("cannot read the camera {name}"))?;
    if kind.is_dir() {
        return Ok((ImageSet::open(path)?, false));
    }
    if kind.is_file() {
        return Ok((ImageSet::file(path)?, true));
    }
    anyhow::bail!(
        "the camera {name} is neither a folder nor a file\n  accepted: a folder of images, or an image"
    )
}

/// The images of a folder as the camera's pictures, as the device would keep them; those that show nobody are named and left out.
/// Without landmarks where the device looks itself.
fn pictures(set: &ImageSet, finder: &Finder, info: &ModelInfo, looks: bool, ui: &Ui) -> StoredCamera {
    let mut shots = Vec::new();
    for i in 0..set.images.len() {
        match shot(&set.path(i), finder, info, looks) {
            Ok(shot) => shots.push(shot),
            Err(why) => ui.note(format!("left out: {why}")),
        }
    }
    StoredCamera::new(shots)
}

fn shot(path: &Path, finder: &Finder, info: &ModelInfo, looks: bool) -> Result<StoredShot, PhotoError> {
    let photo = Photo::open(path)?;
    let landmarks = if looks && !finder.can_tell(&photo) {
        None
    } else {
        match finder.find(&photo, info)? {
            Found::Face { landmarks, .. } => Some(landmarks),
            Found::Framed => None,
        }
    };
    Ok(StoredShot::kept(&photo.frame(), landmarks, FRAME as u32))
}
