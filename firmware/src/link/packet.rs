//! Packets: a header, a message, its tag in a session, and a CRC in a COBS frame; and a decoder that begins again after noise.

use arcgate_crypto::TAG;
use serde::{Deserialize, Serialize};

use super::handshake::FromDevice;
use super::message::MAX_PIECE;
use super::session::Session;
use crate::wire;

/// The longest header and message together.
pub const MAX_MESSAGE: usize = MAX_PIECE + 64;

/// The longest header and [`FromDevice`] together.
const MAX_CLEAR: usize = 96;

/// Bytes of the CRC.
const SUM: usize = 4;

/// The longest packet on the wire, its closing zero included.
pub const MAX_PACKET: usize = packet_length(MAX_MESSAGE + TAG);

/// The longest packet of a [`FromDevice`].
pub const CLEAR_PACKET: usize = packet_length(MAX_CLEAR);

/// The session of what travels outside of one.
pub const NO_SESSION: u32 = 0;

const fn packet_length(payload: usize) -> usize {
    cobs::max_encoding_length(payload + SUM) + 1
}

const CRC: crc::Crc<u32> = crc::Crc::<u32>::new(&crc::CRC_32_ISCSI);

/// Which request a packet is, or which one it answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct PacketHeader {
    /// Of a paired host's session; on an open link drawn at random for each connection; [`NO_SESSION`] outside.
    pub session: u32,
    /// Counts the requests of a session.
    pub sequence: u32,
}

/// A packet could not be made: the message is longer than [`MAX_MESSAGE`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TooLong;

/// Writes a packet into `out` and returns its length.
///
/// # Errors
/// When the message is longer than [`MAX_MESSAGE`] or `out` too short.
pub fn encode<M: Serialize>(header: PacketHeader, message: &M, out: &mut [u8]) -> Result<usize, TooLong> {
    pack::<M, MAX_MESSAGE>(header, message, None, out)
}

/// As [`encode`], the message sealed for its sequence in a session, which must be the header's.
///
/// # Errors
/// As [`encode`].
pub fn encode_sealed<M: Serialize>(
    header: PacketHeader,
    message: &M,
    session: &Session,
    out: &mut [u8],
) -> Result<usize, TooLong> {
    pack::<M, MAX_MESSAGE>(header, message, Some(session), out)
}

/// As [`encode`], for what a device says outside of a session.
///
/// # Errors
/// As [`encode`]; every [`FromDevice`] fits into [`CLEAR_PACKET`].
pub fn encode_clear(header: PacketHeader, message: &FromDevice, out: &mut [u8]) -> Result<usize, TooLong> {
    pack::<FromDevice, MAX_CLEAR>(header, message, None, out)
}

fn pack<M: Serialize, const MAX: usize>(
    header: PacketHeader,
    message: &M,
    session: Option<&Session>,
    out: &mut [u8],
) -> Result<usize, TooLong> {
    let mut plain = [0u8; MAX_MESSAGE + TAG + SUM];
    let room = plain.get_mut(..MAX).ok_or(TooLong)?;
    let head = wire::write(&header, room).ok_or(TooLong)?;
    let behind = room.get_mut(head..).ok_or(TooLong)?;
    let mut length = head + wire::write(message, behind).ok_or(TooLong)?;
    if let Some(session) = session {
        let tag =
            session.seal(header.sequence, plain.get_mut(head..length).ok_or(TooLong)?).ok_or(TooLong)?;
        *plain.get_mut(length..).and_then(<[u8]>::first_chunk_mut).ok_or(TooLong)? = tag;
        length += TAG;
    }
    let sum = CRC.checksum(plain.get(..length).ok_or(TooLong)?).to_le_bytes();
    *plain.get_mut(length..).and_then(<[u8]>::first_chunk_mut).ok_or(TooLong)? = sum;
    let encoded = cobs::try_encode(plain.get(..length + SUM).ok_or(TooLong)?, out).map_err(|_| TooLong)?;
    *out.get_mut(encoded).ok_or(TooLong)? = 0;
    Ok(encoded + 1)
}

