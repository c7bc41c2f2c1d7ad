//! Bundles written and read, changed, cut, exchanged.

use std::vec::Vec;

use proptest::prelude::*;

use super::layout::{HEADER_BODY, SALT, TAG};
use super::*;
use crate::gallery::{Name, PersonId};
use crate::time::Validity;
use crate::update::SigningKey;

const DIMENSION: u16 = 40;
const KEY: BundleKey = BundleKey([9; 32]);

/// Of a backup.
fn header(records: u32, people: u32) -> Header {
    let (kind, origin) = (Kind::Backup, Origin::NONE);
    Header {
        kind,
        dimension: DIMENSION,
        records,
        people,
        version: 7,
        salt: [3; 32],
        embedding_id: [7; 32],
        origin,
    }
}

fn member(id: u32, name: &str, templates: u16) -> Item<'static> {
    let (name, validity) = (Name::try_from(name).unwrap(), Validity { from: 3, until: 9 });
    Item::Person(Member { id: PersonId(id), name, validity, templates })
}

fn identity() -> Identity {
    Identity::of_device(&[4; 32])
}

fn station() -> SigningKey {
    SigningKey::new(&[6; 32])
}

/// An enrolment of these items.
fn enrolled(items: &[Item<'_>]) -> Result<Vec<u8>, BundleError> {
    let about = Enrolment { dimension: DIMENSION, embedding_id: [7; 32], version: 12, salt: [3; 32] };
    super::enrolment(&KEY, &station(), &about, items)
}

/// A backup of these items; the signature comes last by itself.
fn written(header: Header, items: &[Item<'_>]) -> Result<Vec<u8>, BundleError> {
    let mut writer = Writer::new(&KEY, header);
    let mut bytes = writer.header_bytes().to_vec();
    let mut out = [0; MAX_RECORD];
    for item in items {
        bytes.extend(writer.put(item, &mut out)?);
    }
    let signature = writer.signature(&identity());
    bytes.extend(writer.put(&signature, &mut out)?);
    Ok(bytes)
}

/// Everything read, as text; and who signed it.
fn read(key: &BundleKey, bytes: &[u8]) -> Result<(Vec<std::string::String>, Option<PublicKey>), BundleError> {
    let mut reader = Reader::new(key, bytes)?;
    let (expected, length) = (reader.header().records, reader.header().record_bytes());
    let mut said = Vec::new();
    for record in bytes[HEADER..].chunks(length) {
        said.push(format!("{:?}", reader.next(&mut record.to_vec())?.0));
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
    (written(header(7, 2), &items).unwrap(), items)
}

fn enrolment() -> Vec<u8> {
    enrolled(&[member(0, "Ada", 1), Item::Template(&FACE), member(0, "Grace", 1), Item::Template(&FACE)])
        .unwrap()
}

#[test]
fn what_is_written_is_read_and_signed() {
    let (bytes, items) = backup();
    let (said, signer) = read(&KEY, &bytes).unwrap();
    let expected: Vec<_> = items.iter().map(|item| format!("{item:?}")).collect();
    assert_eq!(said[..6], expected);
    assert_eq!(signer, Some(identity().public()));
    let enrolment = enrolment();
    let (said, by) = read(&KEY, &enrolment).unwrap();
    assert_eq!((said.len(), by), (4, Some(station().public().0)));
    let about = Header::read(&enrolment).unwrap();
    assert_eq!((about.version, about.people, about.records), (12, 2, 4));
    // Nothing of them shows.
    for secret in [&b"Ada"[..], b"Grace", &[0xfb; 8], &[1; 8]] {
        assert!(![&bytes, &enrolment].into_iter().any(|all| all.windows(secret.len()).any(|w| w == secret)));
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
    for bytes in [backup().0, enrolment()] {
        let length = Header::read(&bytes).unwrap().record_bytes();
        for bit in 0..bytes.len() * 8 {
            let mut changed = bytes.clone();
            changed[bit / 8] ^= 1 << (bit % 8);
            let error = read(&KEY, &changed).unwrap_err();
            match error {
                BundleError::NotABundle => assert!(bit / 8 < 4),
                BundleError::Version { .. } => assert!((4..6).contains(&(bit / 8))),
                BundleError::Header => {
                    assert!((6..20).contains(&(bit / 8)) || (88..216).contains(&(bit / 8)))
                }
                BundleError::Key => assert!(bit / 8 < HEADER),
                BundleError::Damaged { record } => {
                    assert_eq!((bit / 8 - HEADER) / length, record as usize);
                }
                other => panic!("bit {bit}: {other:?}"),
            }
        }
    }
}

/// The bundle opened and sealed again with another key, its header and the contents changed before that.
fn sealed_anew(
    bytes: &[u8],
    new: &BundleKey,
    change: impl FnOnce(&mut Header),
    mut touch: impl FnMut(usize, &mut [u8]),
) -> Vec<u8> {
    let mut reader = Reader::new(&KEY, bytes).unwrap();
    let mut header = Header { salt: [0x44; 32], ..*reader.header() };
    change(&mut header);
    let mut writer = Writer::new(new, header);
    let mut out = writer.header_bytes().to_vec();
    let length = header.record_bytes();
    for (at, record) in bytes[HEADER..].chunks(length).enumerate() {
        let mut content = reader.next(&mut record.to_vec()).unwrap().1.to_vec();
        touch(at, &mut content);
        out.extend(writer.put_content(&content, &mut [0; MAX_RECORD]).unwrap());
    }
    out
}

const NEW: BundleKey = BundleKey([0x33; 32]);

#[test]
fn who_has_the_key_alone_changes_nothing_of_what_was_signed() {
    let bytes = enrolment();
    let same = sealed_anew(&bytes, &NEW, |_| (), |_, _| ());
    assert_eq!(read(&NEW, &same).unwrap(), read(&KEY, &bytes).unwrap());
    let forged = |change: fn(&mut Header)| read(&NEW, &sealed_anew(&bytes, &NEW, change, |_, _| ()));
    let changes: [fn(&mut Header); 7] = [
        |header| header.version += 1,
        |header| header.people = 1,
        |header| header.dimension = 39,
        |header| header.embedding_id[3] ^= 1,
        |header| header.origin.first[0] ^= 1,
        |header| header.origin.signer = SigningKey::new(&[7; 32]).public().0,
        |header| header.origin.signature[9] ^= 4,
    ];
    for (at, change) in changes.into_iter().enumerate() {
        assert_eq!(forged(change), Err(BundleError::Signature), "{at}");
    }
    // Any byte of any record, its place and the name of the next one too: refused before it says anything.
    let length = Header::read(&bytes).unwrap().record_bytes() - TAG;
    for at in 0..4 {
        for byte in 0..length {
            let touch = |record: usize, content: &mut [u8]| content[byte] ^= u8::from(record == at);
            let changed = sealed_anew(&bytes, &NEW, |_| (), touch);
            assert_eq!(read(&NEW, &changed), Err(BundleError::Unsigned { record: at as u32 }), "byte {byte}");
        }
    }
    // A record of another bundle of the same signer.
    let items = [member(0, "Ada", 1), Item::Template(&[9; 40]), member(0, "Eve", 1), Item::Template(&FACE)];
    let (other, mut contents) = (enrolled(&items).unwrap(), Vec::new());
    sealed_anew(&other, &NEW, |_| (), |_, content| contents.push(content.to_vec()));
    let mixed = sealed_anew(
        &bytes,
        &NEW,
        |_| (),
        |at, content| {
            if at > 1 {
                content.copy_from_slice(&contents[at]);
            }
        },
    );
    assert_eq!(read(&NEW, &mixed), Err(BundleError::Unsigned { record: 2 }));
}

#[test]
fn another_key_a_cut_a_change_of_place_and_a_longer_one_are_refused() {
    let (bytes, _) = backup();
    let length = header(7, 2).record_bytes();
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
    let mut other = header(7, 2);
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
    // Items, and the record that is refused.
    let enrolments: [(Vec<Item<'_>>, u32); 5] = [
        (vec![face.clone(), ada()], 0),
        (vec![member(0, "Ada", 2), face.clone()], 1),
        (vec![member(0, "Ada", 0)], 0),
        (vec![seed.clone()], 0),
        (vec![ada(), face.clone(), face.clone()], 2),
    ];
    for (at, (items, record)) in enrolments.into_iter().enumerate() {
        let bytes = enrolled(&items).unwrap();
        assert_eq!(read(&KEY, &bytes).unwrap_err(), BundleError::Content { record }, "case {at}");
    }
    let backups: [(u32, Vec<Item<'_>>, u32); 4] = [
        (1, vec![ada(), face.clone()], 0),
        (1, vec![seed.clone(), seed.clone(), ada(), face.clone()], 1),
        (1, vec![seed.clone(), ada()], 2),
        (2, vec![seed.clone(), ada(), face.clone(), Item::Settings([0; 32])], 3),
    ];
    for (at, (people, items, record)) in backups.into_iter().enumerate() {
        let bytes = written(header(items.len() as u32 + 1, people), &items).unwrap();
        assert_eq!(read(&KEY, &bytes).unwrap_err(), BundleError::Content { record }, "case {at}");
    }
    let one_more = written(header(2, 0), &[seed.clone(), ada(), face.clone()]);
    assert_eq!(one_more, Err(BundleError::Records { expected: 2, found: 3 }));
    let short = written(header(4, 1), &[seed.clone(), ada(), Item::Template(&FACE[1..])]);
    assert_eq!(short, Err(BundleError::Content { record: 2 }));
    let short = enrolled(&[ada(), Item::Template(&FACE[1..])]);
    assert_eq!(short, Err(BundleError::Content { record: 1 }));
    for version in [0, u32::MAX] {
        let about = Enrolment { dimension: DIMENSION, embedding_id: [7; 32], version, salt: [3; 32] };
        let items = [ada(), face.clone()];
        assert_eq!(super::enrolment(&KEY, &station(), &about, &items), Err(BundleError::Header));
    }
}

#[test]
fn a_backup_sealed_anew_is_still_signed_by_its_device_and_a_changed_one_is_not() {
    let (bytes, items) = backup();
    let sealed = sealed_anew(&bytes, &NEW, |_| (), |_, _| ());
    assert_eq!(read(&NEW, &sealed).unwrap().1, Some(identity().public()));
    assert_eq!(read(&NEW, &sealed).unwrap().0.len(), items.len() + 1);
    let settings = |at: usize, content: &mut [u8]| content[8] ^= u8::from(at == 1);
    let changed = sealed_anew(&bytes, &NEW, |_| (), settings);
    assert_eq!(read(&NEW, &changed), Err(BundleError::Signature));
}

#[test]
fn the_signature_is_over_what_the_layout_says() {
    use sha2::{Digest, Sha256};
    let bytes = enrolment();
    let digest = Sha256::new()
        .chain_update(b"arcgate enrolment 1")
        .chain_update(&bytes[..24])
        .chain_update([0; 32])
        .chain_update(&bytes[56..152])
        .finalize();
    let field = |at: usize| bytes[at..at + 32].try_into().unwrap();
    let signature = bytes[152..216].try_into().unwrap();
    assert!(arcgate_crypto::is_signed(&field(120), &digest.into(), &signature));
    let (mut contents, length) = (Vec::new(), 8 + 96 + 32);
    sealed_anew(&bytes, &NEW, |_| (), |_, content| contents.push(content.to_vec()));
    let mut name: [u8; 32] = field(88);
    for content in &contents {
        let named = Sha256::new().chain_update(b"arcgate bundle record 1").chain_update(content).finalize();
        assert_eq!((content.len(), name), (length, named.into()));
        name = content[length - 32..].try_into().unwrap();
    }
    assert_eq!((contents.len(), name), (4, [0; 32]));
}

#[test]
fn a_bundle_is_these_bytes_for_ever() {
    use sha2::{Digest, Sha256};
    let sum = |bytes: &[u8]| Sha256::digest(bytes)[..4].to_vec();
    assert_eq!((sum(&backup().0), sum(&enrolment())), (vec![108, 231, 85, 225], vec![248, 46, 215, 69]));
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
        let header = header(records.max(2), 0);
        let mut sealer = super::seal::Sealer::new(&KEY, &header);
        let mut bytes = sealer.header(&header).to_vec();
        prop_assert_eq!(&bytes[SALT], &header.salt);
        for number in 0..records {
            let mut record = content.clone();
            record.extend([0; 16]);
            sealer.seal(number, &mut record).unwrap();
            bytes.extend(record);
        }
        prop_assert!(read(&KEY, &bytes).is_err());
    }
}
