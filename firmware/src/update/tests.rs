//! Images as they should be, images of somebody else, damaged ones, and power that goes while one comes.

mod cuts;

use std::vec::Vec;

use arcgate_crypto::sha256;
use embedded_storage::nor_flash::NorFlash;

use super::*;
use crate::engine::Embedder;
use crate::engine::plan::tests::maps;
use crate::engine::plan::{HEADER_BYTES, PlanDetector, PlanEngine, checksum};
use crate::engine::vectors;
use crate::flash::SlotFlash;
use crate::flash::nor::MemoryNor;
use crate::sim::cuts::Random;
use crate::sim::images::{embedder, image};
use crate::state::{Slot, State};

/// Sides of the crops of these models, and what they have room in.
const SIDE: u16 = 8;
const ARENA: usize = 2048;
const CROP: usize = 1024;

type Nor = MemoryNor<Vec<u8>, 4, 1024>;

fn key() -> SigningKey {
    SigningKey::new(&[5; 32])
}

fn verifier() -> Verifier {
    Verifier::new(key().public(), Development::Refused).unwrap()
}

fn slots(bytes: usize) -> Slots<Nor> {
    Slots::new([0; 2].map(|_| MemoryNor::new(vec![0xff; bytes])), verifier())
}

fn with_room<R>(run: impl FnOnce(Room<'_>) -> R) -> R {
    let (mut arena, mut crop) = ([0x5a; ARENA], [0; CROP]);
    run(Room { arena: &mut arena, crop: &mut crop })
}

/// Sends an image in pieces of random lengths, each sometimes twice, and finishes it.
fn send<F: SlotFlash + NorFlash>(
    slots: &mut Slots<F>,
    state: &State,
    image: &[u8],
    random: &mut Random,
) -> Result<Accepted, UpdateError> {
    slots.begin(image, state)?;
    let behind = &image[HEADER.min(image.len())..];
    let mut at = 0;
    while at < behind.len() {
        let end = (at + 1 + random.below(700) as usize).min(behind.len());
        // Where the reply is lost, the piece comes again.
        for _ in 0..1 + random.below(4) / 3 {
            assert_eq!(slots.piece(at as u32, &behind[at..end])?, end as u32);
        }
        at = end;
    }
    with_room(|room| slots.finish(room))
}

/// A device that runs version 3 from slot A.
fn running() -> (Slots<Nor>, State) {
    let (mut slots, mut state) = (slots(8192), State { active: Slot::B, ..State::unknown() });
    let first = image(&key(), 3, &embedder(3, SIDE), None);
    let accepted = send(&mut slots, &state, &first, &mut Random::new(1)).unwrap();
    assert_eq!(accepted, Accepted { slot: Slot::A, version: 3 });
    accepted.apply(&mut state);
    assert_eq!(boots(&mut slots, &state), Ok((Slot::A, 3, None)));
    (slots, state)
}

fn boots<F: SlotFlash>(
    slots: &mut Slots<F>,
    state: &State,
) -> Result<(Slot, u32, Option<UpdateError>), NoModel> {
    let booted = with_room(|room| slots.boot(state, room))?;
    let (slot, version) = (booted.accepted.slot, booted.accepted.version);
    // The model there is the one of that version.
    assert_eq!(slots.bytes(slot)[booted.embedder], embedder(version as u8, SIDE));
    Ok((slot, version, booted.fell_back))
}

/// The image is refused with `why`, and the old model goes on.
fn refused(image: &[u8], why: UpdateError) {
    let (mut slots, state) = running();
    assert_eq!(send(&mut slots, &state, image, &mut Random::new(2)), Err(why));
    assert_eq!(boots(&mut slots, &state), Ok((Slot::A, 3, None)), "after {why}");
}

#[test]
fn updates_go_from_slot_to_slot() {
    let (mut slots, mut state) = running();
    let mut random = Random::new(3);
    for version in [4, 4, 5, 9] {
        let before = boots(&mut slots, &state).unwrap();
        let next = image(&key(), version, &embedder(version as u8, SIDE), Some(&maps::plan()));
        let accepted = send(&mut slots, &state, &next, &mut random).unwrap();
        assert_eq!(accepted, Accepted { slot: before.0.other(), version });
        // Until the state says so, the old one runs.
        assert_eq!(boots(&mut slots, &state), Ok(before));
        accepted.apply(&mut state);
        assert_eq!((state.active, state.model_floor), (accepted.slot, version));
        let booted = with_room(|room| slots.boot(&state, room)).unwrap();
        assert_eq!(slots.bytes(accepted.slot)[booted.detector.unwrap()], maps::plan());
        assert_eq!(booted.embedder.start % 16, 0);
    }
}

#[test]
fn what_was_accepted_is_there_at_the_next_start_whatever_comes_before() {
    let (mut slots, mut state) = running();
    let [next, later] = [4, 5].map(|version| image(&key(), version, &embedder(version as u8, SIDE), None));
    send(&mut slots, &state, &next, &mut Random::new(8)).unwrap().apply(&mut state);
    assert_eq!(slots.begin(&later[..HEADER], &state), Err(UpdateError::Accepted));
    assert_eq!(boots(&mut slots, &state), Ok((Slot::B, 4, None)));
    let accepted = send(&mut slots, &state, &later, &mut Random::new(9));
    assert_eq!(accepted, Ok(Accepted { slot: Slot::A, version: 5 }));
}

#[test]
fn each_turned_byte_is_refused() {
    let whole = image(&key(), 4, &embedder(4, SIDE), None);
    let (mut slots, state) = running();
    let mut random = Random::new(4);
    for at in 0..whole.len() {
        let mut changed = whole.clone();
        changed[at] ^= 1 << (at % 8);
        let found = send(&mut slots, &state, &changed, &mut random).unwrap_err();
        let expected = match at {
            0..8 => matches!(found, UpdateError::NotAnImage),
            8..12 => matches!(found, UpdateError::Layout { .. }),
            // The lengths and what is reserved contradict each other; of the others only the signature knows.
            12..192 if (128..160).contains(&at) => matches!(found, UpdateError::OtherKey { .. }),
            12..HEADER => {
                matches!(found, UpdateError::Header | UpdateError::Signature | UpdateError::Rollback { .. })
            }
            _ => found == UpdateError::Hash,
        };
        assert!(expected, "byte {at}: {found}");
        // Signatures take long where nothing is optimized.
        if at % 16 == 0 {
            assert_eq!(boots(&mut slots, &state), Ok((Slot::A, 3, None)), "byte {at}");
        }
    }
    // Nothing of that keeps the whole image out.
    assert!(send(&mut slots, &state, &whole, &mut random).is_ok());
}

#[test]
fn lengths_at_their_bounds_are_refused_before_anything_is_erased() {
    let (mut slots, state) = running();
    let inactive = slots.bytes(Slot::B).to_vec();
    let header = Header {
        version: 4,
        embedder: 448,
        detector: 0,
        vectors: 1,
        payload_hash: [0; 32],
        vectors_hash: [0; 32],
        embedding_id: [0; 32],
        signer: [0; 32],
    };
    let slot = |needed| UpdateError::Slot { needed, found: 8192 };
    let cases = [
        (Header { embedder: 0, ..header }, UpdateError::Header),
        (Header { version: 0, ..header }, UpdateError::Header),
        (Header { vectors: 0, ..header }, UpdateError::Header),
        (Header { vectors: vectors::MAX + 1, ..header }, UpdateError::Header),
        (Header { embedder: u32::MAX, ..header }, UpdateError::Header),
        (Header { embedder: u32::MAX - 40, detector: u32::MAX, ..header }, UpdateError::Header),
        (Header { embedder: 16, detector: u32::MAX - 31, ..header }, UpdateError::Header),
        (Header { embedder: u32::MAX - 31, ..header }, slot(u32::MAX)),
        (Header { detector: u32::MAX - 1024, ..header }, slot(u32::MAX - 319)),
        (Header { embedder: 8192 - 256 + 1, ..header }, slot(8192 + 32)),
        (Header { version: 2, ..header }, UpdateError::Rollback { found: 2, least: 3 }),
    ];
    for (header, why) in cases {
        assert_eq!(slots.begin(&key().sign(&header), &state), Err(why), "{header:?}");
        assert_eq!(slots.piece(0, &[0; 32]), Err(UpdateError::NotBegun));
    }
    for cut in [0, 1, 8, HEADER - 1] {
        assert_eq!(slots.begin(&key().sign(&header)[..cut], &state), Err(UpdateError::NotAnImage));
    }
    assert_eq!(slots.bytes(Slot::B), inactive);
    // The largest that fits.
    let header = Header { embedder: 8192 - 256, ..header };
    assert_eq!(slots.begin(&key().sign(&header), &state), Ok(8192 - 256));
}

#[test]
fn only_the_boards_key_signs() {
    let of = |key: &SigningKey| image(key, 4, &embedder(4, SIDE), None);
    let (other, development) = (SigningKey::new(&[6; 32]), SigningKey::new(&DEVELOPMENT_SEED));
    assert_eq!(development.public(), UpdateKey::DEVELOPMENT);
    let begin = |key: &SigningKey| core::array::from_fn(|i| key.public().0[i]);
    refused(&of(&other), UpdateError::OtherKey { found: begin(&other), accepted: begin(&key()) });
    refused(&of(&development), UpdateError::DevelopmentKey);
    // A header that names the board's key with another's signature.
    let mut forged = of(&other);
    forged[128..160].copy_from_slice(&key().public().0);
    refused(&forged, UpdateError::Signature);

    let board = |key, development| Verifier::new(key, development);
    let refused = board(UpdateKey::DEVELOPMENT, Development::Refused);
    assert_eq!(refused.unwrap_err(), UpdateError::DevelopmentKey);
    let desk = board(key().public(), Development::Accepted).unwrap();
    for signed in [of(&key()), of(&development)] {
        assert_eq!(desk.check(&signed).unwrap().version, 4);
    }
    assert!(matches!(desk.check(&of(&other)), Err(UpdateError::OtherKey { .. })));
}

#[cfg(not(feature = "development"))]
#[test]
fn a_build_for_use_refuses_the_development_key() {
    let board = |key| Verifier::new(key, Development::BUILD);
    let image = image(&SigningKey::new(&DEVELOPMENT_SEED), 4, &embedder(4, SIDE), None);
    assert_eq!(board(key().public()).unwrap().check(&image), Err(UpdateError::DevelopmentKey));
    assert_eq!(board(UpdateKey::DEVELOPMENT).unwrap_err(), UpdateError::DevelopmentKey);
}

/// An image of whatever bytes as plans, signed by the board's key.
fn signed(version: u32, said: Option<[u8; 32]>, embedder: &[u8], detector: Option<&[u8]>) -> Vec<u8> {
    let plans = Payload { embedder, detector };
    let mut bytes = vec![0; image_bytes(&plans).unwrap()];
    let said = Said {
        version,
        vectors: 2,
        vectors_hash: said.unwrap_or([0; 32]),
        embedding_id: [version as u8; 32],
    };
    assert!(write_image(&key(), &said, &plans, &mut bytes));
    bytes
}

#[test]
fn a_model_that_does_not_fit_is_refused_with_the_numbers() {
    let (embedder_part, detector_part) = (Part::Embedder, Part::Detector);
    let (large, detector) = (embedder(4, 11), Some(&maps::plan()[..]));
    for (whole, part, needed) in [
        (image(&key(), 4, &large, None), embedder_part, 121),
        (image(&key(), 4, &embedder(4, SIDE), detector), detector_part, 1024),
    ] {
        let found = needed - 1;
        assert_eq!(
            tried(&whole, found),
            Err(UpdateError::Picture { part, needed: needed as u32, found: found as u32 })
        );
        assert_eq!(tried(&whole, needed), Ok(Accepted { slot: Slot::B, version: 4 }));
    }
    let mut hungry = embedder(4, SIDE);
    hungry[20..24].copy_from_slice(&5000u32.to_le_bytes());
    let sum = checksum(&hungry);
    hungry[16..20].copy_from_slice(&sum.to_le_bytes());
    let arena = |part, needed| UpdateError::Arena { part, needed, found: ARENA as u32 };
    refused(&signed(4, None, &hungry, None), arena(embedder_part, 5000));
    let mut broken = embedder(4, SIDE);
    broken[HEADER_BYTES] = 77;
    let sum = checksum(&broken);
    broken[16..20].copy_from_slice(&sum.to_le_bytes());
    refused(&signed(4, None, &broken, None), UpdateError::Plan(embedder_part));
    refused(&signed(4, None, &maps::plan(), None), UpdateError::Plan(embedder_part));
    refused(&signed(4, None, &embedder(4, SIDE), Some(&broken)), UpdateError::Plan(detector_part));
    refused(&signed(4, None, &embedder(5, SIDE), None), UpdateError::Identity);
    refused(&signed(4, None, &embedder(4, SIDE), None), UpdateError::SelfTest { vectors: 2 });
}

/// The image comes to a device with so many bytes for crops.
fn tried(whole: &[u8], crop: usize) -> Result<Accepted, UpdateError> {
    let (mut slots, state) = running();
    slots.begin(whole, &state)?;
    slots.piece(0, &whole[HEADER..])?;
    let (mut arena, mut crop) = ([0; ARENA], vec![0; crop]);
    slots.finish(Room { arena: &mut arena, crop: &mut crop })
}

#[test]
fn each_byte_that_the_models_give_counts() {
    let (embeds, finds) = (embedder(4, SIDE), maps::plan());
    let mut detector = PlanDetector::new(&finds[..], vec![0; ARENA]).unwrap();
    let mut engine = PlanEngine::new(&embeds[..], vec![0; ARENA]).unwrap();
    let (looks, info) = (detector.info().clone(), engine.info().clone());
    let (mut given, mut embedding) = (Vec::new(), [0; SIDE as usize * SIDE as usize]);
    for vector in 0..2 {
        let mut picture = vec![0; looks.crop_bytes()];
        vectors::draw(vector, &looks, &mut picture);
        detector.each_map(&picture, |map| given.extend_from_slice(map)).unwrap();
    }
    // 21 cells of 16 values, twice.
    assert_eq!(given.len(), 2 * 21 * 16);
    let maps = given.len();
    for vector in 0..2 {
        let mut crop = vec![0; info.crop_bytes()];
        vectors::draw(vector, &info, &mut crop);
        engine.embed(&crop, &mut embedding).unwrap();
        given.extend(embedding.map(|value| value as u8));
    }
    let of = |given: &[u8]| signed(4, Some(sha256(&[given])), &embeds, Some(&finds));
    let wrong = UpdateError::SelfTest { vectors: 2 };
    for at in [0, maps / 2 - 1, maps / 2, maps - 1, maps, given.len() - 1] {
        let mut changed = given.clone();
        changed[at] ^= 1;
        refused(&of(&changed), wrong);
    }
    // Of the embedder alone, and of another detector.
    refused(&of(&given[maps..]), wrong);
    refused(&signed(4, Some(sha256(&[&given])), &embeds, None), wrong);
    assert!(wrong.to_string().contains("maps of the detector"));
    assert_eq!(tried(&of(&given), CROP), Ok(Accepted { slot: Slot::B, version: 4 }));
}

#[test]
fn pieces_come_in_order_and_all_of_them() {
    let (mut slots, state) = running();
    let whole = image(&key(), 4, &embedder(4, SIDE), None);
    let (header, behind) = whole.split_at(HEADER);
    let of = behind.len() as u32;
    assert_eq!(with_room(|room| slots.finish(room)), Err(UpdateError::NotBegun));
    assert_eq!(slots.begin(header, &state), Ok(of));
    let order = |expected, found| Err(UpdateError::Order { expected, found, of });
    assert_eq!(slots.piece(32, &behind[32..64]), order(0, 32));
    assert_eq!(slots.piece(0, &behind[..100]), Ok(100));
    assert_eq!(slots.piece(50, &behind[50..150]), order(100, 50));
    assert_eq!(slots.piece(0, &behind[..100]), Ok(100));
    assert_eq!(slots.piece(u32::MAX, &[0; 32]), order(100, u32::MAX));
    assert_eq!(slots.piece(100, &[&behind[100..], &[0]].concat()), order(100, 100));
    let incomplete = UpdateError::Incomplete { expected: of, found: 100 };
    assert_eq!(with_room(|room| slots.finish(room)), Err(incomplete));
    assert_eq!(slots.piece(100, &behind[100..]), Ok(of));
    assert!(with_room(|room| slots.finish(room)).is_ok());
    // Once.
    assert_eq!(with_room(|room| slots.finish(room)), Err(UpdateError::NotBegun));
}

#[test]
fn a_slot_that_does_not_hold_gives_way_to_the_other_unless_that_is_older() {
    let (mut slots, mut state) = running();
    let again = image(&key(), 3, &embedder(3, SIDE), None);
    send(&mut slots, &state, &again, &mut Random::new(5)).unwrap();
    let spoil = |slots: Slots<Nor>, which: usize| {
        let mut flashes = slots.into_flashes().map(MemoryNor::into_inner);
        flashes[which][HEADER + 200] ^= 1;
        Slots::new(flashes.map(MemoryNor::new), verifier())
    };
    let mut slots = spoil(slots, 0);
    assert_eq!(boots(&mut slots, &state), Ok((Slot::B, 3, Some(UpdateError::Hash))));
    Accepted { slot: Slot::B, version: 3 }.apply(&mut state);
    // What comes next goes into the slot that is not running.
    let next = image(&key(), 4, &embedder(4, SIDE), None);
    let accepted = send(&mut slots, &state, &next, &mut Random::new(6)).unwrap();
    assert_eq!(accepted.slot, Slot::A);
    accepted.apply(&mut state);
    let mut slots = spoil(slots, 0);
    let older = UpdateError::Rollback { found: 3, least: 4 };
    assert_eq!(boots(&mut slots, &state), Err(NoModel { first: UpdateError::Hash, second: older }));
    // A state that was lost knows of no version: the higher one goes first.
    let (mut slots, state) = running();
    send(&mut slots, &state, &next, &mut Random::new(7)).unwrap();
    let lost = State::unknown();
    assert_eq!(boots(&mut slots, &lost), Ok((Slot::B, 4, None)));
    let mut slots = spoil(slots, 1);
    assert_eq!(boots(&mut slots, &lost), Ok((Slot::A, 3, Some(UpdateError::Hash))));
    let mut empty = self::slots(8192);
    let nothing = UpdateError::NotAnImage;
    assert_eq!(boots(&mut empty, &lost), Err(NoModel { first: nothing, second: nothing }));
}

#[test]
fn the_programs_model_goes_into_a_slot_where_neither_has_one_that_runs() {
    let install = |slots: &mut Slots<Nor>, state: &State, image: &[u8]| {
        with_room(|room| slots.install(image, state, room))
    };
    let carried = image(&key(), 3, &embedder(3, SIDE), None);
    let (mut slots, mut state) = (slots(8192), State::unknown());
    let accepted = install(&mut slots, &state, &carried).unwrap().expect("a model is put in");
    accepted.apply(&mut state);
    assert_eq!(boots(&mut slots, &state), Ok((accepted.slot, 3, None)));

    // A newer program does not take the place of a model that runs.
    let newer = image(&key(), 4, &embedder(4, SIDE), None);
    let before = [Slot::A, Slot::B].map(|slot| slots.bytes(slot).to_vec());
    assert_eq!(install(&mut slots, &state, &newer), Ok(None));
    assert_eq!([Slot::A, Slot::B].map(|slot| slots.bytes(slot).to_vec()), before);

    // One that has turned a bit does not run.
    let mut flashes = slots.into_flashes().map(MemoryNor::into_inner);
    flashes[accepted.slot as usize][HEADER + 200] ^= 1;
    let mut slots = Slots::new(flashes.map(MemoryNor::new), verifier());
    let older = image(&key(), 2, &embedder(2, SIDE), None);
    let refused = install(&mut slots, &state, &older);
    assert_eq!(refused, Err(UpdateError::Rollback { found: 2, least: 3 }));
    let accepted = install(&mut slots, &state, &newer).unwrap().expect("a model is put in");
    accepted.apply(&mut state);
    assert_eq!(boots(&mut slots, &state), Ok((accepted.slot, 4, None)));

    let mut empty = self::slots(8192);
    let mut forged = carried.clone();
    forged[HEADER - 1] ^= 1;
    for (image, why) in [
        (&carried[..HEADER - 1], UpdateError::NotAnImage),
        (
            &carried[..carried.len() - 1],
            UpdateError::Incomplete {
                expected: (carried.len() - HEADER) as u32,
                found: (carried.len() - HEADER - 1) as u32,
            },
        ),
        (&forged, UpdateError::Signature),
    ] {
        assert_eq!(install(&mut empty, &State::unknown(), image), Err(why));
    }
}
