//! Writing a bundle, record by record.

use arcgate_crypto::Sha256;

use super::BundleError;
use super::layout::{HEADER, Header, Item, MAX_RECORD};
use super::seal::{BundleKey, Identity, Sealer};

/// A salt from what is at hand: random bytes of both ends, as far as they have any, and what was counted.
pub fn salt(random: &[&[u8]]) -> [u8; 32] {
    let mut digest = Sha256::new(&[b"arcgate salt 1"]);
    digest.update(random);
    digest.finish()
}

/// A bundle that is being written: its header first, then as many records as the header says, in the order that the module's
/// page says.
#[derive(Debug, Clone)]
pub struct Writer {
    header: Header,
    sealer: Sealer,
    written: u32,
}

impl Writer {
    /// Begins a bundle.
    pub fn new(key: &BundleKey, header: Header) -> Self {
        Writer { header, sealer: Sealer::new(key, &header), written: 0 }
    }

    /// What the bundle says of itself.
    pub fn header(&self) -> &Header {
        &self.header
    }

    /// The header's bytes.
    pub fn header_bytes(&self) -> [u8; HEADER] {
        self.sealer.header(&self.header)
    }

    /// Records written.
    pub fn written(&self) -> u32 {
        self.written
    }

    /// Writes `item` as the next record into the beginning of `out`, and gives it.
    ///
    /// # Errors
    /// When a template has another length, or there are more records than the header says.
    pub fn put<'o>(
        &mut self,
        item: &Item<'_>,
        out: &'o mut [u8; MAX_RECORD],
    ) -> Result<&'o [u8], BundleError> {
        let number = self.written;
        if number >= self.header.records {
            let (expected, found) = (self.header.records, number.saturating_add(1));
            return Err(BundleError::Records { expected, found });
        }
        let record = out.get_mut(..self.header.record_bytes()).ok_or(BundleError::Header)?;
        record.fill(0);
        let fits = match item {
            Item::Template(values) => values.len() == usize::from(self.header.dimension),
            _ => true,
        };
        if !fits || !item.encode(record) {
            return Err(BundleError::Content { record: number });
        }
        self.sealer.seal(number, record)?;
        self.written += 1;
        Ok(record)
    }

    /// The signature of everything written so far, the last record of a backup.
    pub fn signature(&self, identity: &Identity) -> Item<'static> {
        Item::Signature(identity.public(), identity.sign(&self.sealer.said()))
    }
}
