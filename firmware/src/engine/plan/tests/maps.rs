//! A detector's plan by hand, from operations that move values and products, and random damage to it.

use proptest::prelude::*;

use super::*;
use crate::detect::{LookError, Settings};
use crate::engine::Models;

/// Bytes of the arena.
const ARENA: usize = 1024 + 16 * 19;

/// Where each map lies.
const PLACES: [u32; MAPS] = [1024, 1040, 1056, 1120, 0, 4, 8, 24, 64, 65, 66, 70];

/// Operations: the picture, 8x8 pixels in one, the whole in one, their product, the whole as a map, 14 channels placed, eight maps of
/// the other strides.
const STEPS: usize = 27;

const PICTURE: Shape = Shape { height: 32, width: 32, channels: 1 };

fn header() -> Header {
    let info = ModelInfo {
        width: 32,
        height: 32,
        order: ChannelOrder::Grey,
        template: None,
        dimension: 0,
        ..info()
    };
    Header {
        info,
        task: Task::Detection,
        target: Target::Portable,
        maps: 0,
        thresholds: 0,
        arena_bytes: ARENA,
        steps: STEPS,
    }
}

fn pool(input: (u32, Shape), output: (u32, Shape)) -> Record {
    let side = input.1.height / output.1.height;
    let window = Window { kernel: [side; 2], stride: [side; 2], pad: [0; 2] };
    Record { window, ..Builder::record(Kind::MaxPool, input, output) }
}

/// cls is the brightest pixel of each block of 8x8, obj that times the brightest of all, bbox and kps are these two by turns.
pub(crate) fn plan() -> Vec<u8> {
    let mut b = Builder::new(STEPS);
    let [cls, obj, bbox, kps] = [0, 1, 2, 3].map(|map| (PLACES[map], map_shape(map, 32, 32)));
    let brightest = (1000, shape(1, 1, 1));
    // Behind the picture, which is not read any more; the strides 16 and 32 take its place later.
    let spread = (512, cls.1);
    let identity = b.section((0..=255u8).map(|byte| byte ^ 0x80));
    let table = b.section(0..=255);
    let picture = Record { a: identity, ..Builder::record(Kind::Input, (0, PICTURE), (0, PICTURE)) };
    let mut product = Builder::record(Kind::Product, cls, obj);
    // (a + 128) (b + 128) / 255 - 128, nearly.
    (product.input_zero, product.second_zero, product.output_zero) = (-128, -128, -128);
    (product.second, product.groups, product.bits) = (brightest.0, 1, 0);
    product.a = ((1u64 << 32) / 255) as u32;
    b.records = vec![picture, pool((0, PICTURE), cls), pool(cls, brightest), product];
    b.records.push(Builder::record(Kind::Upsample, brightest, spread));
    for whole in [bbox, kps] {
        for first in 0..whole.1.channels as u32 {
            let from = if first % 2 == 0 { cls } else { spread };
            let place = Builder::record(Kind::Place, from, whole);
            b.records.push(Record { a: table, groups: first, ..place });
        }
    }
    for map in 4..MAPS {
        let from = [cls, obj, bbox, kps][map % 4];
        b.records.push(pool(from, (PLACES[map], map_shape(map, 32, 32))));
    }
    let list = PLACES.map(|offset| MapRecord { offset, scale: 1.0 / 255.0, zero_point: -128 }.to_bytes());
    let maps = b.section(list.concat());
    b.finish(Header { maps, ..header() })
}

/// Every pixel of a block of 8x8 dark but one.
fn picture() -> Vec<u8> {
    let light = |at: usize| {
        let (row, column) = (at / 32, at % 32);
        if row % 8 == 3 && column % 8 == 5 { (16 * (row / 8) + 4 * (column / 8)) as u8 } else { 0 }
    };
    (0..1024).map(light).collect()
}