/// Splits a packet's payload into its header and the bytes of its message, which are sealed in a session; `None` when it has no
/// header.
pub fn split(payload: &mut [u8]) -> Option<(PacketHeader, &mut [u8])> {
    let (header, rest) = wire::read(payload)?;
    let head = payload.len() - rest.len();
    Some((header, payload.get_mut(head..)?))
}

/// Reads a message; `None` when the bytes are no message of this version, or more than one.
pub fn message<'a, M: Deserialize<'a>>(bytes: &'a [u8]) -> Option<M> {
    wire::read(bytes).filter(|(_, rest)| rest.is_empty()).map(|(message, _)| message)
}

/// Why bytes up to a zero were no packet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Noise {
    /// More than [`MAX_PACKET`] bytes without a zero.
    Long,
    /// Not COBS.
    Coding,
    /// The CRC differs, or there is no room for one.
    Sum,
    /// The CRC is right, but no header comes before it.
    Header,
}

impl core::fmt::Display for Noise {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match self {
            Noise::Long => write!(f, "more than {MAX_PACKET} bytes without a zero"),
            Noise::Coding => f.write_str("bytes that are no COBS"),
            Noise::Sum => f.write_str("a CRC that differs"),
            Noise::Header => f.write_str("a packet without a header"),
        }
    }
}

/// Collects bytes from the wire into packets; begins again at every zero.
#[derive(Debug)]
pub struct Decoder {
    bytes: [u8; MAX_PACKET],
    length: usize,
    overrun: bool,
}

impl Default for Decoder {
    fn default() -> Self {
        Self::new()
    }
}

impl Decoder {
    /// Empty.
    pub const fn new() -> Self {
        Decoder { bytes: [0; MAX_PACKET], length: 0, overrun: false }
    }

    /// Forgets what has arrived of the current packet.
    pub fn reset(&mut self) {
        (self.length, self.overrun) = (0, false);
    }

    /// Takes one byte. At the end of a packet: its payload without the CRC, or what was wrong with it.
    pub fn push(&mut self, byte: u8) -> Option<Result<&mut [u8], Noise>> {
        if byte != 0 {
            match self.bytes.get_mut(self.length) {
                Some(place) => {
                    *place = byte;
                    self.length += 1;
                }
                None => self.overrun = true,
            }
            return None;
        }
        let (length, overrun) = (self.length, self.overrun);
        self.reset();
        match (length, overrun) {
            (0, _) => None,
            (_, true) => Some(Err(Noise::Long)),
            _ => self.bytes.get_mut(..length).map(open),
        }
    }
}

/// Decodes COBS (Cheshire and Baker 1999) in place and gives the length; `None` when a block ends behind the bytes. The crate that
/// encodes checks bounds that the compiler cannot leave out.
fn unstuff(bytes: &mut [u8]) -> Option<usize> {
    let (mut from, mut to) = (0, 0);
    while let Some(&code) = bytes.get(from) {
        let next = from + usize::from(code);
        for at in from + 1..next {
            *bytes.get_mut(to)? = *bytes.get(at)?;
            to += 1;
        }
        // A zero is no code.
        from = if code == 0 { return None } else { next };
        if code != u8::MAX && from < bytes.len() {
            *bytes.get_mut(to)? = 0;
            to += 1;
        }
    }
    Some(to)
}

