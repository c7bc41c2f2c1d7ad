//! Why a gallery cannot do what is asked.

use embedded_storage::nor_flash::NorFlashError;
use serde::{Deserialize, Serialize};

#[cfg(doc)]
use super::Gallery;
use super::{NAME_BYTES, PersonId};
use crate::flash::FlashFault;

/// Why a gallery could not do what was asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum GalleryError {
    /// The flash holds no gallery: [`Gallery::format`] makes one.
    Blank,
    /// The flash is too small, or its sectors too small, for two sectors with a few records.
    Small {
        /// Bytes that it needs.
        needed: u32,
        /// Bytes there are.
        found: u32,
    },
    /// The flash had more or fewer sectors when the gallery was made.
    Resized {
        /// Its sectors then.
        recorded: u16,
        /// Those now.
        found: u16,
    },
    /// The flash had larger or smaller sectors when the gallery was made.
    SectorBytes {
        /// Bytes of a sector then.
        recorded: u32,
        /// Those now.
        found: u32,
    },
    /// Written by another version.
    Version {
        /// Its number.
        found: u16,
        /// The number that this code reads.
        readable: u16,
    },
    /// The gallery's templates come from another model.
    WrongModel {
        /// The first bytes of the embedding id that the gallery is bound to.
        gallery: [u8; 4],
        /// Those of the embedding id of the model in use.
        model: [u8; 4],
    },
    /// Another device's: its key does not open it.
    OtherDevice,
    /// The flash was put back: the counter outside of it has seen operations that it has not, or the counter was.
    Rollback {
        /// The last operation in the gallery.
        gallery: u32,
        /// What the counter says.
        counter: u32,
    },
    /// The counter outside of the flash failed.
    Counter,
    /// The bytes changed after they were written.
    Damaged {
        /// Where the header or record begins.
        offset: u32,
    },
    /// No room for the records.
    Full {
        /// Records asked for.
        needed: u32,
        /// Records that still fit.
        free: u32,
    },
    /// There are more records in the flash than fit in RAM.
    Records {
        /// Records that fit.
        capacity: u32,
    },
    /// A name is empty or longer than [`NAME_BYTES`].
    NameLength {
        /// Its bytes.
        found: u32,
    },
    /// A name with a control character.
    NameCharacter,
    /// Somebody enrolled has this name.
    NameTaken {
        /// Who.
        person: PersonId,
    },
    /// Nobody enrolled has this number.
    NoSuchPerson {
        /// The number.
        person: PersonId,
    },
    /// Enrolment without a single template.
    NoTemplate,
    /// A template of another length than the model's embeddings.
    Dimension {
        /// The model's.
        expected: u32,
        /// The template's.
        found: u32,
    },
    /// A template of zeros, which has no angle to anything.
    ZeroTemplate,
    /// The flash driver failed.
    Flash(FlashFault),
}

impl GalleryError {
    /// Not a single record more.
    pub(super) const NO_ROOM: GalleryError = GalleryError::Full { needed: 1, free: 0 };

    /// [`WrongModel`](Self::WrongModel) by the whole embedding ids: the gallery's, and that of the model in use.
    pub(crate) fn wrong_model([gallery, model]: [&[u8; 32]; 2]) -> Self {
        let first = |id: &[u8; 32]| core::array::from_fn(|at| id[at]);
        GalleryError::WrongModel { gallery: first(gallery), model: first(model) }
    }
}

impl core::fmt::Display for GalleryError {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match self {
            GalleryError::Blank => write!(f, "the flash holds no gallery yet"),
            GalleryError::Small { needed, found } => {
                write!(f, "a gallery needs at least {needed} bytes of flash, there are {found}")
            }
            GalleryError::Resized { recorded, found } => {
                write!(f, "the gallery was made with {recorded} sectors of flash, here are {found}")
            }
            GalleryError::SectorBytes { recorded, found } => {
                write!(f, "the gallery was made with sectors of {recorded} bytes, here they have {found}")
            }
            GalleryError::Version { found, readable } => {
                write!(f, "the gallery has layout version {found}, readable is {readable}")
            }
            GalleryError::WrongModel { gallery, model } => {
                write!(f, "the gallery belongs to the model ")?;
                short_id(f, gallery)?;
                write!(f, ", in use is the model ")?;
                short_id(f, model)
            }
            GalleryError::OtherDevice => write!(f, "the gallery was sealed by another device"),
            GalleryError::Rollback { gallery, counter } => {
                write!(f, "the gallery was put back: it ends with operation {gallery}, ")?;
                write!(f, "the counter outside of it says {counter}")
            }
            GalleryError::Counter => write!(f, "the counter against galleries put back does not work"),
            GalleryError::Damaged { offset } => write!(f, "the gallery is damaged at byte {offset}"),
            GalleryError::Full { needed, free } => {
                write!(f, "the gallery is full: {needed} records asked for, room for {free}")
            }
            GalleryError::Records { capacity } => {
                write!(f, "the gallery has more records than the {capacity} that this device keeps track of")
            }
            GalleryError::NameLength { found } => {
                write!(f, "a name has 1 to {NAME_BYTES} bytes in UTF-8, this one has {found}")
            }
            GalleryError::NameCharacter => write!(f, "a name has no control characters"),
            GalleryError::NameTaken { person } => write!(f, "person {person} has this name already"),
            GalleryError::NoSuchPerson { person } => write!(f, "nobody enrolled has the number {person}"),
            GalleryError::NoTemplate => write!(f, "a person needs at least one template"),
            GalleryError::Dimension { expected, found } => {
                write!(f, "a template has {expected} values, this one has {found}")
            }
            GalleryError::ZeroTemplate => write!(f, "a template of zeros has no angle to anything"),
            GalleryError::Flash(fault) => fault.fmt(f),
        }
    }
}

/// The first bytes of an embedding id, as `inspect` shows them.
fn short_id(f: &mut core::fmt::Formatter<'_>, id: &[u8; 4]) -> core::fmt::Result {
    for (i, [first, second]) in id.as_chunks().0.iter().enumerate() {
        let gap = if i == 0 { "" } else { " " };
        write!(f, "{gap}{first:02x}{second:02x}")?;
    }
    Ok(())
}

impl core::error::Error for GalleryError {}

impl<E: NorFlashError> From<E> for GalleryError {
    fn from(error: E) -> Self {
        GalleryError::Flash(error.into())
    }
}
