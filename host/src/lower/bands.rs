//! The first stage of a network in bands of rows: less RAM for more multiply-accumulates.
//!
//! Early activations are the largest, and a row of a later one needs only some rows of them. So the first layers run
//! several times, each time for the rows that one band of the stage's output needs ("patch-based inference", Lin et al.,
//! MCUNetV2, 2021, in whole rows: in HWC these lie one behind the other, and a band is a plain operation of the plan). Rows
//! where bands meet are computed twice.

use std::collections::BTreeMap;
use std::ops::Range;

use arcgate_firmware::engine::plan::MAX_STEPS;
use arcgate_firmware::kernels::{Shape, Window};

use super::arena::{self, Arena, Blocks};
use super::network::{Convolution, Layer, Network, TensorId, Work};

/// A stage in bands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
pub struct Bands {
    /// Layers of the stage, the input's table not counted: it runs once.
    pub layers: usize,
    /// Rows of the stage's output that one band gives; the last may give fewer.
    pub rows: usize,
    /// Bands.
    pub count: usize,
}

/// A network that fits, or the nearest to it.
#[derive(Debug)]
pub struct Fitted {
    /// With its first stage in bands, where that was needed.
    pub network: Network,
    /// Where its activations lie.
    pub arena: Arena,
    /// Bytes of the arena without bands.
    pub plain_bytes: usize,
    /// The bands.
    pub bands: Option<Bands>,
}

/// `network` in an arena of at most `ram` bytes with the fewest multiply-accumulates; if there is none, in the smallest that
/// bands reach.
pub fn fit(network: Network, ram: usize) -> Fitted {
    let plain = arena::place(&network);
    if plain.bytes <= ram {
        return Fitted { network, plain_bytes: plain.bytes, arena: plain, bands: None };
    }
    let mut ways: Vec<(u64, usize, Bands)> = Vec::new();
    for bands in candidates(&network) {
        let split = split(&network, bands);
        if split.layers.len() <= MAX_STEPS {
            ways.push((macs(&split), Blocks::of(&split).bound(), bands));
        }
    }
    // Those that could fit by the work that they are, then the others by what they could reach.
    ways.sort_by_key(|&(macs, bound, bands)| {
        let fits = bound <= ram;
        (!fits, if fits { macs } else { 0 }, bound, bands.count, bands.layers)
    });
    let plain_bytes = plain.bytes;
    let mut best = Fitted { network: network.clone(), arena: plain, plain_bytes, bands: None };
    for (_, bound, bands) in ways {
        if bound >= best.arena.bytes {
            continue;
        }
        let network = split(&network, bands);
        let arena = arena::place(&network);
        if arena.bytes < best.arena.bytes {
            best = Fitted { network, arena, plain_bytes, bands: Some(bands) };
        }
        if best.arena.bytes <= ram {
            break;
        }
    }
    best
}

/// Multiply-accumulates of one run.
fn macs(network: &Network) -> u64 {
    let of = |layer: &Layer| match &layer.work {
        Work::Conv(conv) => {
            let output = network.tensors[layer.output];
            (output.height * output.width) as u64 * conv.weights.len() as u64
        }
        _ => 0,
    };
    network.layers.iter().map(of).sum()
}

/// Every stage that can run in bands, in bands of every height that gives another number of bands.
fn candidates(network: &Network) -> Vec<Bands> {
    let mut found = Vec::new();
    // The input's table is the first layer and always whole.
    for layers in 1..network.layers.len() {
        if rows(&network.layers[layers].work).is_none() {
            break;
        }
        if !is_cut(network, layers) {
            continue;
        }
        let height = network.tensors[network.layers[layers].output].height;
        let mut before = 1;
        for rows in (1..height).rev() {
            let count = height.div_ceil(rows);
            if count > before {
                found.push(Bands { layers, rows, count });
            }
            before = count;
        }
    }
    found
}

/// Whether of the layers up to `last` only the last one's output is read, or filled on, by later ones or at the end.
fn is_cut(network: &Network, last: usize) -> bool {
    let output = network.layers[last].output;
    let inside = |id: &TensorId| network.layers[..=last].iter().any(|layer| layer.output == *id);
    let later = &network.layers[last + 1..];
    let filled_on = later.iter().any(|layer| inside(&layer.output));
    let mut read = later.iter().flat_map(|layer| layer.input.iter().chain(&layer.second).copied());
    let read_inside = read.any(|id| id != output && inside(&id));
    let second_is_pixel = network.layers[1..=last].iter().any(|layer| {
        layer.second.is_some_and(|second| network.tensors[second] != network.tensors[layer.output])
    });
    !filled_on
        && !read_inside
        && !second_is_pixel
        && !network.outputs().iter().any(|id| *id != output && inside(id))
}

