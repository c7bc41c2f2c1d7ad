//! Asking a device, again and again if need be, for a bounded time.

use std::time::Duration;

use arcgate_firmware::bundle::{BundleKey, HEADER, Header, PublicKey};
use arcgate_firmware::frame::{Frame, PixelFormat};
use arcgate_firmware::gallery::{Damage, Person, PersonId};
use arcgate_firmware::link::answer::Answer;
use arcgate_firmware::link::handshake::FromDevice;
use arcgate_firmware::link::message::{FrameHeader, MAX_PIECE, Who};
use arcgate_firmware::link::packet::{MAX_PACKET, NO_SESSION, PacketHeader, encode, encode_sealed, message};
use arcgate_firmware::link::session::Session;
use arcgate_firmware::link::sessions::FIRST;
use arcgate_firmware::link::status::{DeviceInfo, Restored, Unit};
use arcgate_firmware::link::{Reply, Request};
use arcgate_firmware::pairings::{PairedHost, Pairing};
use arcgate_firmware::time::{UnixTime, Validity};

use super::Target;
use super::devices::{Devices, DevicesError, short};
use super::handshake;
use super::transport::{LinkError, Transport, Wire, too_long};

/// How often a gallery is checked from the beginning when a later page says that there is another number of damages.
const CHECKS: u32 = 4;

/// How long to try requests that only move bytes or look things up.
pub(super) const PATIENCE: Duration = Duration::from_secs(20);

/// How long to try requests that run the model or erase flash; an emulated microcontroller takes many seconds.
pub(super) const LONG_PATIENCE: Duration = Duration::from_secs(300);

/// How often a session is opened until a packet comes through in it: a stranger on the wire may open others.
const OPENINGS: u32 = 3;

/// How often a device says that a session is over before it is believed: anybody on the wire can say so once.
const ENDINGS: u32 = 3;

/// A connection to a device.
pub struct Client {
    transport: Transport,
    peer: Peer,
    /// Of the next request.
    sequence: u32,
}

/// How a device is spoken to.
enum Peer {
    /// In the clear, under this number drawn at random.
    Open { session: u32 },
    /// In a session.
    Paired(Box<Session>),
}

impl std::fmt::Debug for Client {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Client").field("session", &self.session()).field("sequence", &self.sequence).finish()
    }
}

/// How long the operations of a device's model take.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Laps {
    /// What was counted.
    pub unit: Unit,
    /// How many, for each operation; none when the device's engine does not tell them apart.
    pub laps: Vec<u64>,
}

impl Client {
    /// Connects to a device over TCP or a serial port, opens a session with what this computer shares with it ([`Devices::open`])
    /// unless its link is open, and asks what it is.
    ///
    /// # Errors
    /// When nothing is there, nothing answers, it speaks another version, or this computer is not paired with it. A gallery file is
    /// no device: see [`crate::enroll::open`].
    pub fn connect(target: &Target) -> Result<(Self, DeviceInfo), LinkError> {
        let devices = match Devices::open() {
            // Without a place for keys there are none.
            Err(DevicesError::NoPlace) => None,
            devices => Some(devices?),
        };
        let paired = devices.as_ref().and_then(|devices| devices.paired_at(target));
        let find = |identity: &PublicKey| devices.as_ref()?.get(identity);
        Self::begin(Transport::connect(target)?, find, paired)
    }

    /// Speaks over `wire` to a device whose link is open, or with which this is shared.
    ///
    /// # Errors
    /// As [`Client::connect`].
    pub fn over(wire: Box<dyn Wire>, pairing: Option<&Pairing>) -> Result<(Self, DeviceInfo), LinkError> {
        Self::begin(Transport::over(wire)?, |_| pairing.cloned(), None)
    }

