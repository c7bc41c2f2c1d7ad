//! Bytes of the gallery: sector headers, marks, records. Nothing here touches flash or knows a key; [`super::seal`] fills the
//! places that are left for tags.

use super::GalleryError;
use super::person::{NAME_BYTES, PersonId};
use super::transform::Seed;
use crate::bytes::{copy, field, put, u16_at, u32_at, u64_at};
use crate::embedding::MAX_DIMENSION;
use crate::flash::{UNIT, is_erased};
use crate::time::Validity;

/// What begins a sector.
pub const MAGIC: [u8; 4] = *b"AGAL";

/// The layout that this code writes and reads.
pub const VERSION: u16 = 3;

/// Bytes of a tag.
pub const TAG: usize = 16;

/// Bytes of the seed of a gallery's transform.
const SEED: usize = size_of::<Seed>();

/// Bytes of a sector's header.
pub const HEADER: usize = 128;

/// Bytes of the header that are in the clear; the seed, sealed, and the tag follow.
pub const HEADER_BODY: usize = 76;

/// Where the header's tag lies.
const HEADER_TAG: usize = HEADER_BODY + SEED;

/// Where the header's checksum lies.
const HEADER_CRC: usize = HEADER - 4;

/// Marks that a sector has room for, each in a unit of its own.
pub const MARKS: usize = 5;

/// Bytes before a sector's first slot.
pub const SLOTS_AT: usize = HEADER + MARKS * UNIT;

/// Bytes of a record that are not sealed.
pub const CLEAR: usize = 16;

/// Bytes of settings.
pub const SETTINGS_BYTES: usize = 32;

/// Bytes of a person's payload: length of the name, three unused, name, beginning and end of validity.
pub const PERSON_BYTES: usize = 4 + NAME_BYTES + 8 + 8;

/// Bytes of the longest record.
pub const MAX_RECORD: usize = record_bytes(MAX_DIMENSION);

/// Bytes of a record, and of its slot, for embeddings of `dimension` values.
pub const fn record_bytes(dimension: usize) -> usize {
    let payload = if dimension > PERSON_BYTES { dimension } else { PERSON_BYTES };
    (CLEAR + payload + TAG).next_multiple_of(UNIT)
}

/// Slots of a sector of `sector` bytes.
pub const fn slots(sector: usize, dimension: usize) -> usize {
    let bytes = record_bytes(dimension);
    // Never 0; for the compiler to see.
    sector.saturating_sub(SLOTS_AT) / if bytes < UNIT { UNIT } else { bytes }
}

const CRC: crc::Crc<u32> = crc::Crc::<u32>::new(&crc::CRC_32_ISCSI);

/// A checksum over several pieces, for whoever has no room for them side by side.
pub fn checksum(pieces: &[&[u8]]) -> u32 {
    let mut digest = CRC.digest();
    pieces.iter().for_each(|piece| digest.update(piece));
    digest.finalize()
}

/// Makes `valid` true of `bytes` by turning back one bit, where that is possible. A CRC-32C tells every two such bits apart.
fn repair(bytes: &mut [u8], valid: impl Fn(&[u8]) -> bool) -> bool {
    for bit in 0..bytes.len() * 8 {
        bytes[bit / 8] ^= 1 << (bit % 8);
        if valid(bytes) {
            return true;
        }
        bytes[bit / 8] ^= 1 << (bit % 8);
    }
    false
}

/// How bytes under a checksum were found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Found<V> {
    /// As they were written.
    Whole(V),
    /// One bit had turned, which the checksum turns back.
    Repaired(V),
    /// Never written, cut off, or changed beyond repair.
    Unreadable,
}

impl<V> Found<V> {
    /// What was read.
    pub fn value(self) -> Option<V> {
        match self {
            Found::Whole(value) | Found::Repaired(value) => Some(value),
            Found::Unreadable => None,
        }
    }
}

/// Which sectors a sector takes the place of, once it is marked as complete.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Replaces {
    /// None: it was opened for more records.
    Nothing,
    /// All with lower sequence numbers: the gallery was formatted.
    All,
    /// One, whose records it has copies of.
    Sector {
        /// Which.
        index: u16,
        /// Its sequence number; another one there is another sector.
        sequence: u32,
    },
}

