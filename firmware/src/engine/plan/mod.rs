//! The plan: a model lowered by the host to a flat list of integer operations over one static arena.
//!
//! A plan is one block of bytes in flash, little-endian, read in place. [`Plan::parse`] validates all of it before anything
//! runs: every offset, shape and multiplier, that each operation reads exactly what earlier ones wrote, and that no
//! accumulator can overflow. [`PlanEngine`] then interprets it; nothing in it allocates or can fail.
//!
//! ```text
//! offset  bytes
//!      0      8  magic "ARCPLAN\0"
//!      8      4  version, 2
//!     12      4  total length in bytes
//!     16      4  CRC-32 (ISO-HDLC) of everything from offset 20 on
//!     20      4  arena bytes
//!     24      2  operations
//!     26      2  input width
//!     28      2  input height
//!     30      1  channel order: 0 grey, 1 R G B, 2 B G R
//!     31      1  1 if the template is there, else 0
//!     32      2  dimension of the embedding; 0 for a detector
//!     34      1  task: 0 embedding, 1 detection
//!     35      1  target: 0 portable, 1 Arm cores with DSP instructions, 2 with MVE, see [`Target`]
//!     36     32  embedding id
//!     68     40  template: five points, x and y in f32 (0 when absent)
//!    108      4  where the threshold table begins, see [`ThresholdTable`]; 0 without one
//!    112     12  reserved, 0
//!    124      4  where a detector's list of maps begins, see [`MapRecord`]; 0 for an embedder
//!    128  64 n  operations, see [`Record`]
//!      :     :  sections that operations point at (tables, weights, biases, requantization), each aligned to 4
//! ```
//!
//! Activations lie in the arena in HWC order at offsets that the host chose; the last operation's output is the embedding. A
//! detector's maps stay where its list says until the last operation is done. An operation may read some rows of what another
//! wrote, and rows that several wrote one after another from the top down: a stage that runs in bands of rows takes less RAM.

mod check;
mod detector;
mod engine;
mod error;
mod header;
mod interpreter;
mod maps;
mod native;
mod pair;
mod ready;
mod record;
mod step;
mod target;
#[cfg(test)]
pub(crate) mod tests;

pub use detector::PlanDetector;
pub use engine::PlanEngine;
pub use error::PlanError;
pub use header::{HEADER_BYTES, Header, MAGIC, VERSION, checksum};
pub use maps::{MAPS, MapRecord, OutputMap, map_shape};
pub use pair::{PairError, PlanModels};
pub use record::{Kind, RECORD_BYTES, Record, Rule};
pub use step::{Op, Step, Tensor};
pub use target::Target;

use self::step::Values;
use crate::model::thresholds::ThresholdTable;
use crate::model::{ModelInfo, Task};

/// The most operations that a plan may have.
pub const MAX_STEPS: usize = 1024;

/// The most multiply-accumulates that a plan may ask for: a bound on the time that one embedding takes.
pub const MAX_MACS: u64 = 1 << 36;

/// A validated plan, borrowed from the bytes it was parsed from.
#[derive(Debug, Clone)]
pub struct Plan<'p> {
    bytes: &'p [u8],
    header: Header,
}

impl<'p> Plan<'p> {
    /// Validates `bytes` as a plan.
    ///
    /// # Errors
    /// A [`PlanError`] that names what is wrong and where. Never panics, whatever the bytes.
    pub fn parse(bytes: &'p [u8]) -> Result<Self, PlanError> {
        let header = Header::parse(bytes)?;
        let plan = Plan { bytes, header };
        check::check(&plan)?;
        Ok(plan)
    }

    /// A plan from bytes that [`Plan::parse`] accepted before.
    fn reopen(bytes: &'p [u8], header: &Header) -> Self {
        Plan { bytes, header: header.clone() }
    }

    /// Its first 128 bytes.
    pub fn header(&self) -> &Header {
        &self.header
    }

    /// What the model says of itself.
    pub fn info(&self) -> &ModelInfo {
        &self.header.info
    }

    /// What the model is for.
    pub fn task(&self) -> Task {
        self.header.task
    }

    /// The cores that it is laid out for.
    pub fn target(&self) -> Target {
        self.header.target
    }

    /// A detector's maps, for each stride cls, obj, bbox and kps; none of an embedder.
    pub fn maps(&self) -> impl Iterator<Item = Result<OutputMap, PlanError>> + '_ {
        let count = if self.header.task == Task::Detection { MAPS } else { 0 };
        (0..count).map(|index| maps::read(self.bytes, &self.header, index))
    }

    /// The model's thresholds, if `arcgate calibrate` has run.
    pub fn thresholds(&self) -> Option<ThresholdTable<'p>> {
        match self.header.thresholds as usize {
            0 => None,
            at => ThresholdTable::parse(self.bytes.get(at..)?).ok(),
        }
    }

    /// Bytes of the arena that running the plan takes.
    pub fn arena_bytes(&self) -> usize {
        self.header.arena_bytes
    }

    /// How many operations it has.
    pub fn len(&self) -> usize {
        self.header.steps
    }

    /// Never: a plan has at least one operation.
    pub fn is_empty(&self) -> bool {
        self.header.steps == 0
    }

    /// The operations in order.
    pub fn steps(&self) -> impl Iterator<Item = Result<Step<'p>, PlanError>> + '_ {
        (0..self.header.steps).map(|index| self.known_step(index))
    }

    /// One operation, all of it checked.
    fn step(&self, index: usize) -> Result<Step<'p>, PlanError> {
        Step::read(self.bytes, &self.header, index, Values::Checked)
    }

    /// One operation of a plan that was parsed before: the same, in fewer instructions.
    fn known_step(&self, index: usize) -> Result<Step<'p>, PlanError> {
        Step::read(self.bytes, &self.header, index, Values::Known)
    }
}