    /// `paired` is the device that was paired there, whoever answers now.
    fn begin(
        mut transport: Transport,
        find: impl FnOnce(&PublicKey) -> Option<Pairing>,
        paired: Option<String>,
    ) -> Result<(Self, DeviceInfo), LinkError> {
        let greeting = handshake::greet(&mut transport)?;
        let (identity, pairing) = (greeting.identity, find(&greeting.identity));
        if greeting.open {
            // Anybody can say so, and give themselves another identity.
            if let Some(device) = paired.or_else(|| pairing.map(|_| short(&identity))) {
                return Err(LinkError::OpenedUp { device });
            }
            let session = rand::random_range(NO_SESSION + 1..=u32::MAX);
            let mut client = Client { transport, peer: Peer::Open { session }, sequence: FIRST };
            let info = client.info()?;
            return Ok((client, info));
        }
        let pairing = pairing.ok_or_else(|| LinkError::NotPaired { device: short(&identity) })?;
        let mut tries = 0;
        loop {
            tries += 1;
            let session = handshake::open(&mut transport, &identity, &pairing)?;
            let mut client = Client { transport, peer: Peer::Paired(Box::new(session)), sequence: FIRST };
            match client.info() {
                // Nothing was done in it yet, so that it can be opened anew.
                Err(LinkError::SessionEnded { .. }) if tries < OPENINGS => transport = client.transport,
                info => return info.map(|info| (client, info)),
            }
        }
    }

    fn session(&self) -> u32 {
        match &self.peer {
            Peer::Open { session } => *session,
            Peer::Paired(session) => session.number(),
        }
    }

    /// Waits less before asking again, for tests of a link that loses much.
    pub fn set_first_wait(&mut self, wait: Duration) {
        self.transport.first_wait = wait;
    }

    /// How often something was asked again so far.
    pub fn retries(&self) -> u64 {
        self.transport.retries
    }

    /// What the device is.
    ///
    /// # Errors
    /// Those of any request: the connection breaks, nothing answers, or the device says why not.
    pub fn info(&mut self) -> Result<DeviceInfo, LinkError> {
        self.ask("info", Request::Info, PATIENCE, |reply| match reply {
            Reply::Info(info) => Some(info),
            _ => None,
        })
    }

