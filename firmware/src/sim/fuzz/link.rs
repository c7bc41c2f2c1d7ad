//! Bytes and messages into a device that has somebody enrolled.

use serde::Serialize;

use super::{ERASE, SECRET, SECTORS, SLOT};
use crate::bundle::Identity;
use crate::device::{Device, Hardware, Kept, Memory, Parts, Updates};
use crate::engine::{EmbedError, Embedder, Models};
use crate::flash::nor::MemoryNor;
use crate::frame::PixelFormat;
use crate::gallery::{NoCounter, Owned, PersonId};
use crate::link::agreement::{Ephemeral, NONCE};
use crate::link::handshake::{FromDevice, FromHost};
use crate::link::message::{FrameHeader, Who};
use crate::link::packet::{self, Decoder, MAX_PACKET, NO_SESSION, PacketHeader, encode, encode_sealed};
use crate::link::session::{Opening, Session};
use crate::link::sessions::FIRST;
use crate::link::{LinkTrust, Reply, Request};
use crate::model::{ChannelOrder, ModelInfo};
use crate::pairings::{Label, Pairing, Pairings, Role};
use crate::sim::{FileFlash, MemoryPort, Raw, images};
use crate::state::Slot;
use crate::time::Uptime;
use crate::update::{Development, HEADER, SigningKey, Slots, Verifier};

/// Values of a template, and pixels of the model's input.
const SIDE: u16 = 8;
const DIMENSION: usize = 64;

/// The picture itself is the embedding. It lends others the arena that it does not need.
struct Copier {
    info: ModelInfo,
    arena: [u8; DIMENSION],
}

impl Models for Copier {
    fn arena(&mut self) -> &mut [u8] {
        &mut self.arena
    }
}

impl Embedder for Copier {
    fn info(&self) -> &ModelInfo {
        &self.info
    }

    fn embed(&mut self, crop: &[u8], out: &mut [i8]) -> Result<(), EmbedError> {
        out.iter_mut().zip(crop).for_each(|(value, &byte)| *value = byte as i8);
        Ok(())
    }
}

type Nor = MemoryNor<Vec<u8>, 4, ERASE>;

/// A device's parts, all in memory; its state is kept nowhere.
struct Parted;

impl Hardware for Parted {
    type Models = Copier;
    type Flash = Nor;
    type Store = FileFlash;
    type Slots = Nor;
    type Port = MemoryPort;
    type Counter = NoCounter;
    type Bytes = Vec<u8>;
    type Room = Owned;
}

type Fuzzed = Device<Parted>;

/// The one computer of a role that is paired.
fn pairing(role: Role) -> Pairing {
    Pairing { host: role as u16, role, key: [6; 32], label: Label::new() }
}

/// The key of the models that it takes.
fn key() -> SigningKey {
    SigningKey::new(&[5; 32])
}

/// A model that it may be given.
fn coming() -> Vec<u8> {
    images::image(&key(), 4, &images::embedder(4, 8), None)
}

/// A device with one person enrolled, one computer of each role paired, and room for two models beside its own.
fn device(link: LinkTrust) -> Fuzzed {
    let info = ModelInfo {
        width: SIDE,
        height: SIDE,
        order: ChannelOrder::Grey,
        template: None,
        dimension: DIMENSION as u16,
        embedding_id: [1; 32],
    };
    let mut kept = Kept::nothing();
    for role in [Role::Operator, Role::Administrator] {
        let paired = kept.add(pairing(role));
        assert_eq!(paired, Ok(()));
    }
    let verifier = Verifier::new(key().public(), Development::Refused);
    let slots = verifier.map(|verifier| Slots::new([0; 2].map(|_| Nor::new(vec![0xff; SLOT])), verifier));
    let updates = slots.map(|slots| {
        Updates::start(slots, &mut kept, |_, _| Vec::new(), vec![0; DIMENSION], &mut [0; DIMENSION]).0
    });
    let memory = Memory { frame: vec![0; 256], crop: vec![0; DIMENSION], gallery: Owned::new(64, 64) };
    let mut device: Fuzzed = Device::new(
        Parts {
            models: Copier { info, arena: [0; DIMENSION] },
            gallery: MemoryNor::new(vec![0xff; SECTORS * ERASE]),
            events: None,
            kept,
            updates: updates.ok(),
            port: MemoryPort::default(),
            link,
            counter: NoCounter,
            memory,
        },
        &SECRET,
    );
    let enrolled = device.gallery().enroll("Ada", &[&[5; DIMENSION]]);
    assert!(enrolled.is_ok(), "{enrolled:?}");
    device
}

/// Lets the device take bytes; the payloads that it sends.
fn exchange(device: &mut Fuzzed, bytes: &[u8]) -> Vec<Vec<u8>> {
    device.port().to_device.extend(bytes);
    while !device.is_idle() || !device.wants_restart() && !device.port().to_device.is_empty() {
        let Ok(_event) = device.poll();
    }
    let mut decoder = Decoder::new();
    let sent: Vec<u8> = device.port().to_host.drain(..).collect();
    let mut payloads = Vec::new();
    for byte in sent {
        if let Some(payload) = decoder.push(byte) {
            payloads.push(payload.map(|payload| payload.to_vec()).unwrap_or_default());
        }
    }
    payloads
}

