//! Why an image is refused.

use serde::{Deserialize, Serialize};

use crate::engine::plan::PlanError;
use crate::engine::vectors;
use crate::flash::FlashFault;
use crate::state::StateError;

/// Which of the plans in an image.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Part {
    /// The embedder's.
    Embedder,
    /// The detector's.
    Detector,
}

impl core::fmt::Display for Part {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str(match self {
            Part::Embedder => "embedder",
            Part::Detector => "detector",
        })
    }
}

/// Why an image is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum UpdateError {
    /// It does not begin as an image does.
    NotAnImage,
    /// Written by another version.
    Layout {
        /// Its number.
        found: u32,
        /// The number that this code reads.
        readable: u32,
    },
    /// The header contradicts itself.
    Header,
    /// Signed with another key than the board's.
    OtherKey {
        /// The first bytes of the public key that signed it.
        found: [u8; 8],
        /// Those of the board's.
        accepted: [u8; 8],
    },
    /// Signed with the development key, or the board's key is that one, where it is refused.
    DevelopmentKey,
    /// The signature is not that of its key: the header was changed.
    Signature,
    /// Older than a model that was accepted.
    Rollback {
        /// Its version.
        found: u32,
        /// The lowest version accepted.
        least: u32,
    },
    /// Larger than the slot.
    Slot {
        /// Bytes that it takes.
        needed: u32,
        /// Bytes there are.
        found: u32,
    },
    /// A piece came before any header.
    NotBegun,
    /// A piece that is not the next one, or goes on behind the end.
    Order {
        /// Where the next piece begins.
        expected: u32,
        /// Where this one does.
        found: u32,
        /// Bytes of all pieces together.
        of: u32,
    },
    /// Pieces are missing.
    Incomplete {
        /// Bytes that the header promises.
        expected: u32,
        /// Bytes that came.
        found: u32,
    },
    /// What the flash holds is not what was signed.
    Hash,
    /// A plan is no valid one: `arcgate inspect` says what is wrong.
    Plan(Part),
    /// A plan is laid out for other cores than this one.
    Target(Part),
    /// A plan or the arena does not lie where the plan's target wants it.
    Alignment {
        /// Which plan.
        part: Part,
        /// A multiple of so many bytes.
        wanted: u32,
    },
    /// A plan runs in a larger arena than there is.
    Arena {
        /// Which plan.
        part: Part,
        /// Bytes that it takes.
        needed: u32,
        /// Bytes there are.
        found: u32,
    },
    /// A plan's crop or picture is larger than there is room for.
    Picture {
        /// Which plan.
        part: Part,
        /// Bytes that it takes.
        needed: u32,
        /// Bytes there are.
        found: u32,
    },
    /// The embedder is not the one that the header names.
    Identity,
    /// The drawn pictures of the self-test give other embeddings, or other maps of the detector, than on the host.
    SelfTest {
        /// Pictures for each plan.
        vectors: u32,
    },
    /// The flash driver failed.
    Flash(FlashFault),
    /// Which model is to run could not be kept.
    State(StateError),
    /// The slot for the next image has the model of the next start.
    Accepted,
}

impl From<StateError> for UpdateError {
    fn from(error: StateError) -> Self {
        UpdateError::State(error)
    }
}

impl UpdateError {
    /// What a plan's error comes to for an image.
    pub(super) fn of_plan(part: Part, error: PlanError) -> Self {
        match error {
            PlanError::Target { .. } => UpdateError::Target(part),
            PlanError::Alignment { wanted, .. } => UpdateError::Alignment { part, wanted: wanted as u32 },
            PlanError::Arena { needed, found } => {
                UpdateError::Arena { part, needed: needed as u32, found: found as u32 }
            }
            _ => UpdateError::Plan(part),
        }
    }
}

impl core::fmt::Display for UpdateError {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        let key = |f: &mut core::fmt::Formatter<'_>, key: &[u8; 8]| {
            key.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
        };
        match self {
            UpdateError::NotAnImage => f.write_str("this is no model image: it does not begin with \"ARCUPDT\""),
            UpdateError::Layout { found, readable } => {
                write!(f, "the image has layout version {found}, readable is {readable}")
            }
            UpdateError::Header => write!(
                f,
                "the image's header contradicts itself; accepted: a version from 1 on, lengths that add up, 1 to {} test vectors, zeros where it is reserved",
                vectors::MAX
            ),
            UpdateError::OtherKey { found, accepted } => {
                f.write_str("it is signed with the key ")?;
                key(f, found)?;
                f.write_str("..., accepted: ")?;
                key(f, accepted)?;
                f.write_str("...")
            }
            UpdateError::DevelopmentKey => f.write_str(
                "the development key is refused: everybody has its private half; accepted: a key of your own (`arcgate keys update`)",
            ),
            UpdateError::Signature => f.write_str("the image's signature is not that of its key"),
            UpdateError::Rollback { found, least } => {
                write!(f, "the image has model version {found}, accepted: {least} and higher")
            }
            UpdateError::Slot { needed, found } => {
                write!(f, "the image takes {needed} bytes, its slot has {found}")
            }
            UpdateError::NotBegun => f.write_str("a piece of an image came before its header"),
            UpdateError::Order { expected, found, of } => {
                write!(f, "a piece at byte {found}, accepted: the next one, at {expected}, up to {of}")
            }
            UpdateError::Incomplete { expected, found } => {
                write!(f, "the image has {expected} bytes behind its header, {found} came")
            }
            UpdateError::Hash => f.write_str("the image is damaged: its bytes are not those that were signed"),
            UpdateError::Plan(part) => {
                write!(f, "the {part}'s plan is no valid one (`arcgate inspect` says why)")
            }
            UpdateError::Target(part) => {
                write!(f, "the {part}'s plan is compiled for other cores; target portable runs on every one")
            }
            UpdateError::Alignment { part, wanted } => {
                write!(f, "the {part}'s plan or the arena does not begin at a multiple of {wanted} bytes")
            }
            UpdateError::Arena { part, needed, found } => {
                write!(f, "the {part} runs in an arena of {needed} bytes, there are {found}")
            }
            UpdateError::Picture { part, needed, found } => {
                write!(f, "the {part} takes pictures of {needed} bytes, there is room for {found}")
            }
            UpdateError::Identity => f.write_str("the embedder is not the one that the image's header names"),
            UpdateError::SelfTest { vectors } => {
                write!(f, "{vectors} test vectors give other embeddings, or maps of the detector, here than on the host")
            }
            UpdateError::State(error) => error.fmt(f),
            UpdateError::Flash(fault) => fault.fmt(f),
            UpdateError::Accepted => {
                f.write_str("a model was accepted and waits for the next start; accepted: another one after that")
            }
        }
    }
}

impl core::error::Error for UpdateError {}

impl From<FlashFault> for UpdateError {
    fn from(fault: FlashFault) -> Self {
        UpdateError::Flash(fault)
    }
}