    /// Sends a picture; `landmarks` as x and y in pixels, `None` to have it taken whole. `moved` hears the bytes sent.
    ///
    /// # Errors
    /// As [`Client::info`].
    pub fn send_frame(
        &mut self,
        frame: &Frame<'_>,
        landmarks: Option<[[f32; 2]; 5]>,
        moved: &mut dyn FnMut(u64),
    ) -> Result<(), LinkError> {
        let (format, width, height) = (frame.format(), frame.width(), frame.height());
        let begin = Request::BeginFrame(FrameHeader { format, width, height, landmarks });
        let received = |reply: Reply<'_>| match reply {
            Reply::Received { bytes } => Some(bytes),
            _ => None,
        };
        self.ask("a picture", begin, PATIENCE, received)?;
        for (i, bytes) in frame.data().chunks(MAX_PIECE).enumerate() {
            let offset = (i * MAX_PIECE) as u32;
            let piece = Request::FramePiece { offset, bytes };
            let now = self.ask("a piece of a picture", piece, PATIENCE, received)?;
            moved(now as u64);
        }
        Ok(())
    }

    /// Sends a crop: the model's input itself, one or three bytes a pixel.
    ///
    /// # Errors
    /// As [`Client::info`]; a crop of another size than the model's input is refused by the device.
    pub fn send_crop(&mut self, crop: &[u8], width: u16, height: u16) -> Result<(), LinkError> {
        let grey = crop.len() == width as usize * height as usize;
        let format = if grey { PixelFormat::Grey8 } else { PixelFormat::Rgb8 };
        let frame = Frame::new(format, width, height, crop).map_err(|e| LinkError::Fault(e.into()))?;
        self.send_frame(&frame, None, &mut |_| ())
    }

    /// Enrolls whom the picture shows; returns their number and how many templates they have.
    ///
    /// # Errors
    /// As [`Client::info`].
    pub fn enroll(&mut self, who: Who<'_>) -> Result<(PersonId, u16), LinkError> {
        self.ask("enroll", Request::Enroll(who), LONG_PATIENCE, |reply| match reply {
            Reply::Enrolled { person, templates } => Some((person, templates)),
            _ => None,
        })
    }

    /// Who the picture shows.
    ///
    /// # Errors
    /// As [`Client::info`].
    pub fn identify(&mut self) -> Result<Answer, LinkError> {
        self.ask("identify", Request::Identify, LONG_PATIENCE, |reply| match reply {
            Reply::Decided(answer) => Some(answer),
            _ => None,
        })
    }

    /// Everybody enrolled.
    ///
    /// # Errors
    /// As [`Client::info`].
    pub fn people(&mut self) -> Result<Vec<Person>, LinkError> {
        let mut all: Vec<Person> = Vec::new();
        loop {
            let after = all.last().map(|p| p.id);
            let page = self.ask("list", Request::List { after }, PATIENCE, |reply| match reply {
                Reply::People { people, more } => Some((people, more)),
                _ => None,
            });
            let (people, more) = page?;
            let empty = people.is_empty();
            all.extend(people);
            if !more || empty {
                return Ok(all);
            }
        }
    }

    /// Forgets somebody.
    ///
    /// # Errors
    /// As [`Client::info`].
    pub fn remove(&mut self, person: PersonId) -> Result<(), LinkError> {
        self.ask("remove", Request::Remove(person), LONG_PATIENCE, |reply| match reply {
            Reply::Removed(_) => Some(()),
            _ => None,
        })
    }

    /// Forgets everybody and binds the gallery to the device's model.
    ///
    /// # Errors
    /// As [`Client::info`].
    pub fn erase_gallery(&mut self) -> Result<(), LinkError> {
        self.ask("erase", Request::EraseGallery, LONG_PATIENCE, |reply| match reply {
            Reply::Erased => Some(()),
            _ => None,
        })
    }

    /// The crop that the device makes of the picture.
    ///
    /// # Errors
    /// As [`Client::info`].
    pub fn read_crop(&mut self) -> Result<Vec<u8>, LinkError> {
        self.read_pieces("crop", |offset| Request::ReadCrop { offset })
    }

    /// The embedding that the device makes of the picture.
    ///
    /// # Errors
    /// As [`Client::info`].
    pub fn read_embedding(&mut self) -> Result<Vec<i8>, LinkError> {
        let bytes = self.read_pieces("embedding", |offset| Request::ReadEmbedding { offset })?;
        Ok(bytes.into_iter().map(|b| b as i8).collect())
    }

    /// Has the device run its model, and says how long each operation took; `moved` hears how many are known.
    ///
    /// # Errors
    /// As [`Client::info`].
    pub fn profile(&mut self, moved: &mut dyn FnMut(u64)) -> Result<Laps, LinkError> {
        let mut all = Laps { unit: Unit::Nanoseconds, laps: Vec::new() };
        loop {
            let at = all.laps.len() as u16;
            let reply =
                self.ask("profile", Request::Profile { first: at }, LONG_PATIENCE, |reply| match reply {
                    Reply::Laps { total, first, unit, per_tick, ticks } if first == at => {
                        Some((total, unit, per_tick, ticks))
                    }
                    _ => None,
                });
            let (total, unit, per_tick, ticks) = reply?;
            all.unit = unit;
            all.laps.extend(ticks.iter().map(|&ticks| u64::from(ticks) * u64::from(per_tick)));
            moved(all.laps.len() as u64);
            if ticks.is_empty() || all.laps.len() >= total as usize {
                return Ok(all);
            }
        }
    }

    /// Tells the device what time it is; `key` shows that it may.
    ///
    /// # Errors
    /// As [`Client::info`]; another key than the device's is refused.
    pub fn set_clock(&mut self, key: &BundleKey, time: UnixTime) -> Result<(), LinkError> {
        let challenge = self.ask("a challenge", Request::Challenge, PATIENCE, |reply| match reply {
            Reply::Challenge(drawn) => Some(drawn),
            _ => None,
        })?;
        let proof = key.proof_of_time(&challenge, time.0);
        self.ask("to set the clock", Request::SetClock { time, proof }, PATIENCE, |reply| match reply {
            Reply::Clock(_) => Some(()),
            _ => None,
        })
    }

    /// Says when somebody is let in.
    ///
    /// # Errors
    /// As [`Client::info`].
    pub fn set_validity(&mut self, person: PersonId, validity: Validity) -> Result<(), LinkError> {
        let request = Request::SetValidity { person, validity };
        self.ask("validity", request, LONG_PATIENCE, |reply| match reply {
            Reply::Valid(_) => Some(()),
            _ => None,
        })
    }

    /// A backup of the gallery, sealed and signed by the device, and how many damages the gallery has. `moved` hears how many records have come, and of how many.
    ///
    /// # Errors
    /// As [`Client::info`].
    pub fn backup(&mut self, moved: &mut dyn FnMut(u64, u64)) -> Result<(Vec<u8>, u32), LinkError> {
        let (records, damaged, mut bytes) = self.begin_backup()?;
        for number in 0..records {
            let request = Request::BackupRecord { number };
            let record = self.ask("a record of the backup", request, LONG_PATIENCE, |reply| match reply {
                Reply::Piece { offset, bytes, .. } if offset == number => Some(bytes.to_vec()),
                _ => None,
            })?;
            bytes.extend(record);
            moved(u64::from(number) + 1, records.into());
        }
        Ok((bytes, damaged))
    }

    fn begin_backup(&mut self) -> Result<(u32, u32, Vec<u8>), LinkError> {
        let begin = Request::BeginBackup { salt: rand::random() };
        self.ask("a backup", begin, LONG_PATIENCE, |reply| match reply {
            Reply::Bundle { records, damaged, header } => Some((records, damaged, header.to_vec())),
            _ => None,
        })
    }

    /// What a backup would begin with: whose templates the gallery has and of how many people, also where the device's model is another
    /// one or lost.
    ///
    /// # Errors
    /// As [`Client::info`].
    pub fn backup_header(&mut self) -> Result<Header, LinkError> {
        let (_, _, bytes) = self.begin_backup()?;
        Header::read(&bytes).map_err(|why| LinkError::Fault(why.into()))
    }

    /// Sends a bundle for the device to take in: `replace` forgets everybody first, `people_only` leaves templates out. `moved`
    /// hears how many records are taken in.
    ///
    /// # Errors
    /// As [`Client::info`], and when the bytes are no bundle. What was taken in before stays, and the same can be sent again.
    pub fn restore(
        &mut self,
        bytes: &[u8],
        (replace, people_only): (bool, bool),
        moved: &mut dyn FnMut(u64),
    ) -> Result<Restored, LinkError> {
        let records = crate::bundle::records(bytes).map_err(|e| LinkError::Fault(e.into()))?;
        let restored = |reply: Reply<'_>| match reply {
            Reply::Restored(restored) => Some(restored),
            _ => None,
        };
        let begin = Request::BeginRestore { header: &bytes[..HEADER], replace, people_only };
        let mut done = self.ask("a bundle", begin, LONG_PATIENCE, restored)?;
        for (number, bytes) in (0..).zip(records) {
            let record = Request::RestoreRecord { number, bytes };
            done = self.ask("a record of a bundle", record, LONG_PATIENCE, restored)?;
            moved(done.records.into());
        }
        Ok(done)
    }

    /// The hosts that the device is paired with.
    ///
    /// # Errors
    /// As [`Client::info`].
    pub fn pairings(&mut self) -> Result<Vec<PairedHost>, LinkError> {
        self.ask("the pairings", Request::ListPairings, PATIENCE, |reply| match reply {
            Reply::Pairings(pairings) => Some(pairings.into_iter().collect()),
            _ => None,
        })
    }

    /// Has the device forget a host.
    ///
    /// # Errors
    /// As [`Client::info`].
    pub fn unpair(&mut self, host: u16) -> Result<(), LinkError> {
        self.ask("to unpair", Request::RemovePairing { host }, LONG_PATIENCE, |reply| match reply {
            Reply::Unpaired { .. } => Some(()),
            _ => None,
        })
    }

    /// The host's own number on the device; `None` where the link is open.
    pub fn host(&self) -> Option<u16> {
        match &self.peer {
            Peer::Open { .. } => None,
            Peer::Paired(session) => Some(session.host()),
        }
    }

    /// Has the device check its gallery; everything that is damaged.
    ///
    /// # Errors
    /// As [`Client::info`]; and when the damages do not stay the same for as long as it takes to ask for them.
    pub fn verify(&mut self) -> Result<Vec<Damage>, LinkError> {
        for _ in 0..CHECKS {
            if let Some(damages) = self.try_verify()? {
                return Ok(damages);
            }
        }
        Err(LinkError::Unsteady { request: "verify", times: CHECKS })
    }

    /// `None` when the number of damages changed between two pages.
    fn try_verify(&mut self) -> Result<Option<Vec<Damage>>, LinkError> {
        let (mut all, mut of) = (Vec::new(), None);
        loop {
            let at = all.len() as u32;
            let request = Request::Verify { first: at };
            let (total, page) = self.ask("verify", request, LONG_PATIENCE, |reply| match reply {
                Reply::Damages { total, first, damages } if first == at => Some((total, damages)),
                _ => None,
            })?;
            if *of.get_or_insert(total) != total {
                return Ok(None);
            }
            let empty = page.is_empty();
            all.extend(page);
            if empty || all.len() >= total as usize {
                return Ok(Some(all));
            }
        }
    }

    fn read_pieces(
        &mut self,
        name: &'static str,
        request: impl Fn(u32) -> Request<'static>,
    ) -> Result<Vec<u8>, LinkError> {
        let mut all = Vec::new();
        loop {
            let at = all.len() as u32;
            let (total, piece) = self.ask(name, request(at), LONG_PATIENCE, |reply| match reply {
                Reply::Piece { total, offset, bytes } if offset == at && !bytes.is_empty() => {
                    Some((total, bytes.to_vec()))
                }
                _ => None,
            })?;
            all.extend(piece);
            if all.len() >= total as usize {
                return Ok(all);
            }
        }
    }

    /// Sends `request` until its reply comes or `patience` ends; `take` says what the reply should be.
    pub(super) fn ask<T>(
        &mut self,
        name: &'static str,
        request: Request<'_>,
        patience: Duration,
        take: impl Fn(Reply<'_>) -> Option<T>,
    ) -> Result<T, LinkError> {
        let header = PacketHeader { session: self.session(), sequence: self.sequence };
        // A sequence is sealed once, so the last one there is ends the session.
        self.sequence = self.sequence.checked_add(1).ok_or(LinkError::SessionEnded { request: name })?;
        let Client { transport, peer, .. } = self;
        let mut packet = [0; MAX_PACKET];
        let encoded = match peer {
            Peer::Open { .. } => encode(header, &request, &mut packet),
            Peer::Paired(session) => encode_sealed(header, &request, session, &mut packet),
        };
        let length = encoded.map_err(too_long)?;
        let over = FromDevice::NoSession { session: header.session };
        let mut endings = 0;
        transport.exchange(name, &packet[..length], patience, |found, bytes| {
            if found.session == NO_SESSION && found.sequence == header.sequence {
                endings += u32::from(message::<FromDevice>(bytes).is_some_and(|said| said == over));
                return (endings == ENDINGS).then_some(Err(LinkError::SessionEnded { request: name }));
            }
            if found != header {
                return None;
            }
            let opened = match peer {
                Peer::Open { .. } => &*bytes,
                Peer::Paired(session) => session.open(header.sequence, bytes)?,
            };
            Some(match message::<Reply<'_>>(opened) {
                Some(Reply::Fault(fault)) => Err(LinkError::Fault(fault)),
                Some(reply) => take(reply).ok_or(LinkError::Unexpected { request: name }),
                None => Err(LinkError::Unexpected { request: name }),
            })
        })
    }
}
