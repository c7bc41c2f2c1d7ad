//! Everything of a device between the bytes of its port and the requests that it answers.
//!
//! ```text
//! port -> decoder -> header -> session 0: greeting, opening of a session, pairing
//!                              else: the session's seal, its sequence, the host's role -> a request for the service
//! port <- two boxes: the reply to the last request, which is kept for when it is asked again, and what is said outside of
//!         sessions, so that a stranger's question makes no host's reply be forgotten
//! ```
//!
//! What is not answered: noise, forgeries, sequences that are over or not yet there. A reply to a sequence that is skipped would
//! use the nonce of the one that is yet to come.

use core::ops::Range;

use embedded_io::{Read, ReadReady, Write, WriteReady};

use super::Event;
use crate::bundle::PublicKey;
use crate::link::agreement::Ephemeral;
use crate::link::handshake::{FromDevice, FromHost, Greeting, Refusal};
use crate::link::message::{FIRMWARE, PROTOCOL};
use crate::link::packet::{
    CLEAR_PACKET, Decoder, MAX_PACKET, NO_SESSION, Noise, PacketHeader, encode, encode_clear, encode_sealed,
    message, split,
};
use crate::link::pairing::{Drawn, PairingMode};
use crate::link::session::Session;
use crate::link::sessions::{Heard, Sessions};
use crate::link::{Fault, LinkTrust, Reply, Request};
use crate::pairings::{Pairings, Role};
use crate::random::Random;
use crate::time::Uptime;

/// Bytes taken from the port at a time.
pub(super) const INPUT: usize = 256;

/// A packet without noise that is not what a paired host sent now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Forgery {
    /// It was sealed with another key, or changed since.
    Seal,
    /// It is not what comes next: some before it are missing.
    Sequence,
}

impl core::fmt::Display for Forgery {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str(match self {
            Forgery::Seal => "its seal is another's",
            Forgery::Sequence => "it is not the next one",
        })
    }
}

/// What answers requests.
pub(super) trait Service {
    /// Where its pairings are.
    type Pairings: Pairings;

    /// Answers a request that its host may ask, once.
    fn answer(&mut self, request: Request<'_>) -> (Reply<'_>, Option<Event>);

    /// The hosts that it knows.
    fn pairings(&mut self) -> &mut Self::Pairings;

    /// The time since boot; zero as long as the board has not told it.
    fn now(&self) -> Uptime;

    /// Whether the board is to start anew: nothing further is asked of it.
    fn is_over(&self) -> bool;
}

/// A port and what is known of whom it leads to.
#[derive(Debug)]
pub(super) struct Endpoint<P> {
    pub(super) port: P,
    input: [u8; INPUT],
    /// What of `input` is still to be looked at.
    unread: Range<usize>,
    decoder: Decoder,
    out: Outbox,
    peers: Peers,
    /// What happened together with what was told last.
    later: Option<Event>,
}

impl<P: Read + ReadReady + Write + WriteReady> Endpoint<P> {
    /// A port that leads to hosts trusted as this says, of a device with this identity.
    pub(super) fn new(port: P, trust: LinkTrust, identity: PublicKey, random: Random) -> Self {
        let (sessions, mode) = (Sessions::default(), PairingMode::default());
        Endpoint {
            port,
            input: [0; INPUT],
            unread: 0..0,
            decoder: Decoder::new(),
            out: Outbox {
                reply: [0; MAX_PACKET],
                clear: [0; CLEAR_PACKET],
                length: 0,
                unsent: Unsent::Reply(0..0),
            },
            peers: Peers { trust, identity, random, sessions, mode, answered: None },
            later: None,
        }
    }

    /// Takes hosts to be paired, for at most this, for a while from `now` on.
    pub(super) fn allow_pairing(&mut self, at_most: Role, now: Uptime) {
        self.peers.mode.press(at_most, now);
    }

    /// For which role at most a host may be paired now, if it may.
    pub(super) fn pairing(&self, now: Uptime) -> Option<Role> {
        self.peers.mode.role(now)
    }

    /// Whether there is nothing to send, to look at or to tell.
    pub(super) fn is_idle(&self) -> bool {
        self.out.rest().is_empty() && self.unread.is_empty() && self.later.is_none()
    }