const NOTHING: u16 = u16::MAX;
const ALL: u16 = u16::MAX - 1;

/// What a sector says of itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Header {
    /// Length of the templates.
    pub dimension: u16,
    /// Given to one sector after the other as they are opened, never twice.
    pub sequence: u32,
    /// The last operation that the gallery had seen.
    pub operation: u32,
    /// Every id given out before is lower.
    pub next_person: u32,
    /// What it takes the place of.
    pub replaces: Replaces,
    /// Copies that its first slots hold.
    pub copies: u16,
    /// Sectors of the gallery.
    pub sectors: u16,
    /// Sectors that hold records, this one among them, once what it replaces is gone.
    pub filled: u16,
    /// Bytes of a sector.
    pub sector_bytes: u32,
    /// A checksum over what is copied, so that another try with other copies has other nonces.
    pub salt: u32,
    /// The model that the templates belong to.
    pub embedding_id: [u8; 32],
    /// The sequence numbers of the sectors filled, added up: an old sector put back is not one of them.
    pub sum: u32,
    /// The seed of the gallery's transform, sealed.
    pub seed: [u8; SEED],
    /// Over everything before it and the sector's index.
    pub tag: [u8; TAG],
}

impl Header {
    /// The part in the clear.
    pub fn body(&self) -> [u8; HEADER_BODY] {
        let mut bytes = [0xff; HEADER_BODY];
        let (index, sequence) = match self.replaces {
            Replaces::Nothing => (NOTHING, 0),
            Replaces::All => (ALL, 0),
            Replaces::Sector { index, sequence } => (index, sequence),
        };
        put(&mut bytes, 0, &MAGIC);
        put(&mut bytes, 4, &VERSION.to_le_bytes());
        put(&mut bytes, 6, &self.dimension.to_le_bytes());
        put(&mut bytes, 8, &self.sequence.to_le_bytes());
        put(&mut bytes, 12, &self.operation.to_le_bytes());
        put(&mut bytes, 16, &self.next_person.to_le_bytes());
        put(&mut bytes, 20, &index.to_le_bytes());
        put(&mut bytes, 22, &self.copies.to_le_bytes());
        put(&mut bytes, 24, &sequence.to_le_bytes());
        put(&mut bytes, 28, &self.sectors.to_le_bytes());
        put(&mut bytes, 30, &self.filled.to_le_bytes());
        put(&mut bytes, 32, &self.sector_bytes.to_le_bytes());
        put(&mut bytes, 36, &self.salt.to_le_bytes());
        put(&mut bytes, 40, &self.embedding_id);
        put(&mut bytes, 72, &self.sum.to_le_bytes());
        bytes
    }

    /// The bytes of the header of sector `index`.
    pub fn encode(&self, index: u16) -> [u8; HEADER] {
        let mut bytes = [0xff; HEADER];
        put(&mut bytes, 0, &self.body());
        put(&mut bytes, HEADER_BODY, &self.seed);
        put(&mut bytes, HEADER_TAG, &self.tag);
        let sum = checksum(&[&bytes[..HEADER_CRC], &index.to_le_bytes()]);
        put(&mut bytes, HEADER_CRC, &sum.to_le_bytes());
        bytes
    }

    /// Reads the header of sector `index`; the tag is not checked.
    pub fn decode(bytes: &[u8; HEADER], index: u16) -> Found<Self> {
        let valid = |b: &[u8]| {
            u32_at(b, HEADER_CRC) == checksum(&[&b[..HEADER_CRC], &index.to_le_bytes()])
                && b[..4] == MAGIC
                && u16_at(b, 4) == VERSION
        };
        if valid(bytes) {
            return Found::Whole(Self::fields(bytes));
        }
        let mut bytes = *bytes;
        if !is_erased(&bytes) && repair(&mut bytes, valid) {
            Found::Repaired(Self::fields(&bytes))
        } else {
            Found::Unreadable
        }
    }