/// What the device says to something outside of a session.
fn outside(device: &mut Fuzzed, said: &FromHost) -> Option<FromDevice> {
    let mut wire = [0; MAX_PACKET];
    let length = encode(PacketHeader { session: NO_SESSION, sequence: 7 }, said, &mut wire).ok()?;
    let mut payload = exchange(device, wire.get(..length)?).pop()?;
    packet::message(packet::split(&mut payload)?.1)
}

/// Opens a session as the computer of a role.
fn session(device: &mut Fuzzed, role: Role) -> Option<Session> {
    let opening = Opening::new(pairing(role), Ephemeral::new([3; 32], [4; NONCE]));
    let Some(FromDevice::Opened(opened)) = outside(device, &FromHost::Open(opening.message())) else {
        return None;
    };
    opening.finish(&Identity::of_device(&SECRET.0).public(), &opened)
}

/// A session in which requests are numbered.
struct Sealed {
    session: Session,
    sequence: u32,
}

impl Sealed {
    fn open(device: &mut Fuzzed, role: Role) -> Option<Self> {
        Some(Sealed { session: session(device, role)?, sequence: FIRST })
    }

    /// Sends a message, which gets one reply.
    fn send(&mut self, device: &mut Fuzzed, message: &[u8]) {
        let mut wire = [0; MAX_PACKET];
        let header = PacketHeader { session: self.session.number(), sequence: self.sequence };
        let length = encode_sealed(header, &Raw(message), &self.session, &mut wire).unwrap_or(0);
        let restarts = device.wants_restart();
        let replies = exchange(device, &wire[..length]).len();
        assert_eq!(replies, usize::from(!restarts), "a sealed packet gets one reply, until a restart none");
        self.sequence += 1;
    }
}

/// Gives a device bytes. By the first of them, modulo 5: on an open link; to one that trusts paired hosts; to one in pairing mode;
/// as messages that its operator seals, each after a byte that says how long it is; or as what its administrator asks.
///
/// # Panics
/// When a stranger or the operator changes who is enrolled or paired or has it start anew, a slot has another model than the one that
/// came, or the device answers no more.
pub fn link(input: &[u8]) {
    let Some((&first, mut rest)) = input.split_first() else { return };
    let trust = if first % 5 == 0 { LinkTrust::Open } else { LinkTrust::Paired };
    let mut device = device(trust);
    match first % 5 {
        3 => {
            let session = Sealed::open(&mut device, Role::Operator);
            assert!(session.is_some(), "the operator gets no session");
            let Some(mut session) = session else { return };
            while let Some((&length, after)) = rest.split_first() {
                let (message, after) = after.split_at(after.len().min(length.into()));
                rest = after;
                session.send(&mut device, message);
            }
        }
        4 => {
            ask(&mut device, rest);
            return check_slots(device);
        }
        kind => {
            if kind == 2 {
                device.allow_pairing(Role::Administrator, Uptime(0));
            }
            exchange(&mut device, rest);
        }
    }
    if device.wants_restart() {
        // It hears nothing before that.
        assert_eq!(trust, LinkTrust::Open, "an operator restarts it");
        return check_slots(device);
    }
    exchange(&mut device, &[0]);
    let greeting = outside(&mut device, &FromHost::Hello);
    assert!(matches!(greeting, Some(FromDevice::Greeting(_))), "{greeting:?}");
    if trust == LinkTrust::Paired {
        let kept = device.gallery().next_after(None).map(|found| found.is_some_and(|ada| ada.templates == 1));
        assert_eq!((kept, device.gallery().usage().people), (Ok(true), 1), "who is enrolled has changed");
        assert!(session(&mut device, Role::Operator).is_some(), "the operator gets no session");
    }
    check_slots(device);
}

/// What an administrator asks, one of the requests below for each byte; after one of 128 and more a byte says which bit of it is turned.
fn ask(device: &mut Fuzzed, mut script: &[u8]) {
    let image = coming();
    let (header, behind) = image.split_at(HEADER);
    let (begin, rest) = behind.split_at(behind.len() / 3);
    let pixels = [7; DIMENSION];
    let frame = FrameHeader { format: PixelFormat::Grey8, width: SIDE, height: SIDE, landmarks: None };
    let requests = [
        Request::BeginUpdate { header },
        Request::UpdatePiece { offset: 0, bytes: begin },
        Request::UpdatePiece { offset: begin.len() as u32, bytes: rest },
        Request::FinishUpdate,
        Request::BeginFrame(frame),
        Request::FramePiece { offset: 0, bytes: &pixels },
        Request::Identify,
        Request::Enroll(Who::New("Grace")),
        Request::Remove(PersonId(1)),
        Request::EraseGallery,
        Request::BeginBackup { salt: [8; 32] },
        Request::Verify { first: 0 },
    ];
    let session = Sealed::open(device, Role::Administrator);
    assert!(session.is_some(), "the administrator gets no session");
    let Some(mut session) = session else { return };
    while let Some((&which, after)) = script.split_first() {
        script = after;
        let mut message = written(&requests[usize::from(which & 127) % requests.len()]);
        if let Some((&bit, after)) = script.split_first().filter(|_| which >= 128) {
            script = after;
            let at = usize::from(bit) * message.len() / 256;
            message[at] ^= 1 << (bit % 8);
        }
        session.send(device, &message);
    }
}