/// Parses; looks, if that takes little. Must not panic.
fn parse_and_look(plan: &[u8]) -> Result<(), PlanError> {
    let parsed = Plan::parse(plan)?;
    if parsed.task() == Task::Embedding || parsed.arena_bytes() > 1 << 20 {
        return Ok(());
    }
    let picture = vec![9; parsed.info().crop_bytes()];
    let mut detector = PlanDetector::new(plan, vec![0; parsed.arena_bytes()]).unwrap();
    let found: Vec<Vec<i8>> = detector.maps(&picture).unwrap().map(|(_, steps)| steps.to_vec()).collect();
    // Nothing depends on what lay in the arena before.
    let mut detector = PlanDetector::new(plan, vec![0x5a; parsed.arena_bytes()]).unwrap();
    let again: Vec<Vec<i8>> = detector.maps(&picture).unwrap().map(|(_, steps)| steps.to_vec()).collect();
    assert_eq!(found, again);
    // Nor on the instructions that it runs on.
    for isa in Isa::available() {
        let mut detector = detector.clone().on(isa).unwrap();
        assert_eq!(detector.isa(), isa);
        let again: Vec<Vec<i8>> = detector.maps(&picture).unwrap().map(|(_, steps)| steps.to_vec()).collect();
        assert_eq!(found, again, "{isa:?}");
    }
    detector.faces::<4>(&picture, &Settings::default()).unwrap();
    Ok(())
}

#[test]
fn a_detectors_maps() {
    let plan = plan();
    assert_eq!(parse_and_look(&plan), Ok(()));
    let mut detector = PlanDetector::new(&plan[..], vec![0; ARENA]).unwrap();
    let maps: Vec<(OutputMap, Vec<i8>)> =
        detector.maps(&picture()).unwrap().map(|(map, steps)| (map, steps.to_vec())).collect();
    let value = |map: usize, at: usize| i32::from(maps[map].1[at]) + 128;
    assert_eq!(maps.len(), MAPS);
    for cell in 0..16 {
        let (light, most) = (16 * (cell / 4) + 4 * (cell % 4), 60);
        assert_eq!(value(0, cell), light as i32);
        assert_eq!(value(1, cell), (light as i32 * most * 2 + 255) / 510);
        for channel in 0..10 {
            assert_eq!(value(3, 10 * cell + channel), if channel % 2 == 0 { light as i32 } else { most });
        }
    }
    assert_eq!([value(4, 0), value(4, 3), value(8, 0), value(9, 0)], [20, 60, 60, (60 * 60 * 2 + 255) / 510]);
    assert_eq!(maps[11].0.tensor.shape, shape(1, 1, 10));
    // Real values: cls and obj of the brightest cell.
    let settings = Settings { least_score: 0.11, most_overlap: 1.0 };
    let faces = detector.faces::<64>(&picture(), &settings).unwrap();
    let expected = (60.0f32 / 255.0 * 14.0 / 255.0).sqrt();
    assert!(!faces.is_empty() && (faces[0].score - expected).abs() < 1e-6, "{faces:?} {expected}");
}

#[test]
fn a_plan_for_another_task_is_refused() {
    let told = |error: PlanError| match error {
        PlanError::Header { field: "task", value, .. } => value,
        other => panic!("{other:?}"),
    };
    assert_eq!(told(PlanEngine::new(&plan()[..], vec![0; ARENA]).unwrap_err()), 1);
    assert_eq!(told(PlanDetector::new(&Builder::plan()[..], vec![0; 256]).unwrap_err()), 0);
    let mut detector = PlanDetector::new(plan(), vec![0; ARENA]).unwrap();
    let found = detector.faces::<1>(&[0; 1023], &Settings::default());
    assert_eq!(found, Err(LookError::PictureLength { expected: 1024, found: 1023 }));
}

