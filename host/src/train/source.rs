//! Where images come from: classes to learn, and identities held out to validate on.

mod folder;
mod records;

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::Mutex;

use arcgate_firmware::align::{framed, luma};
use arcgate_firmware::engine::{ChannelOrder, ModelInfo};
use arcgate_firmware::frame::{Frame, PixelFormat};
use image::GrayImage;
use nalgebra::Point2;
use rayon::prelude::*;

use crate::data::omniglot::{self, OmniglotError};
use crate::data::recordio::{RecordError, Records};
use crate::data::{DataError, LeftOut};
use crate::photo::{Detector, PhotoError};
use crate::synth::Portraits;
use crate::synth::dice::Dice;

use super::augment::{Picture, Variation, crop};
use super::degrade::degrade;
use super::recipe::{DataConfig, Recipe};
use super::split::Part;
use folder::{LeaveOut, folder};
use records::readable;

/// Synthetic people from this number on are for validation during training.
pub const VALIDATION_FIRST: u64 = 1 << 32;
/// Synthetic people from this number on are never touched by any training: for tests and demonstrations.
pub const UNSEEN_FIRST: u64 = 1 << 33;
/// Views of each identity that is validated on.
const VALIDATION_VIEWS: usize = 6;
/// Views of each identity that is never touched.
pub const TEST_VIEWS: usize = 20;

