//! Where activations lie: offsets in one arena from the layers' lifetimes.

use std::ops::Range;

use arcgate_firmware::engine::kernels::scalar::scratch_bytes;

use super::network::{Network, TensorId, Work};

/// Activations begin at multiples of this many bytes.
const ALIGN: usize = 16;

/// Offsets of everything that lives in the arena.
#[derive(Debug)]
pub struct Arena {
    /// Bytes that the arena needs.
    pub bytes: usize,
    /// Where each activation begins.
    pub tensors: Vec<usize>,
    /// Where each layer's scratch begins.
    pub scratch: Vec<usize>,
}

/// Something that takes `bytes` while the layers `life` run.
#[derive(Debug, Clone)]
struct Block {
    bytes: usize,
    life: Range<usize>,
    offset: usize,
}

/// Places every activation and scratch: element-wise layers write in place where their input dies with them; then, largest
/// first, each block takes the tightest gap among the blocks that live at the same time.
pub fn place(network: &Network) -> Arena {
    let layers = &network.layers;
    let mut last_read = vec![0; network.tensors.len()];
    for (at, layer) in layers.iter().enumerate() {
        for id in layer.input.iter().chain(&layer.second) {
            last_read[*id] = at;
        }
    }
    for output in network.outputs() {
        last_read[output] = layers.len();
    }
    let bytes = |id: TensorId| network.tensors[id].bytes();
    let mut blocks: Vec<Block> = Vec::new();
    let mut block_of = vec![usize::MAX; network.tensors.len()];
    let mut scratch_of = vec![usize::MAX; layers.len()];
    for (at, layer) in layers.iter().enumerate() {
        let end = last_read[layer.output].max(at) + 1;
        // What several layers fill is there already.
        if block_of[layer.output] != usize::MAX {
            continue;
        }
        let dies_here = |id: &TensorId| last_read[*id] == at && bytes(*id) == bytes(layer.output);
        let reused = layer.input.iter().chain(&layer.second).copied().find(dies_here);
        match reused.filter(|_| layer.work.is_element_wise()) {
            Some(id) => {
                block_of[layer.output] = block_of[id];
                blocks[block_of[id]].life.end = end;
            }
            None => {
                block_of[layer.output] = blocks.len();
                blocks.push(Block { bytes: bytes(layer.output), life: at..end, offset: 0 });
            }
        }
        if let (Work::Conv(conv), Some(input)) = (&layer.work, layer.input)
            && !conv.depthwise
        {
            let (input, output) = (network.tensors[input], network.tensors[layer.output]);
            scratch_of[at] = blocks.len();
            let bytes = scratch_bytes(input, output, conv.window, conv.groups);
            blocks.push(Block { bytes, life: at..at + 1, offset: 0 });
        }
    }
    let total = pack(&mut blocks);
    let offset = |block: &usize| blocks.get(*block).map_or(0, |b| b.offset);
    Arena {
        bytes: total,
        tensors: block_of.iter().map(offset).collect(),
        scratch: scratch_of.iter().map(offset).collect(),
    }
}

/// Gives every block an offset and returns the bytes that all take together.
fn pack(blocks: &mut [Block]) -> usize {
    let mut order: Vec<usize> = (0..blocks.len()).collect();
    order.sort_by_key(|&i| (std::cmp::Reverse(blocks[i].bytes), blocks[i].life.start));
    let mut placed: Vec<usize> = Vec::new();
    let mut total = 0usize;
    for i in order {
        let Block { bytes, life, .. } = blocks[i].clone();
        let alive = |&&j: &&usize| blocks[j].life.start < life.end && life.start < blocks[j].life.end;
        let mut taken: Vec<Range<usize>> = placed
            .iter()
            .filter(alive)
            .map(|&j| blocks[j].offset..blocks[j].offset + blocks[j].bytes)
            .collect();
        taken.sort_by_key(|range| range.start);
        let mut free = 0usize;
        let mut best: Option<(usize, usize)> = None;
        for range in taken {
            let start = free.next_multiple_of(ALIGN);
            if start + bytes <= range.start
                && best.is_none_or(|(slack, _)| range.start - start - bytes < slack)
            {
                best = Some((range.start - start - bytes, start));
            }
            free = free.max(range.end);
        }
        let offset = best.map_or(free.next_multiple_of(ALIGN), |(_, start)| start);
        blocks[i].offset = offset;
        total = total.max(offset + bytes);
        placed.push(i);
    }
    total
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::{RngExt, SeedableRng};

    #[test]
    fn blocks_that_live_together_never_overlap() {
        let mut rng = rand_chacha::ChaCha8Rng::seed_from_u64(7);
        for _ in 0..200 {
            let mut blocks: Vec<Block> = (0..rng.random_range(1..30))
                .map(|_| {
                    let start = rng.random_range(0..20);
                    let life = start..start + rng.random_range(1..6);
                    Block { bytes: rng.random_range(0..500), life, offset: 0 }
                })
                .collect();
            let total = pack(&mut blocks);
            for (i, a) in blocks.iter().enumerate() {
                assert!(a.offset % ALIGN == 0 && a.offset + a.bytes <= total);
                for b in &blocks[..i] {
                    let together = a.life.start < b.life.end && b.life.start < a.life.end;
                    let apart = a.offset + a.bytes <= b.offset || b.offset + b.bytes <= a.offset;
                    assert!(!together || apart || a.bytes == 0 || b.bytes == 0, "{a:?} {b:?}");
                }
            }
            let peak = (0..30).map(|t| {
                let alive = blocks.iter().filter(|b| b.life.contains(&t));
                alive.map(|b| b.bytes.next_multiple_of(ALIGN)).sum::<usize>()
            });
            assert!(total <= 2 * peak.max().unwrap_or(0), "the packing is wasteful");
        }
    }
}
