//! Where images come from: classes to learn, and identities held out to validate on.

mod folder;
mod records;

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::Mutex;

use arcgate_firmware::align::{framed, luma};
use arcgate_firmware::frame::{Frame, PixelFormat};
use arcgate_firmware::model::{ChannelOrder, ModelInfo};
use image::GrayImage;
use nalgebra::Point2;
use rayon::prelude::*;

use crate::data::omniglot::{self, OmniglotError};
use crate::data::recordio::{RecordError, Records};
use crate::data::{DataError, LeftOut};
use crate::onnx::metadata::face_template;
use crate::photo::{Detector, PhotoError};
use crate::synth::Portraits;
use crate::synth::dice::Dice;

use super::augment::{Picture, Variation, crop};
use super::degrade::degrade;
use super::distill::{Teacher, TeacherError};
use super::recipe::{AugmentConfig, DataConfig, Recipe, Template};
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
    /// There is nothing to learn from the teacher.
    #[error(transparent)]
    Teacher(#[from] TeacherError),
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
    /// The teacher's embedding of it, of unit length; empty without a teacher.
    pub target: Vec<f32>,
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
    /// Columns and rows at which images are cut and varied: the input's, or the teacher's where that is larger.
    size: [usize; 2],
    teacher: Option<Teacher>,
    /// The teacher's embeddings of the held-out images.
    held_out_targets: Vec<Vec<f32>>,
    /// Its embeddings of the pictures of each identity, where it sees each of them once.
    targets: Vec<Vec<Vec<f32>>>,
}

impl Source {
    /// Opens what `recipe` names; folders and archives are decoded into memory at the input's size.
    ///
    /// # Errors
    /// See [`SourceError`].
    pub fn open(recipe: &Recipe) -> Result<Self, SourceError> {
        let Some(distill) = &recipe.distill else { return Self::images(recipe, recipe.net.input) };
        let teacher = Teacher::open(distill, recipe)?;
        let mut source = Self::images(recipe, teacher.cut(recipe.net.input))?;
        let picture = |cut: &Vec<u8>| source.picture(cut.clone());
        let seen = source.held_out.par_iter().map(|(_, cut)| teacher.target(&picture(cut)));
        let targets: Result<_, TeacherError> = seen.collect();
        let [columns, rows] = recipe.net.input;
        let own =
            |(i, cut): &(usize, Vec<u8>)| (*i, crop(&picture(cut), &Variation::plain(0), columns, rows));
        let own_size = |crops: &[_]| crops.par_iter().map(own).collect();
        let (held_out, unseen) = (own_size(&source.held_out), own_size(&source.unseen));
        (source.held_out_targets, source.held_out, source.unseen) = (targets?, held_out, unseen);
        if let (false, Kind::Pictures { identities, .. }) = (distill.vary, &source.kind) {
            let each = |pictures: &Vec<Picture>| pictures.iter().map(|p| teacher.target(p)).collect();
            source.targets = identities.par_iter().map(each).collect::<Result<_, TeacherError>>()?;
        }
        source.teacher = Some(teacher);
        Ok(source)
    }

