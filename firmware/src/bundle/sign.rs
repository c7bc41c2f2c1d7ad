//! Making an enrolment, which is signed before it is sealed.

use std::vec::Vec;

use super::BundleError;
use super::layout::{Header, Item, Kind, MAX_RECORD, NEXT, Origin, TAG, VERSIONS, named};
use super::seal::BundleKey;
use super::write::Writer;
use crate::update::SigningKey;

/// What an enrolment is made for and of, besides its people.
#[derive(Debug, Clone, Copy)]
pub struct Enrolment {
    /// Values of an embedding.
    pub dimension: u16,
    /// The model that made them.
    pub embedding_id: [u8; 32],
    /// One of [`VERSIONS`]: a device takes none that is lower than one it took before.
    pub version: u32,
    /// Drawn at random.
    pub salt: [u8; 32],
}

/// An enrolment of `items`, people each followed by their templates, signed with `signer` and sealed for the device with `key`.
///
/// # Errors
/// When a template has another length, or the version is none.
pub fn enrolment(
    key: &BundleKey,
    signer: &SigningKey,
    about: &Enrolment,
    items: &[Item<'_>],
) -> Result<Vec<u8>, BundleError> {
    let &Enrolment { dimension, embedding_id, version, salt } = about;
    if !VERSIONS.contains(&version) {
        return Err(BundleError::Header);
    }
    let mut header = Header {
        kind: Kind::Enrolment,
        dimension,
        records: items.len() as u32,
        people: items.iter().filter(|item| matches!(item, Item::Person(_))).count() as u32,
        version,
        salt,
        embedding_id,
        origin: Origin { signer: signer.public().0, ..Origin::NONE },
    };
    // Each names the one behind it, so that the last one is the first to be made.
    let (mut contents, mut next) = (Vec::new(), [0; NEXT]);
    for (record, item) in items.iter().enumerate().rev() {
        let mut content = std::vec![0; header.record_bytes() - TAG - NEXT];
        let fits = !matches!(item, Item::Template(values) if values.len() != usize::from(dimension));
        if !(fits && item.encode(&mut content)) {
            return Err(BundleError::Content { record: record as u32 });
        }
        content.extend(next);
        next = named(&content);
        contents.push(content);
    }
    header.origin.first = next;
    header.origin.signature = signer.sign_digest(&header.digest());
    let mut writer = Writer::new(key, header);
    let mut bytes = writer.header_bytes().to_vec();
    let mut out = [0; MAX_RECORD];
    for content in contents.iter().rev() {
        bytes.extend(writer.put_content(content, &mut out)?);
    }
    Ok(bytes)
}
