//! Bundles on the host: made of embeddings and signed, checked whole, sealed anew for another device.

use arcgate_firmware::bundle::{
    self, BundleError, BundleKey, Enrolment, HEADER, Header, Item, Kind, MAX_RECORD, Member, PublicKey,
    Reader, Writer, salt,
};
use arcgate_firmware::gallery::{Name, PersonId};
use arcgate_firmware::model::ModelInfo;
use arcgate_firmware::time::Validity;
use arcgate_firmware::update::SigningKey;

/// Somebody in a bundle, and how many templates they have there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listed {
    /// As they are called.
    pub name: String,
    /// Templates of theirs.
    pub templates: u16,
}

/// A bundle of which every record was checked.
#[derive(Debug, Clone)]
pub struct Checked {
    /// What it says of itself.
    pub header: Header,
    /// Who is in it.
    pub people: Vec<Listed>,
    /// Who signed it: an enrolment, its maker; a backup, the device that it is of.
    pub signer: Option<PublicKey>,
}

impl Checked {
    /// Templates of all people together.
    pub fn templates(&self) -> usize {
        self.people.iter().map(|p| usize::from(p.templates)).sum()
    }
}

/// What can be seen of a bundle without its key: that it has all its bytes, and of an enrolment whose signature it has.
///
/// # Errors
/// When it is no bundle, is incomplete, or its signature is not that of its key.
pub fn seen(bytes: &[u8]) -> Result<Header, BundleError> {
    let header = Header::read(bytes)?;
    if header.kind == Kind::Enrolment && !header.is_signed() {
        return Err(BundleError::Signature);
    }
    records(bytes).map(drop)?;
    Ok(header)
}

/// The records after a header.
///
/// # Errors
/// When the header promises others.
pub fn records(bytes: &[u8]) -> Result<impl Iterator<Item = &[u8]>, BundleError> {
    let header = Header::read(bytes)?;
    let (length, body) = (header.record_bytes(), &bytes[HEADER..]);
    let expected = header.records as usize * length;
    if body.len() != expected {
        let found = if body.len() > expected { body.len().div_ceil(length) } else { body.len() / length };
        return Err(BundleError::Records { expected: header.records, found: found as u32 });
    }
    Ok(body.chunks(length))
}

