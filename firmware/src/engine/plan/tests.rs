//! A small plan by hand, what it computes, and random damage to it.

pub(crate) mod maps;
mod rows;

use proptest::prelude::*;

use super::*;
use crate::embedding::Angle;
use crate::engine::{EmbedError, Embedder};
use crate::kernels::{Isa, Shape, Window, as_i8};
use crate::model::ChannelOrder;
use crate::model::thresholds::{Bar, Cell, Origin, Scope, TableError};

fn shape(height: usize, width: usize, channels: usize) -> Shape {
    Shape { height, width, channels }
}

fn info() -> ModelInfo {
    ModelInfo {
        width: 5,
        height: 6,
        order: ChannelOrder::Bgr,
        template: Some(core::array::from_fn(|i| nalgebra::Point2::new(i as f32, 2.0 * i as f32))),
        dimension: 12,
        embedding_id: [7; 32],
    }
}

/// A threshold table of one cell: 58.3 degrees.
fn threshold_table() -> Vec<u8> {
    let origin = Origin { identities: 500, images: 3000, frames: 5, templates: 1, overlap: 0 };
    let angle = Angle::from_millidegrees(58_300);
    let bar = Bar { angle, low: angle, high: angle };
    let mut bytes = vec![0; ThresholdTable::bytes_for(1, 1)];
    let cells = [Cell { frame: bar, presentation: bar }];
    ThresholdTable::write(origin, &[0.01], &[20], &cells, &mut bytes).unwrap();
    bytes
}

/// Operations and the sections that they point at.
struct Builder {
    records: Vec<Record>,
    sections: Vec<u8>,
    /// Operations in all; sections begin behind them.
    steps: usize,
    seed: u32,
    target: Target,
}

impl Builder {
    const STEPS: usize = 8;

    fn new(steps: usize) -> Self {
        Builder { records: Vec::new(), sections: Vec::new(), steps, seed: 1, target: Target::Portable }
    }

    fn section(&mut self, bytes: impl IntoIterator<Item = u8>) -> u32 {
        let at = HEADER_BYTES + self.steps * RECORD_BYTES + self.sections.len();
        self.sections.extend(bytes);
        self.sections.resize(self.sections.len().next_multiple_of(4), 0);
        at as u32
    }

    fn noise(&mut self, count: usize) -> Vec<u8> {
        let mut next = || {
            self.seed = self.seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (self.seed >> 24) as u8
        };
        (0..count).map(|_| next()).collect()
    }

    fn record(kind: Kind, input: (u32, Shape), output: (u32, Shape)) -> Record {
        Record {
            kind,
            rule: Rule::HighMul,
            input_zero: 3,
            output_zero: -5,
            lo: -128,
            hi: 127,
            second_zero: 1,
            bits: 20,
            input: input.0,
            output: output.0,
            second: 0,
            input_shape: input.1,
            output_shape: output.1,
            window: Window { kernel: [0; 2], stride: [0; 2], pad: [0; 2] },
            groups: 0,
            a: 0,
            b: 0,
            c: 0,
        }
    }

    fn conv(&mut self, mut record: Record, window: Window, groups: u32, weights: usize) -> Record {
        let channels = record.output_shape.channels;
        let mut weights = self.noise(weights);
        let (input, output) = (record.input_shape, record.output_shape);
        let packing = self.target.packing(input, output, window, groups as usize);
        if let Some(packing) = packing.filter(|_| record.kind == Kind::Conv) {
            let packed = packing.packed(as_i8(&weights));
            weights = packed.into_iter().map(|weight| weight as u8).collect();
        }
        (record.window, record.groups) = (window, groups);
        record.a = self.section(weights);
        record.b = self.section((0..channels as i32).flat_map(|c| (40 * c - 100).to_le_bytes()));
        record.c = self.section((0..channels as i32).flat_map(|c| (10_000_000 + 2 * c).to_le_bytes()));
        record
    }

    /// Input, convolution with gathered windows, depthwise, PReLU, sum, table, planes, fully connected.
    fn plan() -> Vec<u8> {
        Self::plan_for(Target::Portable)
    }

