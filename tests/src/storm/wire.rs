//! The wire, the device at its end, and the model that its gallery is held against.

use std::collections::VecDeque;
use std::io::{self, Read, Write};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use arcgate::enroll::NoModel;
use arcgate::link::Wire;
use arcgate_firmware::device::Event;
use arcgate_firmware::flash::nor::MemoryNor;
use arcgate_firmware::gallery::{NoCounter, PersonId};
use arcgate_firmware::link::LinkTrust;
use arcgate_firmware::link::packet::{Decoder, MAX_PACKET, PacketHeader, encode, split};
use arcgate_firmware::link::pairing::Code;
use arcgate_firmware::model::{ChannelOrder, ModelInfo};
use arcgate_firmware::pairings::Role;
use arcgate_firmware::sim::{Bench, Chip, ERASE, MemoryPort, Raw, SimDevice, SimSecret};
use arcgate_firmware::time::{Uptime, Validity};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use tempfile::TempDir;

use super::Tally;

/// Packets that a host may send for one request, one session or one pairing. Of two thirds that get through each way, so many
/// are never lost by chance.
const BOUND: u32 = 400;

/// The first wait of a host: the wire is as fast as this computer.
const FIRST_WAIT: Duration = Duration::from_micros(100);

/// Packets recorded for later.
const RECORDED: usize = 4096;

/// Values of a template.
const DIMENSION: u16 = 64;

/// People enrolled besides the one whose validity is changed.
const OTHERS: u32 = 8;

/// The device's own.
const SECRET: [u8; 32] = [9; 32];

type Gate = SimDevice<MemoryNor<Vec<u8>, 4, ERASE>, MemoryPort>;

/// What a gallery may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct State {
    people: u32,
    /// Of the person who stays; `None` without them.
    from: Option<u64>,
}

/// The device, the wire to it, and the model.
pub struct Yard {
    /// `None` while it has no power.
    device: Option<Gate>,
    /// Where its state and its log are.
    _chip: TempDir,
    dice: ChaCha8Rng,
    /// Whether the wire leaves everything as it is.
    pub(super) calm: bool,
    pub(super) tally: Tally,
    /// Packets that a host has sent since it began what it is doing.
    sent: u32,
    uptime: u64,
    from_host: Vec<u8>,
    from_device: Vec<u8>,
    inbox: VecDeque<u8>,
    /// What hosts sent, and what the device sent, of all sessions.
    recorded: [VecDeque<Vec<u8>>; 2],
    /// Packets on a longer way, to the device and to the host.
    held: [Vec<Vec<u8>>; 2],
    code: Code,
    /// Whether a host may become paired.
    pressed: bool,
    /// Whether another code is typed than the device shows, so that nobody may become paired.
    pub(super) mistyped: bool,
    /// Whether all that comes was recorded, so that not even a session may be opened.
    replaying: bool,
    /// Whether the device was seen to want a restart, which nobody ever asks for.
    restarts: bool,
    /// Which host may be removed.
    parting: Option<u16>,
    keeper: PersonId,
    removable: Vec<PersonId>,
    is: State,
    may_be: State,
}

/// Which way a packet goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Way {
    ToDevice = 0,
    ToHost = 1,
}

impl Yard {
    /// A calm wire to a device that trusts paired hosts alone and has people enrolled.
    ///
    /// # Panics
    /// When they cannot be enrolled, or there is no folder for its state.
    pub fn new(seed: u64) -> Self {
        let info = ModelInfo {
            width: 8,
            height: 8,
            order: ChannelOrder::Grey,
            template: None,
            dimension: DIMENSION,
            embedding_id: [1; 32],
        };
        let folder = tempfile::tempdir().expect("a folder for the device's state");
        let parts = Bench {
            model: Box::new(NoModel(info)),
            chip: Some(Chip::open(folder.path(), None).expect("files for the device's state")),
            gallery: MemoryNor::new(vec![0xff; 16 * ERASE]),
            port: MemoryPort::default(),
            counter: NoCounter,
        };
        let nobody = State { people: 0, from: None };
        let mut yard = Yard {
            device: Some(parts.start(LinkTrust::Paired, &SimSecret::own(SECRET))),
            _chip: folder,
            dice: ChaCha8Rng::seed_from_u64(seed),
            calm: true,
            tally: Tally::default(),
            sent: 0,
            uptime: 0,
            from_host: Vec::new(),
            from_device: Vec::new(),
            inbox: VecDeque::new(),
            recorded: Default::default(),
            held: Default::default(),
            code: Code(0),
            pressed: false,
            mistyped: false,
            replaying: false,
            restarts: false,
            parting: None,
            keeper: PersonId(0),
            removable: Vec::new(),
            is: nobody,
            may_be: nobody,
        };
        yard.populate();
        yard
    }