#[test]
fn two_plans_share_an_arena_one_after_the_other() {
    let (embedder, detector) = (Builder::plan(), plan());
    let wanted =
        Plan::parse(&embedder).unwrap().arena_bytes().max(Plan::parse(&detector).unwrap().arena_bytes());
    let settings = Settings { least_score: 0.11, most_overlap: 1.0 };
    let faces =
        PlanDetector::new(&detector[..], vec![0; ARENA]).unwrap().faces(&picture(), &settings).unwrap();
    let crop: Vec<u8> = (0..90).map(|v| v * 2).collect();
    let (mut alone, mut out) = ([0; 12], [0; 12]);
    PlanEngine::new(&embedder[..], vec![0; 256]).unwrap().embed(&crop, &mut alone).unwrap();
    let mut both = PlanModels::new(&embedder[..], Some(&detector[..]), vec![0x5a; wanted]).unwrap();
    assert_eq!(both.detector().map(|info| info.dimension), Some(0));
    for _ in 0..2 {
        assert_eq!(both.find(&picture(), &settings).as_ref(), Ok(&faces));
        both.embed(&crop, &mut out).unwrap();
        assert_eq!(out, alone);
    }
    // Without a detector, with too little room for one of the two, with the two exchanged.
    let mut one = PlanModels::new(&embedder[..], None, vec![0; 256]).unwrap();
    assert_eq!(one.detector(), None);
    assert_eq!(one.find(&picture(), &settings), Err(LookError::NoDetector));
    let small = PlanModels::new(&embedder[..], Some(&detector[..]), vec![0; ARENA - 1]).unwrap_err();
    assert_eq!(small, PairError::Detector(PlanError::Arena { needed: ARENA, found: ARENA - 1 }));
    let exchanged = PlanModels::new(&detector[..], Some(&embedder[..]), vec![0; wanted]).unwrap_err();
    assert!(matches!(exchanged, PairError::Embedder(PlanError::Header { field: "task", .. })), "{exchanged}");
}

#[test]
fn rules_of_moves_products_and_maps_have_errors_that_name_them() {
    let spoils: [Spoil; 10] = [
        (1, "output", |r| r.window.stride = [11, 11]),
        (1, "kernel", |r| r.window.kernel = [0, 8]),
        (3, "multiplier", |r| r.a = 0),
        (3, "shift", |r| r.bits = 9),
        (3, "groups", |r| r.groups = 2),
        (3, "second operand", |r| r.second = 1001),
        (4, "output shape", |r| r.output_shape.channels = 2),
        (5, "first channel", |r| r.groups = 1),
        (8, "first channel", |r| r.groups = 4),
        (18, "first channel", |r| r.groups = 8),
    ];
    refuses(&plan(), &spoils);
    // A map that nothing wrote, a scale that is none, a list outside the plan.
    let whole = plan();
    let list = u32::from_le_bytes(whole[124..128].try_into().unwrap()) as usize;
    for (at, word, map, field) in [
        (list + 12, 1041, 1, "offset"),
        (list + 4 * 12 + 4, 0, 4, "scale"),
        (list + 11 * 12, u32::MAX, 11, "offset"),
        (124, 1, 0, "place"),
        (124, u32::MAX - 3, 0, "place"),
    ] {
        let mut plan = whole.clone();
        plan[at..at + 4].copy_from_slice(&u32::to_le_bytes(word));
        fix_checksum(&mut plan);
        match Plan::parse(&plan) {
            Err(PlanError::Map { map: m, field: f, .. }) => assert_eq!((m, f), (map, field)),
            other => panic!("{map} {field}: {:?}", other.map(|_| ())),
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn damage_to_a_detector_never_panics(
        flips in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..4),
    ) {
        let mut plan = plan();
        for (at, byte) in flips {
            let at = at.index(plan.len());
            plan[at] ^= byte;
        }
        plan[..8].copy_from_slice(&MAGIC);
        plan[8..12].copy_from_slice(&VERSION.to_le_bytes());
        fix_checksum(&mut plan);
        let _ = parse_and_look(&plan);
    }
}
