//! The simulated board of a scenario, what stands before it, and its clock.

use std::io::{self, Read, Write};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use arcgate_firmware::board::{LONGEST_SLEEP_MS, Next};
use arcgate_firmware::camera::CameraFault;
use arcgate_firmware::decide::{MatchRules, Rules};
use arcgate_firmware::device::{Camera, Event, Shot};
use arcgate_firmware::engine::Models;
use arcgate_firmware::gallery::NoCounter;
use arcgate_firmware::link::LinkTrust;
use arcgate_firmware::sim::{
    Chip, FileFlash, Fuse, FusedFlash, MemoryPort, Nature, Powered, SimSecret, StoredShot, Unpowered, Wires,
};
use arcgate_firmware::time::Uptime;

use super::failure::Failure;
use crate::link::Wire;

/// Rounds in which a host's read waits for a byte.
const PATIENCE: u32 = 100;

type Flash = FusedFlash<FileFlash>;

/// What a scenario begins with.
pub struct Setting {
    /// What the device runs as long as no slot of its chip has a model.
    pub models: Box<dyn Models + Send>,
    /// Its flash for people.
    pub flash: FileFlash,
    /// Its other flashes.
    pub chip: Option<Chip>,
    /// Its secret.
    pub secret: SimSecret,
    /// Whom it trusts.
    pub link: LinkTrust,
    /// By what it knows people.
    pub matching: MatchRules,
}

/// What the camera sees.
#[derive(Debug, Default)]
struct Scene {
    shots: Vec<Arc<StoredShot>>,
    /// How many it has shown.
    count: usize,
    /// When they are gone, if ever.
    until: Option<u64>,
    dead: bool,
}

/// Shows the scene's pictures in turn, for as long as it works.
struct SceneCamera {
    scene: Arc<Mutex<Scene>>,
    shown: Option<Arc<StoredShot>>,
}

impl Camera for SceneCamera {
    fn poll(&mut self, _: Uptime) -> Result<bool, CameraFault> {
        let mut scene = locked(&self.scene);
        if scene.dead {
            self.shown = None;
            return Err(CameraFault::Driver);
        }
        let next = scene.count.checked_rem(scene.shots.len());
        self.shown = next.and_then(|next| scene.shots.get(next)).cloned();
        scene.count += 1;
        Ok(self.shown.is_some())
    }

    fn shot(&self) -> Option<Shot<'_>> {
        self.shown.as_ref()?.shot()
    }

    fn rest(&mut self) {}
}

/// A board with a clock of its own: it stands still unless somebody asks for the next round.
pub struct Stage {
    powered: Option<Powered<SceneCamera, Flash, MemoryPort>>,
    unpowered: Option<Unpowered<SceneCamera, Flash, MemoryPort>>,
    scene: Arc<Mutex<Scene>>,
    /// The ends of the board's wires.
    pub wires: Wires,
    fuse: Fuse,
    rules: Rules,
    now: u64,
    boot: u64,
    /// What happened, and when.
    pub told: Vec<(u64, Event)>,
}

impl Stage {
    /// A board that was just switched on.
    pub fn new(setting: Setting) -> Self {
        let Setting { models, flash, chip, secret, link, matching } = setting;
        let (scene, wires, fuse) = (Arc::<Mutex<Scene>>::default(), Wires::default(), Fuse::default());
        let camera = SceneCamera { scene: scene.clone(), shown: None };
        let nature = Nature { matching, secret, counter: NoCounter, chip, link, press: None };
        let flash = FusedFlash::new(flash, &fuse);
        let unpowered = Unpowered::new(models, flash, MemoryPort::default(), camera, &wires, nature);
        // A camera's frames, unlike photographs, are many of one presentation.
        let rules = Rules { matching, ..Rules::default() };
        let mut stage = Stage {
            powered: None,
            unpowered: Some(unpowered),
            scene,
            wires,
            fuse,
            rules,
            now: 0,
            boot: 0,
            told: Vec::new(),
        };
        stage.switch_on();
        stage
    }

    /// Milliseconds since the start of the scenario.
    pub fn now(&self) -> u64 {
        self.now
    }

    /// Whether it has power.
    pub fn has_power(&self) -> bool {
        self.powered.is_some()
    }

