//! Photographs to templates, into a gallery file or a device; and who a photograph shows.
//!
//! A [`Place`] is where people are kept, whatever its target: a device over TCP or a serial port, or the same device
//! state machine in this process on a gallery file. Photographs are cropped here, by the code and to the bytes that the
//! device itself would crop, because a crop is shorter than a photograph. A device that finds faces itself is sent the whole
//! photograph where nothing here can tell where the face is.
//!
//! Enrolment has two passes: [`survey`] embeds every photograph where the people are to be kept and writes nothing, [`review`] says
//! what looks wrong, and [`enroll`] writes.

mod people;
mod place;
pub mod review;
mod sending;
mod survey;

use std::path::PathBuf;

use arcgate_firmware::gallery::{GalleryError, NAME_BYTES};
use arcgate_firmware::sim::FlashError;

use crate::data::DataError;
use crate::engine::EngineError;
use crate::link::LinkError;
use crate::onnx::metadata::hex;
use crate::photo::PhotoError;

pub use people::{PersonPhotos, Summary, enroll, in_folder};
pub use place::{FILE_SECTORS, NoModel, Place, nowhere, open, open_copy, open_with, reach, simulate};
pub use sending::Sending;
pub use survey::{Survey, survey};

/// Why people could not be enrolled, looked up or listed.
#[derive(Debug, thiserror::Error)]
pub enum EnrollError {
    /// The device or the way to it.
    #[error(transparent)]
    Link(#[from] LinkError),
    /// The model.
    #[error(transparent)]
    Engine(#[from] EngineError),
    /// The photographs' folder.
    #[error(transparent)]
    Data(#[from] DataError),
    /// A photograph.
    #[error(transparent)]
    Photo(#[from] PhotoError),
    /// The gallery file as a file.
    #[error("{}: {why}", path.display())]
    File {
        /// Which.
        path: PathBuf,
        /// What is wrong.
        why: FlashError,
    },
    /// The gallery in the file, or on the device.
    #[error("{place}: {why}{}", advice(.why))]
    Gallery {
        /// The target's word.
        place: String,
        /// What is wrong.
        why: GalleryError,
    },
    /// A gallery file does not say who makes its embeddings, only which.
    #[error("{} is a gallery file, which needs a model: --model MODEL", .0.display())]
    NeedsModel(PathBuf),
    /// A device runs its own model, not the one that was named.
    #[error("{place} runs the model {}, not the one that was named ({})", short(.device), short(.named))]
    OtherModel {
        /// The target's word.
        place: String,
        /// The device's embedding id.
        device: [u8; 32],
        /// The embedding id of the model that was named.
        named: [u8; 32],
    },
    /// A name that no gallery takes.
    #[error(
        "{0:?} cannot be a name\n  accepted: 1 to {NAME_BYTES} bytes of UTF-8 without control characters"
    )]
    Name(String),
    /// The place could not say what it makes of a photograph, before anything was written.
    #[error("{}, a photograph of {name}: {why}\n  nothing was enrolled", photo.display())]
    Refused {
        /// Which photograph.
        photo: PathBuf,
        /// Whose.
        name: String,
        /// What the place said.
        why: Box<EnrollError>,
    },
    /// A photograph is not what was reviewed.
    #[error("it has changed since it was looked at")]
    Changed,
    /// The place refused a template.
    #[error("{}, a photograph of {name}: {why}\n  {templates} templates were enrolled before it, and stay", photo.display())]
    Stopped {
        /// Which photograph.
        photo: PathBuf,
        /// Whose.
        name: String,
        /// Templates enrolled before it.
        templates: usize,
        /// What the place said.
        why: Box<EnrollError>,
    },
    /// A folder without folders of people.
    #[error("{} holds images, but no folder for a person\n  accepted: DIR/NAME/*.jpg, or --name NAME PHOTO...", .0.display())]
    NoPeople(PathBuf),
}

/// The first eight bytes of an embedding id, in groups as `inspect` prints them.
fn short(id: &[u8; 32]) -> String {
    id[..8].chunks(2).map(hex).collect::<Vec<_>>().join(" ")
}

fn advice(error: &GalleryError) -> &'static str {
    match error {
        GalleryError::WrongModel { .. } => {
            "\n  accepted: the model that it was enrolled with; embeddings of two models cannot be compared\n  its people can be taken along: arcgate gallery backup, then arcgate gallery restore --replace"
        }
        GalleryError::OtherDevice => "\n  accepted: --device-key FILE, the key of the device that sealed it",
        GalleryError::Rollback { .. } => {
            "\n  accepted: the flash and the counter that belong together; `arcgate device reset` begins an empty gallery"
        }
        GalleryError::Damaged { .. } => "\n  restore it from a copy, or enroll into a new one",
        _ => "",
    }
}
