//! A device that is paired: what it does for whom, and what a recorded, repeated or forged packet does to it.

use std::vec::Vec;

use super::*;
use crate::link::agreement::{Ephemeral, NONCE};
use crate::link::handshake::{FromDevice, FromHost, Greeting, Refusal};
use crate::link::packet::{NO_SESSION, encode_sealed};
use crate::link::pairing::Proposal;
use crate::link::session::{Opening, Session};
use crate::pairings::{Label, Pairing};
use crate::sim::cuts::Random as Dice;

fn paired_device() -> TestDevice {
    let mut device = device();
    let Device { core, endpoint } = &mut device;
    core.link = LinkTrust::Paired;
    let (identity, random) = (core.keys.identity.public(), core.random.split());
    *endpoint = Endpoint::new(core::mem::take(&mut endpoint.port), LinkTrust::Paired, identity, random);
    device
}

fn drawn<const N: usize>(dice: &mut Dice) -> [u8; N] {
    core::array::from_fn(|_| dice.bits() as u8)
}

fn ephemeral(dice: &mut Dice) -> Ephemeral {
    Ephemeral::new(drawn(dice), drawn(dice))
}

/// Lets the device take `wire`; the payloads that it sends, and what it tells of.
fn exchange(device: &mut TestDevice, wire: &[u8]) -> (Vec<Vec<u8>>, Vec<Event>) {
    device.endpoint.port.input.extend(wire);
    let mut events = Vec::new();
    while !device.endpoint.port.input.is_empty() || !device.is_idle() {
        events.extend(device.poll().unwrap());
    }
    let mut decoder = Decoder::new();
    let output = core::mem::take(&mut device.endpoint.port.output);
    let sent = output.iter().filter_map(|&byte| decoder.push(byte).map(|payload| payload.unwrap().to_vec()));
    (sent.collect(), events)
}

fn outside(device: &mut TestDevice, said: &FromHost) -> (FromDevice, Vec<Event>) {
    let mut wire = [0; MAX_PACKET];
    let header = PacketHeader { session: NO_SESSION, sequence: 41 };
    let length = encode(header, said, &mut wire).unwrap();
    let (mut sent, events) = exchange(device, &wire[..length]);
    let (found, bytes) = split(&mut sent[0]).unwrap();
    assert_eq!(found, header);
    (message(bytes).unwrap(), events)
}

fn greeting(device: &mut TestDevice) -> Greeting {
    match outside(device, &FromHost::Hello).0 {
        FromDevice::Greeting(greeting) => greeting,
        other => panic!("{other:?}"),
    }
}

/// Goes through a pairing, the code typed as it is shown.
fn pair(device: &mut TestDevice, role: Role, dice: &mut Dice) -> Result<Pairing, Refusal> {
    let identity = greeting(device).identity;
    let proposal = Proposal::new(role, Label::try_from("a test").unwrap(), drawn(dice));
    let (answer, events) = outside(device, &FromHost::Pair(proposal.begin().clone()));
    let (nonce, code) = match (answer, &events[..]) {
        (FromDevice::CodeShown { nonce }, [Event::Pairing(shown)]) => (nonce, shown.code),
        (FromDevice::Refused(why), _) => return Err(why),
        other => panic!("{other:?}"),
    };
    let host = proposal.typed(&identity, nonce, code, drawn(dice));
    let host = match outside(device, &FromHost::Meet { public: host.public() }).0 {
        FromDevice::Met { public } => host.meet(&public).unwrap(),
        other => panic!("{other:?}"),
    };
    match outside(device, &FromHost::Confirm { proof: host.proof() }) {
        (FromDevice::Paired { host: number, proof }, events) => {
            assert_eq!(events, [Event::Paired { host: number, role }]);
            Ok(host.finish(number, &proof).unwrap())
        }
        (FromDevice::Refused(why), _) => Err(why),
        other => panic!("{other:?}"),
    }
}

/// A host in a session; every packet that it sent.
struct Host {
    session: Session,
    sequence: u32,
    sent: Vec<Vec<u8>>,
}

impl Host {
    fn open(device: &mut TestDevice, pairing: &Pairing, dice: &mut Dice) -> Self {
        let identity = greeting(device).identity;
        let opening = Opening::new(pairing.clone(), ephemeral(dice));
        let mut open = [0; MAX_PACKET];
        let header = PacketHeader { session: NO_SESSION, sequence: 41 };
        let length = encode(header, &FromHost::Open(opening.message()), &mut open).unwrap();
        let (mut sent, _) = exchange(device, &open[..length]);
        let session = match message(split(&mut sent[0]).unwrap().1) {
            Some(FromDevice::Opened(opened)) => opening.finish(&identity, &opened).unwrap(),
            other => panic!("{other:?}"),
        };
        Host { session, sequence: 0, sent: vec![open[..length].to_vec()] }
    }