    fn fields(bytes: &[u8; HEADER]) -> Self {
        Header {
            dimension: u16_at(bytes, 6),
            sequence: u32_at(bytes, 8),
            operation: u32_at(bytes, 12),
            next_person: u32_at(bytes, 16),
            replaces: match u16_at(bytes, 20) {
                NOTHING => Replaces::Nothing,
                ALL => Replaces::All,
                index => Replaces::Sector { index, sequence: u32_at(bytes, 24) },
            },
            copies: u16_at(bytes, 22),
            sectors: u16_at(bytes, 28),
            filled: u16_at(bytes, 30),
            sector_bytes: u32_at(bytes, 32),
            salt: u32_at(bytes, 36),
            embedding_id: field(bytes, 40),
            sum: u32_at(bytes, 72),
            seed: field(bytes, HEADER_BODY),
            tag: field(bytes, HEADER_TAG),
        }
    }
}

/// The version of whatever layout begins with `bytes`, if it is another one.
pub fn other_version(bytes: &[u8; HEADER]) -> Option<u16> {
    let found = u16_at(bytes, 4);
    (bytes[..4] == MAGIC && found != VERSION && found != u16::MAX).then_some(found)
}

/// What is noted in a sector after its header, in this order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mark {
    /// Its copies are complete: from here on it counts, and what it replaces does not.
    Complete,
    /// What it replaces is erased.
    Erased,
}

impl Mark {
    /// The unit that says so in a sector.
    pub fn encode(self, sequence: u32) -> [u8; UNIT] {
        let kind = match self {
            Mark::Complete => *b"DONE",
            Mark::Erased => *b"GONE",
        };
        let mut unit = [0xff; UNIT];
        put(&mut unit, 0, &kind);
        put(&mut unit, 4, &sequence.to_le_bytes());
        let sum = checksum(&[&unit[..8]]);
        put(&mut unit, 8, &sum.to_le_bytes());
        unit
    }
}

/// What a record is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A person: number 0.
    Person,
    /// One template of a person: numbers from 1 on.
    Template,
    /// The gallery's settings: person 0, number 0.
    Settings,
    /// Stands where a record was that could not be read when its sector was compacted.
    Lost,
}

/// The part of a record that is not sealed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Clear {
    /// What it is about.
    pub kind: Kind,
    /// Of a person: eight bits that follow from the name and the key, so that few records must be opened to find one.
    pub mark: u8,
    /// Which of the person's records.
    pub number: u16,
    /// Whom it is about.
    pub person: PersonId,
    /// The operation that wrote it; of two with the same person and number the later one counts.
    pub operation: u32,
}

/// Where a record lies: what binds it there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Place {
    /// The sequence number of its sector.
    pub sequence: u32,
    /// The salt of its sector.
    pub salt: u32,
    /// Its slot, counted through the whole gallery.
    pub slot: u16,
}

impl Place {
    /// Never the same for two records.
    pub fn nonce(self) -> [u8; 12] {
        let mut nonce = [0; 12];
        put(&mut nonce, 0, &self.sequence.to_le_bytes());
        put(&mut nonce, 4, &self.salt.to_le_bytes());
        put(&mut nonce, 8, &self.slot.to_le_bytes());
        nonce
    }
}

impl Clear {
    /// The bytes of the clear part of a record that lies at `place`.
    pub fn encode(&self, place: Place) -> [u8; CLEAR] {
        let mut bytes = [0; CLEAR];
        bytes[0] = match self.kind {
            Kind::Person => 1,
            Kind::Template => 2,
            Kind::Settings => 3,
            Kind::Lost => 4,
        };
        bytes[1] = self.mark;
        put(&mut bytes, 2, &self.number.to_le_bytes());
        put(&mut bytes, 4, &self.person.0.to_le_bytes());
        put(&mut bytes, 8, &self.operation.to_le_bytes());
        let sum = checksum(&[&bytes[..12], &place.nonce()]);
        put(&mut bytes, 12, &sum.to_le_bytes());
        bytes
    }

    /// Reads the clear part of the record at `place`.
    pub fn decode(bytes: &[u8; CLEAR], place: Place) -> Found<Self> {
        let nonce = place.nonce();
        let valid = |b: &[u8]| u32_at(b, 12) == checksum(&[&b[..12], &nonce]) && (1..=4).contains(&b[0]);
        if valid(bytes) {
            return Found::Whole(Self::fields(bytes));
        }
        let mut bytes = *bytes;
        if repair(&mut bytes, valid) { Found::Repaired(Self::fields(&bytes)) } else { Found::Unreadable }
    }

