//! Bundles on the host: made of embeddings, checked whole, sealed anew for another device.

use arcgate_firmware::bundle::{
    BundleError, BundleKey, HEADER, Header, Item, Kind, MAX_RECORD, Member, PublicKey, Reader, Writer, salt,
};
use arcgate_firmware::gallery::{Name, PersonId};
use arcgate_firmware::model::ModelInfo;
use arcgate_firmware::time::Validity;

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
    /// Who signed it: of a backup, the device that made it.
    pub signer: Option<PublicKey>,
}

impl Checked {
    /// Templates of all people together.
    pub fn templates(&self) -> usize {
        self.people.iter().map(|p| usize::from(p.templates)).sum()
    }
}

/// The records after a header.
///
/// # Errors
/// When the header promises others.
pub fn records(bytes: &[u8]) -> Result<impl Iterator<Item = &[u8]>, BundleError> {
    let header = Header::read(bytes)?;
    let (length, body) = (header.record_bytes(), &bytes[HEADER..]);
    let found = body.len() / length;
    if body.len() != header.records as usize * length {
        return Err(BundleError::Records { expected: header.records, found: found as u32 });
    }
    Ok(body.chunks(length))
}

/// Reads all of a bundle, and hands each item to `take`.
fn read(key: &BundleKey, bytes: &[u8], mut take: impl FnMut(Item<'_>)) -> Result<Reader, BundleError> {
    let mut reader = Reader::new(key, bytes)?;
    for record in records(bytes)? {
        take(reader.next(&mut record.to_vec())?);
    }
    Ok(reader)
}

/// Checks every record of a bundle.
///
/// # Errors
/// When it is no bundle of this key, was changed or is incomplete.
pub fn check(key: &BundleKey, bytes: &[u8]) -> Result<Checked, BundleError> {
    let mut people = Vec::new();
    let reader = read(key, bytes, |item| {
        if let Item::Person(Member { name, templates, .. }) = item {
            people.push(Listed { name: name.as_str().to_owned(), templates });
        }
    })?;
    Ok(Checked { header: *reader.header(), people, signer: reader.signer() })
}

fn drawn_salt() -> [u8; 32] {
    salt(&[&rand::random::<[u8; 32]>()])
}

/// A bundle that enrols people with embeddings of `model`, on the device with this key.
///
/// # Errors
/// When somebody's name is no name, or an embedding has another length than the model's.
pub fn enrolment(
    key: &BundleKey,
    model: &ModelInfo,
    people: &[(&str, Vec<Vec<i8>>)],
) -> Result<Vec<u8>, BundleError> {
    let header = Header {
        kind: Kind::Enrolment,
        dimension: model.dimension,
        records: people.iter().map(|(_, templates)| 1 + templates.len() as u32).sum(),
        people: people.len() as u32,
        operation: 0,
        salt: drawn_salt(),
        embedding_id: model.embedding_id,
    };
    let mut writer = Writer::new(key, header);
    let mut bytes = writer.header_bytes().to_vec();
    let mut out = [0; MAX_RECORD];
    for (name, embeddings) in people {
        let record = writer.written();
        let name = Name::try_from(*name).map_err(|_| BundleError::Content { record })?;
        let templates = embeddings.len() as u16;
        let member = Member { id: PersonId(0), name, validity: Validity::ALWAYS, templates };
        bytes.extend(writer.put(&Item::Person(member), &mut out)?);
        for embedding in embeddings {
            bytes.extend(writer.put(&Item::Template(embedding), &mut out)?);
        }
    }
    Ok(bytes)
}

/// The same bundle for the device with another key; whose signature it has stays to be seen.
///
/// # Errors
/// When it is no bundle of the key `from`, was changed or is incomplete.
pub fn seal_anew(from: &BundleKey, to: &BundleKey, bytes: &[u8]) -> Result<Vec<u8>, BundleError> {
    let header = Header { salt: drawn_salt(), ..Header::read(bytes)? };
    let mut writer = Writer::new(to, header);
    let (mut sealed, mut out) = (writer.header_bytes().to_vec(), [0; MAX_RECORD]);
    let mut failed = None;
    read(from, bytes, |item| match writer.put(&item, &mut out) {
        Ok(record) => sealed.extend(record),
        Err(error) => failed = Some(error),
    })?;
    failed.map_or(Ok(sealed), Err)
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
        let bytes = enrolment(&KEY, &model(), &people).unwrap();
        let checked = check(&KEY, &bytes).unwrap();
        let names: Vec<_> = checked.people.iter().map(|p| (p.name.as_str(), p.templates)).collect();
        assert_eq!((names, checked.templates()), (vec![("Ada", 2), ("Grace", 1)], 3));
        assert_eq!(checked.signer, None);
        // Drawn anew each time.
        assert_ne!(enrolment(&KEY, &model(), &people).unwrap(), bytes);
        let other = BundleKey([2; 32]);
        assert_eq!(check(&other, &bytes).unwrap_err(), BundleError::Key);
        let moved = seal_anew(&KEY, &other, &bytes).unwrap();
        assert_eq!(check(&other, &moved).unwrap().people, checked.people);
        let cut = check(&KEY, &bytes[..bytes.len() - 1]).unwrap_err();
        assert_eq!(cut, BundleError::Records { expected: 5, found: 4 });
        let longer = [&bytes[..], &[0]].concat();
        assert!(matches!(check(&KEY, &longer), Err(BundleError::Records { .. })));
        let long_name = "x".repeat(33);
        assert!(enrolment(&KEY, &model(), &[(&long_name, faces[1].clone())]).is_err());
        assert!(enrolment(&KEY, &model(), &[("Eve", vec![vec![1, 2]])]).is_err());
    }
}
