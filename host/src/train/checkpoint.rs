//! A training in a file, so that it can go on as if it had never stopped.
//!
//! ```text
//! "arcgate checkpoint 2\n"   the format
//! one line of JSON           recipe digest, replicas, steps taken, digests of other files, and name and length of each vector
//! the vectors                f32, little-endian, in the order of the JSON
//! 32 bytes                   SHA-256 of everything above
//! ```
//!
//! There is no state of random numbers: image, order and augmentation are functions of the seed and the step.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::state::Values;
use crate::disk;

const MAGIC: &[u8] = b"arcgate checkpoint 2\n";

/// What a training consists of between two steps.
#[derive(Debug, Clone, PartialEq)]
pub struct Checkpoint {
    /// [`super::Recipe::digest`] of the recipe that it belongs to.
    pub recipe: String,
    /// [`super::recipe::TrainConfig::replicas`]: with batch normalisation they decide the weights.
    pub replicas: usize,
    /// Steps taken.
    pub steps: usize,
    /// SHA-256 in hexadecimal of the other files that decide the weights: "init", where it began from one, and "teacher".
    pub files: BTreeMap<String, String>,
    /// The model's and the optimizer's vectors.
    pub values: Values,
}

#[derive(Serialize, Deserialize)]
struct Header {
    recipe: String,
    replicas: usize,
    steps: usize,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    files: BTreeMap<String, String>,
    vectors: Vec<(String, usize)>,
}

/// Why a checkpoint could not be written or read.
#[derive(Debug, thiserror::Error)]
pub enum CheckpointError {
    /// The file system said no.
    #[error("cannot {verb} {}: {why}", path.display())]
    Io {
        /// "read" or "write".
        verb: &'static str,
        /// Which file.
        path: PathBuf,
        /// What it said.
        why: std::io::Error,
    },
    /// It is no checkpoint, or cut short, or damaged.
    #[error("{} is no checkpoint: {why}\n  accepted: a file that `arcgate train` wrote, whole", path.display())]
    Damaged {
        /// Which file.
        path: PathBuf,
        /// What is wrong.
        why: String,
    },
    /// It belongs to another recipe.
    #[error(
        "{} belongs to another recipe (or another version of this one)\n  accepted: go on with that recipe, or train without --resume to start over", path.display()
    )]
    OtherRecipe {
        /// Which file.
        path: PathBuf,
    },
    /// It was trained with another file than the one that is given now.
    #[error(
        "{} was trained with another {role} file than {}\n  accepted: that file, or train without --resume to start over", path.display(), given.display()
    )]
    OtherFile {
        /// The checkpoint.
        path: PathBuf,
        /// "init" or "teacher".
        role: &'static str,
        /// What is given now.
        given: PathBuf,
    },
    /// It was trained with another number of replicas.
    #[error(
        "{} was trained with train.replicas = {found}, the recipe says {wanted}\n  accepted: train.replicas = {found}, or train without --resume to start over", path.display()
    )]
    OtherReplicas {
        /// Which file.
        path: PathBuf,
        /// How many it was trained with.
        found: usize,
        /// How many the recipe has.
        wanted: usize,
    },
}

impl CheckpointError {
    /// That the checkpoint at `path` lacks `name`.
    pub(super) fn missing(path: &Path, name: &str) -> Self {
        CheckpointError::Damaged { path: path.into(), why: format!("no {name} in it") }
    }
}

impl Checkpoint {
    /// Writes it so that a cut leaves the old checkpoint or the new one.
    ///
    /// # Errors
    /// When the file system says no.
    pub fn write(&self, path: &Path) -> Result<(), CheckpointError> {
        let vectors = self.values.iter().map(|(name, v)| (name.clone(), v.len())).collect();
        let (recipe, files) = (self.recipe.clone(), self.files.clone());
        let header = Header { recipe, replicas: self.replicas, steps: self.steps, files, vectors };
        let mut bytes = MAGIC.to_vec();
        serde_json::to_writer(&mut bytes, &header).expect("plain fields serialize into memory");
        bytes.push(b'\n');
        bytes.extend(self.values.values().flatten().flat_map(|v| v.to_le_bytes()));
        let seal = Sha256::digest(&bytes);
        bytes.extend_from_slice(&seal);
        disk::replace(path, &bytes).map_err(|why| CheckpointError::Io {
            verb: "write",
            path: path.into(),
            why,
        })
    }

