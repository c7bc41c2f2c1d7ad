//! Models of one operation and images of them, for the tests and the fuzzers.

use crate::engine::plan::{HEADER_BYTES, Header, Kind, RECORD_BYTES, Record, Rule, Target};
use crate::kernels::{Shape, Window};
use crate::model::{ChannelOrder, ModelInfo, Task};
use crate::update::{Payload, Room, Said, SigningKey, Tried, image_bytes, try_plans, write_image};

/// Pictures of the self-test.
pub const VECTORS: u32 = 3;

/// An embedder for grey crops of `side` x `side` pixels, at most 22: each value is a pixel through a table, which `model`
/// says. Its arena is the crop's size.
pub fn embedder(model: u8, side: u16) -> Vec<u8> {
    let shape = Shape { height: side.into(), width: side.into(), channels: 1 };
    let steps = 1;
    let input = Record {
        kind: Kind::Input,
        rule: Rule::HighMul,
        input_zero: 0,
        output_zero: 0,
        lo: -128,
        hi: 127,
        second_zero: 0,
        bits: 0,
        input: 0,
        output: 0,
        second: 0,
        input_shape: shape,
        output_shape: shape,
        window: Window { kernel: [0; 2], stride: [0; 2], pad: [0; 2] },
        groups: 0,
        a: (HEADER_BYTES + steps * RECORD_BYTES) as u32,
        b: 0,
        c: 0,
    };
    let info = ModelInfo {
        width: side,
        height: side,
        order: ChannelOrder::Grey,
        template: None,
        dimension: side * side,
        embedding_id: [model; 32],
    };
    let (task, target, arena_bytes) = (Task::Embedding, Target::Portable, shape.bytes());
    let header = Header { info, task, target, maps: 0, thresholds: 0, arena_bytes, steps };
    let mut plan = vec![0; HEADER_BYTES];
    plan.extend(input.to_bytes().unwrap_or([0; RECORD_BYTES]));
    plan.extend((0..=255u8).map(|pixel| pixel.wrapping_mul(3).wrapping_add(model)));
    assert!(header.write(&mut plan));
    plan
}

/// An image of an embedder's plan and perhaps a detector's.
///
/// # Panics
/// When one of them is none.
pub fn image(key: &SigningKey, version: u32, embedder: &[u8], detector: Option<&[u8]>) -> Vec<u8> {
    let plans = Payload { embedder, detector };
    let (mut arena, mut crop) = (vec![0; 1 << 16], vec![0; 1 << 16]);
    let tried = try_plans(&plans, VECTORS, &mut Room { arena: &mut arena, crop: &mut crop }, || ());
    let Tried { embedding_id, digest } = tried.unwrap_or_else(|why| panic!("{why}"));
    let said = Said { version, vectors: VECTORS, vectors_hash: digest, embedding_id };
    let mut bytes = vec![0; image_bytes(&plans).unwrap_or(0)];
    assert!(write_image(key, &said, &plans, &mut bytes));
    bytes
}
