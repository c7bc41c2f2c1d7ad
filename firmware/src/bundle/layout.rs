//! Bytes of a bundle. Nothing here knows a key.

use arcgate_crypto::{PublicKey, is_signed, sha256};

use super::BundleError;
use crate::bytes::{field, put, u16_at, u32_at};
use crate::embedding::MAX_DIMENSION;
use crate::gallery::layout::{PERSON_BYTES, decode_person, encode_person};
use crate::gallery::transform::Seed;
use crate::gallery::{Name, PersonId, SETTINGS_BYTES};
use crate::kernels::as_i8;
use crate::time::Validity;

/// What begins a bundle.
pub const MAGIC: [u8; 4] = *b"ABUN";

/// The layout that this code writes and reads.
const VERSION: u16 = 2;

/// Versions of an enrolment: 0 stands for none, and above the highest there is a number for a device that has spent it.
pub const VERSIONS: core::ops::Range<u32> = 1..u32::MAX;

/// Bytes of a tag.
pub const TAG: usize = 16;

/// Bytes of the header that an enrolment's signature is over.
const SIGNED: usize = 152;

/// Bytes of the header before its tag.
pub const HEADER_BODY: usize = SIGNED + 64;

/// Bytes of the header.
pub const HEADER: usize = HEADER_BODY + TAG;

/// Where the header's salt lies.
pub const SALT: core::ops::Range<usize> = 24..56;

/// Bytes of a record's content before its payload.
const PREFIX: usize = 8;

/// Bytes of a signature's payload.
const SIGNATURE: usize = 32 + 64;

/// Bytes behind the payload of an enrolment's record, which say what the next one is.
pub const NEXT: usize = 32;

/// Bytes of the longest record.
pub const MAX_RECORD: usize = record_bytes(Kind::Enrolment, MAX_DIMENSION);

/// Bytes of a record, for embeddings of `dimension` values.
pub const fn record_bytes(kind: Kind, dimension: usize) -> usize {
    let next = match kind {
        Kind::Enrolment => NEXT,
        Kind::Backup => 0,
    };
    PREFIX + if dimension > SIGNATURE { dimension } else { SIGNATURE } + next + TAG
}

/// What names a record in the one before it, or in the header.
pub fn named(content: &[u8]) -> [u8; NEXT] {
    sha256(&[b"arcgate bundle record 1", content])
}

/// What a bundle is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// People whom a device is to enrol, with their embeddings.
    Enrolment,
    /// A gallery as a device had it.
    Backup,
}

/// Who made an enrolment, and what its records are; zeros in a backup, whose signature comes last.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Origin {
    /// What names the first record, which names the next one.
    pub first: [u8; NEXT],
    /// Whose signature it is.
    pub signer: PublicKey,
    /// Of [`Header::digest`].
    pub signature: [u8; 64],
}

impl Origin {
    /// Of a backup.
    pub const NONE: Origin = Origin { first: [0; NEXT], signer: [0; 32], signature: [0; 64] };
}

/// What a bundle says of itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Header {
    /// What it is for.
    pub kind: Kind,
    /// Values of a template.
    pub dimension: u16,
    /// Records that follow.
    pub records: u32,
    /// People among them.
    pub people: u32,
    /// Of an enrolment, one of [`VERSIONS`]: the higher counts. Of a backup the operations that its gallery had seen.
    pub version: u32,
    /// Drawn at random for this bundle.
    pub salt: [u8; 32],
    /// The model that the templates belong to.
    pub embedding_id: [u8; 32],
    /// Who made an enrolment.
    pub origin: Origin,
}

impl Header {
    /// The header before its tag.
    pub fn body(&self) -> [u8; HEADER_BODY] {
        let mut bytes = [0; HEADER_BODY];
        put(&mut bytes, 0, &MAGIC);
        put(&mut bytes, 4, &VERSION.to_le_bytes());
        bytes[6] = match self.kind {
            Kind::Enrolment => 1,
            Kind::Backup => 2,
        };
        put(&mut bytes, 8, &self.dimension.to_le_bytes());
        put(&mut bytes, 12, &self.records.to_le_bytes());
        put(&mut bytes, 16, &self.people.to_le_bytes());
        put(&mut bytes, 20, &self.version.to_le_bytes());
        put(&mut bytes, SALT.start, &self.salt);
        put(&mut bytes, 56, &self.embedding_id);
        put(&mut bytes, 88, &self.origin.first);
        put(&mut bytes, 120, &self.origin.signer);
        put(&mut bytes, SIGNED, &self.origin.signature);
        bytes
    }

    /// What the signature of an enrolment is over: the header, and by the first one's name all records. The salt is not in it, so that
    /// whoever has the bundle can seal it for another device.
    pub fn digest(&self) -> [u8; 32] {
        let body = Header { salt: [0; 32], ..*self }.body();
        sha256(&[b"arcgate enrolment 1", body.first_chunk::<SIGNED>().map_or(&[], |signed| &signed[..])])
    }

