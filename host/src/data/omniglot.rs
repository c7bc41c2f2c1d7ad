//! Omniglot (Lake, Salakhutdinov and Tenenbaum, 2015): handwritten characters, and 20 runs of one-shot classification.
//!
//! Read straight from the archives that it is distributed in; nothing is unpacked to disk. The runs' drawings come from the
//! alphabets of the evaluation set, the background archives hold other alphabets: [`overlap`] checks it.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use image::{GrayImage, ImageFormat};
use zip::ZipArchive;

/// Why the archives could not be read.
#[derive(Debug, thiserror::Error)]
pub enum OmniglotError {
    /// An archive cannot be read.
    #[error("cannot read {}: {why}", path.display())]
    Archive {
        /// Which.
        path: PathBuf,
        /// What is wrong.
        why: String,
    },
    /// A file in an archive is not what it should be.
    #[error("{}, {entry}: {why}", path.display())]
    Entry {
        /// Which archive.
        path: PathBuf,
        /// Which file in it.
        entry: String,
        /// What is wrong, and what would be accepted.
        why: String,
    },
    /// There is no archive.
    #[error("{} holds no {what}\n  accepted: the `python` folder of the Omniglot repository", folder.display())]
    Missing {
        /// Where it was looked for.
        folder: PathBuf,
        /// What was looked for.
        what: &'static str,
    },
}

/// A character and its drawings, 105x105, ink 0 on 255.
#[derive(Debug, Clone)]
pub struct Character {
    /// "Alphabet/characterNN".
    pub name: String,
    /// By 20 people.
    pub drawings: Vec<GrayImage>,
}

/// One run: 20 characters drawn once each by one person, and once more by another.
#[derive(Debug, Clone)]
pub struct Run {
    /// "runNN".
    pub name: String,
    /// The one example of each class.
    pub examples: Vec<GrayImage>,
    /// What is to be classified, with the index of its class.
    pub probes: Vec<(GrayImage, usize)>,
}

/// The characters of every `images_background*.zip` in `folder`, sorted by name.
///
/// # Errors
/// When there is no such archive, or one is damaged.
pub fn background(folder: &Path) -> Result<Vec<Character>, OmniglotError> {
    let list = std::fs::read_dir(folder)
        .map_err(|e| OmniglotError::Archive { path: folder.into(), why: e.to_string() })?;
    let mut archives: Vec<PathBuf> = list.filter_map(|entry| entry.ok().map(|e| e.path())).collect();
    archives.retain(|p| {
        let name = p.file_name().and_then(|n| n.to_str()).unwrap_or("");
        name.starts_with("images_background") && name.ends_with(".zip")
    });
    archives.sort();
    let mut characters: BTreeMap<String, BTreeMap<String, GrayImage>> = BTreeMap::new();
    for path in &archives {
        for (entry, bytes) in entries(path, ".png")? {
            // images_background_small1/Balinese/character01/0108_01.png
            let parts: Vec<&str> = entry.split('/').collect();
            let [.., alphabet, character, file] = parts[..] else {
                return Err(bad(path, &entry, "accepted: .../ALPHABET/CHARACTER/DRAWING.png"));
            };
            let drawing = decode(path, &entry, &bytes)?;
            characters.entry(format!("{alphabet}/{character}")).or_default().insert(file.to_owned(), drawing);
        }
    }
    if characters.is_empty() {
        return Err(OmniglotError::Missing { folder: folder.into(), what: "images_background*.zip" });
    }
    let gather = |(name, drawings): (String, BTreeMap<_, _>)| Character {
        name,
        drawings: drawings.into_values().collect(),
    };
    Ok(characters.into_iter().map(gather).collect())
}

/// The runs of `one-shot-classification/all_runs.zip` in `folder`, sorted by name.
///
/// # Errors
/// When the archive is missing or damaged, or a run names a file that it lacks.
pub fn runs(folder: &Path) -> Result<Vec<Run>, OmniglotError> {
    let path = folder.join("one-shot-classification").join("all_runs.zip");
    if !path.is_file() {
        let what = "one-shot-classification/all_runs.zip";
        return Err(OmniglotError::Missing { folder: folder.into(), what });
    }
    let mut drawings: BTreeMap<String, GrayImage> = BTreeMap::new();
    for (entry, bytes) in entries(&path, ".png")? {
        let drawing = decode(&path, &entry, &bytes)?;
        drawings.insert(entry, drawing);
    }
    let mut runs = BTreeMap::new();
    for (entry, bytes) in entries(&path, "class_labels.txt")? {
        let text = String::from_utf8_lossy(&bytes);
        let mut run = Run { name: String::new(), examples: Vec::new(), probes: Vec::new() };
        run.name = entry.split('/').rev().nth(1).unwrap_or("").to_owned();
        let mut classes: BTreeSet<&str> = BTreeSet::new();
        let mut pairs = Vec::new();
        for line in text.lines().filter(|l| !l.trim().is_empty()) {
            let Some((probe, class)) = line.split_once(' ') else {
                return Err(bad(&path, &entry, &format!("{line:?}; accepted: PROBE.png CLASS.png")));
            };
            classes.insert(class.trim());
            pairs.push((probe.trim(), class.trim()));
        }
        let drawing = |name: &str| {
            let found = drawings.iter().find(|(path, _)| path.ends_with(name)).map(|(_, d)| d.clone());
            found.ok_or_else(|| bad(&path, &entry, &format!("{name:?} is not in the archive")))
        };
        let order: Vec<&str> = classes.into_iter().collect();
        run.examples = order.iter().map(|c| drawing(c)).collect::<Result<_, _>>()?;
        for (probe, class) in pairs {
            let index = order.binary_search(&class).expect("every class was put into the order");
            run.probes.push((drawing(probe)?, index));
        }
        runs.insert(run.name.clone(), run);
    }
    Ok(runs.into_values().collect())
}