    /// Gives it power.
    ///
    /// # Errors
    /// When it has.
    pub fn power_on(&mut self) -> Result<(), Failure> {
        if self.has_power() {
            return Err(Failure::HasPower);
        }
        self.switch_on();
        Ok(())
    }

    fn switch_on(&mut self) {
        let Some(unpowered) = self.unpowered.take() else { return };
        self.fuse.mend();
        let mut powered = unpowered.start();
        powered.device().set_rules(self.rules).expect("a vote can be held by the rules of every device");
        let gallery = powered.device().gallery();
        arcgate_logger::up(gallery.state().is_ok().then(|| gallery.usage().people));
        self.boot = self.now;
        self.powered = Some(powered);
    }

    /// Takes its power away.
    ///
    /// # Errors
    /// When it has none.
    pub fn power_off(&mut self) -> Result<(), Failure> {
        let mut powered = self.powered.take().ok_or(Failure::NoPower)?;
        *powered.device().port() = MemoryPort::default();
        self.unpowered = Some(powered.cut());
        Ok(())
    }

    /// Takes its power away in the middle of the write to its gallery after so many more.
    ///
    /// # Errors
    /// When it has none.
    pub fn power_off_after(&mut self, writes: u32) -> Result<(), Failure> {
        if !self.has_power() {
            return Err(Failure::NoPower);
        }
        self.fuse.arm(writes);
        Ok(())
    }

    /// Pictures before the camera, for so many milliseconds if it says so; without pictures nobody.
    pub fn show(&mut self, shots: &[Arc<StoredShot>], lasting: Option<u64>) {
        let until = lasting.map(|lasting| self.now + lasting);
        let mut scene = locked(&self.scene);
        let dead = scene.dead;
        *scene = Scene { shots: shots.to_vec(), count: 0, until, dead };
    }

    /// A camera that works, or does not.
    pub fn set_camera(&mut self, works: bool) {
        locked(&self.scene).dead = !works;
    }

    /// People enrolled, while it has power.
    pub fn people(&mut self) -> Option<u32> {
        Some(self.powered.as_mut()?.device().gallery().usage().people)
    }

    /// The next round, which takes as long as a board sleeps at most.
    pub fn round(&mut self) {
        self.now += u64::from(LONGEST_SLEEP_MS);
        let mut scene = locked(&self.scene);
        if scene.until.is_some_and(|until| self.now >= until) {
            (scene.shots, scene.until) = (Vec::new(), None);
        }
        self.wires.presence.set(!scene.shots.is_empty());
        drop(scene);
        let Some(powered) = &mut self.powered else { return };
        let mut events = Vec::new();
        let next = powered.round(Uptime(self.now - self.boot), &mut |event| {
            arcgate_logger::happened(event);
            events.push(event.clone());
        });
        let cut = self.fuse.is_blown();
        if cut || next == Next::Restart {
            // It has power, or there would have been no round.
            let _ = self.power_off();
        }
        if !cut {
            let now = self.now;
            self.told.extend(events.into_iter().map(|event| (now, event)));
            self.switch_on();
        }
    }
}

/// What a panic left is still a stage.
pub(super) fn locked<T>(shared: &Mutex<T>) -> MutexGuard<'_, T> {
    shared.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A host's wire to a stage; reading from it lets the stage's time go by.
pub(super) struct StageWire(pub Arc<Mutex<Stage>>);

impl Read for StageWire {
    fn read(&mut self, bytes: &mut [u8]) -> io::Result<usize> {
        let mut stage = locked(&self.0);
        for _ in 0..PATIENCE {
            let Some(powered) = &mut stage.powered else { return Err(io::ErrorKind::NotConnected.into()) };
            let arrived = &mut powered.device().port().to_host;
            if !arrived.is_empty() {
                return Read::read(arrived, bytes);
            }
            stage.round();
        }
        Err(io::ErrorKind::TimedOut.into())
    }
}

impl Write for StageWire {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let mut stage = locked(&self.0);
        let powered = stage.powered.as_mut().ok_or(io::ErrorKind::NotConnected)?;
        powered.device().port().to_device.extend(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Wire for StageWire {
    fn set_patience(&mut self, _: Duration) -> io::Result<()> {
        Ok(())
    }
}