    /// Sends what the port takes of the last answer; when all is sent, takes bytes from the port and has the next request
    /// answered, if one is complete and the service is not over.
    ///
    /// # Errors
    /// When the port fails. It goes on with the next call.
    pub(super) fn poll(&mut self, service: &mut impl Service) -> Result<Option<Event>, P::Error> {
        if let Some(event) = self.later.take() {
            return Ok(Some(event));
        }
        loop {
            // Asked in every poll: a port that could not pass everything on does so when it is asked.
            let ready = self.port.write_ready()?;
            if self.out.rest().is_empty() {
                break;
            }
            if !ready {
                return Ok(None);
            }
            let sent = self.port.write(self.out.rest())?;
            self.out.advance(sent);
        }
        if service.is_over() {
            self.unread = 0..0;
            return Ok(None);
        }
        if self.unread.is_empty() {
            if !self.port.read_ready()? {
                return Ok(None);
            }
            self.unread = 0..self.port.read(&mut self.input)?;
        }
        while let Some(&byte) = self.unread.next().and_then(|at| self.input.get(at)) {
            match self.decoder.push(byte) {
                None => {}
                Some(Err(noise)) => return Ok(Some(Event::Noise(noise))),
                Some(Ok(payload)) => {
                    let Some((header, bytes)) = split(payload) else {
                        return Ok(Some(Event::Noise(Noise::Header)));
                    };
                    let [event, later] = self.peers.take(header, bytes, &mut self.out, service);
                    self.later = later;
                    return Ok(event);
                }
            }
        }
        Ok(None)
    }
}

/// Answers on their way to the port.
#[derive(Debug)]
struct Outbox {
    /// The reply to the last request.
    reply: [u8; MAX_PACKET],
    /// Its bytes.
    length: usize,
    /// What is said outside of sessions.
    clear: [u8; CLEAR_PACKET],
    unsent: Unsent,
}

/// What is still to be sent of which box.
#[derive(Debug)]
enum Unsent {
    Reply(Range<usize>),
    Clear(Range<usize>),
}

impl Outbox {
    fn rest(&self) -> &[u8] {
        let rest = match &self.unsent {
            Unsent::Reply(range) => self.reply.get(range.clone()),
            Unsent::Clear(range) => self.clear.get(range.clone()),
        };
        rest.unwrap_or_default()
    }

    fn advance(&mut self, sent: usize) {
        let (Unsent::Reply(range) | Unsent::Clear(range)) = &mut self.unsent;
        range.start += sent;
    }

    /// Sends the reply to the last request once more.
    fn again(&mut self) {
        self.unsent = Unsent::Reply(0..self.length);
    }

    fn reply(&mut self, header: PacketHeader, reply: &Reply<'_>, session: Option<&Session>) {
        let encoded = match session {
            Some(session) => encode_sealed(header, reply, session, &mut self.reply),
            None => encode(header, reply, &mut self.reply),
        };
        // Every reply fits (a test in `packet` holds that); a reply of no bytes would be asked for again.
        self.length = encoded.unwrap_or(0);
        self.again();
    }

    fn clear(&mut self, sequence: u32, answer: &FromDevice) {
        let header = PacketHeader { session: NO_SESSION, sequence };
        // As above.
        self.unsent = Unsent::Clear(0..encode_clear(header, answer, &mut self.clear).unwrap_or(0));
    }
}

/// Up to two events, in the order in which they happened.
type Events = [Option<Event>; 2];

/// Who is, or may be, at the other end.
#[derive(Debug)]
struct Peers {
    trust: LinkTrust,
    identity: PublicKey,
    random: Random,
    sessions: Sessions,
    mode: PairingMode,
    /// On an open link, the request answered last.
    answered: Option<PacketHeader>,
}

impl Peers {
    fn take(
        &mut self,
        header: PacketHeader,
        bytes: &mut [u8],
        out: &mut Outbox,
        service: &mut impl Service,
    ) -> Events {
        match self.trust {
            _ if header.session == NO_SESSION => [self.outside(header, bytes, out, service), None],
            LinkTrust::Open => [self.open_link(header, bytes, out, service), None],
            LinkTrust::Paired => self.in_session(header, bytes, out, service),
        }
    }

    fn open_link(
        &mut self,
        header: PacketHeader,
        bytes: &[u8],
        out: &mut Outbox,
        service: &mut impl Service,
    ) -> Option<Event> {
        if let Some(last) = self.answered.filter(|a| a.session == header.session)
            && header.sequence <= last.sequence
        {
            if header == last {
                // Asked again: the reply was lost.
                out.again();
            }
            return None;
        }
        self.answered = Some(header);
        let (reply, event) = answer(bytes, Role::Administrator, service);
        out.reply(header, &reply, None);
        event
    }