/// The names of characters of which a drawing is also in a run, pixel by pixel: there must be none.
pub fn overlap(characters: &[Character], runs: &[Run]) -> Vec<String> {
    let in_runs: BTreeSet<&[u8]> = runs
        .iter()
        .flat_map(|r| r.examples.iter().chain(r.probes.iter().map(|(d, _)| d)))
        .map(|d| d.as_raw().as_slice())
        .collect();
    let seen = |c: &&Character| c.drawings.iter().any(|d| in_runs.contains(d.as_raw().as_slice()));
    characters.iter().filter(seen).map(|c| c.name.clone()).collect()
}

/// The files of an archive whose names end in `ending`.
fn entries(path: &Path, ending: &str) -> Result<Vec<(String, Vec<u8>)>, OmniglotError> {
    let archive = |why: String| OmniglotError::Archive { path: path.into(), why };
    let file = File::open(path).map_err(|e| archive(e.to_string()))?;
    let mut zip = ZipArchive::new(file).map_err(|e| archive(e.to_string()))?;
    let mut found = Vec::new();
    for i in 0..zip.len() {
        let mut entry = zip.by_index(i).map_err(|e| archive(e.to_string()))?;
        let name = entry.name().map_err(|e| archive(e.to_string()))?.into_owned();
        if name.ends_with(ending) && !name.starts_with("__MACOSX") {
            let mut bytes = Vec::new();
            entry.read_to_end(&mut bytes).map_err(|e| bad(path, &name, &e.to_string()))?;
            found.push((name, bytes));
        }
    }
    Ok(found)
}

fn decode(path: &Path, entry: &str, bytes: &[u8]) -> Result<GrayImage, OmniglotError> {
    let decoded = image::load_from_memory_with_format(bytes, ImageFormat::Png);
    Ok(decoded.map_err(|e| bad(path, entry, &e.to_string()))?.into_luma8())
}

fn bad(path: &Path, entry: &str, why: &str) -> OmniglotError {
    OmniglotError::Entry { path: path.into(), entry: entry.into(), why: why.into() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_archives_hold_what_they_should_and_share_no_drawing() {
        let folder = crate::data::default_root().join("omniglot/python");
        // Tests run in the package's folder, the default is relative to the workspace.
        let folder = if folder.is_dir() { folder } else { Path::new("..").join(folder) };
        if !folder.is_dir() {
            println!("skipped: no {}", folder.display());
            return;
        }
        let (characters, runs) = (background(&folder).unwrap(), runs(&folder).unwrap());
        assert!(characters.len() > 200, "{}", characters.len());
        assert!(
            characters.iter().all(|c| c.drawings.len() == 20 && c.drawings[0].dimensions() == (105, 105))
        );
        assert_eq!(runs.len(), 20);
        for run in &runs {
            assert_eq!((run.examples.len(), run.probes.len()), (20, 20), "{}", run.name);
            let classes: BTreeSet<usize> = run.probes.iter().map(|p| p.1).collect();
            assert_eq!(classes.len(), 20, "{}", run.name);
        }
        assert_eq!(overlap(&characters, &runs), Vec::<String>::new());
        let leaked = Character { name: "x".into(), drawings: vec![runs[3].examples[4].clone()] };
        assert_eq!(overlap(&[leaked], &runs), ["x"]);
    }

    #[test]
    fn a_missing_folder_and_a_damaged_archive_are_named() {
        let folder = tempfile::tempdir().unwrap();
        assert!(matches!(background(folder.path()), Err(OmniglotError::Missing { .. })));
        assert!(matches!(runs(folder.path()), Err(OmniglotError::Missing { .. })));
        std::fs::write(folder.path().join("images_background.zip"), b"no archive").unwrap();
        let error = background(folder.path()).unwrap_err().to_string();
        assert!(error.contains("images_background.zip"), "{error}");
    }
}
