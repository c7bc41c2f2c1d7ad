//! arcgate's device on a Linux board.
//!
//! ```text
//! camera     V4L2, or image files, each shown once      camera.rs
//! models     plans in slots; their ONNX by tract        arcgate_firmware::engine::tract
//! flash      files in --home, written through           arcgate_firmware::sim
//! link       TCP or a serial port                       tty.rs
//! lock, lights, buzzer, button, presence: GPIO lines    pins.rs
//! watchdog   /dev/watchdog                              watchdog.rs
//! secret     a key file that its owner alone can read   secret.rs
//! ```
//!
//! The device and its main loop are the firmware's; the parts that a simulated device has too are the simulator's. What happens is told
//! on standard output, one line each, and what there is to know about the start on standard error: a service's journal has both.

mod camera;
mod note;
mod pins;
mod secret;
mod tty;
mod watchdog;

use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use anyhow::Context;
use arcgate_firmware::board::{Board, Next};
use arcgate_firmware::decide::Rules;
use arcgate_firmware::device::Event;
use arcgate_firmware::engine::Models;
use arcgate_firmware::engine::plan::PlanModels;
use arcgate_firmware::engine::tract::{Graphs, TractModels};
use arcgate_firmware::gallery::NoCounter;
use arcgate_firmware::link::LinkTrust;
use arcgate_firmware::link::status::Phase;
use arcgate_firmware::panel::{LockRules, Panel, Press};
use arcgate_firmware::sim::{Bench, CLOCK, Chip, FileFlash, FromSlot, TcpPort, Wire};
use arcgate_firmware::time::Uptime;
use arcgate_firmware::update::{Development, UpdateKey, Verifier};
use clap::Parser;
use embedded_io::{Read, ReadReady, Write, WriteReady};

use camera::{Eye, View};
use note::{note, say};
use pins::Wiring;
use secret::{KeyFile, UPDATE_KEY, read_key};
use tty::{Port, TtyPort};
use watchdog::Dog;

/// tract 0.23.9's AMX kernel loads whole tiles where less is left: at the end of an arena of glibc that is a segmentation fault.
#[cfg(target_arch = "x86_64")]
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Sectors of the gallery's flash: 4 MB.
const GALLERY: usize = 1024;

/// How long the program sleeps when there is nothing to do.
const PAUSE: Duration = Duration::from_millis(1);

/// Recognises who is before the camera and opens the door for whom it knows, until it is interrupted.
#[derive(Parser, Debug)]
#[command(version, about)]
struct Args {
    /// The folder of the device's flash: people, pairings, events and models. Made if it is not there.
    #[arg(long, value_name = "DIR", default_value = "/var/lib/arcgate")]
    home: PathBuf,
    /// The device's secret (`arcgate keys device`), a file that nobody but its owner can read.
    #[arg(long, value_name = "FILE")]
    device_key: PathBuf,
    /// The public half of the key whose models the device takes (`arcgate keys update`). Without it, in a build with the feature
    /// `development`, that of the development key.
    #[arg(long, value_name = "FILE")]
    update_key: Option<PathBuf>,
    /// The link: tcp:HOST:PORT (port 0: any free one) or /dev/ttyX[@BAUD].
    #[arg(long, default_value = "tcp:localhost:7700")]
    port: Port,
    /// Trust everybody who reaches the port: nobody is paired, nothing is sealed.
    #[arg(long)]
    open: bool,
    /// As if the button were held for so many seconds at the start: a computer may be paired within a minute, from 3 s as administrator.
    #[arg(long, value_name = "SECONDS", conflicts_with = "open")]
    pair: Option<f32>,
    /// The int8 ONNX of the embedder, to be run by tract in the place of its plan. One that differs from it is not run.
    #[arg(long, value_name = "FILE")]
    onnx: Option<PathBuf>,
    /// The int8 ONNX of the detector, likewise.
    #[arg(long, value_name = "FILE", requires = "onnx")]
    detector_onnx: Option<PathBuf>,
    #[command(flatten)]
    view: View,
    #[command(flatten)]
    wiring: Wiring,
    /// The watchdog, which restarts the board when the device hangs.
    #[arg(long, value_name = "DEVICE")]
    watchdog: Option<PathBuf>,
    /// Log what happens by defmt, as other boards do, into this file too: `arcgate-logs` puts it into words with this very program. It
    /// takes a build with --features defmt.
    #[arg(long, value_name = "FILE")]
    defmt: Option<PathBuf>,
}

