//! A dataset is a list of identities and their images: folders, LFW with its pairs, Omniglot, InsightFace's records.
//!
//! - [`ImageSet`]: every image under a folder, its identities, its landmarks, and what must not be calibrated on;
//! - [`landmarks`]: five points a photograph, from a CSV file;
//! - [`lfw`]: the official pairs;
//! - [`recordio`]: training sets of millions of images in one file;
//! - [`verification`]: pairs of images in one file;
//! - [`crops`](crops()): a set's images, found, aligned and cropped in parallel, the broken ones named.

mod crops;
mod folder;
pub mod landmarks;
pub mod lfw;
pub mod omniglot;
pub mod recordio;
pub mod verification;

use std::path::PathBuf;

pub use crops::{Crops, LeftOut, crops, crops_by};
pub use folder::{EXTENSIONS, Identity, ImageSet};
pub use landmarks::LandmarksCsv;

/// Why a dataset could not be read.
#[derive(Debug, thiserror::Error)]
pub enum DataError {
    /// The file system said no.
    #[error("cannot read {}: {source}", path.display())]
    Io {
        /// Which file or folder.
        path: PathBuf,
        /// What it said.
        source: std::io::Error,
    },
    /// A folder without a single image.
    #[error("{} holds no image\n  accepted: files ending in jpg, jpeg, png, pgm, ppm or bmp, at any depth", path.display())]
    NoImages {
        /// Which folder.
        path: PathBuf,
    },
    /// A line of a text file is not what it should be.
    #[error("{} line {line}: {what}\n  accepted: {accepted}", path.display())]
    Line {
        /// Which file.
        path: PathBuf,
        /// Counted from 1.
        line: usize,
        /// What is wrong with it.
        what: String,
        /// What it could be.
        accepted: &'static str,
    },
}

/// Reads a text file.
fn read_text(path: &std::path::Path) -> Result<String, DataError> {
    std::fs::read_to_string(path).map_err(|source| DataError::Io { path: path.into(), source })
}

/// Where test and example data lies: the environment's ARCGATE_DATA, or `../shared/data`.
pub fn default_root() -> PathBuf {
    std::env::var_os("ARCGATE_DATA").map_or_else(|| PathBuf::from("../shared/data"), PathBuf::from)
}