    /// The images without a teacher, cut to `size`.
    fn images(recipe: &Recipe, size @ [columns, rows]: [usize; 2]) -> Result<Self, SourceError> {
        match &recipe.data {
            DataConfig::Synth { population, identities } => {
                let people = Portraits::new(*population);
                let mut source = Self::of(Kind::Synth(people), *identities, Default::default(), recipe, size);
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
            DataConfig::Folder { path, least_images, leave_out, detector, unlabelled } => {
                let listed = LeaveOut::read(leave_out)?;
                let (mut identities, mut left_out) = (Vec::new(), Vec::new());
                for path in path.iter() {
                    let detector = detector.as_ref().map(Detector::open).transpose()?;
                    let found = folder(recipe, size, path, *least_images, *unlabelled, &listed, detector)?;
                    identities.extend(found.0);
                    left_out.extend(found.1);
                }
                let source = Self::of_pictures(recipe, size, identities, *least_images, 1)?;
                Ok(Source { left_out, ..source })
            }
            DataConfig::Records { path, least_images } => {
                Self::of_records(recipe, size, Records::open(path)?, *least_images)
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
                Self::of_pictures(recipe, size, identities, 2, if *rotations { 4 } else { 1 })
            }
        }
    }

    fn of(
        kind: Kind,
        classes: usize,
        [held_out, unseen]: [Vec<(usize, Vec<u8>)>; 2],
        recipe: &Recipe,
        size: [usize; 2],
    ) -> Self {
        Source {
            kind,
            classes,
            held_out,
            unseen,
            left_out: Vec::new(),
            broken: Mutex::default(),
            recipe: recipe.clone(),
            size,
            teacher: None,
            held_out_targets: Vec::new(),
            targets: Vec::new(),
        }
    }

    /// Of identities with at least `images` images each.
    fn of_pictures(
        recipe: &Recipe,
        size @ [columns, rows]: [usize; 2],
        identities: Vec<Vec<Picture>>,
        images: usize,
        turns: usize,
    ) -> Result<Self, SourceError> {
        let parts = parts(recipe, identities.len(), images)?;
        let unlabelled = matches!(recipe.data, DataConfig::Folder { unlabelled: true, .. });
        let (mut learnt, mut held_out, mut unseen) = (Vec::new(), Vec::new(), Vec::new());
        for (i, (pictures, part)) in identities.into_iter().zip(parts).enumerate() {
            let cut = |vary: Variation| move |p: &Picture| (i, crop(p, &vary, columns, rows));
            let views = pictures.iter().map(cut(Variation::plain(0)));
            match part {
                Part::Validation => {
                    held_out.extend(views.take(VALIDATION_VIEWS));
                    if unlabelled {
                        held_out.extend(pictures.iter().map(cut(Variation::mirrored())));
                    }
                }
                Part::Test => unseen.extend(views.take(TEST_VIEWS)),
                Part::Learnt => learnt.push(pictures),
                Part::Unused => {}
            }
        }
        let classes = learnt.len() * turns;
        let kind = Kind::Pictures { identities: learnt, turns };
        Ok(Self::of(kind, classes, [held_out, unseen], recipe, size))
    }

    fn of_records(
        recipe: &Recipe,
        size @ [columns, rows]: [usize; 2],
        records: Records,
        images: usize,
    ) -> Result<Self, SourceError> {
        let classes: Vec<(usize, usize)> =
            records.sizes().enumerate().filter(|(_, n)| *n >= images).collect();
        let parts = parts(recipe, classes.len(), images)?;
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
        let classes = learnt.len();
        let kind = Kind::Records { records, learnt };
        Ok(Source { broken, ..Self::of(kind, classes, [held_out, unseen], recipe, size) })
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

    /// The teacher's embeddings of the held-out images, of unit length; none without a teacher.
    pub fn held_out_targets(&self) -> &[Vec<f32>] {
        &self.held_out_targets
    }

    /// The teacher, if there is one.
    pub fn teacher(&self) -> Option<&Teacher> {
        self.teacher.as_ref()
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
        let size @ [columns, rows] = self.size;
        let mut known = None;
        let varied = match &self.kind {
            Kind::Synth(people) => {
                let bytes = self.paint(people, class as u64, (round * per_class + shot) as u64);
                let vary = Variation::roll(&self.recipe.augment, 0, &mut dice);
                crop(&self.picture(bytes), &vary, columns, rows)
            }
            Kind::Pictures { identities, turns } => {
                let pictures = &identities[class / turns];
                let which = self.which(pictures.len(), group, shot, &mut dice);
                known = self.targets.get(class / turns).map(|of| of[which].clone());
                let vary = Variation::roll(&self.recipe.augment, class % turns, &mut dice);
                crop(&pictures[which], &vary, columns, rows)
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
        // A blur is given in pixels of the input.
        let blur = self.recipe.augment.blur * (rows as f32 / self.recipe.net.input[1] as f32);
        let augment = AugmentConfig { blur, ..self.recipe.augment.clone() };
        let picture = self.picture(degrade(&augment, varied, size, &mut dice));
        let target = match (known, &self.teacher) {
            (Some(known), _) => known,
            (None, Some(teacher)) => teacher.target(&picture)?,
            (None, None) => Vec::new(),
        };
        let [columns, rows] = self.recipe.net.input;
        let crop = match self.size == self.recipe.net.input {
            true => picture.data,
            false => crop(&picture, &Variation::plain(0), columns, rows),
        };
        Ok(Sample { crop, class, target })
    }

    /// Bytes of a crop of the size at which images are cut.
    fn picture(&self, data: Vec<u8>) -> Picture {
        let [width, height] = self.size;
        Picture { width, height, channels: self.recipe.net.planes(), data }
    }

    /// Which of a class's `size` images shot `shot` of a group takes: different ones, as long as there are any.
    fn which(&self, size: usize, group: usize, shot: usize, dice: &mut Dice) -> usize {
        match self.recipe.per_class() {
            1 => dice.below(size),
            _ => permuted(shot % size, size, (self.recipe.seed, SHOTS), group as u64),
        }
    }

    fn paint(&self, people: &Portraits, identity: u64, view: u64) -> Vec<u8> {
        let [columns, rows] = self.size.map(|s| s as u32);
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
        template: (recipe.input.template == Template::Face)
            .then(|| face_template(columns, rows).map(Point2::from)),
        dimension: recipe.net.embedding as u16,
        embedding_id: [0; 32],
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
    };
    let frame = Frame::new(PixelFormat::Grey8, w as u16, h as u16, drawing.as_raw());
    let mut data = vec![0; width * height * channels];
    let framed = frame.map(|frame| framed(&frame, &info, &mut data));
    assert!(matches!(framed, Ok(Ok(()))), "a decoded drawing is a frame and the crop has the model's size");
    Picture { width, height, channels, data }
}

#[cfg(test)]
mod tests;
