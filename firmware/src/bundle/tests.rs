//! Bundles written and read, changed, cut, exchanged.

use std::vec::Vec;

use proptest::prelude::*;

use super::layout::{HEADER_BODY, SALT};
use super::*;
use crate::gallery::{Name, PersonId};
use crate::time::Validity;

const DIMENSION: u16 = 40;
const KEY: BundleKey = BundleKey([9; 32]);

fn header(kind: Kind, records: u32, people: u32) -> Header {
    let operation = if kind == Kind::Backup { 7 } else { 0 };
    Header { kind, dimension: DIMENSION, records, people, operation, salt: [3; 32], embedding_id: [7; 32] }
}

fn member(id: u32, name: &str, templates: u16) -> Item<'static> {
    let (name, validity) = (Name::try_from(name).unwrap(), Validity { from: 3, until: 9 });
    Item::Person(Member { id: PersonId(id), name, validity, templates })
}

fn identity() -> Identity {
    Identity::of_device(&[4; 32])
}

/// A bundle of these items; of a backup the signature comes last by itself.
fn written(header: Header, items: &[Item<'_>]) -> Result<Vec<u8>, BundleError> {
    let mut writer = Writer::new(&KEY, header);
    let mut bytes = writer.header_bytes().to_vec();
    let mut out = [0; MAX_RECORD];
    for item in items {
        bytes.extend(writer.put(item, &mut out)?);
    }
    if header.kind == Kind::Backup {
        let signature = writer.signature(&identity());
        bytes.extend(writer.put(&signature, &mut out)?);
    }
    Ok(bytes)
}

/// Everything read, as text; and who signed it.
fn read(key: &BundleKey, bytes: &[u8]) -> Result<(Vec<std::string::String>, Option<PublicKey>), BundleError> {
    let mut reader = Reader::new(key, bytes)?;
    let (expected, length) = (reader.header().records, reader.header().record_bytes());
    let mut said = Vec::new();
    for record in bytes[HEADER..].chunks(length) {
        said.push(format!("{:?}", reader.next(&mut record.to_vec())?));
    }
    if !reader.is_complete() {
        return Err(BundleError::Records { expected, found: reader.read() });
    }
    Ok((said, reader.signer()))
}

const FACE: [i8; DIMENSION as usize] = [-5; DIMENSION as usize];

fn backup() -> (Vec<u8>, Vec<Item<'static>>) {
    let items = vec![
        Item::Seed([1; 32]),
        Item::Settings([2; 32]),
        member(1, "Ada", 2),
        Item::Template(&FACE),
        Item::Template(&FACE),
        member(5, "Grace", 0),
    ];
    (written(header(Kind::Backup, 7, 2), &items).unwrap(), items)
}

fn enrolment() -> Vec<u8> {
    let items = [member(0, "Ada", 1), Item::Template(&FACE)];
    written(header(Kind::Enrolment, 2, 1), &items).unwrap()
}

#[test]
fn what_is_written_is_read_and_signed() {
    let (bytes, items) = backup();
    let (said, signer) = read(&KEY, &bytes).unwrap();
    let expected: Vec<_> = items.iter().map(|item| format!("{item:?}")).collect();
    assert_eq!(said[..6], expected);
    assert_eq!(signer, Some(identity().public()));
    assert_eq!(read(&KEY, &enrolment()).unwrap().1, None);
    // Nothing of it shows.
    for secret in [&b"Ada"[..], b"Grace", &[0xfb; 8], &[1; 8]] {
        assert!(!bytes.windows(secret.len()).any(|w| w == secret), "{secret:?}");
    }
}

#[test]
fn keys_follow_from_the_secret_and_stay() {
    let secret = [4; 32];
    let hex = |bytes: &[u8]| bytes[..4].iter().map(|b| format!("{b:02x}")).collect::<std::string::String>();
    assert_eq!(hex(&BundleKey::of_device(&secret).0), "7d009894");
    assert_eq!(hex(&Identity::of_device(&secret).public()), "6a862174");
    assert_ne!(BundleKey::of_device(&[5; 32]), BundleKey::of_device(&secret));
}

#[test]
fn a_turned_bit_anywhere_is_refused() {
    let (bytes, _) = backup();
    for bit in 0..bytes.len() * 8 {
        let mut changed = bytes.clone();
        changed[bit / 8] ^= 1 << (bit % 8);
        let error = read(&KEY, &changed).unwrap_err();
        let length = header(Kind::Backup, 7, 2).record_bytes();
        match error {
            BundleError::NotABundle => assert!(bit / 8 < 4),
            BundleError::Version { .. } => assert!((4..6).contains(&(bit / 8))),
            BundleError::Header => assert!((6..20).contains(&(bit / 8))),
            BundleError::Key => assert!(bit / 8 < HEADER),
            BundleError::Damaged { record } => assert_eq!((bit / 8 - HEADER) / length, record as usize),
            other => panic!("bit {bit}: {other:?}"),
        }
    }
}

#[test]
fn another_key_a_cut_a_change_of_place_and_a_longer_one_are_refused() {
    let (bytes, _) = backup();
    let length = header(Kind::Backup, 7, 2).record_bytes();
    assert_eq!(read(&BundleKey([8; 32]), &bytes), Err(BundleError::Key));
    for records in 0..7 {
        let cut = &bytes[..HEADER + records * length];
        assert_eq!(read(&KEY, cut), Err(BundleError::Records { expected: 7, found: records as u32 }));
    }
    let half = &bytes[..HEADER + length / 2];
    let error = BundleError::Length { expected: length as u32, found: length as u32 / 2 };
    assert_eq!(read(&KEY, half), Err(error));
    assert_eq!(read(&KEY, &bytes[..HEADER - 1]), Err(BundleError::NotABundle));
    let mut moved = bytes.clone();
    let (a, b) = moved[HEADER + 3 * length..].split_at_mut(length);
    a.swap_with_slice(&mut b[..length]);
    assert_eq!(read(&KEY, &moved), Err(BundleError::Damaged { record: 3 }));
    let mut longer = bytes.clone();
    longer.extend_from_within(HEADER..HEADER + length);
    assert_eq!(read(&KEY, &longer), Err(BundleError::Records { expected: 7, found: 8 }));
    // A record of the other bundle of the same key.
    let mut other = header(Kind::Backup, 7, 2);
    other.salt = [4; 32];
    let mut mixed = written(other, &backup().1).unwrap();
    mixed[HEADER..HEADER + length].copy_from_slice(&bytes[HEADER..HEADER + length]);
    assert_eq!(read(&KEY, &mixed), Err(BundleError::Damaged { record: 0 }));
}

#[test]
fn what_cannot_stand_there_is_refused() {
    let seed = Item::Seed([1; 32]);
    let face = Item::Template(&FACE);
    let ada = || member(1, "Ada", 1);
    // Kind, people, items, and the record that is refused.
    let cases: [(Kind, u32, Vec<Item<'_>>, u32); 9] = [
        (Kind::Enrolment, 1, vec![face.clone(), ada()], 0),
        (Kind::Enrolment, 1, vec![member(0, "Ada", 2), face.clone()], 1),
        (Kind::Enrolment, 1, vec![member(0, "Ada", 0)], 0),
        (Kind::Enrolment, 1, vec![seed.clone()], 0),
        (Kind::Enrolment, 1, vec![ada(), face.clone(), ada(), face.clone()], 2),
        (Kind::Backup, 1, vec![ada(), face.clone()], 0),
        (Kind::Backup, 1, vec![seed.clone(), seed.clone(), ada(), face.clone()], 1),
        (Kind::Backup, 1, vec![seed.clone(), ada()], 2),
        (Kind::Backup, 2, vec![seed.clone(), ada(), face.clone(), Item::Settings([0; 32])], 3),
    ];
    for (at, (kind, people, items, record)) in cases.into_iter().enumerate() {
        let signature = u32::from(kind == Kind::Backup);
        let bytes = written(header(kind, items.len() as u32 + signature, people), &items).unwrap();
        assert_eq!(read(&KEY, &bytes).unwrap_err(), BundleError::Content { record }, "case {at}");
    }
    let one_more = written(header(Kind::Enrolment, 2, 1), &[ada(), face.clone(), face.clone()]);
    assert_eq!(one_more, Err(BundleError::Records { expected: 2, found: 3 }));
    let short = written(header(Kind::Enrolment, 2, 1), &[ada(), Item::Template(&FACE[1..])]);
    assert_eq!(short, Err(BundleError::Content { record: 1 }));
}

#[test]
fn a_backup_sealed_anew_is_still_signed_by_its_device_and_a_changed_one_is_not() {
    let (bytes, items) = backup();
    let mut reader = Reader::new(&KEY, &bytes).unwrap();
    let new = BundleKey([0x33; 32]);
    let fresh = Header { salt: [0x44; 32], ..*reader.header() };
    let length = fresh.record_bytes();
    let resealed = |change: bool, reader: &mut Reader| {
        let mut writer = Writer::new(&new, fresh);
        let mut out = writer.header_bytes().to_vec();
        for (at, record) in bytes[HEADER..].chunks(length).enumerate() {
            let mut record = record.to_vec();
            let item = reader.next(&mut record).unwrap();
            let item = if change && at == 1 { Item::Settings([7; 32]) } else { item };
            out.extend(writer.put(&item, &mut [0; MAX_RECORD]).unwrap());
        }
        out
    };
    let sealed = resealed(false, &mut reader.clone());
    assert_eq!(read(&new, &sealed).unwrap().1, Some(identity().public()));
    assert_eq!(read(&new, &sealed).unwrap().0.len(), items.len() + 1);
    assert_eq!(read(&new, &resealed(true, &mut reader)), Err(BundleError::Signature));
}

#[test]
fn a_bundle_is_these_bytes_for_ever() {
    use sha2::{Digest, Sha256};
    let sum = |bytes: &[u8]| Sha256::digest(bytes)[..4].to_vec();
    assert_eq!((sum(&backup().0), sum(&enrolment())), (vec![254, 250, 15, 55], vec![49, 207, 42, 254]));
}

proptest! {
    /// Whatever comes is read as it was written or refused; under the right key too.
    #[test]
    fn any_bytes_are_refused(
        body in prop::collection::vec(any::<u8>(), 0..HEADER_BODY),
        content in prop::collection::vec(any::<u8>(), 8 + 96),
        records in 0..5u32,
    ) {
        prop_assert!(read(&KEY, &body).is_err());
        // Content at random, sealed well.
        let header = header(Kind::Enrolment, records, 0);
        let mut sealer = super::seal::Sealer::new(&KEY, &header);
        let mut bytes = sealer.header(&header).to_vec();
        prop_assert_eq!(&bytes[SALT], &header.salt);
        for number in 0..records {
            let mut record = content.clone();
            record.extend([0; 16]);
            sealer.seal(number, &mut record).unwrap();
            bytes.extend(record);
        }
        prop_assert_eq!(read(&KEY, &bytes).is_err(), records > 0);
    }
}