    /// The same with weights and scratch for `target`.
    fn plan_for(target: Target) -> Vec<u8> {
        let mut b = Builder { target, ..Builder::new(Self::STEPS) };
        let (scratch, arena_bytes) = if target == Target::Portable { (200, 256) } else { (256, 1024) };
        let (crop, map) = (shape(6, 5, 3), shape(3, 3, 4));
        let mut input = Self::record(Kind::Input, (0, crop), (0, crop));
        let tables = b.noise(768);
        input.a = b.section(tables);
        let window = Window { kernel: [3, 3], stride: [2, 2], pad: [1, 1] };
        let mut conv = b.conv(Self::record(Kind::Conv, (0, crop), (96, map)), window, 1, 108);
        conv.second = scratch;
        let window = Window { stride: [1, 1], ..window };
        let mut depthwise = b.conv(Self::record(Kind::Depthwise, (96, map), (0, map)), window, 4, 36);
        depthwise.second = scratch;
        let mut slope = Self::record(Kind::Slope, (0, map), (0, map));
        slope.a = 1 << 20;
        slope.b = b.section([100_000i32, -50_000, 0, 700_000].into_iter().flat_map(i32::to_le_bytes));
        let mut sum = Self::record(Kind::Sum, (96, map), (0, map));
        (sum.second, sum.a, sum.b) = (0, 700_000, 500_000);
        let mut lookup = Self::record(Kind::Lookup, (0, map), (160, map));
        let table = b.noise(256);
        lookup.a = b.section(table);
        let flat = shape(1, 1, 36);
        let planes = Self::record(Kind::Planes, (160, map), (0, flat));
        let window = Window { kernel: [1, 1], stride: [1, 1], pad: [0, 0] };
        let product = Self::record(Kind::Conv, (0, flat), (64, shape(1, 1, 12)));
        let mut product = b.conv(product, window, 1, 36 * 12);
        product.second = scratch;
        b.records = vec![input, conv, depthwise, slope, sum, lookup, planes, product];
        let thresholds = b.section(threshold_table());
        let (task, maps, steps) = (Task::Embedding, 0, Self::STEPS);
        let info = info();
        b.finish(Header { info, task, target, maps, thresholds, arena_bytes, steps })
    }

    fn finish(&self, header: Header) -> Vec<u8> {
        assert_eq!(self.records.len(), self.steps);
        let mut plan = vec![0; HEADER_BYTES];
        self.records.iter().for_each(|record| plan.extend(record.to_bytes().unwrap()));
        plan.extend(&self.sections);
        assert!(header.write(&mut plan));
        plan
    }
}

fn fix_checksum(plan: &mut [u8]) {
    if plan.len() >= 20 {
        let length = (plan.len() as u32).to_le_bytes();
        plan[12..16].copy_from_slice(&length);
        let sum = checksum(plan);
        plan[16..20].copy_from_slice(&sum.to_le_bytes());
    }
}

/// Parses; runs what parses if that takes little. Must not panic.
fn parse_and_run(plan: &[u8]) -> Result<(), PlanError> {
    let parsed = Plan::parse(plan)?;
    let macs: u64 = parsed.steps().map(|step| step.unwrap().macs()).sum();
    let info = parsed.info();
    if parsed.arena_bytes() > 1 << 20 || macs > 1 << 22 {
        return Ok(());
    }
    let (crop, mut out) = (vec![9; info.crop_bytes()], vec![0; info.dimension as usize]);
    let mut engine = PlanEngine::new(plan, vec![0; parsed.arena_bytes()]).unwrap();
    assert_eq!(engine.embed(&crop, &mut out), Ok(()));
    // Nothing depends on what lay in the arena before.
    let mut other = vec![1; out.len()];
    let mut engine = PlanEngine::new(plan, vec![0x5a; parsed.arena_bytes()]).unwrap();
    assert_eq!(engine.embed(&crop, &mut other), Ok(()));
    assert_eq!(out, other);
    // Nor on the instructions that it runs on.
    for isa in Isa::available() {
        let Some(mut engine) = engine.clone().on(isa) else {
            assert_ne!(parsed.target(), Target::Portable, "{isa:?}");
            continue;
        };
        assert_eq!((engine.isa(), engine.embed(&crop, &mut other)), (isa, Ok(())));
        assert_eq!(out, other, "{isa:?}");
    }
    Ok(())
}

#[test]
fn what_is_written_is_read() {
    let plan = Builder::plan();
    let parsed = Plan::parse(&plan).unwrap();
    assert_eq!(*parsed.info(), info());
    assert_eq!((parsed.len(), parsed.arena_bytes()), (8, 256));
    assert_eq!(parse_and_run(&plan), Ok(()));
    let engine = PlanEngine::new(&plan[..], [0u8; 256]).unwrap();
    let bar = engine.thresholds().unwrap().lookup(20, 0.01, Scope::Frame).unwrap();
    assert_eq!(bar.angle.millidegrees(), 58_300);
}