    /// Holds the file `given` as its `role` ("init", "teacher"), whose digest is `sha256`, against the one it was trained with;
    /// `path` is the checkpoint's own.
    ///
    /// # Errors
    /// When it is another one, or there was none.
    pub fn check_file(
        &self,
        role: &'static str,
        given: &Path,
        sha256: &str,
        path: &Path,
    ) -> Result<(), CheckpointError> {
        match self.files.get(role).is_some_and(|own| own == sha256) {
            true => Ok(()),
            false => Err(CheckpointError::OtherFile { path: path.into(), role, given: given.into() }),
        }
    }

    /// Reads the checkpoint of the recipe whose digest is `recipe`.
    ///
    /// # Errors
    /// See [`CheckpointError`].
    pub fn read(path: &Path, recipe: &str) -> Result<Self, CheckpointError> {
        let bytes = std::fs::read(path).map_err(|why| CheckpointError::Io {
            verb: "read",
            path: path.into(),
            why,
        })?;
        let found = parse(&bytes).map_err(|why| CheckpointError::Damaged { path: path.into(), why })?;
        if found.recipe != recipe {
            return Err(CheckpointError::OtherRecipe { path: path.into() });
        }
        Ok(found)
    }

    /// That it was trained with `wanted` replicas; it lies at `path`.
    pub(super) fn expect_replicas(&self, wanted: usize, path: &Path) -> Result<(), CheckpointError> {
        let found = self.replicas;
        match found == wanted {
            true => Ok(()),
            false => Err(CheckpointError::OtherReplicas { path: path.into(), found, wanted }),
        }
    }
}

fn parse(bytes: &[u8]) -> Result<Checkpoint, String> {
    let rest = bytes.strip_prefix(MAGIC).ok_or("it does not start as one")?;
    let (sealed, seal) = bytes.split_at(bytes.len().saturating_sub(32).max(MAGIC.len()));
    if Sha256::digest(sealed).as_slice() != seal {
        return Err("its checksum does not match".into());
    }
    let rest = &rest[..rest.len() - seal.len()];
    let end = rest.iter().position(|&b| b == b'\n').ok_or("its header has no end")?;
    let header: Header = serde_json::from_slice(&rest[..end]).map_err(|e| e.to_string())?;
    let mut floats = rest[end + 1..].chunks_exact(4).map(|b| f32::from_le_bytes([b[0], b[1], b[2], b[3]]));
    let mut values = Values::new();
    for (name, length) in header.vectors {
        let vector: Vec<f32> = floats.by_ref().take(length).collect();
        if vector.len() != length {
            return Err(format!("{name} is cut short"));
        }
        values.insert(name, vector);
    }
    let Header { recipe, replicas, steps, files, .. } = header;
    Ok(Checkpoint { recipe, replicas, steps, files, values })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn some() -> Checkpoint {
        let values = [("a.b".to_owned(), vec![1.0, f32::MIN_POSITIVE]), ("c".to_owned(), vec![-0.0])];
        let files = [("init".to_owned(), "5a".to_owned())].into();
        Checkpoint { recipe: "r".into(), replicas: 2, steps: 7, files, values: values.into() }
    }

    #[test]
    fn comes_back_as_it_went_and_only_to_its_recipe() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("x.checkpoint");
        some().write(&path).unwrap();
        assert_eq!(Checkpoint::read(&path, "r").unwrap(), some());
        assert!(matches!(Checkpoint::read(&path, "s"), Err(CheckpointError::OtherRecipe { .. })));
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1, "nothing is left beside it");
    }

    #[test]
    fn knows_the_files_that_it_was_trained_with() {
        let (path, given) = (Path::new("x.checkpoint"), Path::new("y.onnx"));
        assert!(some().check_file("init", given, "5a", path).is_ok());
        for (role, sha256) in [("init", "5b"), ("teacher", "5a")] {
            let told = some().check_file(role, given, sha256, path).unwrap_err().to_string();
            assert!(told.contains(role) && told.contains("y.onnx"), "{told}");
        }
    }

    #[test]
    fn any_damage_is_seen() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("x.checkpoint");
        some().write(&path).unwrap();
        let whole = std::fs::read(&path).unwrap();
        for cut in 0..whole.len() {
            assert!(parse(&whole[..cut]).is_err(), "cut at {cut}");
        }
        for at in 0..whole.len() {
            let mut bent = whole.clone();
            bent[at] ^= 0x10;
            assert!(parse(&bent).is_err(), "bent at {at}");
        }
    }
}
