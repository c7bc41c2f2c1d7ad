//! A lowered network to the bytes of a plan.

use std::collections::HashMap;

use arcgate_firmware::engine::plan::{
    HEADER_BYTES, Header, Kind, MapRecord, RECORD_BYTES, Record, Rule, Target,
};
use arcgate_firmware::kernels::Window;

use super::LowerError;
use super::arena::Arena;
use super::network::{Convolution, Layer, Network, Requantization, Work};
use crate::quantize::lattice::Quantization;

/// The bytes behind the operations, and where they begin in the plan.
struct Sections {
    first: usize,
    bytes: Vec<u8>,
    /// Where each begins by what it holds: the bands of a layer share their constants.
    offsets: HashMap<Vec<u8>, usize>,
}

impl Sections {
    /// Adds a section aligned to 4, if there is none like it, and gives its offset in the plan.
    fn add(&mut self, section: impl IntoIterator<Item = u8>) -> Result<u32, LowerError> {
        let section: Vec<u8> = section.into_iter().collect();
        let Sections { first, bytes, offsets } = self;
        let offset = *offsets.entry(section).or_insert_with_key(|section| {
            bytes.resize(bytes.len().next_multiple_of(4), 0);
            bytes.extend(section);
            *first + bytes.len() - section.len()
        });
        u32::try_from(offset).map_err(|_| LowerError::TooLarge("its constants take more than 4 GiB"))
    }

    fn int8s(&mut self, values: &[i8]) -> Result<u32, LowerError> {
        self.add(values.iter().map(|&v| v as u8))
    }

    fn words(&mut self, values: &[i32]) -> Result<u32, LowerError> {
        self.add(values.iter().flat_map(|v| v.to_le_bytes()))
    }
}

/// Writes the plan.
pub fn emit(network: &Network, arena: &Arena) -> Result<Vec<u8>, LowerError> {
    let layers = &network.layers;
    let first = HEADER_BYTES + layers.len() * RECORD_BYTES;
    let mut sections = Sections { first, bytes: Vec::new(), offsets: HashMap::new() };
    let mut plan = vec![0; HEADER_BYTES];
    for (at, layer) in layers.iter().enumerate() {
        let record = record(network, arena, at, layer, &mut sections)?;
        let bytes = record.to_bytes();
        plan.extend(bytes.ok_or(LowerError::TooLarge("a shape, kernel, stride or pad exceeds its field"))?);
    }
    let maps = maps(network, arena, &mut sections)?;
    plan.append(&mut sections.bytes);
    plan.resize(plan.len().next_multiple_of(4), 0);
    let (info, task, target) = (network.info.clone(), network.task, network.target);
    let (steps, arena_bytes) = (layers.len(), arena.bytes);
    let header = Header { info, task, target, maps, thresholds: 0, arena_bytes, steps };
    if header.write(&mut plan) {
        Ok(plan)
    } else {
        Err(LowerError::TooLarge("more than 65535 layers or 4 GiB"))
    }
}

/// The list of a detector's maps; 0 for an embedder.
fn maps(network: &Network, arena: &Arena, sections: &mut Sections) -> Result<u32, LowerError> {
    let mut list = Vec::new();
    for &(id, quantization) in &network.maps {
        let offset = u32::try_from(arena.tensors[id]);
        let offset = offset.map_err(|_| LowerError::TooLarge("its activations take more than 4 GiB"))?;
        let Quantization { scale, zero_point } = quantization;
        let map = MapRecord { offset, scale, zero_point };
        list.extend(map.to_bytes());
    }
    if list.is_empty() { Ok(0) } else { sections.add(list) }
}

