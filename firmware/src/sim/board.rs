//! A simulated board, with power and without.

use embedded_io::{Read, ReadReady, Write, WriteReady};
use embedded_storage::nor_flash::NorFlash;

use super::chip::{Bench, Chip};
use super::wire::{Outputs, Wire, Wires};
use super::{CLOCK, SimDevice, SimSecret};
use crate::board::{Board, Next};
use crate::decide::{MatchRules, Rules};
use crate::device::{Camera, Event};
use crate::engine::Models;
use crate::gallery::{Monotonic, NoCounter};
use crate::link::LinkTrust;
use crate::pairings::Role;
use crate::panel::{LockRules, Panel};
use crate::time::Uptime;

/// What sets one simulated device apart from another.
#[derive(Debug)]
pub struct Nature<M = NoCounter> {
    /// By what it knows people.
    pub matching: MatchRules,
    /// Its secret.
    pub secret: SimSecret,
    /// Its counter against flashes put back.
    pub counter: M,
    /// What it has beside its gallery; without it, it forgets when it stops what was paired, and takes no models.
    pub chip: Option<Chip>,
    /// Whom it trusts on its link.
    pub link: LinkTrust,
    /// Somebody presses its button as it starts: a host may be paired, for this at most.
    pub press: Option<Role>,
}

impl Default for Nature {
    fn default() -> Self {
        Nature {
            matching: MatchRules::default(),
            secret: SimSecret::software(),
            counter: NoCounter,
            chip: None,
            link: LinkTrust::Open,
            press: None,
        }
    }
}

/// A board without power: what it keeps.
pub struct Unpowered<C, F, P, M = NoCounter> {
    bench: Bench<F, P, M>,
    camera: C,
    wires: Wires,
    secret: SimSecret,
    link: LinkTrust,
    rules: Rules,
}

impl<C, F, P, M> Unpowered<C, F, P, M>
where
    C: Camera,
    F: NorFlash,
    P: Read + ReadReady + Write + WriteReady,
    M: Monotonic,
{
    /// A board that has not been switched on: its models, as long as no slot of its chip has one, the flash for people, its port, its
    /// camera, and its wires' other ends.
    pub fn new(
        models: Box<dyn Models + Send>,
        flash: F,
        port: P,
        camera: C,
        wires: &Wires,
        nature: Nature<M>,
    ) -> Self {
        let Nature { matching, secret, counter, chip, link, press: _ } = nature;
        Unpowered {
            bench: Bench { model: models, chip, gallery: flash, port, counter },
            camera,
            wires: wires.clone(),
            secret,
            link,
            // By which a vote can be held on photographs.
            rules: Rules { matching, ..Rules::photographs() },
        }
    }

    /// Switches it on.
    pub fn start(self) -> Powered<C, F, P, M> {
        let Unpowered { bench, camera, wires, secret, link, rules } = self;
        let mut device = bench.start(link, &secret);
        device.set_clock(CLOCK);
        device.set_rules(rules).expect("rules for photographs can be met");
        let panel = Panel::new(wires.outputs(), LockRules::default()).expect("a lock's rules have a pulse");
        let board = Board::new(camera, panel, wires.inputs(), ());
        Powered { device, board, wires, secret, link, rules }
    }
}

/// A board with power.
pub struct Powered<C, F: NorFlash, P: Read + ReadReady + Write + WriteReady, M: Monotonic = NoCounter> {
    device: SimDevice<F, P, M>,
    board: Board<C, Outputs, Wire, Wire>,
    wires: Wires,
    secret: SimSecret,
    link: LinkTrust,
    rules: Rules,
}

impl<C, F, P, M> Powered<C, F, P, M>
where
    C: Camera,
    F: NorFlash,
    P: Read + ReadReady + Write + WriteReady,
    M: Monotonic,
{
    /// As [`Board::round`], at this time since it was switched on.
    pub fn round(&mut self, now: Uptime, tell: &mut impl FnMut(&Event)) -> Next {
        self.board.round(&mut self.device, now, tell)
    }

    /// The device.
    pub fn device(&mut self) -> &mut SimDevice<F, P, M> {
        &mut self.device
    }

    /// The camera.
    pub fn camera(&mut self) -> &mut C {
        self.board.camera()
    }

    /// Takes its power away. The lock closes.
    pub fn cut(self) -> Unpowered<C, F, P, M> {
        let Powered { device, board, wires, secret, link, rules } = self;
        let (bench, camera) = (Bench::after(device.take_apart()), board.into_camera());
        Unpowered { bench, camera, wires, secret, link, rules }
    }
}
