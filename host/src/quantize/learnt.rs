//! Ranges that a training has learnt: how a float model carries them, and whether they are those of its graph.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use tract_onnx::pb::ModelProto;

use super::ImportError;
use super::lattice::Quantization;
use crate::onnx::float::{FloatGraph, Op};
use crate::onnx::property::{property, set_property};

/// The `metadata_props` key that holds a [`Record`] as JSON.
pub const RANGES_KEY: &str = "arcgate-ranges";

/// The steps of everything that int8 rounds, by tensor in the graph's order.
#[derive(Debug, Clone, PartialEq)]
pub struct Ranges {
    /// Of every tensor.
    pub tensors: Vec<Quantization>,
    /// Of the weights of the convolution that makes each tensor, one an output channel; none where another layer makes it.
    pub weights: Vec<Vec<f32>>,
}

/// [`Ranges`] by the names of the tensors.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Record {
    tensors: BTreeMap<String, Steps>,
    weights: BTreeMap<String, Vec<f32>>,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Steps {
    scale: f32,
    zero_point: i8,
}

/// What is wrong, in the words of [`ImportError::Ranges`].
type Problem = (String, &'static str);

impl Ranges {
    /// What `model`, which `graph` was read from, carries; `None` where it carries none.
    ///
    /// # Errors
    /// When they are not the ranges of this graph: other names, numbers of channels, or scales that are none.
    pub fn of(model: &ModelProto, graph: &FloatGraph) -> Result<Option<Self>, ImportError> {
        let Some(text) = property(model, RANGES_KEY) else { return Ok(None) };
        let read = serde_json::from_str(text).map_err(|why| (why.to_string(), "what `arcgate train` wrote"));
        let ranges = read.and_then(|record| Self::by_tensor(record, graph));
        ranges.map(Some).map_err(|(problem, accepted)| ImportError::Ranges { problem, accepted })
    }

    /// Writes them into `model`, which `graph` was read from, in the place of earlier ones.
    pub fn store(&self, model: &mut ModelProto, graph: &FloatGraph) {
        let names = || graph.tensors.iter().map(|map| map.name.clone());
        let steps = |q: &Quantization| Steps { scale: q.scale, zero_point: q.zero_point };
        let record = Record {
            tensors: names().zip(self.tensors.iter().map(steps)).collect(),
            weights: names().zip(self.weights.iter().cloned()).filter(|(_, w)| !w.is_empty()).collect(),
        };
        let text = serde_json::to_string(&record).expect("plain fields and string keys always serialize");
        set_property(model, RANGES_KEY, text);
    }

    fn by_tensor(mut record: Record, graph: &FloatGraph) -> Result<Self, Problem> {
        const OWN: &str = "the file as `arcgate train` wrote it; a changed graph must be trained again";
        let mut ranges = Ranges { tensors: Vec::new(), weights: Vec::new() };
        for (id, map) in graph.tensors.iter().enumerate() {
            let steps = record.tensors.remove(&map.name);
            let Steps { scale, zero_point } =
                steps.ok_or_else(|| (format!("none for tensor {:?}", map.name), OWN))?;
            let made_by_conv = graph.layers.iter().any(|l| l.output == id && matches!(l.op, Op::Conv(_)));
            let weights = record.weights.remove(&map.name).unwrap_or_default();
            let wanted = if made_by_conv { map.channels } else { 0 };
            if weights.len() != wanted {
                let found = weights.len();
                return Err((
                    format!("tensor {:?} has {found} scales of weights, not {wanted}", map.name),
                    OWN,
                ));
            }
            if let Some(strange) = weights.iter().chain([&scale]).find(|s| !s.is_normal() || **s < 0.0) {
                return Err((format!("tensor {:?} has the scale {strange}", map.name), "scales above 0"));
            }
            if graph.is_embedding(id) && zero_point != 0 {
                let found = format!("the embedding {:?} has the zero point {zero_point}", map.name);
                return Err((found, "0, so that angles are integer products"));
            }
            ranges.tensors.push(Quantization { scale, zero_point });
            ranges.weights.push(weights);
        }
        match record.tensors.keys().chain(record.weights.keys()).next() {
            Some(name) => Err((format!("some for a tensor {name:?} that the graph lacks"), OWN)),
            None => Ok(ranges),
        }
    }
}

#[cfg(test)]
mod tests {
    use arcgate_firmware::model::Task;

    use super::*;
    use crate::onnx::float::{Clamp, Conv, ConvKind, Layer, Map};

    /// A picture of one pixel, a convolution to two channels.
    fn graph() -> FloatGraph {
        let map = |name: &str, channels| Map { name: name.into(), channels, height: 1, width: 1 };
        let conv = Conv {
            kind: ConvKind::Conv,
            outputs: 2,
            inputs_per_group: 1,
            group: 1,
            kernel: [1, 1],
            strides: [1, 1],
            pads: [0; 4],
            weights: vec![1.0, -1.0],
            bias: vec![0.0; 2],
        };
        let (name, kind) = ("conv".into(), "Conv".into());
        let layer = Layer { name, kind, op: Op::Conv(conv), clamp: Clamp::NONE, inputs: vec![0], output: 1 };
        FloatGraph {
            tensors: vec![map("x", 1), map("y", 2)],
            layers: vec![layer],
            task: Task::Embedding,
            outputs: vec![1],
        }
    }

    fn ranges() -> Ranges {
        let steps = |scale, zero_point| Quantization { scale, zero_point };
        Ranges { tensors: vec![steps(0.1, -3), steps(0.3, 0)], weights: vec![vec![], vec![0.01, 1.0 / 3.0]] }
    }

    fn told(change: impl FnOnce(&mut Ranges, &mut FloatGraph)) -> String {
        let (mut ranges, mut other, mut model) = (ranges(), graph(), ModelProto::default());
        change(&mut ranges, &mut other);
        ranges.store(&mut model, &other);
        Ranges::of(&model, &graph()).unwrap_err().to_string()
    }

    #[test]
    fn come_back_to_the_bit_and_only_to_their_graph() {
        let mut model = ModelProto::default();
        assert_eq!(Ranges::of(&model, &graph()).unwrap(), None);
        ranges().store(&mut model, &graph());
        ranges().store(&mut model, &graph());
        assert_eq!(Ranges::of(&model, &graph()).unwrap(), Some(ranges()));
        assert_eq!(model.metadata_props.len(), 1);

        let other = told(|_, graph| graph.tensors[1].name = "z".into());
        assert!(other.contains("none for tensor \"y\"") && other.contains("accepted: "), "{other}");
        let more = told(|ranges, graph| {
            ranges.tensors.push(ranges.tensors[0]);
            graph.tensors.push(Map { name: "z".into(), ..graph.tensors[0].clone() });
        });
        assert!(more.contains("tensor \"z\" that the graph lacks"), "{more}");
        let fewer = told(|ranges, _| _ = ranges.weights[1].pop());
        assert!(fewer.contains("tensor \"y\" has 1 scales of weights, not 2"), "{fewer}");
        let negative = told(|ranges, _| ranges.weights[1][0] = -0.5);
        assert!(negative.contains("tensor \"y\" has the scale -0.5"), "{negative}");
        let nothing = told(|ranges, _| ranges.tensors[0].scale = 0.0);
        assert!(nothing.contains("tensor \"x\" has the scale 0"), "{nothing}");
        // JSON has no word for it.
        let strange = told(|ranges, _| ranges.tensors[0].scale = f32::NAN);
        assert!(strange.contains("learnt ranges: "), "{strange}");
        let off_zero = told(|ranges, _| ranges.tensors[1].zero_point = 3);
        assert!(off_zero.contains("the zero point 3") && off_zero.contains("accepted: 0"), "{off_zero}");
    }
}