/// Which rows of its input a layer needs for rows of its output; `None` for one that needs all of it.
#[derive(Debug, Clone, Copy)]
enum Rows {
    Same,
    Under(Window),
}

fn rows(work: &Work) -> Option<Rows> {
    match work {
        Work::Conv(conv) => Some(Rows::Under(conv.window)),
        Work::MaxPool(window) => Some(Rows::Under(*window)),
        Work::Sum(_)
        | Work::FloatSum(_)
        | Work::Product(_)
        | Work::Lookup(_)
        | Work::LookupChannels(_)
        | Work::Slope(_)
        | Work::Place { .. } => Some(Rows::Same),
        Work::Input(_) | Work::Planes | Work::Upsample => None,
    }
}

impl Rows {
    /// The rows of an input with `height` rows, and how many rows of padding lie above them.
    fn needed(self, output: &Range<usize>, height: usize) -> (Range<usize>, usize) {
        match self {
            Rows::Same => (output.clone(), 0),
            Rows::Under(window) => {
                let [kernel, stride, pad] = [window.kernel[0], window.stride[0], window.pad[0]];
                let (first, end) = (output.start * stride, (output.end - 1) * stride + kernel);
                (first.saturating_sub(pad)..end.saturating_sub(pad).min(height), pad.saturating_sub(first))
            }
        }
    }
}

/// `network` with its first stage in `bands`.
fn split(network: &Network, bands: Bands) -> Network {
    let mut new = Network { layers: network.layers[..1].to_vec(), ..network.clone() };
    let stage = &network.layers[1..=bands.layers];
    let output = network.layers[bands.layers].output;
    let height = network.tensors[output].height;
    for start in (0..height).step_by(bands.rows) {
        band(network, &mut new, stage, output, start..height.min(start + bands.rows));
    }
    new.layers.extend_from_slice(&network.layers[bands.layers + 1..]);
    new
}

/// Adds the layers that give `rows` of `output`.
fn band(network: &Network, new: &mut Network, stage: &[Layer], output: TensorId, rows_of: Range<usize>) {
    let mut needed = BTreeMap::from([(output, rows_of.clone())]);
    for layer in stage.iter().rev() {
        let Some(below) = needed.get(&layer.output).cloned() else { continue };
        let how = rows(&layer.work).unwrap_or(Rows::Same);
        for id in layer.input.iter().chain(&layer.second) {
            let (rows, _) = how.needed(&below, network.tensors[*id].height);
            let all = needed.entry(*id).or_insert(rows.clone());
            *all = all.start.min(rows.start)..all.end.max(rows.end);
        }
    }
    // What the stage reads from before it is there already, whole.
    let mut made: BTreeMap<TensorId, (TensorId, Range<usize>)> = BTreeMap::new();
    for layer in stage {
        let Some(rows_out) = needed.get(&layer.output).cloned() else { continue };
        let how = rows(&layer.work).unwrap_or(Rows::Same);
        let mut work = layer.work.clone();
        let mut read = |id: TensorId, new: &mut Network| {
            let (rows, pad) = how.needed(&rows_out, network.tensors[id].height);
            if let Work::Conv(Convolution { window, .. }) | Work::MaxPool(window) = &mut work {
                window.pad[0] = pad;
            }
            match made.get(&id) {
                Some(&(there, ref has)) if *has == rows => there,
                Some(&(there, ref has)) => new.part(there, rows.start - has.start..rows.end - has.start),
                None if rows.len() == network.tensors[id].height => id,
                None => new.part(id, rows),
            }
        };
        let input = layer.input.map(|id| read(id, new));
        let second = layer.second.map(|id| read(id, new));
        let (written, _) = made.entry(layer.output).or_insert_with(|| {
            let shape = Shape { height: rows_out.len(), ..network.tensors[layer.output] };
            let id =
                if layer.output == output { new.part(output, rows_out.clone()) } else { new.tensor(shape) };
            (id, rows_out.clone())
        });
        let name = format!("{} rows {}-{}", layer.name, rows_out.start, rows_out.end - 1);
        new.layers.push(Layer { name, work, input, second, output: *written });
    }
}