/// Reads all of a bundle, and hands `take` each item with the record's content.
fn read(
    key: &BundleKey,
    bytes: &[u8],
    mut take: impl FnMut(Item<'_>, &[u8]) -> Result<(), BundleError>,
) -> Result<Reader, BundleError> {
    let mut reader = Reader::new(key, bytes)?;
    for record in records(bytes)? {
        let mut record = record.to_vec();
        let (item, content) = reader.next(&mut record)?;
        take(item, content)?;
    }
    Ok(reader)
}

/// Checks every record of a bundle.
///
/// # Errors
/// When it is no bundle of this key, was changed or is incomplete.
pub fn check(key: &BundleKey, bytes: &[u8]) -> Result<Checked, BundleError> {
    let mut people = Vec::new();
    let reader = read(key, bytes, |item, _| {
        if let Item::Person(Member { name, templates, .. }) = item {
            people.push(Listed { name: name.as_str().to_owned(), templates });
        }
        Ok(())
    })?;
    Ok(Checked { header: *reader.header(), people, signer: reader.signer() })
}

fn drawn_salt() -> [u8; 32] {
    salt(&[&rand::random::<[u8; 32]>()])
}

/// A bundle that enrols people with embeddings of `model`, on the device with this key, if that takes what `signer` signs and has
/// taken none of a higher version.
///
/// # Errors
/// When somebody's name is no name, an embedding has another length than the model's, or the version is none.
pub fn enrolment(
    key: &BundleKey,
    signer: &SigningKey,
    version: u32,
    model: &ModelInfo,
    people: &[(&str, Vec<Vec<i8>>)],
) -> Result<Vec<u8>, BundleError> {
    let mut items = Vec::new();
    for (name, embeddings) in people {
        let record = items.len() as u32;
        let name = Name::try_from(*name).map_err(|_| BundleError::Content { record })?;
        let templates = embeddings.len() as u16;
        items.push(Item::Person(Member { id: PersonId(0), name, validity: Validity::ALWAYS, templates }));
        items.extend(embeddings.iter().map(|embedding| Item::Template(embedding)));
    }
    let &ModelInfo { dimension, embedding_id, .. } = model;
    bundle::enrolment(
        key,
        signer,
        &Enrolment { dimension, embedding_id, version, salt: drawn_salt() },
        &items,
    )
}

/// The same bundle for the device with another key; whose signature it has stays to be seen.
///
/// # Errors
/// When it is no bundle of the key `from`, was changed or is incomplete.
pub fn seal_anew(from: &BundleKey, to: &BundleKey, bytes: &[u8]) -> Result<Vec<u8>, BundleError> {
    let header = Header { salt: drawn_salt(), ..Header::read(bytes)? };
    let mut writer = Writer::new(to, header);
    let (mut sealed, mut out) = (writer.header_bytes().to_vec(), [0; MAX_RECORD]);
    read(from, bytes, |_, content| {
        sealed.extend(writer.put_content(content, &mut out)?);
        Ok(())
    })?;
    Ok(sealed)
}

#[cfg(test)]
mod tests {
    use super::*;
    use arcgate_firmware::model::ChannelOrder;

    const KEY: BundleKey = BundleKey([1; 32]);

    fn model() -> ModelInfo {
        let order = ChannelOrder::Rgb;
        ModelInfo { width: 8, height: 8, order, template: None, dimension: 3, embedding_id: [4; 32] }
    }

    #[test]
    fn what_is_enrolled_is_listed_and_other_keys_and_cuts_are_told() {
        let faces = [vec![vec![1, 2, 3], vec![4, 5, 6]], vec![vec![7, 8, 9]]];
        let people = [("Ada", faces[0].clone()), ("Grace", faces[1].clone())];
        let signer = SigningKey::new(&[5; 32]);
        let made = |people: &[(&str, Vec<Vec<i8>>)]| enrolment(&KEY, &signer, 9, &model(), people);
        let bytes = made(&people).unwrap();
        let checked = check(&KEY, &bytes).unwrap();
        let names: Vec<_> = checked.people.iter().map(|p| (p.name.as_str(), p.templates)).collect();
        assert_eq!((names, checked.templates()), (vec![("Ada", 2), ("Grace", 1)], 3));
        assert_eq!((checked.signer, checked.header.version), (Some(signer.public().0), 9));
        assert_eq!(seen(&bytes).unwrap(), checked.header);
        // Drawn anew each time.
        assert_ne!(made(&people).unwrap(), bytes);
        let other = BundleKey([2; 32]);
        assert_eq!(check(&other, &bytes).unwrap_err(), BundleError::Key);
        let moved = seal_anew(&KEY, &other, &bytes).unwrap();
        let there = check(&other, &moved).unwrap();
        assert_eq!((&there.people, there.signer), (&checked.people, checked.signer));
        let cut = BundleError::Records { expected: 5, found: 4 };
        assert_eq!(check(&KEY, &bytes[..bytes.len() - 1]).unwrap_err(), cut);
        assert_eq!(seen(&bytes[..bytes.len() - 1]).unwrap_err(), cut);
        let longer = [&bytes[..], &[0]].concat();
        assert_eq!(check(&KEY, &longer).err(), Some(BundleError::Records { expected: 5, found: 6 }));
        // Without the key too, a changed version is seen.
        let mut changed = bytes.clone();
        changed[20] += 1;
        assert_eq!(seen(&changed), Err(BundleError::Signature));
        assert!(made(&[(&"x".repeat(33), faces[1].clone())]).is_err());
        assert!(made(&[("Eve", vec![vec![1, 2]])]).is_err());
    }
}