#[test]
fn a_threshold_table_that_is_none_is_named() {
    let whole = Builder::plan();
    let at = Plan::parse(&whole).unwrap().header().thresholds as usize;
    let refused = |at: usize, word: u32| {
        let mut plan = whole.clone();
        plan[at..at + 4].copy_from_slice(&word.to_le_bytes());
        fix_checksum(&mut plan);
        Plan::parse(&plan).map(|_| ()).unwrap_err()
    };
    for place in [4, at as u32 + 2, whole.len() as u32 + 4] {
        let why = refused(108, place);
        assert!(matches!(why, PlanError::Header { field: "threshold table", .. }), "{why}");
    }
    let why = refused(at, 0).to_string();
    assert!(why.contains("rates 0 = 0; accepted: 1 to 8"), "{why}");
    let short = refused(108, whole.len() as u32);
    assert_eq!(short, PlanError::Thresholds(TableError::Short { needed: 16, found: 0 }));
    assert!(matches!(refused(120, 1), PlanError::Header { field: "reserved bytes", .. }));
}

/// The embedding of a crop.
fn embedding(plan: &[u8]) -> [i8; 12] {
    let arena = vec![0; Plan::parse(plan).unwrap().arena_bytes()];
    let (crop, mut out) = (core::array::from_fn::<u8, 90, _>(|i| 31 * i as u8), [0; 12]);
    PlanEngine::new(plan, arena).unwrap().embed(&crop, &mut out).unwrap();
    out
}

#[test]
fn a_plan_for_any_core_gives_the_same_bytes() {
    for target in Target::ALL {
        let plan = Builder::plan_for(target);
        assert_eq!(parse_and_run(&plan), Ok(()));
        assert_eq!(embedding(&plan), embedding(&Builder::plan()), "{target:?}");
    }
}

#[test]
fn what_packed_plans_must_keep_to_is_named() {
    for target in [Target::Dsp, Target::Mve] {
        let plan = Builder::plan_for(target);
        // Four channels of 27 taps, the last run of which has room for more.
        let at = HEADER_BYTES + RECORD_BYTES;
        let weights = Record::read(plan[at..].first_chunk().unwrap(), 1).unwrap().a as usize;
        let gap = target.packing(
            shape(6, 5, 3),
            shape(3, 3, 4),
            Window { kernel: [3, 3], stride: [2, 2], pad: [1, 1] },
            1,
        );
        let gap = gap.unwrap().gaps().next().unwrap().start;
        let mut spoilt = plan.clone();
        spoilt[weights + gap] = 1;
        fix_checksum(&mut spoilt);
        match Plan::parse(&spoilt) {
            Err(PlanError::Step { step: 1, field: "packed weight", value, .. }) => {
                assert_eq!(value as usize, gap)
            }
            other => panic!("{target:?}: {:?}", other.map(|_| ())),
        }
    }
    let packed = Builder::plan_for(Target::Dsp);
    refuses(&packed, &[(1, "scratch", |r| r.second = 258), (2, "scratch", |r| r.second = 1020)]);
    let mut unknown = packed.clone();
    unknown[35] = 3;
    fix_checksum(&mut unknown);
    assert!(matches!(Plan::parse(&unknown), Err(PlanError::Header { value: 3, .. })));

    // Words are read as such.
    let mut room = vec![0u8; 1040];
    let first = room.as_ptr().align_offset(8);
    let mut placed = |off: usize| PlanEngine::new(&packed[..], &mut room[first + off..][..1024]).map(|_| ());
    assert_eq!(placed(8), Ok(()));
    assert_eq!(placed(2), Err(PlanError::Alignment { what: "arena", wanted: 4 }));
}

#[test]
fn lengths_are_checked() {
    let plan = Builder::plan();
    let small = PlanEngine::new(&plan[..], [0u8; 255]).unwrap_err();
    assert_eq!(small, PlanError::Arena { needed: 256, found: 255 });
    let mut engine = PlanEngine::new(&plan[..], [0u8; 256]).unwrap();
    let mut out = [0; 12];
    assert_eq!(engine.embed(&[0; 89], &mut out), Err(EmbedError::CropLength { expected: 90, found: 89 }));
    assert_eq!(
        engine.embed(&[0; 90], &mut out[..11]),
        Err(EmbedError::OutputLength { expected: 12, found: 11 })
    );
}

