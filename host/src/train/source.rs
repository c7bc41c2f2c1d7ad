//! Where images come from: classes to learn, and identities held out to validate on.

use std::collections::{BTreeSet, HashMap};
use std::path::{Path, PathBuf};
use std::sync::Mutex;

use arcgate_firmware::align::{framed, luma};
use arcgate_firmware::engine::{ChannelOrder, ModelInfo};
use arcgate_firmware::frame::{Frame, PixelFormat};
use image::{GrayImage, imageops};
use nalgebra::Point2;
use rayon::prelude::*;

use crate::data::omniglot::{self, OmniglotError};
use crate::data::recordio::{RecordError, Records};
use crate::data::{self, DataError, ImageSet, LeftOut};
use crate::photo::{Detector, Finder, PhotoError};
use crate::synth::Portraits;
use crate::synth::dice::Dice;

use super::augment::{Picture, Variation, crop};
use super::degrade::degrade;
use super::recipe::{DataConfig, Recipe};

/// Synthetic people from this number on are for validation during training.
pub const VALIDATION_FIRST: u64 = 1 << 32;
/// Synthetic people from this number on are never touched by any training: for tests and demonstrations.
pub const UNSEEN_FIRST: u64 = 1 << 33;
/// Views of each held-out identity.
const VALIDATION_VIEWS: usize = 6;

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
        "{found} identities with at least {images} images each, {validation} of them to validate on\n  accepted: at least {} in all", validation + 2
    )]
    TooFew {
        /// Identities there are.
        found: usize,
        /// Images that each must have.
        images: usize,
        /// Of which this many are held out.
        validation: usize,
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
            DataConfig::Synth { population, identities, validation } => {
                let people = Portraits::new(*population);
                let mut source = Source {
                    kind: Kind::Synth(people),
                    classes: *identities,
                    held_out: Vec::new(),
                    left_out: Vec::new(),
                    broken: Mutex::default(),
                    recipe: recipe.clone(),
                };
                let views = (0..*validation).into_par_iter().flat_map_iter(|i| {
                    let identity = VALIDATION_FIRST + i as u64;
                    let source = &source;
                    (0..VALIDATION_VIEWS).map(move |v| (i, source.paint(&people, identity, v as u64)))
                });
                let held_out = views.collect();
                source.held_out = held_out;
                Ok(source)
            }
            DataConfig::Folder { path, validation, least_images, leave_out, detector } => {
                let listed = leave_out.as_deref().map(LeaveOut::read).transpose()?.unwrap_or_default();
                let detector = detector.as_ref().map(Detector::open).transpose()?;
                let (identities, left_out) = folder(recipe, path, *least_images, &listed, detector)?;
                let source = Self::of_pictures(recipe, identities, *validation, *least_images, 1)?;
                Ok(Source { left_out, ..source })
            }
            DataConfig::Records { path, validation, least_images } => {
                Self::of_records(recipe, Records::open(path)?, *validation, *least_images)
            }
            DataConfig::Omniglot { path, validation, rotations } => {
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
                Self::of_pictures(recipe, identities, *validation, 2, if *rotations { 4 } else { 1 })
            }
        }
    }

    /// Holds out `validation` identities evenly over the list (an alphabet's neighbours resemble each other).
    fn of_pictures(
        recipe: &Recipe,
        identities: Vec<Vec<Picture>>,
        validation: usize,
        images: usize,
        turns: usize,
    ) -> Result<Self, SourceError> {
        let found = identities.len();
        if found < validation + 2 {
            return Err(SourceError::TooFew { found, images, validation });
        }
        let [columns, rows] = recipe.net.input;
        let (mut learnt, mut held_out) = (Vec::new(), Vec::new());
        for (i, pictures) in identities.into_iter().enumerate() {
            if is_held_out(i, validation, found) {
                let views = pictures.iter().take(VALIDATION_VIEWS);
                held_out.extend(views.map(|p| (i, crop(p, &Variation::plain(0), columns, rows))));
            } else {
                learnt.push(pictures);
            }
        }
        let classes = learnt.len() * turns;
        Ok(Source {
            kind: Kind::Pictures { identities: learnt, turns },
            classes,
            held_out,
            left_out: Vec::new(),
            broken: Mutex::default(),
            recipe: recipe.clone(),
        })
    }

    fn of_records(
        recipe: &Recipe,
        records: Records,
        validation: usize,
        images: usize,
    ) -> Result<Self, SourceError> {
        let classes: Vec<(usize, usize)> =
            records.sizes().enumerate().filter(|(_, n)| *n >= images).collect();
        let found = classes.len();
        if found < validation + 2 {
            return Err(SourceError::TooFew { found, images, validation });
        }
        let (held, learnt): (Vec<_>, Vec<_>) =
            classes.into_iter().enumerate().partition(|(i, _)| is_held_out(*i, validation, found));
        let [columns, rows] = recipe.net.input;
        let (mut held_out, broken) = (Vec::new(), Mutex::default());
        for (identity, (class, size)) in held {
            for picture in readable(&records, class, 0..size, recipe, &broken).take(VALIDATION_VIEWS) {
                held_out.push((identity, crop(&picture?, &Variation::plain(0), columns, rows)));
            }
        }
        let learnt: Vec<(usize, usize)> = learnt.into_iter().map(|(_, class)| class).collect();
        Ok(Source {
            classes: learnt.len(),
            kind: Kind::Records { records, learnt },
            held_out,
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

/// Whether identity `i` of `found` is one of the `validation` held out, evenly over the list.
fn is_held_out(i: usize, validation: usize, found: usize) -> bool {
    (i + 1) * validation / found > i * validation / found
}

/// The images of a class that can be read, in the given order; those that are broken go to `broken`. What else stops is an error:
/// a disk that fails is no broken image.
fn readable<'a>(
    records: &'a Records,
    class: usize,
    order: impl Iterator<Item = usize> + 'a,
    recipe: &'a Recipe,
    broken: &'a Mutex<BTreeSet<String>>,
) -> impl Iterator<Item = Result<Picture, RecordError>> + 'a {
    order.filter_map(move |which| match decoded(records, class, which, recipe) {
        Err(why @ RecordError::Record { .. }) => {
            broken.lock().expect("no thread panics while it adds one").insert(why.to_string());
            None
        }
        other => Some(other),
    })
}

/// An image of a record as the network sees it. Records hold faces aligned to 112x112; for a narrower input the columns at both
/// sides fall away, as [`crate::onnx::metadata::face_template`] has it.
fn decoded(records: &Records, class: usize, which: usize, recipe: &Recipe) -> Result<Picture, RecordError> {
    let picture = records.image(class, which)?;
    let [columns, rows] = recipe.net.input;
    let (whole, height) = (picture.width(), picture.height());
    let width = (height as usize * columns / rows).clamp(1, whole as usize) as u32;
    let picture = imageops::crop_imm(&picture, (whole - width) / 2, 0, width, height).to_image();
    let channels = recipe.net.planes();
    let data = if channels == 1 { picture.pixels().map(|p| luma(p.0)).collect() } else { picture.into_raw() };
    Ok(Picture { width: width as usize, height: height as usize, channels, data })
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

/// Identities and images that must not be learnt from, as a file lists them.
#[derive(Debug, Default)]
struct LeaveOut(BTreeSet<String>);

impl LeaveOut {
    fn read(path: &Path) -> Result<Self, SourceError> {
        let text =
            std::fs::read_to_string(path).map_err(|why| SourceError::LeaveOut { path: path.into(), why })?;
        Ok(LeaveOut(text.lines().map(str::trim).filter(|l| !l.is_empty()).map(str::to_owned).collect()))
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

/// The pictures of each identity of a folder with at least `least` usable images; and the images that are broken or show no face.
fn folder(
    recipe: &Recipe,
    path: &Path,
    least: usize,
    listed: &LeaveOut,
    detector: Option<Detector>,
) -> Result<(Vec<Vec<Picture>>, Vec<LeftOut>), SourceError> {
    let set = ImageSet::open(path)?;
    let finder = Finder::new(detector, set.landmarks.clone());
    let size = recipe.net.input;
    let info = info(recipe, size);
    let identities: Vec<Vec<usize>> = set
        .identities()
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
mod tests {
    use super::*;

    fn of(path: &Path, validation: usize, least_images: usize, leave_out: Option<PathBuf>) -> DataConfig {
        DataConfig::Folder { path: path.into(), validation, least_images, leave_out, detector: None }
    }

    #[test]
    fn every_round_holds_every_class_once_in_another_order() {
        for n in [2, 3, 17, 64, 1000] {
            let round = |r| (0..n).map(|p| permuted(p, n, (5, ORDER), r)).collect::<Vec<_>>();
            let (first, second) = (round(0), round(1));
            let mut sorted = first.clone();
            sorted.sort_unstable();
            assert_eq!(sorted, (0..n).collect::<Vec<_>>());
            assert!(n < 17 || first != second);
        }
    }

    #[test]
    fn samples_are_pure_and_held_out_people_are_not_among_them() {
        let mut recipe = Recipe::demo();
        recipe.data = DataConfig::Synth { population: 1, identities: 5, validation: 3 };
        let source = Source::open(&recipe).unwrap();
        let (a, b) = (source.sample(7).unwrap(), source.sample(7).unwrap());
        assert_eq!((a.class, &a.crop), (b.class, &b.crop));
        assert_ne!(source.sample(12).unwrap().crop, a.crop);
        assert_eq!(source.held_out().len(), 3 * VALIDATION_VIEWS);
        assert!(source.held_out().iter().all(|(_, crop)| crop.len() == a.crop.len()));
    }

    #[test]
    fn batches_hold_different_images_of_each_class() {
        let root = tempfile::tempdir().unwrap();
        let people = Portraits::new(3);
        for identity in 0..6 {
            let folder = root.path().join(format!("p{identity}"));
            std::fs::create_dir(&folder).unwrap();
            for view in 0..5 {
                people.portrait(identity, view, (48, 48)).save(folder.join(format!("{view}.png"))).unwrap();
            }
        }
        let mut recipe = Recipe::demo();
        recipe.augment = Default::default();
        recipe.train.per_class = Some(4);
        let folder = of(root.path(), 2, 2, None);
        for data in [folder, DataConfig::Synth { population: 1, identities: 4, validation: 2 }] {
            recipe.data = data;
            let source = Source::open(&recipe).unwrap();
            let mut seen = std::collections::BTreeMap::<usize, usize>::new();
            for group in 0..8 {
                let samples: Vec<Sample> = (0..4).map(|k| source.sample(4 * group + k).unwrap()).collect();
                assert!(samples.iter().all(|s| s.class == samples[0].class));
                for (i, sample) in samples.iter().enumerate() {
                    assert!(
                        samples[..i].iter().all(|s| s.crop != sample.crop),
                        "group {group} repeats an image"
                    );
                }
                *seen.entry(samples[0].class).or_default() += 1;
            }
            assert_eq!(seen.into_values().collect::<Vec<_>>(), [2; 4]);
        }
    }

    #[test]
    fn listed_people_and_broken_images_are_left_out() {
        let root = tempfile::tempdir().unwrap();
        let (faces, list) = (root.path().join("faces"), root.path().join("leave-out.txt"));
        let people = Portraits::new(3);
        for identity in 0..6 {
            let folder = faces.join(format!("p{identity}"));
            std::fs::create_dir_all(&folder).unwrap();
            for view in 0..3 {
                people.portrait(identity, view, (48, 48)).save(folder.join(format!("{view}.png"))).unwrap();
            }
        }
        std::fs::write(faces.join("p2/1.png"), b"broken").unwrap();
        std::fs::write(&list, "p1\n\n p5/0.png \n").unwrap();
        let mut recipe = Recipe::demo();
        recipe.data = of(&faces, 2, 2, Some(list));
        let source = Source::open(&recipe).unwrap();
        assert_eq!(source.classes(), 3, "p1 is left out, two of the others are held out");
        let Kind::Pictures { identities, .. } = &source.kind else { unreachable!() };
        let pictures: usize = identities.iter().map(Vec::len).sum::<usize>() + source.held_out().len();
        assert_eq!(pictures, 5 * 3 - 2);
        assert_eq!(source.left_out().len(), 1);
        assert!(source.left_out()[0].why.to_string().contains("1.png is not a picture"));
        recipe.data = of(&faces, 2, 2, Some(root.path().join("nowhere.txt")));
        let missing = Source::open(&recipe).err().expect("no list").to_string();
        assert!(missing.contains("nowhere.txt"), "{missing}");
    }

    #[test]
    fn records_are_read_on_the_way_and_a_broken_one_is_named() {
        use crate::data::recordio::tests::Writer;

        let root = tempfile::tempdir().unwrap();
        let mut writer = Writer::default();
        let people = Portraits::new(4);
        for key in 0..18 {
            let mut png = std::io::Cursor::new(Vec::new());
            people.portrait(key / 3, key % 3, (40, 40)).write_to(&mut png, image::ImageFormat::Png).unwrap();
            writer.add(key, &[(key / 3) as f32], png.get_ref());
        }
        // The second image: it belongs to the first identity, which is learnt.
        let pictures = writer.rec.windows(4).enumerate().filter(|(_, w)| *w == b"\x89PNG").map(|(at, _)| at);
        let second = pictures.collect::<Vec<_>>()[1];
        writer.rec[second] = 0;
        let mut recipe = Recipe::demo();
        recipe.data = DataConfig::Records { path: writer.save(root.path()), validation: 2, least_images: 2 };
        recipe.train.per_class = Some(2);
        recipe.input.template = crate::train::recipe::Template::Face;
        let source = Source::open(&recipe).unwrap();
        assert_eq!((source.classes(), source.held_out().len()), (4, 6));
        assert!(source.broken().is_empty());
        let [columns, rows] = recipe.net.input;
        for number in 0..80 {
            let (sample, again) = (source.sample(number).unwrap(), source.sample(number).unwrap());
            assert_eq!((sample.class, &sample.crop), (again.class, &again.crop));
            assert_eq!(sample.crop.len(), columns * rows * 3);
        }
        let broken = source.broken();
        assert!(broken.len() == 1 && broken[0].contains("record 1 at byte"), "{broken:?}");
        // One of those held out: another image of the same person is validated on.
        let mut held = writer.rec.clone();
        let last = held.windows(4).rposition(|w| w == b"\x89PNG").unwrap();
        held[last] = 0;
        std::fs::write(root.path().join("train.rec"), held).unwrap();
        let source = Source::open(&recipe).unwrap();
        assert_eq!((source.held_out().len(), source.broken().len()), (5, 1));
        recipe.data =
            DataConfig::Records { path: root.path().join("train.rec"), validation: 2, least_images: 4 };
        assert!(matches!(Source::open(&recipe), Err(SourceError::TooFew { found: 0, images: 4, .. })));
    }

    #[test]
    fn folders_give_their_identities_or_say_that_they_are_too_few() {
        let root = tempfile::tempdir().unwrap();
        let people = Portraits::new(3);
        for identity in 0..4 {
            let folder = root.path().join(format!("p{identity}"));
            std::fs::create_dir(&folder).unwrap();
            for view in 0..3 {
                people.portrait(identity, view, (60, 60)).save(folder.join(format!("{view}.png"))).unwrap();
            }
        }
        let mut recipe = Recipe::demo();
        recipe.data = of(root.path(), 2, 2, None);
        let source = Source::open(&recipe).unwrap();
        assert_eq!((source.classes(), source.held_out().len()), (2, 6));
        assert!(source.sample(1).unwrap().class < 2);
        recipe.data = of(root.path(), 2, 4, None);
        assert!(matches!(Source::open(&recipe), Err(SourceError::TooFew { found: 0, images: 4, .. })));
    }
}