    /// Enrolls people where nobody is.
    ///
    /// # Panics
    /// When there is no room.
    pub(super) fn populate(&mut self) {
        let gallery = on(&mut self.device).gallery();
        let template: [i8; DIMENSION as usize] = core::array::from_fn(|i| i as i8 + 1);
        if self.is.from.is_none() {
            self.keeper = gallery.enroll("Ada", &[&template]).expect("a person");
        }
        while self.removable.len() < OTHERS as usize {
            self.removable
                .push(gallery.enroll(&format!("p{}", self.removable.len()), &[&template]).expect("a person"));
        }
        self.is = self.seen();
        self.may_be = self.is;
    }

    pub(super) fn keeper(&self) -> PersonId {
        self.keeper
    }

    /// Somebody begins something: the wire counts anew how often they have to send.
    pub(super) fn begin(&mut self) {
        self.sent = 0;
    }

    pub(super) fn expect_validity(&mut self, validity: Validity) {
        self.may_be = State { from: Some(validity.from), ..self.is };
    }

    /// Whom to remove next.
    ///
    /// # Panics
    /// When there is nobody.
    pub(super) fn expect_removal(&mut self) -> PersonId {
        if self.removable.len() <= 1 {
            self.populate();
        }
        self.may_be = State { people: self.is.people - 1, ..self.is };
        self.removable.pop().expect("somebody to remove")
    }

    pub(super) fn expect_erasure(&mut self) {
        self.removable.clear();
        self.may_be = State { people: 0, from: None };
    }

    pub(super) fn expect_parting(&mut self, host: u16) {
        self.parting = Some(host);
    }

    /// What was asked is done, or nobody knows.
    pub(super) fn settle(&mut self, done: bool) {
        self.parting = None;
        let seen = self.seen();
        if done && seen != self.may_be {
            self.tally.wrong_commands += 1;
        }
        self.is = seen;
        self.may_be = seen;
    }

    /// Presses the device's button.
    pub(super) fn press(&mut self, role: Role) {
        self.pressed = true;
        on(&mut self.device).allow_pairing(role, Uptime(self.uptime));
    }

    pub(super) fn release(&mut self) {
        self.pressed = false;
    }

    /// The code that the device shows.
    pub(super) fn shown(&self) -> Code {
        self.code
    }

    fn seen(&mut self) -> State {
        let keeper = self.keeper;
        let gallery = on(&mut self.device).gallery();
        let from = gallery.person(keeper).ok().map(|person| person.validity.from);
        State { people: gallery.usage().people, from }
    }

    /// Cuts the power. Then everything comes that hosts have sent in all sessions that were recorded, in its order: nothing of it may
    /// be done, and no session opened.
    pub(super) fn restart(&mut self) {
        if let Some(device) = self.device.take() {
            let parts = Bench::after(device.take_apart());
            self.device = Some(parts.start(LinkTrust::Paired, &SimSecret::own(SECRET)));
        }
        (self.uptime, self.restarts, self.replaying) = (0, false, true);
        let recorded = self.recorded[Way::ToDevice as usize].clone();
        for packet in &recorded {
            self.deliver(Way::ToDevice, packet);
            self.work();
            on(&mut self.device).port().to_host.clear();
        }
        self.replaying = false;
        self.tally.replayed += recorded.len() as u64;
    }

    /// Lets the device do what there is to do, and passes on what it says.
    fn run(&mut self) {
        self.work();
        let said: Vec<u8> = on(&mut self.device).port().to_host.drain(..).collect();
        for byte in said {
            self.from_device.push(byte);
            if byte == 0 {
                let packet = std::mem::take(&mut self.from_device);
                self.pass(Way::ToHost, packet);
            }
        }
    }

    /// Lets the device do what there is to do, and holds it against the model after each step: not everything is told.
    fn work(&mut self) {
        loop {
            self.uptime += 1;
            let device = on(&mut self.device);
            device.tick(Uptime(self.uptime));
            let Ok(event) = device.poll();
            let (wants_restart, is_idle) = (device.wants_restart(), device.is_idle());
            let is_quiet = event.is_none() && is_idle && device.port().to_device.is_empty();
            let mut wrong = event.is_some_and(|event| self.hear(&event));
            wrong |= wants_restart && !std::mem::replace(&mut self.restarts, true);
            let seen = self.seen();
            wrong |= seen != self.is && seen != self.may_be;
            self.tally.wrong_commands += u64::from(wrong);
            if is_quiet {
                return;
            }
        }
    }

    /// Takes note of what the device tells; whether it must not have happened.
    fn hear(&mut self, event: &Event) -> bool {
        match event {
            Event::Pairing(shown) => {
                self.code = shown.code;
                !self.pressed
            }
            Event::Paired { .. } => !self.pressed || self.mistyped,
            Event::Session { .. } => self.replaying,
            Event::Unpaired { host } => self.parting != Some(*host),
            Event::Forged(_) => {
                self.tally.forged += 1;
                false
            }
            Event::Noise(_) => {
                self.tally.noise += 1;
                false
            }
            _ => false,
        }
    }

