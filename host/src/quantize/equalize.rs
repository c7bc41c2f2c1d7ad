//! Cross-layer equalization: the channels of a tensor brought to like ranges before the tensor gets its one scale.
//!
//! Where a channel reaches only a tenth of its tensor's range, nine tenths of the 256 steps never say anything about it. A
//! channel may be multiplied by any positive factor where convolutions make it and divided by it where convolutions read it:
//! what lies between, slopes, cuts at zero, sums and pixels moved about, commutes with the factor (Nagel et al., "Data-Free Quantization Through
//! Weight Equalization and Bias Correction", 2019, there to even out weights; here weights have a scale a channel, and it is
//! activations that are evened out). All the tensors between such convolutions, a whole residual stream, take one factor a
//! channel.
//!
//! A depthwise convolution has a scale for each channel's weights: the factor costs nothing and is what fills the range. Any
//! other has one scale for the weights of all its inputs: there a factor makes the channel's values finer and its weights
//! coarser, and the one with the least error of both together is taken.

use super::calibrate::Observed;
use crate::onnx::float::{Clamp, Conv, FloatGraph, Layer, Op, TensorId};

/// Most that a channel is enlarged: what calibration hardly saw move may move on other pictures, and would be cut off.
const GREATEST: f64 = 16.0;

/// How much of the range a channel is made to fill by what calibration saw of it: many channels that just fit all have something
/// to lose on a picture that is unlike those.
const FILLED: f64 = 0.8;

/// Least reach that an output is taken to have, in parts of the layer's: what hardly says anything has no error that counts.
const LEAST_REACH: f64 = 0.1;

/// Tensors with one factor a channel.
#[derive(Default)]
struct Stream {
    tensors: Vec<TensorId>,
    /// Convolutions that make one of them.
    producers: Vec<usize>,
    /// Convolutions that read one of them.
    consumers: Vec<usize>,
    /// The graph's ends, what a curve or Concat makes or reads, and factors: these values are what they are.
    fixed: bool,
}

/// `graph` with like channels, the same function as long as no activation is beyond what was observed.
pub(super) fn equalize(graph: &FloatGraph, observed: &[Observed]) -> FloatGraph {
    let mut equal = graph.clone();
    for stream in streams(graph).into_iter().filter(|s| !s.fixed) {
        let factors = factors(graph, observed, &stream);
        for &layer in &stream.producers {
            if let Op::Conv(conv) = &mut equal.layers[layer].op {
                conv.scale_outputs(&factors);
            }
        }
        for &layer in &stream.consumers {
            if let Op::Conv(conv) = &mut equal.layers[layer].op {
                conv.unscale_inputs(&factors);
            }
        }
    }
    equal
}

/// What the square of an error in each channel of each tensor counts: what it makes in the outputs of the convolutions that read
/// its stream, relative to their ranges. 1 where nothing does.
pub(super) fn importance(graph: &FloatGraph, observed: &[Observed]) -> Vec<Vec<f64>> {
    let mut importance: Vec<Vec<f64>> = graph.tensors.iter().map(|t| vec![1.0; t.channels]).collect();
    for stream in streams(graph).iter().filter(|s| !s.consumers.is_empty()) {
        let errors = Errors::of(graph, observed, stream, 1.0);
        stream.tensors.iter().for_each(|&t| importance[t].clone_from(&errors.values));
    }
    importance
}

/// The inputs of a layer that a factor a channel goes through, to its output.
fn bound(layer: &Layer) -> &[TensorId] {
    match layer.op {
        Op::Slope(_) | Op::Add | Op::MaxPool(_) | Op::Upsample(_) => &layer.inputs,
        Op::Product => &layer.inputs[..1],
        Op::Conv(_) | Op::Curve(_) | Op::Concat => &[],
    }
}

/// The graph's tensors by what slopes and sums bind together.
fn streams(graph: &FloatGraph) -> Vec<Stream> {
    let mut of: Vec<TensorId> = (0..graph.tensors.len()).collect();
    for layer in &graph.layers {
        for &input in bound(layer) {
            let (from, to) = (of[input], of[layer.output]);
            of.iter_mut().filter(|s| **s == from).for_each(|s| *s = to);
        }
    }
    let mut streams: Vec<Stream> = graph.tensors.iter().map(|_| Stream::default()).collect();
    for (tensor, &stream) in of.iter().enumerate() {
        streams[stream].tensors.push(tensor);
    }
    for (at, layer) in graph.layers.iter().enumerate() {
        let [read, made] = [layer.inputs[0], layer.output].map(|tensor| of[tensor]);
        match layer.op {
            Op::Conv(_) => {
                streams[made].producers.push(at);
                streams[read].consumers.push(at);
            }
            Op::Curve(_) | Op::Concat => {
                let ends = layer.inputs.iter().chain([&layer.output]);
                ends.for_each(|&tensor| streams[of[tensor]].fixed = true);
            }
            Op::Product => streams[of[layer.inputs[1]]].fixed = true,
            Op::Slope(_) | Op::Add | Op::MaxPool(_) | Op::Upsample(_) => {}
        }
    }
    graph.outputs.iter().chain([&0]).for_each(|&end| streams[of[end]].fixed = true);
    streams.retain(|stream| !stream.tensors.is_empty());
    streams
}