fn main() -> ExitCode {
    match run(&Args::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(why) => {
            note!("error: {why:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(args: &Args) -> anyhow::Result<()> {
    if let Some(log) = &args.defmt {
        arcgate_logger::log_to(log).with_context(|| format!("cannot log into {}", log.display()))?;
    }
    let secret = KeyFile::open(&args.device_key)?;
    let key = match &args.update_key {
        Some(path) => UpdateKey(read_key(path, UPDATE_KEY)?),
        None => UpdateKey::DEVELOPMENT,
    };
    let verifier =
        Verifier::new(key, Development::BUILD).context("no key whose models are taken (--update-key)")?;
    let graphs =
        args.onnx.as_deref().map(|onnx| Graphs::read(onnx, args.detector_onnx.as_deref())).transpose()?;
    let flash = |name: &str| format!("{} in {}", name, args.home.display());
    let chip = Chip::open_durable(&args.home, Some(verifier)).with_context(|| flash("the flashes"))?;
    let gallery = FileFlash::open_or_create(&args.home.join("gallery"), GALLERY)
        .with_context(|| flash("the gallery"))?;
    let stop = Arc::new(AtomicBool::new(false));
    let stopped = stop.clone();
    ctrlc::set_handler(move || stopped.store(true, Ordering::Relaxed))
        .context("cannot listen for the signal to stop")?;
    let device = Linux { args, secret, graphs, stop };
    let gallery = gallery.durable();
    match &args.port {
        Port::Tcp(address) => {
            let port = TcpPort::listen(address).with_context(|| format!("cannot listen on {address}"))?;
            note!("listens on tcp:{}", port.address()?);
            device.live(chip, gallery, port)
        }
        Port::Tty { path, baud } => {
            let port = TtyPort::open(path, *baud).with_context(|| format!("cannot open {path}"))?;
            note!("listens on {path}");
            device.live(chip, gallery, port)
        }
    }
}

/// What stays from one start of the device to the next.
struct Linux<'a> {
    args: &'a Args,
    secret: KeyFile,
    graphs: Option<Graphs>,
    stop: Arc<AtomicBool>,
}

impl Linux<'_> {
    /// Runs the device, which starts anew when it wants to, until the program is to stop. The lock closes.
    fn live<P>(self, chip: Chip, gallery: FileFlash, port: P) -> anyhow::Result<()>
    where
        P: Read + ReadReady + Write + WriteReady,
    {
        let model = Box::new(PlanModels::<Vec<u8>, _>::none(Vec::new()));
        let mut bench = Bench { model, chip: Some(chip), gallery, port, counter: NoCounter };
        let mut pair = self.args.pair;
        // Armed once everything was opened, and through all later starts.
        let mut dog: Option<Dog> = None;
        let link = if self.args.open { LinkTrust::Open } else { LinkTrust::Paired };
        while !self.is_stopped() {
            let mut device = bench.start_with(link, &self.secret, |found| self.engine(found));
            device.set_clock(CLOCK);
            let eye = Eye::open(&self.args.view)?;
            if eye.as_ref().is_some_and(Eye::shows_photographs) {
                device.set_rules(Rules::photographs())?;
            }
            let outputs = self.args.wiring.outputs()?;
            // Before no camera there is nobody.
            let somebody = eye.as_ref().map_or_else(|| Some(Wire::default()), Eye::somebody);
            let inputs = self.args.wiring.inputs(somebody)?;
            let dog = match &mut dog {
                Some(dog) => dog,
                none => none.insert(Dog::open(self.args.watchdog.as_deref())?),
            };
            let mut board = Board::new(eye, Panel::new(outputs, LockRules::default())?, inputs, dog);
            let press = pair.take().map(|seconds| Press::ended_after((1000.0 * seconds) as u32));
            if let Some(at_most) = press.and_then(Press::role) {
                device.allow_pairing(at_most, Uptime(0));
            }
            let (state, people) = (device.gallery().state(), device.gallery().usage().people);
            match state {
                Ok(()) => note!("up, {people} people"),
                Err(why) => note!("up, without a gallery: {why}"),
            }
            arcgate_logger::up(state.is_ok().then_some(people));
            let boot = Instant::now();
            while !self.is_stopped() {
                let now = Uptime(boot.elapsed().as_millis() as u64);
                let mut tell = |event: &Event| {
                    arcgate_logger::happened(event);
                    say!("{event}");
                };
                match board.round(&mut device, now, &mut tell) {
                    // A camera that is still waited for is asked again later.
                    Next::Again if device.phase() != Phase::Capture => {}
                    Next::Again | Next::Sleep => std::thread::sleep(PAUSE),
                    Next::Restart => break,
                }
            }
            bench = Bench::after(device.take_apart());
        }
        dog.into_iter().for_each(Dog::disarm);
        Ok(())
    }

    fn is_stopped(&self) -> bool {
        self.stop.load(Ordering::Relaxed)
    }

    /// What a slot holds, by tract where its ONNX was given. Signed is the plan: what differs from it does not run.
    fn engine(&self, found: FromSlot) -> Box<dyn Models + Send> {
        let mut models = TractModels::new(found);
        match self.graphs.as_ref().map(|graphs| models.load(graphs)) {
            None => note!("the plan runs"),
            Some(Ok(())) => note!("tract runs"),
            Some(Err(why)) => note!("the plan runs: {why}"),
        }
        Box::new(models)
    }
}