    fn packet(&mut self, request: &Request<'_>) -> Vec<u8> {
        self.sequence += 1;
        let header = PacketHeader { session: self.session.number(), sequence: self.sequence };
        let mut wire = [0; MAX_PACKET];
        let length = encode_sealed(header, request, &self.session, &mut wire).unwrap();
        self.sent.push(wire[..length].to_vec());
        wire[..length].to_vec()
    }

    /// The reply in words, and what the device told of.
    fn ask(&mut self, device: &mut TestDevice, request: &Request<'_>) -> (std::string::String, Vec<Event>) {
        let packet = self.packet(request);
        let (mut sent, events) = exchange(device, &packet);
        let (header, sealed) = split(&mut sent[0]).unwrap();
        let said = match header.session {
            NO_SESSION => format!("{:?}", message::<FromDevice>(sealed).unwrap()),
            _ => {
                let opened = self.session.open(header.sequence, sealed).unwrap();
                format!("{:?}", message::<Reply<'_>>(opened).unwrap())
            }
        };
        (said, events)
    }
}

const ENROLL: Request<'static> = Request::Enroll(Who::New("Ada"));

/// Puts a picture there.
fn picture(host: &mut Host, device: &mut TestDevice) {
    let header = FrameHeader { format: PixelFormat::Grey8, width: 8, height: 8, landmarks: None };
    let bytes: [u8; 64] = core::array::from_fn(|i| i as u8 + 1);
    host.ask(device, &Request::BeginFrame(header));
    assert!(host.ask(device, &Request::FramePiece { offset: 0, bytes: &bytes }).0.contains("64"));
}

#[test]
fn without_a_session_it_says_what_it_is_and_nothing_else() {
    let mut device = paired_device();
    let said = greeting(&mut device);
    assert_eq!((said.protocol, said.open, said.pairing), (PROTOCOL, false, None));
    device.allow_pairing(Role::Operator, Uptime(0));
    assert_eq!(greeting(&mut device).pairing, Some(Role::Operator));
    device.tick(Uptime(60_000));
    assert_eq!(greeting(&mut device).pairing, None);
    // What an open link would do.
    let (mut sent, events) = exchange(&mut device, &packet(1, &Request::EraseGallery));
    assert_eq!(message(split(&mut sent[0]).unwrap().1), Some(FromDevice::NoSession { session: 9 }));
    assert_eq!(events, []);
    let begin = Proposal::new(Role::Operator, Label::new(), [1; NONCE]).begin().clone();
    let (refused, events) = outside(&mut device, &FromHost::Pair(begin));
    assert_eq!(refused, FromDevice::Refused(Refusal::NotPairing));
    assert_eq!(events, [Event::TurnedAway(Refusal::NotPairing)]);
    assert!(greeting(&mut self::device()).open);
}

#[test]
fn an_operator_has_pictures_looked_at_and_an_administrator_looks_after_people() {
    let (mut device, mut dice) = (paired_device(), Dice::new(1));
    device.allow_pairing(Role::Administrator, Uptime(0));
    let administrator = pair(&mut device, Role::Administrator, &mut dice).unwrap();
    device.allow_pairing(Role::Operator, Uptime(0));
    let refused = pair(&mut device, Role::Administrator, &mut dice);
    assert_eq!(refused, Err(Refusal::Role { at_most: Role::Operator }));
    let operator = pair(&mut device, Role::Operator, &mut dice).unwrap();
    let mut host = Host::open(&mut device, &operator, &mut dice);
    let (info, events) = host.ask(&mut device, &Request::Info);
    assert!(info.contains("open_link: false"), "{info}");
    assert_eq!(events, [Event::Session { host: operator.host, role: Role::Operator }]);
    picture(&mut host, &mut device);
    let refused = Fault::NotAllowed { role: Role::Administrator };
    for request in [ENROLL, Request::List { after: None }, Request::EraseGallery, Request::ListPairings] {
        let said = host.ask(&mut device, &request);
        assert_eq!(said, (format!("{:?}", Reply::Fault(refused)), vec![Event::Refused(refused)]));
    }
    assert!(host.ask(&mut device, &Request::Identify).0.contains("NobodyEnrolled"));
    let mut host = Host::open(&mut device, &administrator, &mut dice);
    picture(&mut host, &mut device);
    assert!(host.ask(&mut device, &ENROLL).0.contains("Enrolled"));
    let (list, _) = host.ask(&mut device, &Request::ListPairings);
    assert!(list.contains("Operator") && list.contains("a test"), "{list}");
    assert!(!list.contains("key"), "{list}");
}

#[test]
fn who_is_removed_is_out_at_once() {
    let (mut device, mut dice) = (paired_device(), Dice::new(2));
    device.allow_pairing(Role::Administrator, Uptime(0));
    let pairing = pair(&mut device, Role::Administrator, &mut dice).unwrap();
    let mut host = Host::open(&mut device, &pairing, &mut dice);
    let remove = Request::RemovePairing { host: pairing.host };
    let (said, events) = host.ask(&mut device, &remove);
    assert!(said.contains("Unpaired"), "{said}");
    assert_eq!(events[1], Event::Unpaired { host: pairing.host });
    // The reply may have been lost.
    let again = host.sent.last().unwrap().clone();
    assert_eq!(exchange(&mut device, &again).0.len(), 1);
    assert!(host.ask(&mut device, &Request::Info).0.contains("NoSession"));
    let open = FromHost::Open(Opening::new(pairing.clone(), ephemeral(&mut dice)).message());
    let unknown = Refusal::UnknownHost { host: pairing.host };
    assert_eq!(outside(&mut device, &open).0, FromDevice::Refused(unknown));
}

#[test]
fn a_recorded_session_does_nothing_whenever_it_comes() {
    let (mut device, mut dice) = (paired_device(), Dice::new(3));
    device.allow_pairing(Role::Administrator, Uptime(0));
    let pairing = pair(&mut device, Role::Administrator, &mut dice).unwrap();
    let mut host = Host::open(&mut device, &pairing, &mut dice);
    picture(&mut host, &mut device);
    host.ask(&mut device, &ENROLL);
    let record = host.sent.concat();
    let people = |device: &mut TestDevice| device.gallery().usage().people;
    // In the session itself: the last is answered again, none is done again.
    let (sent, events) = exchange(&mut device, &record);
    assert_eq!((sent.len(), people(&mut device), events), (2, 1, vec![]), "the opening and the last");
    // It goes on; and in another session, nothing comes of it.
    assert!(host.ask(&mut device, &Request::Remove(PersonId(1))).0.contains("Removed"));
    let mut next = Host::open(&mut device, &pairing, &mut dice);
    picture(&mut next, &mut device);
    let (_, events) = exchange(&mut device, &record);
    assert_eq!((people(&mut device), events), (0, vec![]));
    assert!(next.ask(&mut device, &ENROLL).0.contains("Enrolled"));
}

#[test]
fn forged_and_skipping_packets_are_told_from_noise_and_not_answered() {
    let (mut device, mut dice) = (paired_device(), Dice::new(4));
    device.allow_pairing(Role::Administrator, Uptime(0));
    let pairing = pair(&mut device, Role::Administrator, &mut dice).unwrap();
    let mut host = Host::open(&mut device, &pairing, &mut dice);
    host.ask(&mut device, &Request::Info);
    let header = PacketHeader { session: host.session.number(), sequence: 2 };
    let mut wire = [0; MAX_PACKET];
    let length = encode(header, &ENROLL, &mut wire).unwrap();
    let (sent, events) = exchange(&mut device, &wire[..length]);
    assert_eq!((sent.len(), events), (0, vec![Event::Forged(Forgery::Seal)]));
    let lost = host.packet(&Request::Info);
    let ahead = host.packet(&Request::EraseGallery);
    let (sent, events) = exchange(&mut device, &ahead);
    assert_eq!((sent.len(), events), (0, vec![Event::Forged(Forgery::Sequence)]));
    // In order both are done.
    assert_eq!(exchange(&mut device, &lost).0.len(), 1);
    assert_eq!(exchange(&mut device, &ahead).1, [Event::Erased]);
}

#[test]
fn a_strangers_question_leaves_the_hosts_reply_to_be_asked_for_again() {
    let (mut device, mut dice) = (paired_device(), Dice::new(5));
    device.allow_pairing(Role::Administrator, Uptime(0));
    let pairing = pair(&mut device, Role::Administrator, &mut dice).unwrap();
    let mut host = Host::open(&mut device, &pairing, &mut dice);
    let erase = host.packet(&Request::EraseGallery);
    let (first, _) = exchange(&mut device, &erase);
    greeting(&mut device);
    outside(&mut device, &FromHost::Open(Opening::new(pairing, ephemeral(&mut dice)).message()));
    let (again, events) = exchange(&mut device, &erase);
    assert_eq!((again, events), (first, vec![]));
}