/// What each channel of the stream is multiplied with.
fn factors(graph: &FloatGraph, observed: &[Observed], stream: &Stream) -> Vec<f64> {
    let channels = graph.tensors[stream.tensors[0]].channels;
    let room = |c: usize| {
        let of_tensors = stream.tensors.iter().map(|&t| (observed[t].room(c) * FILLED).max(1.0));
        of_tensors.fold(GREATEST, f64::min)
    };
    let noise: f64 = stream.tensors.iter().map(|&t| observed[t].step().powi(2)).sum();
    let errors = Errors::of(graph, observed, stream, noise);
    // What is cut at 6 must not be made smaller before the cut.
    let cut = |clamp: Clamp| [clamp.lo, clamp.hi].iter().any(|end| *end != 0.0 && end.is_finite());
    let made = graph.layers.iter().filter(|l| stream.tensors.contains(&l.output));
    let least = if made.map(|l| l.clamp).any(cut) { 1.0 } else { 1.0 / GREATEST };
    (0..channels).map(|c| errors.least(c).clamp(least, room(c))).collect()
}

/// The squared error that each channel of a stream makes in the outputs read from it, relative to their ranges.
struct Errors {
    /// By the rounding of its values: falls with the square of its factor.
    values: Vec<f64>,
    /// By the rounding of the weights that read it: rises with it.
    weights: Vec<f64>,
}

impl Errors {
    /// Of a stream whose values are off by a mean square of `noise`.
    fn of(graph: &FloatGraph, observed: &[Observed], stream: &Stream, noise: f64) -> Self {
        let channels = graph.tensors[stream.tensors[0]].channels;
        let mut errors = Errors { values: vec![0.0; channels], weights: vec![0.0; channels] };
        for layer in stream.consumers.iter().map(|&l| &graph.layers[l]) {
            if let Op::Conv(conv) = &layer.op {
                errors.add(conv, noise, &observed[layer.inputs[0]], &observed[layer.output]);
            }
        }
        errors
    }

    fn add(&mut self, conv: &Conv, noise: f64, read: &Observed, made: &Observed) {
        let taps = conv.kernel[0] * conv.kernel[1];
        let per_group = conv.outputs / conv.group;
        let most = made.channels.iter().map(|c| c.reach()).fold(f64::MIN_POSITIVE, f64::max);
        for (output, row) in conv.weights.chunks_exact(conv.taps()).enumerate() {
            let reach = made.channels[output].reach().max(LEAST_REACH * most);
            let importance = 1.0 / (reach * reach);
            let coarse = row.iter().fold(0f32, |m, w| m.max(w.abs())) as f64 / 127.0;
            let first = output / per_group * conv.inputs_per_group;
            for (input, kernel) in row.chunks_exact(taps).enumerate() {
                let squares: f64 = kernel.iter().map(|&w| f64::from(w) * f64::from(w)).sum();
                self.values[first + input] += importance * squares * noise;
                if conv.inputs_per_group > 1 {
                    let power = read.channels[first + input].mean_square;
                    self.weights[first + input] += importance * coarse * coarse * taps as f64 * power;
                }
            }
        }
    }

    /// Where `values / f^2 + weights f^2` is least; without weights, as large as may be.
    fn least(&self, c: usize) -> f64 {
        if self.values[c] == 0.0 { 1.0 } else { (self.values[c] / self.weights[c]).powf(0.25) }
    }
}

#[cfg(test)]
mod tests {
    use super::super::calibrate::{FloatRunner, ObservedChannel};
    use super::*;
    use crate::onnx::float::{ConvKind, Map};
    use arcgate_firmware::model::Task;

    fn conv(outputs: usize, inputs_per_group: usize, group: usize, weights: Vec<f32>) -> Op {
        let (kind, bias) = (ConvKind::Conv, vec![0.1; outputs]);
        let (kernel, strides, pads) = ([1, 1], [1, 1], [0; 4]);
        Op::Conv(Conv { kind, outputs, inputs_per_group, group, kernel, strides, pads, weights, bias })
    }