/// What a slot holds at the end is the model that came, or none.
fn check_slots(device: Fuzzed) {
    let Some(slots) = device.take_apart().slots else { return };
    for slot in [Slot::A, Slot::B] {
        assert!(
            slots.header(slot).is_err() || slots.bytes(slot).starts_with(&coming()),
            "another model came"
        );
    }
}

/// Reads bytes as every kind of message; what can be read is written and read again the same.
///
/// # Panics
/// When it is not.
pub fn messages(input: &[u8]) {
    // Held against each other as bytes: a landmark that is no number does not equal itself.
    macro_rules! read {
        ($($message:ty),*) => {$(
            if let Ok((message, _)) = postcard::take_from_bytes::<$message>(input) {
                let bytes = written(&message);
                let again = postcard::take_from_bytes::<$message>(&bytes).map(|(again, rest)| (written(&again), rest.len()));
                assert_eq!(again, Ok((bytes.clone(), 0)), "{message:?}");
            }
        )*};
    }
    read!(Request<'_>, Reply<'_>, FromHost, FromDevice);
}

fn written(message: &impl Serialize) -> Vec<u8> {
    let mut room = [0; MAX_PACKET];
    postcard::to_slice(message, &mut room).map(|bytes| bytes.to_vec()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sim::cuts::Random;

    /// Requests that a host could mean.
    fn requests(bytes: &[u8]) -> Vec<Vec<u8>> {
        let header = FrameHeader { format: PixelFormat::Grey8, width: SIDE, height: SIDE, landmarks: None };
        let all = [
            Request::Info,
            Request::BeginFrame(header),
            Request::FramePiece { offset: 0, bytes },
            Request::Identify,
            Request::Enroll(Who::New("Grace")),
            Request::Remove(PersonId(1)),
            Request::EraseGallery,
            Request::RemovePairing { host: pairing(Role::Operator).host },
            Request::SetValidity { person: PersonId(1), validity: crate::time::Validity::ALWAYS },
        ];
        all.iter().map(written).collect()
    }

    #[test]
    fn an_administrator_can_give_it_a_model() {
        // Whole; in the wrong order; with a bit turned.
        let scripts: [(&[u8], bool); 3] =
            [(&[0, 1, 2, 3], true), (&[0, 2, 1, 3], false), (&[0, 1, 130, 200, 3], false)];
        for (script, comes) in scripts {
            let mut device = device(LinkTrust::Paired);
            ask(&mut device, script);
            let slots = device.take_apart().slots.unwrap();
            assert_eq!(
                [Slot::A, Slot::B].iter().any(|&slot| slots.header(slot).is_ok()),
                comes,
                "{script:?}"
            );
            link(&[&[4][..], script].concat());
        }
        let mut random = Random::new(11);
        for _ in 0..400 {
            let script: Vec<u8> = (0..1 + random.below(30)).map(|_| random.bits() as u8).collect();
            link(&[&[4][..], &script].concat());
        }
    }

    #[test]
    fn seeded_bytes_change_nobody_and_leave_it_answering() {
        let mut random = Random::new(9);
        let requests = requests(&[7; DIMENSION]);
        for round in 0..200u32 {
            let mut input = vec![(round % 4) as u8];
            for _ in 0..random.below(12) {
                let request = &requests[random.below(requests.len() as u32) as usize];
                let mut message = request.clone();
                if random.below(3) == 0 {
                    let at = random.below(message.len() as u32) as usize;
                    message[at] ^= 1 << random.below(8);
                }
                if round % 4 == 3 {
                    input.push(message.len() as u8);
                    input.extend(message);
                } else {
                    let header = PacketHeader { session: random.below(2), sequence: random.below(4) };
                    let mut wire = [0; MAX_PACKET];
                    let length = encode(header, &Raw(&message), &mut wire).unwrap();
                    input.extend(&wire[..length]);
                }
                if random.below(4) == 0 {
                    input.push(random.bits() as u8);
                }
            }
            link(&input);
        }
    }

    #[test]
    fn seeded_messages_are_read_as_they_are_written() {
        let mut random = Random::new(10);
        for _ in 0..20_000 {
            let input: Vec<u8> = (0..random.below(80)).map(|_| random.bits() as u8 % 48).collect();
            messages(&input);
        }
    }
}
