//! Bytes and messages into a device that has somebody enrolled.

use serde::Serialize;

use super::{ERASE, SECRET, SECTORS};
use crate::bundle::Identity;
use crate::device::{Device, Kept, Memory, Parts};
use crate::engine::{EmbedError, Embedder, Models};
use crate::flash::nor::MemoryNor;
use crate::gallery::{NoCounter, Owned};
use crate::link::agreement::{Ephemeral, NONCE};
use crate::link::handshake::{FromDevice, FromHost};
use crate::link::packet::{self, Decoder, MAX_PACKET, NO_SESSION, PacketHeader, encode, encode_sealed};
use crate::link::session::{Opening, Session};
use crate::link::sessions::FIRST;
use crate::link::{LinkTrust, Reply, Request};
use crate::model::{ChannelOrder, ModelInfo};
use crate::pairings::{Label, Pairing, Pairings, Role};
use crate::sim::{MemoryPort, Raw, SimDevice};
use crate::time::Uptime;

/// Values of a template, and pixels of the model's input.
const SIDE: u16 = 8;
const DIMENSION: usize = 64;

/// The picture itself is the embedding.
struct Copier(ModelInfo);

impl Models for Copier {}

impl Embedder for Copier {
    fn info(&self) -> &ModelInfo {
        &self.0
    }

    fn embed(&mut self, crop: &[u8], out: &mut [i8]) -> Result<(), EmbedError> {
        out.iter_mut().zip(crop).for_each(|(value, &byte)| *value = byte as i8);
        Ok(())
    }
}

type Fuzzed = SimDevice<MemoryNor<Vec<u8>, 4, ERASE>, MemoryPort>;

fn pairing() -> Pairing {
    Pairing { host: 5, role: Role::Operator, key: [6; 32], label: Label::new() }
}

/// A device with one person enrolled and one operator paired.
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
    let paired = kept.add(pairing());
    assert_eq!(paired, Ok(()));
    let memory = Memory { frame: vec![0; 256], crop: vec![0; DIMENSION], gallery: Owned::new(64, 64) };
    let mut device: Fuzzed = Device::new(
        Parts {
            models: Box::new(Copier(info)),
            gallery: MemoryNor::new(vec![0xff; SECTORS * ERASE]),
            events: None,
            kept,
            updates: None,
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

/// Opens a session as the operator.
fn session(device: &mut Fuzzed) -> Option<Session> {
    let opening = Opening::new(pairing(), Ephemeral::new([3; 32], [4; NONCE]));
    let Some(FromDevice::Opened(opened)) = outside(device, &FromHost::Open(opening.message())) else {
        return None;
    };
    opening.finish(&Identity::of_device(&SECRET.0).public(), &opened)
}

/// Gives a device bytes. By the first of them, modulo 4: on an open link; to one that trusts paired hosts; to one in pairing mode;
/// or as messages that its operator seals, each after a byte that says how long it is.
///
/// # Panics
/// When a stranger or the operator changes who is enrolled or paired or has it start anew, or the device answers no more.
pub fn link(input: &[u8]) {
    let Some((&first, mut rest)) = input.split_first() else { return };
    let trust = if first % 4 == 0 { LinkTrust::Open } else { LinkTrust::Paired };
    let mut device = device(trust);
    match first % 4 {
        3 => {
            let session = session(&mut device);
            assert!(session.is_some(), "the operator gets no session");
            let Some(session) = session else { return };
            let mut sequence = FIRST;
            while let Some((&length, after)) = rest.split_first() {
                let (message, after) = after.split_at(after.len().min(length.into()));
                rest = after;
                let mut wire = [0; MAX_PACKET];
                let header = PacketHeader { session: session.number(), sequence };
                let length = encode_sealed(header, &Raw(message), &session, &mut wire).unwrap_or(0);
                let replies = exchange(&mut device, &wire[..length]).len();
                assert_eq!(replies, 1, "a sealed packet gets one reply");
                sequence += 1;
            }
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
        return;
    }
    exchange(&mut device, &[0]);
    let greeting = outside(&mut device, &FromHost::Hello);
    assert!(matches!(greeting, Some(FromDevice::Greeting(_))), "{greeting:?}");
    if trust == LinkTrust::Paired {
        let kept = device.gallery().next_after(None).map(|found| found.is_some_and(|ada| ada.templates == 1));
        assert_eq!((kept, device.gallery().usage().people), (Ok(true), 1), "who is enrolled has changed");
        assert!(session(&mut device).is_some(), "the operator gets no session");
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
    use crate::frame::PixelFormat;
    use crate::gallery::PersonId;
    use crate::link::message::{FrameHeader, Who};
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
            Request::RemovePairing { host: 5 },
            Request::SetValidity { person: PersonId(1), validity: crate::time::Validity::ALWAYS },
        ];
        all.iter().map(written).collect()
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