    /// A picture of one pixel; a convolution cut at 6, a slope, a depthwise one, a sum with what the slope made, the embedding.
    fn graph() -> FloatGraph {
        let map = |at: usize, channels| Map { name: format!("t{at}"), channels, height: 1, width: 1 };
        let layer = |op, clamp, inputs: &[TensorId], output| {
            let (name, kind) = (format!("l{output}"), String::new());
            Layer { name, kind, op, clamp, inputs: inputs.to_vec(), output }
        };
        let six = Clamp { lo: 0.0, hi: 6.0 };
        let layers = vec![
            layer(conv(2, 1, 1, vec![3.0, 0.02]), six, &[0], 1),
            layer(conv(2, 1, 2, vec![-1.0, 2.0]), Clamp::NONE, &[1], 2),
            layer(Op::Slope(vec![0.25, 0.5]), Clamp::NONE, &[2], 3),
            layer(conv(2, 2, 1, vec![1.0, -0.5, 0.25, 3.0]), Clamp::NONE, &[3], 4),
            layer(Op::Add, Clamp { lo: 0.0, hi: f32::INFINITY }, &[3, 4], 5),
            layer(conv(2, 2, 1, vec![0.5, 4.0, -1.0, 0.1]), Clamp::NONE, &[5], 6),
        ];
        FloatGraph {
            tensors: [1, 2, 2, 2, 2, 2, 2].iter().enumerate().map(|(t, &c)| map(t, c)).collect(),
            layers,
            task: Task::Embedding,
            outputs: vec![6],
        }
    }

    const PIXELS: [f32; 5] = [-2.0, -0.5, 0.3, 1.0, 2.5];

    fn observe(graph: &FloatGraph) -> Vec<Observed> {
        let outputs: Vec<TensorId> = (1..graph.tensors.len()).collect();
        let runner = FloatRunner::new(graph, &outputs).unwrap();
        let runs: Vec<Vec<Vec<f32>>> =
            PIXELS.iter().map(|&p| [vec![vec![p]], runner.run(&[p]).unwrap()].concat()).collect();
        let of = |tensor: usize| {
            let channel = |c: usize| {
                let values = runs.iter().map(|r| r[tensor][c]);
                let mean_square = values.clone().map(|v| f64::from(v * v)).sum::<f64>() / PIXELS.len() as f64;
                let (lo, hi) = (values.clone().fold(0.0, f32::min), values.fold(0.0, f32::max));
                ObservedChannel { lo, hi, mean_square }
            };
            let channels: Vec<ObservedChannel> = (0..graph.tensors[tensor].channels).map(channel).collect();
            let lo = channels.iter().map(|c| c.lo).fold(0.0, f32::min);
            let hi = channels.iter().map(|c| c.hi).fold(0.0, f32::max);
            Observed { lo, hi, samples: vec![], channels }
        };
        (0..graph.tensors.len()).map(of).collect()
    }

    #[test]
    fn the_function_stays_and_channels_fill_their_range() {
        let plain = graph();
        let before = observe(&plain);
        let equal = equalize(&plain, &before);
        let embed =
            |graph: &FloatGraph, p: f32| FloatRunner::new(graph, &[6]).unwrap().run(&[p]).unwrap().concat();
        for p in PIXELS {
            let (wanted, found) = (embed(&plain, p), embed(&equal, p));
            for (w, f) in wanted.iter().zip(&found) {
                assert!((w - f).abs() <= 1e-5 * w.abs().max(1.0), "{wanted:?} became {found:?} at {p}");
            }
        }
        // The second channel reached a fortieth of the first's 6: now as much as it may.
        let after = observe(&equal);
        assert!(before[1].room(1) > 30.0);
        let grown = before[1].room(1) / after[1].room(1);
        assert!((grown / GREATEST - 1.0).abs() < 1e-5, "{grown}");
        assert_eq!(after[1].channels[0].hi, 6.0, "what is cut stays where the cut is");
    }

    #[test]
    fn a_stream_takes_one_factor_and_ends_take_none() {
        let streams = streams(&graph());
        let bound = streams.iter().find(|s| s.tensors.contains(&2)).unwrap();
        assert_eq!(bound.tensors, [2, 3, 4, 5]);
        assert_eq!((bound.producers.as_slice(), bound.consumers.as_slice()), (&[1, 3][..], &[3, 5][..]));
        let equal = equalize(&graph(), &observe(&graph()));
        let Op::Conv(last) = &equal.layers[5].op else { panic!("a convolution") };
        assert_eq!(last.bias, [0.1, 0.1], "the embedding keeps its scale");
    }
}