    /// Whether the signature of an enrolment is that of its signer. A backup's comes last.
    pub fn is_signed(&self) -> bool {
        is_signed(&self.origin.signer, &self.digest(), &self.origin.signature)
    }

    /// Reads a header; neither its tag nor its signature is checked.
    ///
    /// # Errors
    /// When it is no bundle's, one of another version, or contradicts itself.
    pub fn read(bytes: &[u8]) -> Result<Self, BundleError> {
        let Some((bytes, _)) = bytes.split_first_chunk::<HEADER>().filter(|(b, _)| b[..4] == MAGIC) else {
            return Err(BundleError::NotABundle);
        };
        let found = u16_at(bytes, 4);
        if found != VERSION {
            return Err(BundleError::Version { found, readable: VERSION });
        }
        let kind = match bytes[6] {
            1 => Kind::Enrolment,
            2 => Kind::Backup,
            _ => return Err(BundleError::Header),
        };
        let (salt, embedding_id) = (field(bytes, SALT.start), field(bytes, 56));
        let header = Header {
            kind,
            dimension: u16_at(bytes, 8),
            records: u32_at(bytes, 12),
            people: u32_at(bytes, 16),
            version: u32_at(bytes, 20),
            salt,
            embedding_id,
            origin: Origin {
                first: field(bytes, 88),
                signer: field(bytes, 120),
                signature: field(bytes, SIGNED),
            },
        };
        // A backup has a seed and a signature besides its people, and nothing else is in the header.
        let (others, in_order) = match kind {
            Kind::Enrolment => (0, VERSIONS.contains(&header.version)),
            Kind::Backup => (2, header.origin == Origin::NONE),
        };
        let fits = in_order
            && (1..=MAX_DIMENSION).contains(&usize::from(header.dimension))
            && header.people.checked_add(others).is_some_and(|least| least <= header.records)
            && header.body() == bytes[..HEADER_BODY];
        if fits { Ok(header) } else { Err(BundleError::Header) }
    }

    /// Bytes of a record.
    pub fn record_bytes(&self) -> usize {
        record_bytes(self.kind, self.dimension.into())
    }
}

/// Somebody in a bundle.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Member {
    /// The number they had; 0 in an enrolment.
    pub id: PersonId,
    /// Their name.
    pub name: Name,
    /// When they are let in.
    pub validity: Validity,
    /// Templates that follow.
    pub templates: u16,
}

/// What a record says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Item<'r> {
    /// What the transform of the templates was drawn from.
    Seed(Seed),
    /// The gallery's settings.
    Settings([u8; SETTINGS_BYTES]),
    /// Somebody, whose templates follow.
    Person(Member),
    /// A template: of an enrolment as the model made it, of a backup as the gallery stored it.
    Template(&'r [i8]),
    /// A public key and its signature of all before it.
    Signature([u8; 32], [u8; 64]),
}

impl<'r> Item<'r> {
    /// Writes a record's content, as long as `content`, which is all zeros; `false` when it does not fit.
    pub fn encode(&self, content: &mut [u8]) -> bool {
        let Some((prefix, payload)) = content.split_first_chunk_mut::<PREFIX>() else { return false };
        let mut fit = |at: usize, bytes: &[u8]| {
            put(payload, at, bytes);
            at + bytes.len() <= payload.len()
        };
        let (kind, fits) = match self {
            Item::Seed(seed) => (1, fit(0, seed)),
            Item::Settings(settings) => (2, fit(0, settings)),
            Item::Person(member) => {
                put(prefix, 2, &member.templates.to_le_bytes());
                put(prefix, 4, &member.id.0.to_le_bytes());
                let mut person = [0; PERSON_BYTES];
                encode_person(&member.name, member.validity, &mut person);
                (3, fit(0, &person))
            }
            Item::Template(values) => (
                4,
                payload.len() >= values.len() && {
                    payload.iter_mut().zip(*values).for_each(|(byte, &value)| *byte = value as u8);
                    true
                },
            ),
            Item::Signature(key, signature) => (5, fit(0, key) && fit(32, signature)),
        };
        prefix[0] = kind;
        fits
    }

    /// Reads a record's content; `None` when no gallery can hold what it says.
    pub fn decode(content: &'r [u8], dimension: usize) -> Option<Self> {
        let (prefix, payload) = content.split_first_chunk::<PREFIX>()?;
        match prefix[0] {
            1 => payload.first_chunk().copied().map(Item::Seed),
            2 => payload.first_chunk().copied().map(Item::Settings),
            3 => {
                let (name, validity) = decode_person(payload)?;
                let (id, templates) = (PersonId(u32_at(prefix, 4)), u16_at(prefix, 2));
                Some(Item::Person(Member { id, name: Name::try_from(name).ok()?, validity, templates }))
            }
            4 => payload.get(..dimension).map(|values| Item::Template(as_i8(values))),
            5 => {
                let (key, rest) = payload.split_first_chunk()?;
                Some(Item::Signature(*key, *rest.first_chunk()?))
            }
            _ => None,
        }
    }
}
