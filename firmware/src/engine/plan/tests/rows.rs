//! A convolution in two bands of rows: what it computes, and what the validator refuses of it.

use super::*;

/// Input, a convolution of 6 rows in one piece or in two of 3, table, planes, fully connected.
fn plan(in_bands: bool) -> Vec<u8> {
    let mut b = Builder::new(if in_bands { 6 } else { 5 });
    let (crop, map, flat) = (shape(6, 5, 3), shape(6, 5, 4), shape(1, 1, 120));
    let mut input = Builder::record(Kind::Input, (0, crop), (0, crop));
    let tables = b.noise(768);
    input.a = b.section(tables);
    let window = Window { kernel: [3, 3], stride: [1, 1], pad: [1, 1] };
    let mut conv = b.conv(Builder::record(Kind::Conv, (0, crop), (224, map)), window, 1, 108);
    conv.second = 364;
    b.records = vec![input, conv];
    if in_bands {
        // Of the four rows that three need, two are read by both.
        let (four, three) = (shape(4, 5, 3), shape(3, 5, 4));
        let upper = Record { input_shape: four, output_shape: three, ..conv };
        let window = Window { pad: [0, 1], ..window };
        let lower = Record { input: 2 * 15, output: 224 + 3 * 20, window, ..upper };
        b.records = vec![input, upper, lower];
    }
    let mut lookup = Builder::record(Kind::Lookup, (224, map), (224, map));
    let table = b.noise(256);
    lookup.a = b.section(table);
    let planes = Builder::record(Kind::Planes, (224, map), (344, flat));
    let window = Window { kernel: [1, 1], stride: [1, 1], pad: [0, 0] };
    let product = Builder::record(Kind::Conv, (344, flat), (0, shape(1, 1, 12)));
    let product = b.conv(product, window, 1, 120 * 12);
    b.records.extend([lookup, planes, product]);
    b.finish(Header {
        info: info(),
        task: Task::Embedding,
        target: Target::Portable,
        maps: 0,
        thresholds: 0,
        arena_bytes: 512,
        steps: b.steps,
    })
}

#[test]
fn two_bands_give_what_one_operation_gives() {
    let embed = |plan: &[u8], crop: &[u8]| {
        let mut out = [0; 12];
        PlanEngine::new(plan, [0; 512]).unwrap().embed(crop, &mut out).unwrap();
        out
    };
    for seed in 0..20u8 {
        let crop: [u8; 90] = core::array::from_fn(|i| (i as u8).wrapping_mul(37 + 2 * seed) ^ seed);
        let one = embed(&plan(false), &crop);
        assert_eq!(embed(&plan(true), &crop), one);
        assert!(one.iter().any(|&value| value != one[0]), "{one:?}");
    }
}

#[test]
fn what_is_not_written_in_whole_rows_is_refused() {
    let spoils: [Spoil; 9] = [
        // The lower band reads from the middle of a row, or rows of another width.
        (2, "input", |r| r.input += 1),
        (2, "input", |r| r.input += 3),
        (2, "input", |r| (r.input_shape.width, r.input_shape.channels) = (15, 1)),
        // It leaves a byte, a row, or writes other rows than the table reads.
        (3, "input", |r| r.output += 1),
        (3, "input", |r| r.output += 20),
        (3, "input", |r| (r.output_shape.height, r.window.pad) = (2, [0, 1])),
        (3, "input", |r| r.output_shape.width = 4),
        // It spoils a row of the upper band.
        (3, "input", |r| r.output -= 20),
        (3, "input", |r| r.second = 176),
    ];
    // It is always the lower band that is spoilt.
    for (step, field, spoil) in spoils {
        assert_eq!(refusal(&plan(true), 2, spoil), (step, field));
    }
}

#[test]
fn bands_come_from_the_top_down() {
    let mut plan = plan(true);
    let (upper, lower) = (HEADER_BYTES + RECORD_BYTES, HEADER_BYTES + 2 * RECORD_BYTES);
    let (above, below) = plan[upper..lower + RECORD_BYTES].split_at_mut(RECORD_BYTES);
    above.swap_with_slice(below);
    fix_checksum(&mut plan);
    match Plan::parse(&plan) {
        Err(PlanError::Step { step: 3, field: "input", .. }) => {}
        other => panic!("{:?}", other.map(|_| ())),
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn damaged_bands_never_read_what_was_not_written(
        flips in prop::collection::vec((0..6 * RECORD_BYTES, any::<u8>()), 1..4),
    ) {
        let mut plan = plan(true);
        for (at, byte) in flips {
            plan[HEADER_BYTES + at] ^= byte;
        }
        fix_checksum(&mut plan);
        let _ = parse_and_run(&plan);
    }
}
