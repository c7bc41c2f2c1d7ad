//! A set's images, found, aligned and cropped in parallel.

use std::path::PathBuf;

use arcgate_firmware::model::ModelInfo;
use rayon::prelude::*;

use super::ImageSet;
use crate::photo::{Finder, Photo, PhotoError};

/// An image that gave no crop.
#[derive(Debug)]
pub struct LeftOut {
    /// Relative to the set's root.
    pub image: PathBuf,
    /// Why.
    pub why: PhotoError,
}

/// The crops of a set, in the order of the indices asked for.
#[derive(Debug, Default)]
pub struct Crops {
    /// The image's index in the set, and its crop.
    pub crops: Vec<(usize, Vec<u8>)>,
    /// Images that gave none: broken, without a face, or not aligned.
    pub left_out: Vec<LeftOut>,
}

/// Crops the images with the given `indices` for `info`'s model. `done` is called once an image, from many threads.
pub fn crops(
    set: &ImageSet,
    indices: &[usize],
    finder: &Finder,
    info: &ModelInfo,
    done: impl Fn() + Sync,
) -> Crops {
    crops_by(set, indices, |photo| finder.crop(photo, info), done)
}

/// What `crop` makes of the images with the given `indices`, as [`crops`].
pub fn crops_by(
    set: &ImageSet,
    indices: &[usize],
    crop: impl Fn(&Photo) -> Result<Vec<u8>, PhotoError> + Sync,
    done: impl Fn() + Sync,
) -> Crops {
    let each = |&index: &usize| {
        let crop = Photo::open(set.path(index)).and_then(|photo| crop(&photo));
        done();
        (index, crop)
    };
    let results: Vec<_> = indices.par_iter().map(each).collect();
    let mut out = Crops::default();
    for (index, result) in results {
        match result {
            Ok(crop) => out.crops.push((index, crop)),
            Err(why) => out.left_out.push(LeftOut { image: set.images[index].clone(), why }),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use arcgate_firmware::model::ChannelOrder;

    use super::*;

    #[test]
    fn broken_images_are_counted_and_named() {
        let dir = tempfile::tempdir().unwrap();
        image::RgbImage::from_pixel(4, 4, image::Rgb([9, 8, 7])).save(dir.path().join("a.png")).unwrap();
        std::fs::write(dir.path().join("b.png"), "broken").unwrap();
        let set = ImageSet::open(dir.path()).unwrap();
        let info = ModelInfo {
            width: 2,
            height: 1,
            order: ChannelOrder::Rgb,
            template: None,
            dimension: 8,
            embedding_id: [0; 32],
        };
        let found = crops(&set, &[0, 1], &Finder::default(), &info, || ());
        assert_eq!(found.crops, [(0, vec![9, 8, 7, 9, 8, 7])]);
        assert_eq!(found.left_out.len(), 1);
        assert!(found.left_out[0].why.to_string().contains("b.png"));
    }
}
