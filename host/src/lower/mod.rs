//! Int8 ONNX to plan: tract loads, types and declutters the graph, and every node becomes integer operations that equal
//! tract's optimized graph to the byte, or is refused by name.
//!
//! `walk` goes through the graph (`value` says what a wire holds, `convolution`, `slope`, `pairs` and `spatial` find the integer forms) and
//! builds a `network`; `bands` splits its first stage where RAM is short; `arena` places the activations (`pack` finds the offsets);
//! `emit` writes the bytes. [`prove`] runs both engines on crops.

mod arena;
mod bands;
mod convolution;
mod emit;
mod error;
mod network;
mod pack;
mod pairs;
mod prove;
mod slope;
mod spatial;
mod summary;
mod value;
mod walk;

pub use bands::Bands;
pub use error::LowerError;
pub use prove::{ProofReport, prove, prove_with, synthetic_crops};
pub use summary::{LayerSummary, Summary};

use arcgate_firmware::engine::plan::{HEADER_BYTES, Plan, PlanError, Target};
use arcgate_firmware::model::Task;
use arcgate_firmware::model::thresholds::ThresholdTable;
use serde::Serialize;
use tract_onnx::pb::ModelProto;
use tract_onnx::prelude::*;

use self::bands::Fitted;
use self::network::Network;
use crate::onnx::metadata::{Metadata, MetadataError};

/// A plan, where its operations come from, and how its activations lie.
#[derive(Debug, Clone)]
pub struct Lowered {
    /// The plan.
    pub plan: Vec<u8>,
    /// The ONNX node of each operation.
    pub names: Vec<String>,
    /// The arena.
    pub memory: Memory,
}

/// How well activations and scratch are packed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Memory {
    /// Bytes of the arena.
    pub arena_bytes: usize,
    /// Bytes that live at once at the fullest moment of this order of operations: no arena is smaller.
    pub live_bytes: usize,
    /// Bytes of the arena without bands.
    pub plain_bytes: usize,
    /// The bands that the first stage runs in.
    pub bands: Option<Bands>,
}

/// Lowers an int8 ONNX to a plan.
///
/// # Errors
/// When the graph holds what has no exact integer form; the error names the node and what would be accepted.
pub fn lower(model: &ModelProto) -> Result<Vec<u8>, LowerError> {
    lower_named(model).map(|lowered| lowered.plan)
}

/// [`lower`], with the names of the nodes that the operations come from.
///
/// # Errors
/// As there.
pub fn lower_named(model: &ModelProto) -> Result<Lowered, LowerError> {
    lower_for(model, Goal::default())
}

/// What a plan is made for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Goal {
    /// The cores that it is laid out for.
    pub target: Target,
    /// The most bytes that its arena may have.
    pub ram: usize,
}

impl Default for Goal {
    /// Any core, and as much RAM as the plain order of operations takes.
    fn default() -> Self {
        Goal { target: Target::Portable, ram: usize::MAX }
    }
}

/// [`lower_named`] for some cores, into an arena of so many bytes: if the plain order of operations takes more, the first stage
/// runs in bands of rows, with as few more multiply-accumulates as possible.
///
/// # Errors
/// As there, and when the smallest arena that bands reach is larger.
pub fn lower_for(model: &ModelProto, Goal { target, ram }: Goal) -> Result<Lowered, LowerError> {
    let metadata = Metadata::of(model)?;
    let info = metadata.model_info()?;
    metadata.check_identity(model)?;
    let declutter = || tract_onnx::onnx().model_for_proto_model(model)?.into_typed()?.into_decluttered();
    let graph = declutter().map_err(|e| LowerError::Graph(format!("{e:#}")))?;
    let network = Network { target, ..walk::walk(&graph, &info, metadata.task)? };
    let Fitted { network, arena, plain_bytes, bands } = bands::fit(network, ram);
    if arena.bytes > ram {
        return Err(LowerError::Ram { asked: ram, least: arena.bytes, plain: plain_bytes });
    }
    let plan = emit::emit(&network, &arena)?;
    Plan::parse(&plan)?;
    let plan = match &metadata.thresholds {
        Some(thresholds) => with_thresholds(
            &plan,
            &thresholds.to_bytes().map_err(|why| MetadataError::Thresholds(why.into()))?,
        )?,
        None => plan,
    };
    let memory = Memory { arena_bytes: arena.bytes, live_bytes: arena.bound, plain_bytes, bands };
    let names = network.layers.into_iter().map(|layer| layer.name).collect();
    Ok(Lowered { plan, names, memory })
}

/// The same plan with a threshold table, in the place of an earlier one. The embedding id stays as it is.
///
/// # Errors
/// When `plan` is no valid plan of an embedder, or `table` no table.
pub fn with_thresholds(plan: &[u8], table: &[u8]) -> Result<Vec<u8>, PlanError> {
    let parsed = Plan::parse(plan)?;
    parsed.header().expect(Task::Embedding)?;
    let table = ThresholdTable::parse(table).map_err(PlanError::Thresholds)?;
    let mut header = parsed.header().clone();
    // A table is written behind everything else; an earlier one makes room.
    let mut changed = match header.thresholds as usize {
        0 => plan.to_vec(),
        earlier => plan[..earlier].to_vec(),
    };
    changed.resize(changed.len().next_multiple_of(4), 0);
    let short = PlanError::Short { needed: HEADER_BYTES, found: plan.len() };
    header.thresholds = u32::try_from(changed.len()).map_err(|_| short)?;
    changed.extend(table.as_bytes());
    if !header.write(&mut changed) {
        return Err(short);
    }
    Plan::parse(&changed)?;
    Ok(changed)
}
