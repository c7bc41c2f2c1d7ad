//! A float graph's convolutions as a network's layers.

use super::{Misfit, Step, steps};
use crate::net::{Activation, ConvBn, Kind, Net};
use crate::onnx::float::{Clamp, Conv, FloatGraph, Layer, Op};
use crate::train::state::Values;

/// The weights of `graph` as those of `net`, moments 0 and 1.
pub(super) fn folded(graph: &FloatGraph, net: &Net) -> Result<Values, Misfit> {
    let mut values = Values::new();
    let mut layers = graph.layers.iter().peekable();
    let (mut at, mut aside) = (0, 0);
    for step in steps(net) {
        let (path, layer) = match step {
            Step::Fork => {
                aside = at;
                continue;
            }
            Step::Join => {
                let wanted = "the sum of a block and its input".to_owned();
                match layers.next() {
                    Some(Layer { op: Op::Add, clamp: Clamp::NONE, inputs, output, .. })
                        if *inputs == [at, aside] || *inputs == [aside, at] =>
                    {
                        at = *output;
                    }
                    other => return Err((described(other), wanted)),
                }
                continue;
            }
            Step::Layer(path, layer) => (path, layer),
        };
        let wanted = Form::of(layer);
        let bend = match layer.activation {
            Activation::None => "no activation",
            Activation::Relu => "Relu",
            Activation::Prelu => "PRelu",
        };
        let wrong = |found: String| (found, format!("{wanted} with {bend} as {path}"));
        let found = layers.next();
        let Some(Layer { op: Op::Conv(conv), inputs, clamp, output, .. }) = found else {
            return Err(wrong(described(found)));
        };
        if Form::of_conv(conv) != wanted || *inputs != [at] {
            return Err(wrong(described(found)));
        }
        at = *output;
        let relu = *clamp == Clamp { lo: 0.0, hi: f32::INFINITY };
        let channels = conv.outputs;
        let slopes = match layers.peek() {
            Some(Layer { op: Op::Slope(slopes), clamp: Clamp::NONE, inputs, output, .. })
                if layer.activation == Activation::Prelu && *clamp == Clamp::NONE && *inputs == [at] =>
            {
                layers.next();
                at = *output;
                let one = slopes.len() == 1;
                Some((0..channels).map(|c| slopes[if one { 0 } else { c }]).collect())
            }
            _ if layer.activation == Activation::Prelu && relu => Some(vec![0.0; channels]),
            _ if layer.activation == Activation::Relu && relu => None,
            _ if layer.activation == Activation::None && *clamp == Clamp::NONE => None,
            next => {
                let bent = next.filter(|l| l.inputs == [at]).map(|l| format!(" then {}", l.kind));
                return Err(wrong(format!("{}{}", described(found), bent.unwrap_or_default())));
            }
        };
        values.extend(unfold(&path, conv, layer.norm.epsilon));
        values.extend(slopes.map(|s| (format!("{path}.slopes"), s)));
    }
    match layers.next() {
        Some(more) => Err((described(Some(more)), "nothing after the embedding".into())),
        None => Ok(values),
    }
}

/// A convolution's tensors with moments 0 and 1, its kernels as long as fresh ones.
fn unfold(path: &str, conv: &Conv, epsilon: f64) -> Values {
    let taps = conv.taps();
    let mut weight = Vec::with_capacity(conv.weights.len());
    let mut gamma = Vec::with_capacity(conv.outputs);
    for kernel in conv.weights.chunks_exact(taps) {
        let length = kernel.iter().map(|&w| f64::from(w) * f64::from(w)).sum::<f64>().sqrt();
        let stretch = if length > 1e-12 { 2.0_f64.sqrt() / length } else { 1.0 };
        weight.extend(kernel.iter().map(|&w| (f64::from(w) * stretch) as f32));
        gamma.push(((1.0 + epsilon).sqrt() / stretch) as f32);
    }
    let named = |name: &str, values| (format!("{path}.{name}"), values);
    Values::from([
        named("weight", weight),
        named("norm.gamma", gamma),
        named("norm.beta", conv.bias.clone()),
        named("norm.running_mean", vec![0.0; conv.outputs]),
        named("norm.running_var", vec![1.0; conv.outputs]),
    ])
}

/// What must be the same of two convolutions.
#[derive(Debug, PartialEq)]
struct Form {
    /// Outputs, inputs of a group, rows, columns.
    weights: [usize; 4],
    strides: [usize; 2],
    /// Top, left, bottom, right.
    pads: [usize; 4],
    group: usize,
}

impl Form {
    fn of(layer: &ConvBn) -> Self {
        let weights = layer.weight.dims();
        let (stride, pad, group) = match layer.kind {
            Kind::Stem => (2, 1, 1),
            Kind::Pointwise => (1, 0, 1),
            Kind::Depthwise { stride } => (stride, 1, weights[0]),
            Kind::Global { .. } => (1, 0, weights[0]),
        };
        Form { weights, strides: [stride; 2], pads: [pad; 4], group }
    }

    fn of_conv(conv: &Conv) -> Self {
        let [rows, columns] = conv.kernel;
        Form {
            weights: [conv.outputs, conv.inputs_per_group, rows, columns],
            strides: conv.strides,
            pads: conv.pads,
            group: conv.group,
        }
    }
}

impl std::fmt::Display for Form {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Form { weights, strides, pads, group } = self;
        write!(f, "a convolution {weights:?}, strides {strides:?}, pads {pads:?}, group {group}")
    }
}

/// A layer of the file, for people.
fn described(layer: Option<&Layer>) -> String {
    let Some(Layer { name, kind, op, clamp, .. }) = layer else { return "it ends".into() };
    let what = match op {
        Op::Conv(conv) => format!(" is {}", Form::of_conv(conv)),
        _ => String::new(),
    };
    let cut =
        if *clamp == Clamp::NONE { String::new() } else { format!(" cut to {} ... {}", clamp.lo, clamp.hi) };
    format!("layer {name:?} ({kind}){what}{cut}")
}