fn open(bytes: &mut [u8]) -> Result<&mut [u8], Noise> {
    let length = unstuff(bytes).ok_or(Noise::Coding)?;
    let whole = bytes.get_mut(..length);
    let (payload, sum) = whole.and_then(|bytes| bytes.split_last_chunk_mut::<SUM>()).ok_or(Noise::Sum)?;
    if CRC.checksum(payload) == u32::from_le_bytes(*sum) { Ok(payload) } else { Err(Noise::Sum) }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::link::{Reply, Request};

    fn packet(sequence: u32, message: &impl Serialize) -> Vec<u8> {
        let mut out = [0; MAX_PACKET];
        let length = encode(PacketHeader { session: 0x1234_5678, sequence }, message, &mut out).unwrap();
        out[..length].to_vec()
    }

    fn sequences(wire: &[u8]) -> Vec<u32> {
        let mut decoder = Decoder::new();
        let heard = wire.iter().filter_map(|&b| match decoder.push(b)? {
            Ok(payload) => split(payload).map(|(header, _)| header.sequence),
            Err(_) => None,
        });
        heard.collect()
    }

    #[test]
    fn the_longest_messages_fit() {
        let bytes = [0xff; crate::link::message::MAX_PIECE];
        packet(u32::MAX, &Request::FramePiece { offset: u32::MAX, bytes: &bytes });
        packet(u32::MAX, &Reply::Piece { total: u32::MAX, offset: u32::MAX, bytes: &bytes });
        let name = crate::gallery::Name::try_from("abcdefghijklmnopqrstuvwxyzabcdef").unwrap();
        let validity = crate::time::Validity { from: u64::MAX, until: u64::MAX };
        let person = crate::gallery::Person {
            id: crate::gallery::PersonId(u32::MAX),
            name,
            templates: u16::MAX,
            validity,
        };
        let people = core::iter::repeat_n(person, crate::link::message::PAGE).collect();
        packet(u32::MAX, &Reply::People { people, more: true });
        let person = Some(crate::gallery::PersonId(u32::MAX));
        let damage = crate::gallery::Damage { harm: crate::gallery::Harm::Sector, offset: u32::MAX, person };
        let damages = core::iter::repeat_n(damage, crate::link::message::DAMAGES).collect();
        packet(u32::MAX, &Reply::Damages { total: u32::MAX, first: u32::MAX, damages });
    }

    #[test]
    fn noise_before_and_after_a_packet_costs_only_itself() {
        let mut wire = vec![1, 2, 3, 0xff, 0, 7, 0, 0];
        wire.extend(packet(1, &Request::Info));
        wire.extend([5; MAX_PACKET + 9]);
        wire.push(0);
        wire.extend(packet(2, &Request::Identify));
        assert_eq!(sequences(&wire), [1, 2]);
    }

    proptest! {
        #[test]
        fn cobs_is_decoded_as_by_the_crate(
            blocks in prop::collection::vec((1..=255u8, any::<bool>()), 0..4),
            noise in prop::collection::vec(1..=255u8, 0..600),
        ) {
            // Bytes at random, with codes in them that fit more often than by chance.
            let mut bytes = noise;
            let mut at = 0;
            for (code, _) in blocks.iter().filter(|(_, placed)| *placed) {
                if let Some(place) = bytes.get_mut(at) {
                    *place = *code;
                }
                at += usize::from(*code);
            }
            let mut expected = bytes.clone();
            // The crate calls nothing at all an error, too; a packet has bytes.
            prop_assume!(!bytes.is_empty());
            let length = cobs::decode_in_place(&mut expected).ok();
            prop_assert_eq!(unstuff(&mut bytes), length);
            if let Some(length) = length {
                prop_assert_eq!(&bytes[..length], &expected[..length]);
            }
        }

        /// Damage loses the packets that it touches and no other, and lets none through changed.
        #[test]
        fn damage_never_passes(
            pieces in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..400), 1..6),
            hits in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>(), 0..3u8), 1..4),
        ) {
            let packets: Vec<Vec<u8>> = pieces
                .iter()
                .enumerate()
                .map(|(i, bytes)| packet(i as u32, &Request::FramePiece { offset: 0, bytes }))
                .collect();
            let mut wire: Vec<u8> = packets.concat();
            for (at, value, kind) in hits {
                let at = at.index(wire.len());
                match kind {
                    0 => wire[at] ^= value,
                    1 => drop(wire.remove(at)),
                    _ => wire.insert(at, value),
                }
                prop_assume!(!wire.is_empty());
            }
            wire.push(0);
            let mut decoder = Decoder::new();
            for &byte in &wire {
                if let Some(Ok(payload)) = decoder.push(byte) {
                    let (header, rest) = split(payload).expect("a packet that passed has a header");
                    let bytes = &pieces[header.sequence as usize][..];
                    prop_assert_eq!(message(rest), Some(Request::FramePiece { offset: 0, bytes }));
                }
            }
        }

        #[test]
        fn bytes_at_random_are_no_message_or_one(mut bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            let _ = message::<Request>(&bytes);
            let _ = message::<Reply>(&bytes);
            let _ = split(&mut bytes);
        }
    }
}
