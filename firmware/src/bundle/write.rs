//! Writing a bundle, record by record.

use arcgate_crypto::Sha256;

use super::BundleError;
use super::layout::{HEADER, Header, Item, MAX_RECORD, TAG};
use super::seal::{BundleKey, Identity, Sealer};
use crate::bytes::copy;

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

    /// Writes `item` as the next record of a backup into the beginning of `out`, and gives it.
    ///
    /// # Errors
    /// When a template has another length, or there are more records than the header says.
    pub fn put<'o>(
        &mut self,
        item: &Item<'_>,
        out: &'o mut [u8; MAX_RECORD],
    ) -> Result<&'o [u8], BundleError> {
        let record = self.place(out)?;
        let fits = match item {
            Item::Template(values) => values.len() == usize::from(self.header.dimension),
            _ => true,
        };
        if !fits || !item.encode(record) {
            return Err(BundleError::Content { record: self.written });
        }
        self.seal(record)
    }

    /// As [`Writer::put`], of a record with this content: that of another bundle, or one that was signed.
    ///
    /// # Errors
    /// When it has another length, or there are more records than the header says.
    pub fn put_content<'o>(
        &mut self,
        content: &[u8],
        out: &'o mut [u8; MAX_RECORD],
    ) -> Result<&'o [u8], BundleError> {
        let record = self.place(out)?;
        let (expected, found) = (record.len() as u32, (content.len() + TAG) as u32);
        if found != expected {
            return Err(BundleError::Length { expected, found });
        }
        copy(content, record);
        self.seal(record)
    }

    /// Zeros for the next record.
    fn place<'o>(&self, out: &'o mut [u8; MAX_RECORD]) -> Result<&'o mut [u8], BundleError> {
        if self.written >= self.header.records {
            let (expected, found) = (self.header.records, self.written.saturating_add(1));
            return Err(BundleError::Records { expected, found });
        }
        let record = out.get_mut(..self.header.record_bytes()).ok_or(BundleError::Header)?;
        record.fill(0);
        Ok(record)
    }

    fn seal<'o>(&mut self, record: &'o mut [u8]) -> Result<&'o [u8], BundleError> {
        self.sealer.seal(self.written, record)?;
        self.written += 1;
        Ok(record)
    }

    /// The signature of everything written so far, the last record of a backup.
    pub fn signature(&self, identity: &Identity) -> Item<'static> {
        Item::Signature(identity.public(), identity.sign(&self.sealer.said()))
    }
}