fn record(
    network: &Network,
    arena: &Arena,
    at: usize,
    layer: &Layer,
    sections: &mut Sections,
) -> Result<Record, LowerError> {
    let offset = |place: usize| {
        u32::try_from(place).map_err(|_| LowerError::TooLarge("its activations take more than 4 GiB"))
    };
    let output_shape = network.tensors[layer.output];
    let input_shape = layer.input.map_or(output_shape, |id| network.tensors[id]);
    let mut record = Record {
        kind: Kind::Planes,
        rule: Rule::HighMul,
        input_zero: 0,
        output_zero: 0,
        lo: i8::MIN,
        hi: i8::MAX,
        second_zero: 0,
        bits: 0,
        input: offset(layer.input.map_or(0, |id| arena.tensors[id]))?,
        output: offset(arena.tensors[layer.output])?,
        second: offset(layer.second.map_or(0, |id| arena.tensors[id]))?,
        input_shape,
        output_shape,
        window: Window { kernel: [0; 2], stride: [0; 2], pad: [0; 2] },
        groups: 0,
        a: 0,
        b: 0,
        c: 0,
    };
    match &layer.work {
        Work::Input(tables) => (record.kind, record.a) = (Kind::Input, sections.int8s(tables)?),
        Work::Lookup(table) => (record.kind, record.a) = (Kind::Lookup, sections.int8s(table)?),
        Work::LookupChannels(tables) => {
            (record.kind, record.a) = (Kind::LookupChannels, sections.int8s(tables)?);
        }
        Work::Planes => {}
        Work::MaxPool(window) => (record.kind, record.window) = (Kind::MaxPool, *window),
        Work::Upsample => record.kind = Kind::Upsample,
        Work::Place { table, first } => {
            (record.kind, record.a, record.groups) = (Kind::Place, sections.int8s(table)?, *first as u32);
        }
        Work::Product(product) => {
            record.kind = Kind::Product;
            [record.input_zero, record.second_zero] = product.zeros;
            (record.a, record.bits) = (product.scale.mult as u32, product.scale.shift);
            (record.output_zero, record.lo, record.hi) = (product.output_zero, product.lo, product.hi);
            let second = layer.second.map(|id| network.tensors[id]);
            record.groups = u32::from(second != Some(output_shape));
        }
        Work::Sum(sum) => {
            record.kind = Kind::Sum;
            [record.input_zero, record.second_zero] = sum.zeros;
            [record.a, record.b] = sum.mults.map(|mult| mult as u32);
            record.bits = sum.bits;
            (record.output_zero, record.lo, record.hi) = (sum.output_zero, sum.lo, sum.hi);
        }
        Work::FloatSum(sum) => {
            record.kind = Kind::FloatSum;
            [record.input_zero, record.second_zero] = sum.zeros;
            [record.a, record.b] = sum.scales.map(f32::to_bits);
            record.c = sum.reciprocal.to_bits();
            (record.output_zero, record.lo, record.hi) = (sum.output_zero, sum.lo, sum.hi);
        }
        Work::Slope(slopes) => {
            record.kind = Kind::Slope;
            (record.input_zero, record.output_zero) = (slopes.input_zero, slopes.output_zero);
            (record.bits, record.a) = (slopes.bits, slopes.positive as u32);
            record.b = sections.words(&slopes.negative)?;
        }
        Work::Conv(conv) => {
            record.second = offset(arena.scratch.get(at).copied().unwrap_or(0))?;
            convolution(conv, network.target, &mut record, sections)?;
        }
    }
    Ok(record)
}

fn convolution(
    conv: &Convolution,
    target: Target,
    record: &mut Record,
    sections: &mut Sections,
) -> Result<(), LowerError> {
    record.kind = if conv.depthwise { Kind::Depthwise } else { Kind::Conv };
    record.window = conv.window;
    record.groups = if conv.depthwise { record.input_shape.channels } else { conv.groups } as u32;
    record.input_zero = conv.input_zero;
    (record.output_zero, record.lo, record.hi) = (conv.output_zero, conv.lo, conv.hi);
    let (input, output) = (record.input_shape, record.output_shape);
    let packing = target.packing(input, output, conv.window, conv.groups).filter(|_| !conv.depthwise);
    record.a = match packing {
        Some(packing) => sections.int8s(&packing.packed(&conv.weights))?,
        None => sections.int8s(&conv.weights)?,
    };
    record.b = sections.words(&conv.bias)?;
    match &conv.requantization {
        Requantization::HighMul(multipliers) => {
            let mults = multipliers.iter().flat_map(|m| m.mult.to_le_bytes());
            if multipliers.iter().all(|m| m.shift == 0) {
                record.c = sections.add(mults)?;
            } else {
                record.rule = Rule::ShiftedHighMul;
                record.c = sections.add(mults.chain(multipliers.iter().map(|m| m.shift)))?;
            }
        }
        Requantization::PerChannelF32(scales) => {
            record.rule = Rule::PerChannelF32;
            record.c = sections.add(scales.iter().flat_map(|s| s.to_le_bytes()))?;
        }
        Requantization::Uniform(scale) => {
            record.rule = Rule::Uniform;
            record.c = scale.to_bits();
        }
    }
    Ok(())
}
