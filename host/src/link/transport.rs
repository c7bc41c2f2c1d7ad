//! Packets to and from a device: sent again and again if need be, for a bounded time.

use std::io::{self, Read, Write};
use std::net::{TcpStream, ToSocketAddrs};
use std::time::{Duration, Instant};

use arcgate_firmware::link::Fault;
use arcgate_firmware::link::handshake::{FromDevice, FromHost, Refusal};
use arcgate_firmware::link::message::PROTOCOL;
use arcgate_firmware::link::packet::{
    Decoder, MAX_PACKET, NO_SESSION, PacketHeader, TooLong, encode, message, split,
};
use arcgate_firmware::pairings::Role;

use super::Target;
use super::devices::DevicesError;

/// Bytes to and from a device, with a limit on waiting.
pub trait Wire: Read + Write + Send {
    /// How long a `read` may wait; one that waited in vain gives `TimedOut`, `WouldBlock` or no bytes.
    ///
    /// # Errors
    /// When the system says no.
    fn set_patience(&mut self, patience: Duration) -> io::Result<()>;

    /// The first wait for a reply before asking again; each further wait is twice as long, up to eight times.
    fn first_wait(&self) -> Duration {
        FIRST_WAIT
    }
}

impl Wire for TcpStream {
    fn set_patience(&mut self, patience: Duration) -> io::Result<()> {
        self.set_read_timeout(Some(patience))
    }
}

impl Wire for Box<dyn serialport::SerialPort> {
    fn set_patience(&mut self, patience: Duration) -> io::Result<()> {
        Ok(self.set_timeout(patience)?)
    }
}

/// Why a device did not give what was asked.
#[derive(Debug, thiserror::Error)]
pub enum LinkError {
    /// There is no way to it.
    #[error("cannot reach {target}")]
    Connect {
        /// The target's word.
        target: String,
        /// What the system said.
        source: io::Error,
    },
    /// The connection broke.
    #[error("the connection to the device broke")]
    Broken(#[from] io::Error),
    /// No reply came.
    #[error("no reply to {request} in {seconds} s ({tries} tries)")]
    Silent {
        /// What was asked.
        request: &'static str,
        /// How long.
        seconds: u64,
        /// How often.
        tries: u32,
    },
    /// The device says why it did not do it.
    #[error("{0}")]
    Fault(Fault),
    /// Another version.
    #[error("the device speaks link version {found}, this program speaks version {PROTOCOL}")]
    Protocol {
        /// The device's.
        found: u16,
    },
    /// A reply that does not answer the request.
    #[error("the device answered {request} with something else")]
    Unexpected {
        /// What was asked.
        request: &'static str,
    },
    /// What comes in pages changed from page to page.
    #[error("the device answered {request} differently {times} times: its flash or its memory fails")]
    Unsteady {
        /// What was asked.
        request: &'static str,
        /// How often.
        times: u32,
    },
    /// The device is not among those that this computer is paired with, or has forgotten it.
    #[error(
        "this computer is not paired with the device {device}\n  accepted: press the device's button, then `arcgate device pair`"
    )]
    NotPaired {
        /// The first digits of its identity.
        device: String,
    },
    /// Another device answers, or somebody between.
    #[error(
        "what answers does not have the key of the device {device}\n  accepted: the device itself; if its pairings were reset, `arcgate device pair` again"
    )]
    Impostor {
        /// The first digits of its identity.
        device: String,
    },
    /// What answers where a device was paired, or in its name, says that it trusts everybody.
    #[error(
        "what answers says that its link is open, but this computer is paired with the device {device}: somebody may sit between\n  accepted: the device as it was paired; if its link was opened on purpose, its entry taken out of the file of keys"
    )]
    OpenedUp {
        /// The first digits of its identity.
        device: String,
    },
    /// The session came to an end.
    #[error(
        "the device has ended the session before it answered {request}: it was restarted, or another computer has the link, and the request may or may not have been carried out"
    )]
    SessionEnded {
        /// What was asked.
        request: &'static str,
    },
    /// The button has to be pressed.
    #[error(
        "the device is not in pairing mode\n  accepted: its button held for less than 3 s (operator) or longer (administrator), at most a minute before"
    )]
    NotPairing,
    /// The press of the button was for less.
    #[error(
        "the device's button was pressed for the role {at_most} at most\n  accepted: --role {at_most}, or the button held for 3 s or longer"
    )]
    Press {
        /// What it was pressed for.
        at_most: Role,
    },
    /// The device has nobody to pair.
    #[error("the device's link is open: everybody is an administrator, and nobody is paired")]
    OpenLink,
    /// Another code was typed than belongs to this attempt.
    #[error(
        "that is not the code of this pairing: it was mistyped, or somebody sits between this computer and the device\n  accepted: the six digits that the device shows, after another try; the device was not paired"
    )]
    Code,
    /// The device says why it does not open a session or pair.
    #[error("{0}")]
    Refused(Refusal),
    /// The keys of devices that this computer keeps.
    #[error(transparent)]
    Devices(#[from] DevicesError),
}

impl From<Refusal> for LinkError {
    fn from(why: Refusal) -> Self {
        match why {
            Refusal::NotPairing => LinkError::NotPairing,
            Refusal::Role { at_most } => LinkError::Press { at_most },
            Refusal::Code => LinkError::Code,
            Refusal::Message { protocol } if protocol != PROTOCOL => LinkError::Protocol { found: protocol },
            other => LinkError::Refused(other),
        }
    }
}