    /// Takes a packet from one end; what comes of it goes to the other.
    fn pass(&mut self, way: Way, packet: Vec<u8>) {
        if packet.len() <= 1 {
            return self.deliver(way, &packet);
        }
        self.tally.frames += 1;
        let recorded = &mut self.recorded[way as usize];
        if recorded.len() == RECORDED {
            recorded.pop_front();
        }
        recorded.push_back(packet.clone());
        if self.calm {
            return self.deliver(way, &packet);
        }
        let fate = self.dice.random_range(0..100);
        self.tally.tampered += u64::from(fate >= 66);
        match fate {
            0..66 => self.deliver(way, &packet),
            66..72 => {}
            72..78 => {
                let mut packet = packet;
                for _ in 0..self.dice.random_range(1..4) {
                    let at = self.dice.random_range(0..packet.len());
                    packet[at] ^= 1 << self.dice.random_range(0..8);
                }
                self.deliver(way, &packet);
            }
            78..82 => {
                let (from, to) =
                    (self.dice.random_range(0..packet.len()), self.dice.random_range(0..packet.len()));
                self.deliver(way, &packet[from.min(to)..from.max(to)]);
            }
            82..87 => (0..self.dice.random_range(2..5)).for_each(|_| self.deliver(way, &packet)),
            87..92 => self.held[way as usize].push(packet),
            92..95 => {
                let forged = self.forge(&packet);
                self.deliver(way, &forged);
            }
            _ => {
                self.replay(way);
                self.deliver(way, &packet);
            }
        }
        // What was held back comes later, and not in order.
        let held = self.held[way as usize].len();
        if held > 0 && self.dice.random_range(0..4) == 0 {
            let late = self.dice.random_range(0..held);
            let late = self.held[way as usize].swap_remove(late);
            self.deliver(way, &late);
        }
    }

    /// Puts recorded packets in, one after the other as they were sent, of whatever session.
    fn replay(&mut self, way: Way) {
        let of = self.dice.random_range(0..2);
        let recorded = self.recorded[of].len();
        if recorded == 0 {
            return;
        }
        let from = self.dice.random_range(0..recorded);
        let to = (from + self.dice.random_range(1..30)).min(recorded);
        for at in from..to {
            let packet = self.recorded[of][at].clone();
            self.tally.inserted += 1;
            self.deliver(way, &packet);
        }
    }

    /// Changes what is inside a packet, and makes its CRC right again.
    fn forge(&mut self, packet: &[u8]) -> Vec<u8> {
        self.tally.inserted += 1;
        let mut decoder = Decoder::new();
        let mut payload = Vec::new();
        for &byte in packet {
            if let Some(Ok(found)) = decoder.push(byte) {
                payload = found.to_vec();
            }
        }
        let Some((PacketHeader { mut session, mut sequence }, message)) = split(&mut payload) else {
            return packet.to_vec();
        };
        match self.dice.random_range(0..4) {
            0 => sequence = sequence.wrapping_add(self.dice.random_range(0..4)).wrapping_sub(2),
            1 => session ^= 1 << self.dice.random_range(0..32),
            _ if message.is_empty() => {}
            _ => {
                let at = self.dice.random_range(0..message.len());
                message[at] = self.dice.random();
            }
        }
        let mut out = [0; MAX_PACKET];
        let length = encode(PacketHeader { session, sequence }, &Raw(message), &mut out).unwrap_or(0);
        out[..length].to_vec()
    }

    fn deliver(&mut self, way: Way, bytes: &[u8]) {
        match way {
            Way::ToDevice => on(&mut self.device).port().to_device.extend(bytes),
            Way::ToHost => self.inbox.extend(bytes),
        }
    }
}

/// The device, which has power but for a moment.
fn on(device: &mut Option<Gate>) -> &mut Gate {
    device.as_mut().expect("a device that has power")
}

/// A host's end of the wire.
pub struct Ends(Arc<Mutex<Yard>>);

impl Ends {
    /// Nothing of what went to the host before is there.
    pub fn new(yard: Arc<Mutex<Yard>>) -> Self {
        let ends = Ends(yard);
        ends.yard().inbox.clear();
        ends
    }

    fn yard(&self) -> MutexGuard<'_, Yard> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Read for Ends {
    fn read(&mut self, bytes: &mut [u8]) -> io::Result<usize> {
        let mut yard = self.yard();
        yard.run();
        match Read::read(&mut yard.inbox, bytes)? {
            0 => Err(io::ErrorKind::TimedOut.into()),
            length => Ok(length),
        }
    }
}

impl Write for Ends {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let mut yard = self.yard();
        for &byte in bytes {
            yard.from_host.push(byte);
            if byte == 0 {
                yard.sent += 1;
                if yard.sent > BOUND {
                    return Err(io::Error::other("not recovered within the bound"));
                }
                let packet = std::mem::take(&mut yard.from_host);
                yard.pass(Way::ToDevice, packet);
            }
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Wire for Ends {
    fn set_patience(&mut self, _: Duration) -> io::Result<()> {
        Ok(())
    }

    fn first_wait(&self) -> Duration {
        FIRST_WAIT
    }
}
