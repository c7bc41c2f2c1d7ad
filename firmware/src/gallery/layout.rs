//! Bytes of the gallery: headers, records, seals. Nothing here touches flash.

use crate::embedding::{MAX_DIMENSION, norm_squared};
use crate::engine::kernels::as_i8;

use super::{GalleryError, NAME_BYTES, PersonId};

/// What begins a bank's header.
pub const MAGIC: [u8; 4] = *b"AGAL";

/// The layout that this code writes and reads.
pub const VERSION: u16 = 1;

/// The largest write unit of the flashes aimed at; everything is written in multiples of it, aligned to it.
pub const UNIT: usize = 32;

/// Bytes of a header without its seal.
pub const HEADER_BODY: usize = 96;

/// Bytes of a header with its seal.
pub const HEADER: usize = HEADER_BODY + UNIT;

/// Bytes of a record before the name or the template.
const PREFIX: usize = 16;

/// Bytes of the longest record.
pub const MAX_RECORD: usize = record_bytes(MAX_DIMENSION);

/// Bytes of a record, without its seal, for embeddings of `dimension` values.
pub const fn body_bytes(dimension: usize) -> usize {
    let payload = if dimension > NAME_BYTES { dimension } else { NAME_BYTES };
    (PREFIX + payload).next_multiple_of(UNIT)
}

/// Bytes of a record with its seal.
pub const fn record_bytes(dimension: usize) -> usize {
    body_bytes(dimension) + UNIT
}

const CRC: crc::Crc<u32> = crc::Crc::<u32>::new(&crc::CRC_32_ISCSI);

/// The unit that closes `body`: its CRC-32C, the same inverted, the rest erased.
pub fn seal(body: &[u8]) -> [u8; UNIT] {
    let sum = CRC.checksum(body);
    let mut unit = [0xff; UNIT];
    unit[..4].copy_from_slice(&sum.to_le_bytes());
    unit[4..8].copy_from_slice(&(!sum).to_le_bytes());
    unit
}

/// What the last unit of a record or header says of the rest.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Seal {
    /// Nothing is programmed, neither body nor seal.
    Erased,
    /// Written to the end.
    Whole,
    /// A write that a power cut ended: no bit of the seal is programmed that the whole seal would not program.
    Torn,
    /// Neither: the bytes changed after they were written.
    Broken,
}

/// Judges `bytes`: a body followed by its seal.
pub fn judge(bytes: &[u8]) -> Seal {
    if is_erased(bytes) {
        return Seal::Erased;
    }
    let (body, found) = bytes.split_at(bytes.len().saturating_sub(UNIT));
    let expected = seal(body);
    if found == expected {
        Seal::Whole
    } else if found.iter().zip(&expected).all(|(&f, &e)| f & e == e) {
        Seal::Torn
    } else {
        Seal::Broken
    }
}

/// Whether no bit is programmed.
pub fn is_erased(bytes: &[u8]) -> bool {
    bytes.iter().all(|&b| b == 0xff)
}

fn u16_at(bytes: &[u8], at: usize) -> u16 {
    bytes.get(at..at + 2).and_then(|b| b.try_into().ok()).map_or(0, u16::from_le_bytes)
}

fn u32_at(bytes: &[u8], at: usize) -> u32 {
    bytes.get(at..at + 4).and_then(|b| b.try_into().ok()).map_or(0, u32::from_le_bytes)
}

/// What a bank says of itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Header {
    /// Length of the templates.
    pub dimension: u16,
    /// The bank with the higher one holds the gallery.
    pub generation: u32,
    /// Every id given out before this bank began is lower.
    pub next_person: u32,
    /// Bytes of a bank when it was written.
    pub bank_bytes: u32,
    /// The model that the templates belong to.
    pub embedding_id: [u8; 32],
}

impl Header {
    /// The header and its seal.
    pub fn encode(&self) -> [u8; HEADER] {
        let mut bytes = [0xff; HEADER];
        bytes[..4].copy_from_slice(&MAGIC);
        bytes[4..6].copy_from_slice(&VERSION.to_le_bytes());
        bytes[6..8].copy_from_slice(&self.dimension.to_le_bytes());
        bytes[8..12].copy_from_slice(&self.generation.to_le_bytes());
        bytes[12..16].copy_from_slice(&self.next_person.to_le_bytes());
        bytes[16..20].copy_from_slice(&self.bank_bytes.to_le_bytes());
        bytes[32..64].copy_from_slice(&self.embedding_id);
        let close = seal(&bytes[..HEADER_BODY]);
        bytes[HEADER_BODY..].copy_from_slice(&close);
        bytes
    }

    /// Reads a header whose seal is whole; `offset` is where it lies, for the error.
    pub fn decode(bytes: &[u8; HEADER], offset: u32) -> Result<Self, GalleryError> {
        let mut embedding_id = [0; 32];
        embedding_id.copy_from_slice(&bytes[32..64]);
        if bytes[..4] != MAGIC {
            return Err(GalleryError::Damaged { offset });
        }
        match u16_at(bytes, 4) {
            VERSION => Ok(Header {
                dimension: u16_at(bytes, 6),
                generation: u32_at(bytes, 8),
                next_person: u32_at(bytes, 12),
                bank_bytes: u32_at(bytes, 16),
                embedding_id,
            }),
            found => Err(GalleryError::Version { found, readable: VERSION }),
        }
    }
}