    fn in_session(
        &mut self,
        header: PacketHeader,
        bytes: &mut [u8],
        out: &mut Outbox,
        service: &mut impl Service,
    ) -> Events {
        let (message, first) = match self.sessions.hear(header, bytes) {
            Heard::Next { message, first } => (message, first),
            Heard::Again => {
                out.again();
                return [None, None];
            }
            Heard::Old => return [None, None],
            Heard::Forged => return [Some(Event::Forged(Forgery::Seal)), None],
            Heard::Skipped => return [Some(Event::Forged(Forgery::Sequence)), None],
            Heard::NoSession => {
                out.clear(header.sequence, &FromDevice::NoSession { session: header.session });
                return [None, None];
            }
        };
        let Some(session) = self.sessions.active() else { return [None, None] };
        let (host, role) = (session.host(), session.role());
        if service.pairings().get(host).is_none() {
            // It was removed while its session lasted.
            self.sessions.end();
            out.clear(header.sequence, &FromDevice::NoSession { session: header.session });
            return [None, None];
        }
        let (reply, event) = answer(message, role, service);
        out.reply(header, &reply, Some(session));
        match first {
            true => [Some(Event::Session { host, role }), event],
            false => [event, None],
        }
    }

    fn outside(
        &mut self,
        header: PacketHeader,
        bytes: &[u8],
        out: &mut Outbox,
        service: &mut impl Service,
    ) -> Option<Event> {
        let answered = match message::<FromHost>(bytes) {
            Some(said) => self.try_outside(said, service),
            None => Err(Refusal::Message { protocol: PROTOCOL }),
        };
        let (answer, event) = match answered {
            Ok(answered) => answered,
            Err(why) => (FromDevice::Refused(why), Some(Event::TurnedAway(why))),
        };
        out.clear(header.sequence, &answer);
        event
    }

    fn try_outside(
        &mut self,
        said: FromHost,
        service: &mut impl Service,
    ) -> Result<(FromDevice, Option<Event>), Refusal> {
        let Peers { trust, identity, random, sessions, mode, .. } = self;
        let now = service.now();
        let quiet = |answer| Ok((answer, None));
        let fresh = |random: &mut Random| Ephemeral::new(random.draw(), random.draw());
        match said {
            FromHost::Hello => quiet(FromDevice::Greeting(Greeting {
                protocol: PROTOCOL,
                firmware: FIRMWARE,
                open: *trust == LinkTrust::Open,
                pairing: mode.role(now),
                identity: *identity,
            })),
            FromHost::Open(open) => {
                let host = open.host;
                let pairing = service.pairings().get(host).ok_or(Refusal::UnknownHost { host })?;
                quiet(FromDevice::Opened(sessions.open(&open, pairing, identity, || fresh(random))?))
            }
            FromHost::Pair(begin) => {
                let draw = || Drawn { secret: random.draw(), nonce: random.draw(), code: random.draw() };
                let (nonce, shown) = mode.begin(identity, &begin, draw, now)?;
                Ok((FromDevice::CodeShown { nonce }, shown.map(Event::Pairing)))
            }
            FromHost::Meet { public } => quiet(FromDevice::Met { public: mode.meet(&public, now)? }),
            FromHost::Confirm { proof } => {
                let number = || u16::from_le_bytes(random.draw());
                let paired = mode.confirm(&proof, service.pairings(), number, now)?;
                let event = paired.new.then(|| Event::Paired { host: paired.host, role: paired.role });
                Ok((FromDevice::Paired { host: paired.host, proof: paired.proof }, event))
            }
        }
    }
}

/// Has a request answered, if it is one and its host may ask it.
fn answer<'s>(bytes: &[u8], role: Role, service: &'s mut impl Service) -> (Reply<'s>, Option<Event>) {
    let fault = match message::<Request<'_>>(bytes) {
        Some(request) => match Role::needed(&request) {
            needed if needed > role => Fault::NotAllowed { role: needed },
            _ => return service.answer(request),
        },
        None => Fault::Message { protocol: PROTOCOL },
    };
    (Reply::Fault(fault), Some(Event::Refused(fault)))
}