/// One change to a record, and the field that the error must name.
type Spoil = (usize, &'static str, fn(&mut Record));

#[test]
fn every_rule_has_an_error_that_names_it() {
    let spoils: [Spoil; 17] = [
        (1, "output", |r| r.output = 250),
        (1, "output", |r| r.output = 4),
        (1, "scratch", |r| r.second = 100),
        (1, "scratch", |r| r.second = 256),
        (1, "weights", |r| r.a = 1),
        (1, "weights", |r| r.a = 128),
        (1, "bias", |r| r.b = 1 << 30),
        (1, "groups", |r| r.groups = 2),
        (1, "pad", |r| r.window.pad = [3, 0]),
        (1, "stride", |r| r.window.stride = [0, 1]),
        (1, "least output", |r| (r.lo, r.hi) = (5, 4)),
        (2, "input", |r| r.input = 97),
        (3, "fraction bits", |r| r.bits = 25),
        (3, "slope", |r| r.a = 1 << 24),
        (4, "multiplier", |r| r.a = 1 << 23),
        (4, "second operand", |r| r.second = 97),
        (6, "output shape", |r| r.output_shape.channels = 35),
    ];
    refuses(&Builder::plan(), &spoils);
}

/// That each spoilt record makes an error that names its operation and field.
fn refuses(whole: &[u8], spoils: &[Spoil]) {
    for &(step, field, spoil) in spoils {
        assert_eq!(refusal(whole, step, spoil), (step, field));
    }
}

/// The operation and the field that are named when the record of operation `at` is spoilt.
fn refusal(whole: &[u8], at: usize, spoil: fn(&mut Record)) -> (usize, &'static str) {
    let mut plan = whole.to_vec();
    let bytes = HEADER_BYTES + at * RECORD_BYTES;
    let mut record = Record::read(plan[bytes..].first_chunk().unwrap(), at).unwrap();
    spoil(&mut record);
    plan[bytes..bytes + RECORD_BYTES].copy_from_slice(&record.to_bytes().unwrap());
    fix_checksum(&mut plan);
    match Plan::parse(&plan) {
        Err(PlanError::Step { step, field, .. }) => (step, field),
        other => panic!("operation {at}: {:?}", other.map(|_| ())),
    }
}

#[test]
fn sums_that_could_overflow_are_refused() {
    let mut plan = Builder::plan();
    let at = HEADER_BYTES + 7 * RECORD_BYTES;
    let record = Record::read(plan[at..].first_chunk().unwrap(), 7).unwrap();
    let bias = record.b as usize + 4 * 5;
    plan[bias..bias + 4].copy_from_slice(&i32::MAX.to_le_bytes());
    fix_checksum(&mut plan);
    match Plan::parse(&plan) {
        Err(PlanError::Step { step: 7, field: "weights of channel", value: 5, .. }) => {}
        other => panic!("{other:?}"),
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn truncated_plans_are_refused(length in 0..Builder::plan().len(), fixed: bool) {
        let mut plan = Builder::plan();
        plan.truncate(length);
        if fixed {
            fix_checksum(&mut plan);
        }
        prop_assert!(parse_and_run(&plan).is_err());
    }

    #[test]
    fn flipped_bits_are_noticed(bit in 0..8 * Builder::plan().len()) {
        let mut plan = Builder::plan();
        plan[bit / 8] ^= 1 << (bit % 8);
        prop_assert!(parse_and_run(&plan).is_err());
    }

    #[test]
    fn damage_behind_a_right_checksum_never_panics(
        flips in prop::collection::vec((0..HEADER_BYTES + Builder::STEPS * RECORD_BYTES, any::<u8>()), 1..4),
        anywhere in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..3),
        target in prop::sample::select(&Target::ALL[..]),
    ) {
        let mut plan = Builder::plan_for(target);
        for (at, byte) in flips {
            plan[at] ^= byte;
        }
        for (at, byte) in anywhere {
            let at = at.index(plan.len());
            plan[at] = byte;
        }
        plan[..8].copy_from_slice(&MAGIC);
        plan[8..12].copy_from_slice(&VERSION.to_le_bytes());
        fix_checksum(&mut plan);
        let _ = parse_and_run(&plan);
    }

    #[test]
    fn words_of_any_value_never_panic(
        at in 4..(HEADER_BYTES + Builder::STEPS * RECORD_BYTES) / 4,
        value in prop_oneof![any::<u32>(), 0..300u32, Just(u32::MAX), Just(1 << 31), Just(0xffff_0001u32)],
        target in prop::sample::select(&Target::ALL[..]),
    ) {
        let mut plan = Builder::plan_for(target);
        plan[4 * at..4 * at + 4].copy_from_slice(&value.to_le_bytes());
        fix_checksum(&mut plan);
        let _ = parse_and_run(&plan);
    }

    #[test]
    fn noise_is_no_plan(bytes in prop::collection::vec(any::<u8>(), 0..400)) {
        prop_assert!(Plan::parse(&bytes).is_err());
    }
}
