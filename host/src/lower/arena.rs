//! Where activations lie: offsets in one arena from the layers' lifetimes.

use super::network::{Network, TensorId};
use super::pack::{Block, bound, pack};

/// Offsets of everything that lives in the arena.
#[derive(Debug)]
pub struct Arena {
    /// Bytes that the arena needs.
    pub bytes: usize,
    /// Bytes of what lives at once at the fullest moment: no placing of the same layers in the same order takes less.
    pub bound: usize,
    /// Where each activation begins.
    pub tensors: Vec<usize>,
    /// Where each layer's scratch begins.
    pub scratch: Vec<usize>,
}

/// Everything that lives in the arena, not placed yet.
#[derive(Debug)]
pub struct Blocks {
    blocks: Vec<Block>,
    /// The block of each activation that is no part of another.
    of_tensor: Vec<Option<usize>>,
    /// The block of each layer's scratch.
    of_scratch: Vec<Option<usize>>,
}

impl Blocks {
    /// What lives when: element-wise layers write in place where their input dies with them.
    pub fn of(network: &Network) -> Self {
        let layers = &network.layers;
        // A part is its whole.
        let whole = |id: TensorId| network.whole(id).0;
        let is_part = |id: TensorId| network.parts[id].is_some();
        let mut last_read = vec![0; network.tensors.len()];
        for (at, layer) in layers.iter().enumerate() {
            for id in layer.input.iter().chain(&layer.second) {
                last_read[whole(*id)] = at;
            }
        }
        for output in network.outputs() {
            last_read[whole(output)] = layers.len();
        }
        let bytes = |id: TensorId| network.tensors[id].bytes();
        let mut blocks: Vec<Block> = Vec::new();
        let mut of_tensor: Vec<Option<usize>> = vec![None; network.tensors.len()];
        let mut of_scratch = vec![None; layers.len()];
        for (at, layer) in layers.iter().enumerate() {
            let output = whole(layer.output);
            let end = last_read[output].max(at) + 1;
            match of_tensor[output] {
                // What several layers fill is there already.
                Some(block) => blocks[block].life.end = blocks[block].life.end.max(end),
                None => {
                    let dies_here = |id: &TensorId| {
                        !is_part(*id) && last_read[*id] == at && bytes(*id) == bytes(layer.output)
                    };
                    let in_place = layer.work.is_element_wise() && !is_part(layer.output);
                    let mut inputs = layer.input.iter().chain(&layer.second).copied().filter(|_| in_place);
                    let block = match inputs.find(dies_here).and_then(|id| of_tensor[id]) {
                        Some(block) => {
                            blocks[block].life.end = end;
                            block
                        }
                        None => {
                            blocks.push(Block { bytes: bytes(output), life: at..end });
                            blocks.len() - 1
                        }
                    };
                    of_tensor[output] = Some(block);
                }
            }
            let bytes = network.scratch_bytes(layer);
            if bytes > 0 {
                of_scratch[at] = Some(blocks.len());
                blocks.push(Block { bytes, life: at..at + 1 });
            }
        }
        Blocks { blocks, of_tensor, of_scratch }
    }

    /// Bytes of what lives at once at the fullest moment.
    pub fn bound(&self) -> usize {
        bound(&self.blocks)
    }

    /// Gives everything its place.
    pub fn place(&self, network: &Network) -> Arena {
        let (bytes, offsets) = pack(&self.blocks);
        let offset = |block: &Option<usize>| block.map_or(0, |block| offsets[block]);
        let tensor = |id: TensorId| {
            let (whole, skipped) = network.whole(id);
            offset(&self.of_tensor[whole]) + skipped
        };
        Arena {
            bytes,
            bound: self.bound(),
            tensors: (0..network.tensors.len()).map(tensor).collect(),
            scratch: self.of_scratch.iter().map(offset).collect(),
        }
    }
}

/// The places of everything that `network` needs.
pub fn place(network: &Network) -> Arena {
    Blocks::of(network).place(network)
}
