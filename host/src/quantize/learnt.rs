//! Ranges that a training has learnt: how a float model carries them, and whether they are those of its graph.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use tract_onnx::pb::ModelProto;

use super::ImportError;
use super::lattice::Quantization;
use crate::onnx::float::{FloatGraph, Op};
use crate::onnx::metadata::{property, set_property};

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
            if id == graph.embedding() && zero_point != 0 {
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
