//! A folder's identities, those of a test set left out.

use std::collections::{BTreeSet, HashMap};
use std::path::{Path, PathBuf};

use super::{SourceError, info};
use crate::data::{self, Identity, ImageSet, LeftOut};
use crate::photo::{Detector, Finder};
use crate::train::augment::Picture;
use crate::train::paths::Paths;
use crate::train::recipe::Recipe;

/// Identities and images that must not be learnt from, as a file lists them.
#[derive(Debug, Default)]
pub(super) struct LeaveOut(BTreeSet<String>);

impl LeaveOut {
    pub(super) fn read(lists: &Paths) -> Result<Self, SourceError> {
        let mut all = LeaveOut::default();
        for path in lists.iter() {
            let text = std::fs::read_to_string(path)
                .map_err(|why| SourceError::LeaveOut { path: path.into(), why })?;
            all.0.extend(text.lines().map(str::trim).filter(|l| !l.is_empty()).map(str::to_owned));
        }
        Ok(all)
    }

    fn identity(&self, name: &str) -> bool {
        self.0.contains(name)
    }

    /// By its path in the set or by its file name.
    fn image(&self, path: &Path) -> bool {
        let named = |name: Option<&str>| name.is_some_and(|name| self.0.contains(name));
        named(path.to_str()) || named(path.file_name().and_then(|n| n.to_str()))
    }
}

/// The pictures, cut to `size` (columns, rows), of each identity of a folder with at least `least` usable images (`unlabelled`: of
/// each image as an identity of its own); and the images that are broken or show no face.
pub(super) fn folder(
    recipe: &Recipe,
    size: [usize; 2],
    path: &Path,
    least: usize,
    unlabelled: bool,
    listed: &LeaveOut,
    detector: Option<Detector>,
) -> Result<(Vec<Vec<Picture>>, Vec<LeftOut>), SourceError> {
    let set = ImageSet::open(path)?;
    let finder = Finder::new(detector, set.landmarks.clone());
    let info = info(recipe, size);
    let alone = |(i, path): (usize, &PathBuf)| Identity { name: path.display().to_string(), images: vec![i] };
    let (named, least) = match unlabelled {
        true => (set.images.iter().enumerate().map(alone).collect(), 1),
        false => (set.identities(), least),
    };
    let identities: Vec<Vec<usize>> = named
        .into_iter()
        .filter(|identity| !listed.identity(&identity.name))
        .map(|identity| identity.images.into_iter().filter(|&i| !listed.image(&set.images[i])).collect())
        .filter(|images: &Vec<usize>| images.len() >= least)
        .collect();
    let wanted: Vec<usize> = identities.iter().flatten().copied().collect();
    let found = data::crops(&set, &wanted, &finder, &info, || ());
    let mut crops: HashMap<usize, Vec<u8>> = found.crops.into_iter().collect();
    let channels = info.order.channels();
    let picture = |data| Picture { width: size[0], height: size[1], channels, data };
    let mut pictures: Vec<Vec<Picture>> = identities
        .iter()
        .map(|images| images.iter().filter_map(|i| crops.remove(i)).map(picture).collect())
        .collect();
    pictures.retain(|pictures| pictures.len() >= least);
    Ok((pictures, found.left_out))
}
