//! What a plan holds, layer by layer, for people and for `--json`.

use std::collections::BTreeMap;

use arcgate_firmware::engine::plan::{HEADER_BYTES, Op, Plan, PlanError, RECORD_BYTES, Step, Target};
use arcgate_firmware::kernels::requant::{Output, Requant};
use arcgate_firmware::kernels::{Shape, Window};
use arcgate_firmware::model::Task;
use serde::Serialize;

/// One layer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct LayerSummary {
    /// The ONNX node it comes from; a number when only the plan is known.
    pub name: String,
    /// What it is: "conv 3x3/2", "pointwise", "add" ...
    pub operation: String,
    /// Rows, columns and channels of what it writes.
    pub output: [usize; 3],
    /// Multiply-accumulates.
    pub macs: u64,
    /// Bytes of its weights.
    pub weight_bytes: usize,
    /// The rule that brings accumulators to int8; empty where there is none.
    pub requantization: &'static str,
    /// Whether only tract's own rule is exact here, so that onnxruntime may differ.
    pub off_lattice: bool,
}

/// A whole plan.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Summary {
    /// What the model is for.
    pub task: Task,
    /// The cores that it is laid out for.
    pub target: Target,
    /// The layers in order.
    pub layers: Vec<LayerSummary>,
    /// Multiply-accumulates of one run.
    pub macs: u64,
    /// Bytes of the plan in flash.
    pub flash_bytes: usize,
    /// Of these, weights.
    pub weight_bytes: usize,
    /// Of these, biases, multipliers, tables and the description of the layers.
    pub other_bytes: usize,
    /// Bytes of RAM that the activations take.
    pub arena_bytes: usize,
    /// Bytes of an input crop.
    pub crop_bytes: usize,
    /// Layers on tract's own rule.
    pub off_lattice_layers: usize,
}

impl Summary {
    /// Summarizes a plan; `names` are the nodes of its operations, when they are known.
    ///
    /// # Errors
    /// When `plan` is no valid plan.
    pub fn of(plan: &[u8], names: Option<&[String]>) -> Result<Self, PlanError> {
        let parsed = Plan::parse(plan)?;
        let named =
            |at: usize| names.and_then(|names| names.get(at)).cloned().unwrap_or_else(|| at.to_string());
        let layers: Vec<LayerSummary> = parsed
            .steps()
            .enumerate()
            .map(|(at, step)| step.map(|step| layer(named(at), &step)))
            .collect::<Result<_, _>>()?;
        let weight_bytes = weight_bytes(&parsed)?;
        Ok(Summary {
            task: parsed.task(),
            target: parsed.target(),
            macs: layers.iter().map(|l| l.macs).sum(),
            flash_bytes: plan.len(),
            weight_bytes,
            other_bytes: plan.len() - weight_bytes,
            arena_bytes: parsed.arena_bytes(),
            crop_bytes: parsed.info().crop_bytes(),
            off_lattice_layers: layers.iter().filter(|l| l.off_lattice).count(),
            layers,
        })
    }

    /// Bytes of the plan that describe it: header and operations.
    pub fn description_bytes(&self) -> usize {
        HEADER_BYTES + self.layers.len() * RECORD_BYTES
    }
}

/// The weights of an operation; none where it has none.
fn weights<'p>(step: &Step<'p>) -> &'p [i8] {
    match step.op {
        Op::Conv(conv) => conv.weights,
        Op::Depthwise(depthwise) => depthwise.weights,
        _ => &[],
    }
}

/// Bytes of all weights; bands of one layer share theirs.
fn weight_bytes(plan: &Plan<'_>) -> Result<usize, PlanError> {
    let mut sections = BTreeMap::new();
    for step in plan.steps() {
        let weights = weights(&step?);
        sections.insert(weights.as_ptr(), weights.len());
    }
    Ok(sections.values().sum())
}

fn layer(name: String, step: &Step<'_>) -> LayerSummary {
    let rule = |finish: &Output<'_>| match finish.requant {
        Requant::HighMul { .. } | Requant::ShiftedHighMul { .. } => ("high multiply", false),
        Requant::PerChannelF32 { .. } => ("f32 per channel", true),
        Requant::Uniform(_) => ("exact product", true),
    };
    let (operation, (requantization, off_lattice)) = match &step.op {
        Op::Input { .. } => ("input table".into(), ("", false)),
        Op::Conv(conv) => (convolution(conv.input, conv.window, conv.groups), rule(&conv.finish)),
        Op::Depthwise(dw) => (format!("depthwise {}", size(dw.window)), rule(&dw.finish)),
        Op::Sum(_) => ("add".into(), ("integer", false)),
        Op::FloatSum(_) => ("add".into(), ("f32", true)),
        Op::Lookup { .. } => ("table".into(), ("", false)),
        Op::LookupChannels { .. } => ("table per channel".into(), ("", false)),
        Op::Slope(_) => ("prelu".into(), ("integer", false)),
        Op::Planes => ("to planes".into(), ("", false)),
        Op::MaxPool(pool) => (format!("max pool {}", size(pool.window)), ("", false)),
        Op::Upsample => ("upsample".into(), ("", false)),
        Op::Place { .. } => ("concat".into(), ("", false)),
        Op::Product(_) => ("product".into(), ("integer", false)),
    };
    let Shape { height, width, channels } = step.output.shape;
    LayerSummary {
        name,
        operation,
        output: [height, width, channels],
        macs: step.macs(),
        weight_bytes: weights(step).len(),
        requantization,
        off_lattice,
    }
}

fn convolution(input: Shape, window: Window, groups: usize) -> String {
    if groups > 1 {
        return format!("conv {} in {groups} groups", size(window));
    }
    let whole = window.kernel == [input.height, input.width] && window.pad == [0, 0];
    match (whole, window.kernel) {
        (true, _) => "fully connected".into(),
        (false, [1, 1]) if window.stride == [1, 1] => "pointwise".into(),
        (false, [1, 1]) => format!("pointwise /{}", window.stride[0].max(window.stride[1])),
        _ => format!("conv {}", size(window)),
    }
}

/// "3x3", or "3x3/2" with a stride.
fn size(window: Window) -> String {
    let [rows, columns] = window.kernel;
    match window.stride {
        [1, 1] => format!("{rows}x{columns}"),
        [a, b] if a == b => format!("{rows}x{columns}/{a}"),
        [a, b] => format!("{rows}x{columns}/{a}x{b}"),
    }
}
