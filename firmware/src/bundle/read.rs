//! Reading a bundle, record by record, each checked before it is used.

use arcgate_crypto::{PublicKey, is_signed};

use super::BundleError;
use super::layout::{Header, Item, Kind, NEXT, named};
use super::seal::{BundleKey, Sealer};

/// What may come next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Turn {
    Seed,
    /// Settings or whatever comes after them.
    Settings,
    /// So many templates of the person before.
    Templates(u16),
    /// A person, or the end.
    People,
    End,
}

/// A bundle that is being read.
#[derive(Debug, Clone)]
pub struct Reader {
    header: Header,
    sealer: Sealer,
    turn: Turn,
    /// Records read.
    read: u32,
    /// People still to come.
    people: u32,
    /// What names the next record of an enrolment.
    next: [u8; NEXT],
    signer: Option<PublicKey>,
}

impl Reader {
    /// Begins with the header.
    ///
    /// # Errors
    /// When it is no bundle's, of another version, or sealed with another key, or an enrolment's signature is not that of its key.
    pub fn new(key: &BundleKey, bytes: &[u8]) -> Result<Self, BundleError> {
        let header = Header::read(bytes)?;
        let sealer = Sealer::new(key, &header);
        if !sealer.is_own(&header, bytes) {
            return Err(BundleError::Key);
        }
        let (turn, signer) = match header.kind {
            Kind::Enrolment => (Turn::People, Some(header.origin.signer)),
            Kind::Backup => (Turn::Seed, None),
        };
        if signer.is_some() && !header.is_signed() {
            return Err(BundleError::Signature);
        }
        Ok(Reader { header, sealer, turn, read: 0, people: header.people, next: header.origin.first, signer })
    }

    /// What the bundle says of itself.
    pub fn header(&self) -> &Header {
        &self.header
    }

    /// Records read.
    pub fn read(&self) -> u32 {
        self.read
    }

    /// Whether all of it was read; a backup's signature is then found to be that of [`Reader::signer`].
    pub fn is_complete(&self) -> bool {
        self.read == self.header.records
    }

    /// Who signed it: an enrolment, or a backup whose signature was read.
    pub fn signer(&self) -> Option<PublicKey> {
        self.signer
    }

    /// Opens the next record in place, and gives what is in it and its whole content. After an error nothing more can be read.
    ///
    /// # Errors
    /// When the record was changed, is not the next one, or says what cannot stand there.
    pub fn next<'r>(&mut self, record: &'r mut [u8]) -> Result<(Item<'r>, &'r [u8]), BundleError> {
        let item = self.read_next(record);
        if item.is_err() {
            self.turn = Turn::End;
        }
        item
    }

    fn read_next<'r>(&mut self, record: &'r mut [u8]) -> Result<(Item<'r>, &'r [u8]), BundleError> {
        let (expected, found) = (self.header.record_bytes() as u32, record.len() as u32);
        if found != expected {
            return Err(BundleError::Length { expected, found });
        }
        if self.is_complete() {
            let (expected, found) = (self.header.records, self.header.records.saturating_add(1));
            return Err(BundleError::Records { expected, found });
        }
        let number = self.read;
        let content = self.sealer.open(number, record)?;
        if self.header.kind == Kind::Enrolment {
            if named(content) != self.next {
                return Err(BundleError::Unsigned { record: number });
            }
            self.next = content.last_chunk().copied().unwrap_or_default();
        }
        let dimension = self.header.dimension.into();
        let wrong = BundleError::Content { record: number };
        let item = Item::decode(content, dimension).ok_or(wrong)?;
        self.turn = self.after(&item).ok_or(wrong)?;
        if let Item::Signature(key, signature) = &item {
            if !is_signed(key, &self.sealer.said(), signature) {
                return Err(BundleError::Signature);
            }
            self.signer = Some(*key);
        }
        self.sealer.hear(content);
        self.read += 1;
        let ends = self.turn == Turn::End || self.header.kind == Kind::Enrolment && self.turn == Turn::People;
        if self.is_complete() && !(ends && self.people == 0) {
            return Err(wrong);
        }
        Ok((item, content))
    }

    /// What may come after `item`; `None` when it may not stand here.
    fn after(&mut self, item: &Item<'_>) -> Option<Turn> {
        match (self.turn, item) {
            (Turn::Seed, Item::Seed(_)) => Some(Turn::Settings),
            (Turn::Settings, Item::Settings(_)) => Some(Turn::People),
            (Turn::Settings | Turn::People, Item::Person(member)) => {
                self.people = self.people.checked_sub(1)?;
                let enrolment = self.header.kind == Kind::Enrolment;
                match member.templates {
                    0 if enrolment => None,
                    0 => Some(Turn::People),
                    templates => Some(Turn::Templates(templates)),
                }
            }
            (Turn::Templates(left), Item::Template(_)) => {
                Some(if left > 1 { Turn::Templates(left - 1) } else { Turn::People })
            }
            (Turn::Settings | Turn::People, Item::Signature(..))
                if self.header.kind == Kind::Backup && self.people == 0 =>
            {
                Some(Turn::End)
            }
            _ => None,
        }
    }
}