/// Why there are no images.
#[derive(Debug, thiserror::Error)]
pub enum SourceError {
    /// The folder cannot be read.
    #[error(transparent)]
    Folder(#[from] DataError),
    /// The detector cannot be used.
    #[error(transparent)]
    Photo(#[from] PhotoError),
    /// The list of what is to be left out cannot be read.
    #[error("cannot read {}: {why}", path.display())]
    LeaveOut {
        /// Which file.
        path: PathBuf,
        /// What the file system said.
        why: std::io::Error,
    },
    /// The file of records cannot be read.
    #[error(transparent)]
    Records(#[from] RecordError),
    /// Nothing can be learnt of a class.
    #[error("no image of class {class} can be read")]
    Unreadable {
        /// Which, in the order of the file.
        class: usize,
    },
    /// The Omniglot archives cannot be read.
    #[error(transparent)]
    Omniglot(#[from] OmniglotError),
    /// Too few identities.
    #[error(
        "{found} identities with at least {images} images each\n  accepted: at least {least}: {} held out, and two to learn", least - 2
    )]
    TooFew {
        /// Identities there are.
        found: usize,
        /// Images that each must have.
        images: usize,
        /// The fewest that can be split as the recipe says.
        least: usize,
    },
    /// Drawings of the one-shot runs are among the training characters.
    #[error("drawings of {0} are also in the one-shot runs; training on them would measure nothing")]
    Leak(String),
}

/// An image with its class.
pub struct Sample {
    /// Interleaved R, G, B or grey bytes of the input's size.
    pub crop: Vec<u8>,
    /// Its class, counted from 0.
    pub class: usize,
}

enum Kind {
    /// Painted when asked for.
    Synth(Portraits),
    /// In memory; `turns` classes are made of each identity by right angles (1: none).
    Pictures { identities: Vec<Vec<Picture>>, turns: usize },
    /// Read when asked for; of the file's classes, those that are learnt, with how many images each has.
    Records { records: Records, learnt: Vec<(usize, usize)> },
}

/// The images that a recipe names.
pub struct Source {
    kind: Kind,
    classes: usize,
    held_out: Vec<(usize, Vec<u8>)>,
    unseen: Vec<(usize, Vec<u8>)>,
    left_out: Vec<LeftOut>,
    /// Records that gave no image, found on the way.
    broken: Mutex<BTreeSet<String>>,
    recipe: Recipe,
}

impl Source {
    /// Opens what `recipe` names; folders and archives are decoded into memory at the input's size.
    ///
    /// # Errors
    /// See [`SourceError`].
    pub fn open(recipe: &Recipe) -> Result<Self, SourceError> {
        let [columns, rows] = recipe.net.input;
        match &recipe.data {
            DataConfig::Synth { population, identities } => {
                let people = Portraits::new(*population);
                let mut source = Source {
                    kind: Kind::Synth(people),
                    classes: *identities,
                    held_out: Vec::new(),
                    unseen: Vec::new(),
                    left_out: Vec::new(),
                    broken: Mutex::default(),
                    recipe: recipe.clone(),
                };
                let views = |first: u64, number: usize, views: usize| {
                    let source = &source;
                    let of = move |i| {
                        (0..views).map(move |v| (i, source.paint(&people, first + i as u64, v as u64)))
                    };
                    (0..number).into_par_iter().flat_map_iter(of).collect()
                };
                let held_out = views(VALIDATION_FIRST, recipe.split.validation, VALIDATION_VIEWS);
                let unseen = views(UNSEEN_FIRST, recipe.split.test, TEST_VIEWS);
                (source.held_out, source.unseen) = (held_out, unseen);
                Ok(source)
            }
            DataConfig::Folder { path, least_images, leave_out, detector } => {
                let listed = leave_out.as_deref().map(LeaveOut::read).transpose()?.unwrap_or_default();
                let detector = detector.as_ref().map(Detector::open).transpose()?;
                let (identities, left_out) = folder(recipe, path, *least_images, &listed, detector)?;
                let source = Self::of_pictures(recipe, identities, *least_images, 1)?;
                Ok(Source { left_out, ..source })
            }
            DataConfig::Records { path, least_images } => {
                Self::of_records(recipe, Records::open(path)?, *least_images)
            }
            DataConfig::Omniglot { path, rotations } => {
                let default = || crate::data::default_root().join("omniglot").join("python");
                let path = path.clone().unwrap_or_else(default);
                let characters = omniglot::background(&path)?;
                let leaked = omniglot::overlap(&characters, &omniglot::runs(&path)?);
                if !leaked.is_empty() {
                    return Err(SourceError::Leak(leaked.join(", ")));
                }
                let shrunk = |d: &GrayImage| shrink(d, [2 * columns, 2 * rows], recipe.net.planes());
                let identities =
                    characters.par_iter().map(|c| c.drawings.iter().map(shrunk).collect()).collect();
                Self::of_pictures(recipe, identities, 2, if *rotations { 4 } else { 1 })
            }
        }
    }

    /// Of identities with at least `images` images each.
    fn of_pictures(
        recipe: &Recipe,
        identities: Vec<Vec<Picture>>,
        images: usize,
        turns: usize,
    ) -> Result<Self, SourceError> {
        let parts = parts(recipe, identities.len(), images)?;
        let [columns, rows] = recipe.net.input;
        let (mut learnt, mut held_out, mut unseen) = (Vec::new(), Vec::new(), Vec::new());
        for (i, (pictures, part)) in identities.into_iter().zip(parts).enumerate() {
            let views = pictures.iter().map(|p| (i, crop(p, &Variation::plain(0), columns, rows)));
            match part {
                Part::Learnt => learnt.push(pictures),
                Part::Validation => held_out.extend(views.take(VALIDATION_VIEWS)),
                Part::Test => unseen.extend(views.take(TEST_VIEWS)),
                Part::Unused => {}
            }
        }
        let classes = learnt.len() * turns;
        Ok(Source {
            kind: Kind::Pictures { identities: learnt, turns },
            classes,
            held_out,
            unseen,
            left_out: Vec::new(),
            broken: Mutex::default(),
            recipe: recipe.clone(),
        })
    }

    fn of_records(recipe: &Recipe, records: Records, images: usize) -> Result<Self, SourceError> {
        let classes: Vec<(usize, usize)> =
            records.sizes().enumerate().filter(|(_, n)| *n >= images).collect();
        let parts = parts(recipe, classes.len(), images)?;
        let [columns, rows] = recipe.net.input;
        let (mut learnt, mut held_out, mut unseen) = (Vec::new(), Vec::new(), Vec::new());
        let broken = Mutex::default();
        for (identity, ((class, size), part)) in classes.into_iter().zip(parts).enumerate() {
            let (to, most) = match part {
                Part::Learnt => {
                    learnt.push((class, size));
                    continue;
                }
                Part::Validation => (&mut held_out, VALIDATION_VIEWS),
                Part::Test => (&mut unseen, TEST_VIEWS),
                Part::Unused => continue,
            };
            for picture in readable(&records, class, 0..size, recipe, &broken).take(most) {
                to.push((identity, crop(&picture?, &Variation::plain(0), columns, rows)));
            }
        }
        Ok(Source {
            classes: learnt.len(),
            kind: Kind::Records { records, learnt },
            held_out,
            unseen,
            left_out: Vec::new(),
            broken,
            recipe: recipe.clone(),
        })
    }

    /// How many classes there are to learn.
    pub fn classes(&self) -> usize {
        self.classes
    }

    /// The held-out identities' images: identity and crop.
    pub fn held_out(&self) -> &[(usize, Vec<u8>)] {
        &self.held_out
    }

    /// The images of the identities that the training never touches: identity and crop, at most [`TEST_VIEWS`] of each.
    pub fn unseen(&self) -> &[(usize, Vec<u8>)] {
        &self.unseen
    }

    /// Images that are broken or show no face.
    pub fn left_out(&self) -> &[LeftOut] {
        &self.left_out
    }

    /// Records that gave no image so far, each with its reason; another image of the same class was taken for them.
    pub fn broken(&self) -> Vec<String> {
        self.broken.lock().expect("no thread panics while it adds one").iter().cloned().collect()
    }

    /// Image number `number` of the training, a pure function of the recipe's seed and `number`.
    ///
    /// Classes come in shuffled rounds, so that each is seen equally often; K images of a class follow one another where the
    /// recipe asks for batches of P x K.
    ///
    /// # Errors
    /// When the file system fails, or no image of a class can be read.
    pub fn sample(&self, number: usize) -> Result<Sample, SourceError> {
        let per_class = self.recipe.per_class();
        let (group, shot) = (number / per_class, number % per_class);
        let (round, place) = (group / self.classes, group % self.classes);
        let class = permuted(place, self.classes, (self.recipe.seed, ORDER), round as u64);
        let mut dice = Dice::new(self.recipe.seed, number as u64, SAMPLE, 0);
        let size @ [columns, rows] = self.recipe.net.input;
        let crop = match &self.kind {
            Kind::Synth(people) => {
                let bytes = self.paint(people, class as u64, (round * per_class + shot) as u64);
                let picture =
                    Picture { width: columns, height: rows, channels: self.recipe.net.planes(), data: bytes };
                let vary = Variation::roll(&self.recipe.augment, 0, &mut dice);
                crop(&picture, &vary, columns, rows)
            }
            Kind::Pictures { identities, turns } => {
                let pictures = &identities[class / turns];
                let picture = &pictures[self.which(pictures.len(), group, shot, &mut dice)];
                let vary = Variation::roll(&self.recipe.augment, class % turns, &mut dice);
                crop(picture, &vary, columns, rows)
            }
            Kind::Records { records, learnt } => {
                let (of, size) = learnt[class];
                let which = self.which(size, group, shot, &mut dice);
                let vary = Variation::roll(&self.recipe.augment, 0, &mut dice);
                let order = (which..size).chain(0..which);
                let found = readable(records, of, order, &self.recipe, &self.broken).next();
                let picture = found.ok_or(SourceError::Unreadable { class: of })??;
                crop(&picture, &vary, columns, rows)
            }
        };
        Ok(Sample { crop: degrade(&self.recipe.augment, crop, size, &mut dice), class })
    }

    /// Which of a class's `size` images shot `shot` of a group takes: different ones, as long as there are any.
    fn which(&self, size: usize, group: usize, shot: usize, dice: &mut Dice) -> usize {
        match self.recipe.per_class() {
            1 => dice.below(size),
            _ => permuted(shot % size, size, (self.recipe.seed, SHOTS), group as u64),
        }
    }

    fn paint(&self, people: &Portraits, identity: u64, view: u64) -> Vec<u8> {
        let [columns, rows] = self.recipe.net.input.map(|s| s as u32);
        let portrait = people.portrait(identity, view, (columns, rows));
        if self.recipe.net.planes() == 1 {
            portrait.pixels().map(|p| luma(p.0)).collect()
        } else {
            portrait.into_raw()
        }
    }
}

/// Where each of `found` identities with at least `images` images belongs.
fn parts(recipe: &Recipe, found: usize, images: usize) -> Result<Vec<Part>, SourceError> {
    let least = recipe.split.least();
    if found < least {
        return Err(SourceError::TooFew { found, images, least });
    }
    Ok(recipe.split.parts(found))
}

/// Keys that set streams of random numbers apart.
const SAMPLE: u64 = 10;
const ORDER: u64 = 11;
const SHOTS: u64 = 13;

/// Where place `place` of 0..n goes in round `round` of a stream (seed and key): a bijection, by a Feistel network that walks
/// until it is below n.
fn permuted(place: usize, n: usize, (seed, stream): (u64, u64), round: u64) -> usize {
    let half_bits = (usize::BITS - n.max(2).next_power_of_two().leading_zeros()).div_ceil(2);
    let mask = (1_u64 << half_bits) - 1;
    let mut keys = Dice::new(seed, round, stream, 0);
    let keys: [u64; 4] = std::array::from_fn(|_| keys.below(1 << 30) as u64);
    let mut value = place as u64;
    loop {
        let (mut left, mut right) = (value >> half_bits, value & mask);
        for key in keys {
            let mixed = (right ^ key).wrapping_mul(0x9e37_79b9_7f4a_7c15);
            (left, right) = (right, left ^ (mixed >> 32) & mask);
        }
        value = left << half_bits | right;
        if value < n as u64 {
            return value as usize;
        }
    }
}

/// What a device would need to know to crop for this recipe's model.
fn info(recipe: &Recipe, [columns, rows]: [usize; 2]) -> ModelInfo {
    let order = if recipe.net.planes() == 1 { ChannelOrder::Grey } else { ChannelOrder::Rgb };
    ModelInfo {
        width: columns as u16,
        height: rows as u16,
        order,
        template: recipe.float_input().template.map(|points| points.map(Point2::from)),
        dimension: recipe.net.embedding as u16,
        embedding_id: [0; 32],
        threshold: None,
    }
}

/// A drawing averaged down to `columns` x `rows`, or kept when it is smaller already.
fn shrink(drawing: &GrayImage, [columns, rows]: [usize; 2], channels: usize) -> Picture {
    let (w, h) = (drawing.width() as usize, drawing.height() as usize);
    let (width, height) = (columns.min(w), rows.min(h));
    let order = if channels == 1 { ChannelOrder::Grey } else { ChannelOrder::Rgb };
    let info = ModelInfo {
        width: width as u16,
        height: height as u16,
        order,
        template: None,
        dimension: 1,
        embedding_id: [0; 32],
        threshold: None,
    };
    let frame = Frame::new(PixelFormat::Grey8, w as u16, h as u16, drawing.as_raw());
    let mut data = vec![0; width * height * channels];
    let framed = frame.map(|frame| framed(&frame, &info, &mut data));
    assert!(matches!(framed, Ok(Ok(()))), "a decoded drawing is a frame and the crop has the model's size");
    Picture { width, height, channels, data }
}

#[cfg(test)]
mod tests;