/// As [`Wire::first_wait`], on wires that do not know better.
const FIRST_WAIT: Duration = Duration::from_millis(400);

/// How long to try what opens a session or pairs.
const PATIENCE: Duration = Duration::from_secs(20);

/// The wire and what has come from it.
pub(super) struct Transport {
    wire: Box<dyn Wire>,
    decoder: Decoder,
    /// Counts what is said outside of a session.
    said: u32,
    pub(super) first_wait: Duration,
    pub(super) retries: u64,
}

impl Transport {
    /// Connects over TCP or a serial port.
    pub(super) fn connect(target: &Target) -> Result<Self, LinkError> {
        let failed = |source| LinkError::Connect { target: target.to_string(), source };
        let wire: Box<dyn Wire> = match target {
            Target::Tcp(address) => Box::new(dial(address).map_err(failed)?),
            Target::Serial { port, baud } => {
                let opened = serialport::new(port, *baud).timeout(FIRST_WAIT).open();
                Box::new(opened.map_err(|e| failed(e.into()))?)
            }
            Target::File(_) => {
                let kind = io::ErrorKind::InvalidInput;
                return Err(failed(io::Error::new(kind, "a gallery file, where a device was expected")));
            }
        };
        Self::over(wire)
    }

    /// Speaks over `wire`.
    pub(super) fn over(mut wire: Box<dyn Wire>) -> Result<Self, LinkError> {
        // Whatever the device has half received ends here.
        wire.write_all(&[0])?;
        // At random, so that a late answer to another program is not taken for one to this.
        let said = rand::random();
        let first_wait = wire.first_wait();
        Ok(Transport { wire, decoder: Decoder::new(), said, first_wait, retries: 0 })
    }

    /// Says something outside of a session until it is answered.
    pub(super) fn say(&mut self, name: &'static str, said: &FromHost) -> Result<FromDevice, LinkError> {
        self.said = self.said.wrapping_add(1);
        let header = PacketHeader { session: NO_SESSION, sequence: self.said };
        let mut packet = [0; MAX_PACKET];
        let length = encode(header, said, &mut packet).map_err(too_long)?;
        let answer = self.exchange(name, &packet[..length], PATIENCE, |found, bytes| {
            if found != header {
                return None;
            }
            Some(message::<FromDevice>(bytes).ok_or(LinkError::Unexpected { request: name }))
        })?;
        match answer {
            FromDevice::Refused(why) => Err(why.into()),
            answer => Ok(answer),
        }
    }

    /// Sends `packet` until `take` has heard its answer or `patience` ends.
    pub(super) fn exchange<T>(
        &mut self,
        name: &'static str,
        packet: &[u8],
        patience: Duration,
        mut take: impl FnMut(PacketHeader, &mut [u8]) -> Option<Result<T, LinkError>>,
    ) -> Result<T, LinkError> {
        let begin = Instant::now();
        let mut wait = self.first_wait;
        for tries in 1.. {
            // Not flushed: a serial port that takes nothing more would be waited for without an end.
            self.wire.write_all(packet)?;
            let until = (Instant::now() + wait).min(begin + patience);
            if let Some(done) = self.hear(until, &mut take)? {
                return done;
            }
            if begin.elapsed() >= patience {
                return Err(LinkError::Silent { request: name, seconds: patience.as_secs(), tries });
            }
            self.retries += 1;
            wait = (wait * 2).min(self.first_wait * 8);
        }
        unreachable!("the loop has no end")
    }

    /// Listens until `until` for what `take` takes.
    #[allow(clippy::type_complexity, reason = "an outcome inside an outcome: heard or not, and what it was")]
    fn hear<T>(
        &mut self,
        until: Instant,
        take: &mut impl FnMut(PacketHeader, &mut [u8]) -> Option<Result<T, LinkError>>,
    ) -> Result<Option<Result<T, LinkError>>, LinkError> {
        let mut bytes = [0; 2048];
        loop {
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Ok(None);
            }
            self.wire.set_patience(left.max(Duration::from_millis(1)))?;
            let length = match self.wire.read(&mut bytes) {
                Ok(0) => return Err(io::Error::from(io::ErrorKind::UnexpectedEof).into()),
                Ok(length) => length,
                Err(e) if is_timeout(&e) => continue,
                Err(e) => return Err(e.into()),
            };
            for &byte in &bytes[..length] {
                let Some(Ok(payload)) = self.decoder.push(byte) else { continue };
                // What is not taken is a late copy of an earlier reply.
                if let Some(done) = split(payload).and_then(|(header, rest)| take(header, rest)) {
                    return Ok(Some(done));
                }
            }
        }
    }
}

/// A packet that cannot be sent.
pub(super) fn too_long(_: TooLong) -> LinkError {
    LinkError::Broken(io::Error::new(io::ErrorKind::InvalidInput, "request too long"))
}

fn is_timeout(error: &io::Error) -> bool {
    use io::ErrorKind::{Interrupted, TimedOut, WouldBlock};
    matches!(error.kind(), TimedOut | WouldBlock | Interrupted)
}

/// Tries every address of `address` for at most five seconds each.
fn dial(address: &str) -> io::Result<TcpStream> {
    let mut last = io::Error::new(io::ErrorKind::NotFound, "the name has no address");
    for socket in address.to_socket_addrs()? {
        match TcpStream::connect_timeout(&socket, Duration::from_secs(5)) {
            Ok(stream) => {
                stream.set_nodelay(true)?;
                return Ok(stream);
            }
            Err(error) => last = error,
        }
    }
    Err(last)
}