/// What a record says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Content<'a> {
    /// A person came to be; their templates lie before this record.
    Person {
        /// UTF-8, 1 to [`NAME_BYTES`] bytes.
        name: &'a str,
    },
    /// One shot of a person.
    Template {
        /// Its squared norm.
        norm_squared: i32,
        /// Its int8 values.
        bytes: &'a [u8],
    },
    /// A person is no longer.
    Removal,
}

/// One record of the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Record<'a> {
    /// Counts the whole records of a bank from zero, so that a lost one is noticed.
    pub sequence: u32,
    /// Whom it is about.
    pub person: PersonId,
    /// What it says.
    pub content: Content<'a>,
}

const PERSON: u8 = 1;
const TEMPLATE: u8 = 2;
const REMOVAL: u8 = 3;

impl<'a> Record<'a> {
    /// Writes the record and its seal into `out`, which is [`record_bytes`] long.
    pub fn encode(&self, out: &mut [u8]) {
        out.fill(0xff);
        let (kind, length, value, payload): (u8, u8, i32, &[u8]) = match self.content {
            Content::Person { name } => (PERSON, name.len() as u8, 0, name.as_bytes()),
            Content::Template { norm_squared, bytes } => (TEMPLATE, 0, norm_squared, bytes),
            Content::Removal => (REMOVAL, 0, 0, &[]),
        };
        out[0] = kind;
        out[1] = length;
        out[4..8].copy_from_slice(&self.sequence.to_le_bytes());
        out[8..12].copy_from_slice(&self.person.0.to_le_bytes());
        out[12..16].copy_from_slice(&value.to_le_bytes());
        out[PREFIX..PREFIX + payload.len()].copy_from_slice(payload);
        let (body, close) = out.split_at_mut(out.len() - UNIT);
        close.copy_from_slice(&seal(body));
    }

    /// Reads a record whose seal is whole; `None` when its fields contradict each other.
    pub fn decode(bytes: &'a [u8], dimension: usize) -> Option<Self> {
        let (head, payload) = bytes.split_at_checked(PREFIX)?;
        let content = match *head.first()? {
            PERSON => {
                let name = payload.get(..*head.get(1)? as usize)?;
                let name = core::str::from_utf8(name).ok()?;
                if name.is_empty() || name.len() > NAME_BYTES || name.chars().any(char::is_control) {
                    return None;
                }
                Content::Person { name }
            }
            TEMPLATE => {
                let bytes = payload.get(..dimension)?;
                let stated = u32_at(head, 12) as i32;
                // Angles divide by it: a wrong one would make strangers alike.
                let norm_squared = norm_squared(as_i8(bytes));
                if norm_squared == 0 || norm_squared != stated {
                    return None;
                }
                Content::Template { norm_squared, bytes }
            }
            REMOVAL => Content::Removal,
            _ => return None,
        };
        Some(Record { sequence: u32_at(head, 4), person: PersonId(u32_at(head, 8)), content })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn person() -> [u8; record_bytes(64)] {
        let mut bytes = [0; record_bytes(64)];
        Record { sequence: 7, person: PersonId(3), content: Content::Person { name: "Ada" } }
            .encode(&mut bytes);
        bytes
    }

    #[test]
    fn records_come_back() {
        let bytes = person();
        assert_eq!(judge(&bytes), Seal::Whole);
        let record = Record::decode(&bytes, 64).unwrap();
        assert_eq!((record.sequence, record.person.0), (7, 3));
        assert_eq!(record.content, Content::Person { name: "Ada" });
    }

    #[test]
    fn fields_that_contradict_each_other_are_no_record() {
        let values = [3u8, 0xfd, 0, 7];
        let decoded = |norm_squared, bytes: &[u8]| {
            let mut record = [0; record_bytes(4)];
            let content = Content::Template { norm_squared, bytes };
            Record { sequence: 0, person: PersonId(1), content }.encode(&mut record);
            Record::decode(&record, 4).is_some()
        };
        assert!(decoded(9 + 9 + 49, &values));
        // A wrong norm would turn angles: a small one makes everybody alike.
        for norm in [-1, 0, 1, 68] {
            assert!(!decoded(norm, &values), "{norm}");
        }
        assert!(!decoded(0, &[0; 4]));
        let mut named = [0; record_bytes(4)];
        let content = Content::Person { name: "A\u{1b}[2J" };
        Record { sequence: 0, person: PersonId(1), content }.encode(&mut named);
        assert!(Record::decode(&named, 4).is_none(), "an escape sequence is a name");
    }

    #[test]
    fn a_cut_is_torn_at_every_byte_and_every_bit_of_the_seal() {
        let whole = person();
        for end in 1..whole.len() {
            let mut cut = whole;
            cut[end..].fill(0xff);
            let expected = if judge(&cut) == Seal::Whole { Seal::Whole } else { Seal::Torn };
            assert_eq!(judge(&cut), expected, "cut after {end} bytes");
            assert!(expected == Seal::Torn || is_erased(&whole[end..]));
        }
    }

    #[test]
    fn a_changed_bit_is_broken_not_torn() {
        for bit in 0..body_bytes(64) * 8 {
            let mut bytes = person();
            bytes[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(judge(&bytes), Seal::Broken, "bit {bit}");
        }
    }
}
