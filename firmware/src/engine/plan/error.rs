//! What is wrong with a plan.

use crate::text;

/// Why bytes are no plan that this program can run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum PlanError {
    /// Fewer bytes than the header and the operations take.
    Short {
        /// Bytes that they take.
        needed: usize,
        /// Bytes given.
        found: usize,
    },
    /// The magic is missing: this is no plan.
    NotAPlan,
    /// Another version of the format.
    Version(u32),
    /// The stated length is not that of the bytes: truncated, or something follows.
    Length {
        /// As the header says.
        stated: usize,
        /// Bytes given.
        found: usize,
    },
    /// The bytes are damaged.
    Checksum {
        /// As the header says.
        stated: u32,
        /// As the bytes are.
        computed: u32,
    },
    /// A header field has a value that it cannot have.
    Header {
        /// Which.
        field: &'static str,
        /// What it holds.
        value: u32,
        /// What it could hold.
        accepted: &'static str,
    },
    /// An operation has a field with a value that it cannot have.
    Step {
        /// Which operation, from 0.
        step: usize,
        /// Which field.
        field: &'static str,
        /// What it holds, saturated.
        value: u32,
        /// What it could hold.
        accepted: &'static str,
    },
    /// A detector's map has a field with a value that it cannot have.
    Map {
        /// Which map, from 0.
        map: usize,
        /// Which field.
        field: &'static str,
        /// What it holds, saturated.
        value: u32,
        /// What it could hold.
        accepted: &'static str,
    },
    /// Its threshold table is none.
    Thresholds(crate::model::thresholds::TableError),
    /// The plan is laid out for other cores than this one.
    Target {
        /// Those.
        needed: super::Target,
    },
    /// The plan or its arena does not lie in memory where the plan's target wants it.
    Alignment {
        /// Which of them.
        what: &'static str,
        /// A multiple of so many bytes.
        wanted: usize,
    },
    /// The arena given is too small.
    Arena {
        /// Bytes that the plan takes.
        needed: usize,
        /// Bytes given.
        found: usize,
    },
}

impl PlanError {
    /// A field of the header with a value that it cannot have.
    pub(super) const fn header(field: &'static str, value: u32, accepted: &'static str) -> Self {
        PlanError::Header { field: text(field), value, accepted: text(accepted) }
    }

    /// The same of an operation.
    pub(super) fn step(step: usize, field: &'static str, value: usize, accepted: &'static str) -> Self {
        let value = u32::try_from(value).unwrap_or(u32::MAX);
        PlanError::Step { step, field: text(field), value, accepted: text(accepted) }
    }

    /// The same of a detector's map.
    pub(super) fn map(map: usize, field: &'static str, value: usize, accepted: &'static str) -> Self {
        let value = u32::try_from(value).unwrap_or(u32::MAX);
        PlanError::Map { map, field: text(field), value, accepted: text(accepted) }
    }
}

impl core::fmt::Display for PlanError {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match self {
            PlanError::Short { needed, found } => {
                write!(
                    f,
                    "the plan is cut off: its header and operations take {needed} bytes, {found} are there"
                )
            }
            PlanError::NotAPlan => write!(f, "not a plan: it does not begin with \"ARCPLAN\""),
            PlanError::Version(found) => {
                write!(
                    f,
                    "the plan has format version {found}, this program reads version {}",
                    super::VERSION
                )
            }
            PlanError::Length { stated, found } => {
                write!(f, "the plan says it has {stated} bytes, {found} are there")
            }
            PlanError::Checksum { stated, computed } => {
                write!(f, "the plan is damaged: its checksum is {stated:08x}, its bytes give {computed:08x}")
            }
            PlanError::Header { field, value, accepted } => {
                write!(f, "the plan's header has {field} = {value}; accepted: {accepted}")
            }
            PlanError::Step { step, field, value, accepted } => {
                write!(f, "operation {step} of the plan has {field} = {value}; accepted: {accepted}")
            }
            PlanError::Map { map, field, value, accepted } => {
                write!(f, "map {map} of the plan has {field} = {value}; accepted: {accepted}")
            }
            PlanError::Thresholds(why) => write!(f, "the plan's header points at a damaged table: {why}"),
            PlanError::Target { needed } => {
                write!(
                    f,
                    "the plan is compiled for target {}, which this core is not: compile it for target portable, which every core runs",
                    needed.name()
                )
            }
            PlanError::Alignment { what, wanted } => {
                write!(f, "the {what} does not begin at a multiple of {wanted} bytes, as its target wants")
            }
            PlanError::Arena { needed, found } => {
                write!(f, "the plan runs in an arena of {needed} bytes, {found} were given")
            }
        }
    }
}

impl core::error::Error for PlanError {}
