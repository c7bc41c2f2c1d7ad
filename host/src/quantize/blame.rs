//! Which layers the difference between float and int8 embeddings comes from: each layer alone in int8, everything else in float.

use std::collections::HashMap;

use arcgate_firmware::embedding::Angle;
use rayon::prelude::*;
use serde::Serialize;

use super::calibrate::{FloatRunner, Observed};
use super::input::Picture;
use super::lattice::Quantization;
use super::measure::cosine;
use super::range::Rule;
use super::walk::Quantized;
use super::{ImportError, Progress};
use crate::onnx::float::{FloatGraph, TensorId};

/// What one layer does when it alone is in int8: its weights, its bias, and the rounding of its output.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Blame {
    /// The node's name in the int8 graph.
    pub layer: String,
    /// What it was in the float graph ("Conv+Relu").
    pub op: String,
    /// Channels, rows and columns of the output.
    pub shape: [usize; 3],
    /// Mean angle between the embeddings, in degrees.
    pub mean_degrees: f64,
    /// The greatest one.
    pub greatest_degrees: f64,
    /// Signal to quantization noise of its output, 10 log10 of the ratio of their squares, in decibels; none where nothing differs.
    pub sqnr_db: Option<f64>,
    /// The least and the greatest value that its output can take.
    pub range: [f32; 2],
    /// What that range was chosen by.
    pub rule: Rule,
    /// The share of its output's values, as seen in calibration, that lie beyond.
    pub saturated: f64,
    /// The largest relative move of its scales onto the lattice, dead channels left out.
    pub moved: f64,
    /// Channels whose requantization scale was raised to the least that is placed.
    pub dead: usize,
}

/// Blames every layer for its part on `crops`, the worst first. The input counts as a layer.
pub(super) fn blame(
    graph: &FloatGraph,
    observed: &[Observed],
    quantized: &Quantized,
    picture: &Picture,
    crops: &[Vec<u8>],
    progress: &dyn Fn(Progress),
) -> Result<Vec<Blame>, ImportError> {
    let pixels: Vec<Vec<f32>> = crops.iter().map(|crop| picture.reals(crop)).collect();
    let count = graph.layers.len() + 1;
    progress(Progress::Blaming(0, count));
    let mut found = Vec::with_capacity(count);
    for (at, row) in quantized.rows.iter().enumerate() {
        let (mut alone, mut rounded) = (graph.clone(), HashMap::new());
        let tensor = at.checked_sub(1).map_or(0, |layer| graph.layers[layer].output);
        let steps = quantized.steps[tensor];
        if let Some(layer) = at.checked_sub(1) {
            alone.layers[layer].op = quantized.meant[layer].clone();
            rounded.insert(tensor, steps);
        }
        // What the graph gives, and behind it what the layer makes.
        let outputs: Vec<TensorId> = match tensor {
            0 => graph.outputs.clone(),
            made => graph.outputs.iter().copied().chain([made]).collect(),
        };
        let float = FloatRunner::new(graph, &outputs)?;
        let int8 = FloatRunner::rounding(&alone, &outputs, &rounded)?;
        let compare = |reals: &Vec<f32>| -> Result<(f64, [f64; 2]), ImportError> {
            let input = match tensor {
                0 => reals.iter().map(|&v| steps.nearest(v)).collect(),
                _ => reals.clone(),
            };
            let (exact, with) = (float.run(reals)?, int8.run(&input)?);
            let given = graph.outputs.len();
            let (own, rounded) = if tensor == 0 { (reals, &input) } else { (&exact[given], &with[given]) };
            let squares = |values: &mut dyn Iterator<Item = f64>| values.map(|v| v * v).sum::<f64>();
            let signal = squares(&mut own.iter().map(|&v| f64::from(v)));
            let noise = squares(&mut own.iter().zip(rounded).map(|(&a, &b)| f64::from(a) - f64::from(b)));
            let cosine = cosine(&exact[..given].concat(), &with[..given].concat());
            let angle = f64::from(Angle::from_cosine(cosine).degrees());
            Ok((angle, [signal, noise]))
        };
        let compared: Vec<(f64, [f64; 2])> = pixels.par_iter().map(compare).collect::<Result<_, _>>()?;
        let [signal, noise] = [0, 1].map(|i| compared.iter().map(|(_, power)| power[i]).sum::<f64>());
        let range = [-128, 127].map(|step| (step - i32::from(steps.zero_point)) as f32 * steps.scale);
        found.push(Blame {
            layer: row.name.clone(),
            op: row.op.clone(),
            shape: row.shape,
            mean_degrees: compared.iter().map(|(angle, _)| angle).sum::<f64>() / compared.len() as f64,
            greatest_degrees: compared.iter().map(|(angle, _)| *angle).fold(0.0, f64::max),
            sqnr_db: (noise > 0.0 && signal > 0.0).then(|| 10.0 * (signal / noise).log10()),
            range,
            rule: row.rule,
            saturated: saturated(&observed[tensor], steps),
            moved: row.moved,
            dead: row.dead,
        });
        progress(Progress::Blaming(at + 1, count));
    }
    found.sort_by(|a, b| b.mean_degrees.total_cmp(&a.mean_degrees));
    Ok(found)
}

/// The share of samples that lie more than half a step beyond the steps.
fn saturated(seen: &Observed, q: Quantization) -> f64 {
    let zero = f32::from(q.zero_point);
    let beyond = |v: &&f32| !(-128.5 - zero..=127.5 - zero).contains(&(**v / q.scale));
    seen.samples.iter().filter(beyond).count() as f64 / seen.samples.len().max(1) as f64
}
