//! Why an int8 ONNX has no plan.

use arcgate_firmware::engine::plan::PlanError;
use arcgate_firmware::engine::tract::TractError;

use crate::onnx::metadata::MetadataError;

/// Why an int8 ONNX cannot be lowered, or its plan is not proven.
#[derive(Debug, thiserror::Error)]
pub enum LowerError {
    /// The metadata is missing or wrong.
    #[error(transparent)]
    Metadata(#[from] MetadataError),
    /// tract cannot load, type or declutter the graph.
    #[error("tract cannot read the graph: {0}")]
    Graph(String),
    /// A node has no exact integer form.
    #[error("node \"{node}\" ({op}): {why}\n  between tensors {between}\n  accepted: {accepted}")]
    Node {
        /// Its name.
        node: String,
        /// Its operator, as tract calls it.
        op: String,
        /// What is wrong with it.
        why: String,
        /// The names of what it reads and of what it writes, quoted.
        between: String,
        /// What would be accepted.
        accepted: &'static str,
    },
    /// The graph's input or output is not what the metadata says.
    #[error("the graph's {which} is {found}\n  accepted: {accepted}")]
    Interface {
        /// "input" or "output".
        which: &'static str,
        /// What it is.
        found: String,
        /// What would be accepted.
        accepted: String,
    },
    /// The plan does not fit the format.
    #[error("the model is too large for a plan: {0}")]
    TooLarge(&'static str),
    /// Not even bands of rows make the arena small enough.
    #[error(
        "its activations take {plain} bytes of RAM, and {least} with the first stage in bands of rows: more than the {asked} asked for"
    )]
    Ram {
        /// The most bytes that were asked for.
        asked: usize,
        /// The fewest that were reached.
        least: usize,
        /// Bytes without bands.
        plain: usize,
    },
    /// The plan that came out is not valid.
    #[error(transparent)]
    Plan(#[from] PlanError),
    /// tract cannot run the graph.
    #[error(transparent)]
    Tract(#[from] TractError),
    /// An engine failed during the proof.
    #[error("cannot run crop {crop}: {source}")]
    Run {
        /// Which crop, from 0.
        crop: usize,
        /// Why.
        source: arcgate_firmware::engine::EmbedError,
    },
    /// A detector's plan failed during the proof.
    #[error("cannot run picture {crop}: {source}")]
    Look {
        /// Which picture, from 0.
        crop: usize,
        /// Why.
        source: arcgate_firmware::detect::LookError,
    },
    /// tract and the plan differ.
    #[error(
        "tract's optimized graph and the plan differ on crop {crop}: byte {byte} is {tract} in tract, {plan} in the plan ({differing} of {length} bytes differ)"
    )]
    Difference {
        /// Which crop, from 0.
        crop: usize,
        /// The first byte that differs.
        byte: usize,
        /// tract's value.
        tract: i8,
        /// The plan's value.
        plan: i8,
        /// How many bytes of this embedding differ.
        differing: usize,
        /// Length of the embedding.
        length: usize,
    },
}