    fn fields(bytes: &[u8; CLEAR]) -> Self {
        Clear {
            kind: match bytes[0] {
                1 => Kind::Person,
                2 => Kind::Template,
                3 => Kind::Settings,
                _ => Kind::Lost,
            },
            mark: bytes[1],
            number: u16_at(bytes, 2),
            person: PersonId(u32_at(bytes, 4)),
            operation: u32_at(bytes, 8),
        }
    }
}

/// Writes a person's payload.
pub fn encode_person(name: &str, validity: Validity, payload: &mut [u8]) {
    payload.fill(0);
    let Some(payload) = payload.first_chunk_mut::<PERSON_BYTES>() else { return };
    payload[0] = name.len() as u8;
    copy(name.as_bytes(), &mut payload[4..36]);
    put(payload, 36, &validity.from.to_le_bytes());
    put(payload, 44, &validity.until.to_le_bytes());
}

/// Reads a person's payload; `None` when its fields contradict each other.
pub fn decode_person(payload: &[u8]) -> Option<(&str, Validity)> {
    let name = payload.get(4..)?.get(..*payload.first()? as usize)?;
    let name = core::str::from_utf8(name).ok()?;
    check_name(name)
        .is_ok()
        .then_some((name, Validity { from: u64_at(payload, 36), until: u64_at(payload, 44) }))
}

/// Whether this can be a name.
pub(super) fn check_name(name: &str) -> Result<(), GalleryError> {
    if name.is_empty() || name.len() > NAME_BYTES {
        return Err(GalleryError::NameLength { found: name.len() as u32 });
    }
    if name.chars().any(char::is_control) { Err(GalleryError::NameCharacter) } else { Ok(()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn header() -> Header {
        Header {
            dimension: 128,
            sequence: 7,
            operation: 9,
            next_person: 3,
            replaces: Replaces::Sector { index: 2, sequence: 4 },
            copies: 5,
            sectors: 16,
            filled: 15,
            sector_bytes: 4096,
            salt: 0x1234_5678,
            embedding_id: [0xa5; 32],
            sum: 99,
            seed: [0x3c; SEED],
            tag: [0x5a; TAG],
        }
    }

    #[test]
    fn one_turned_bit_of_a_header_turns_back() {
        for replaces in [Replaces::Nothing, Replaces::All, header().replaces] {
            let header = Header { replaces, ..header() };
            let bytes = header.encode(3);
            assert_eq!(Header::decode(&bytes, 3), Found::Whole(header));
            for bit in 0..HEADER * 8 {
                let mut turned = bytes;
                turned[bit / 8] ^= 1 << (bit % 8);
                assert_eq!(Header::decode(&turned, 3), Found::Repaired(header), "bit {bit}");
            }
            assert_eq!(Header::decode(&bytes, 4), Found::Unreadable, "in another sector");
        }
    }

    #[test]
    fn one_turned_bit_of_a_clear_part_turns_back() {
        let place = Place { sequence: 7, salt: 1, slot: 300 };
        let clear = Clear { kind: Kind::Template, mark: 0, number: 2, person: PersonId(44), operation: 90 };
        let bytes = clear.encode(place);
        assert_eq!(Clear::decode(&bytes, place), Found::Whole(clear));
        for bit in 0..CLEAR * 8 {
            let mut turned = bytes;
            turned[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(Clear::decode(&turned, place), Found::Repaired(clear), "bit {bit}");
        }
        for other in
            [Place { slot: 301, ..place }, Place { sequence: 8, ..place }, Place { salt: 2, ..place }]
        {
            assert_eq!(Clear::decode(&bytes, other), Found::Unreadable, "{other:?}");
        }
    }

    #[test]
    fn a_persons_fields_come_back_or_contradict_each_other() {
        let validity = Validity { from: 5, until: u64::MAX - 1 };
        let mut payload = [0; PERSON_BYTES];
        encode_person("Ada", validity, &mut payload);
        assert_eq!(decode_person(&payload), Some(("Ada", validity)));
        let with = |at: usize, byte: u8| {
            let mut changed = payload;
            changed[at] = byte;
            decode_person(&changed).is_some()
        };
        assert!(!with(0, 0) && !with(0, 33) && !with(0, 200) && !with(4, 0xff) && !with(4, 0x1b));
    }
}
