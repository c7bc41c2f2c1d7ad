//! InsightFace's training sets: NAME.rec with the images, NAME.idx with where each begins.
//!
//! ```text
//! .idx     a line a record: key TAB offset
//! .rec     records, each from an offset that is a multiple of 4
//! record   u32 0xced7230a   u32 part << 29 | length   bytes, padded to a multiple of 4
//!          part 0: the whole; 1, 2, 3: first, middle and last part of a payload that held the first word itself
//! payload  u32 labels   f32 label   u64 id   u64 id2, then that many f32 labels if `labels` is not 0, then a JPEG or PNG
//! ```
//!
//! Integers are little-endian. Record 0 has two labels, the first key of an identity's record and the key behind the last; an
//! identity's record has two as well, its first image and the one behind its last. Without such a record 0 every record is an
//! image, and its label is its class.

use std::collections::BTreeMap;
use std::fs::File;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Mutex;

use image::ImageReader;

/// What begins a record.
const MAGIC: u32 = 0xced7_230a;

/// Bytes of a payload's fixed header.
const HEADER: usize = 24;

/// Bytes of the largest payload: no photograph for training has more.
const LARGEST: usize = 64 << 20;

/// Why a training set cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum RecordError {
    /// The file system said no.
    #[error("cannot read {}: {why}", path.display())]
    Io {
        /// Which file.
        path: PathBuf,
        /// What it said.
        why: std::io::Error,
    },
    /// A line of the index is none.
    #[error("{} line {line}: {text:?}\n  accepted: KEY TAB OFFSET, whole numbers, each key once", path.display())]
    Index {
        /// The index.
        path: PathBuf,
        /// Counted from 1.
        line: usize,
        /// What stands there.
        text: String,
    },
    /// A record is damaged.
    #[error("{}, record {key} at byte {offset}: {what}", path.display())]
    Record {
        /// The file of records.
        path: PathBuf,
        /// Its key in the index.
        key: u64,
        /// Where it begins.
        offset: u64,
        /// What is wrong.
        what: String,
    },
    /// The index lacks a record that another one names.
    #[error("{}: record {key} is missing, which record {of} names", path.display())]
    Missing {
        /// The index.
        path: PathBuf,
        /// The key.
        key: u64,
        /// Who names it.
        of: u64,
    },
}

/// A set of images by class, read record by record.
#[derive(Debug)]
pub struct Records {
    path: PathBuf,
    file: Mutex<File>,
    length: u64,
    offsets: BTreeMap<u64, u64>,
    /// The keys of each class's images.
    classes: Vec<Vec<u64>>,
}

/// A payload's labels and its image.
struct Payload {
    labels: Vec<f32>,
    image: Vec<u8>,
}

impl Records {
    /// Opens `path` (NAME.rec) with the NAME.idx beside it, and finds its classes. Images are read later.
    ///
    /// # Errors
    /// When a file cannot be read, or a record that tells of classes is damaged.
    pub fn open(path: &Path) -> Result<Self, RecordError> {
        let io = |path: &Path| {
            let path = path.to_path_buf();
            move |why| RecordError::Io { path, why }
        };
        let index = path.with_extension("idx");
        let text = std::fs::read_to_string(&index).map_err(io(&index))?;
        let mut offsets = BTreeMap::new();
        for (i, line) in text.lines().enumerate().filter(|(_, l)| !l.trim().is_empty()) {
            let wrong = || RecordError::Index { path: index.clone(), line: i + 1, text: line.into() };
            let (key, offset) = line.split_once('\t').ok_or_else(wrong)?;
            let number = |text: &str| text.trim().parse::<u64>().ok();
            let (key, offset) = number(key).zip(number(offset)).ok_or_else(wrong)?;
            if offsets.insert(key, offset).is_some() {
                return Err(wrong());
            }
        }
        let file = File::open(path).map_err(io(path))?;
        let length = file.metadata().map_err(io(path))?.len();
        let file = Mutex::new(file);
        let mut records = Records { path: path.into(), file, length, offsets, classes: Vec::new() };
        records.classes = records.find_classes()?;
        Ok(records)
    }

    /// How many images each class has.
    pub fn sizes(&self) -> impl Iterator<Item = usize> {
        self.classes.iter().map(Vec::len)
    }

    /// The pixels of image `which` of `class`, as R, G, B.
    ///
    /// # Errors
    /// When the record cannot be read, or holds no image.
    ///
    /// # Panics
    /// When there is no such class or image.
    pub fn image(&self, class: usize, which: usize) -> Result<image::RgbImage, RecordError> {
        let key = self.classes[class][which];
        let payload = self.payload(key)?;
        let wrong = |what: String| self.damaged(key, what);
        let reader = ImageReader::new(std::io::Cursor::new(&payload.image))
            .with_guessed_format()
            .map_err(|e| wrong(e.to_string()))?;
        let (width, height) = reader.into_dimensions().map_err(|e| wrong(format!("no image: {e}")))?;
        if width.max(height) > 8192 {
            return Err(wrong(format!(
                "an image of {width}x{height} pixels; accepted: sides of at most 8192"
            )));
        }
        let picture = image::load_from_memory(&payload.image).map_err(|e| wrong(format!("no image: {e}")))?;
        Ok(picture.into_rgb8())
    }

    fn find_classes(&self) -> Result<Vec<Vec<u64>>, RecordError> {
        if self.offsets.contains_key(&0) {
            let first = self.payload(0)?;
            if first.labels.len() >= 2 {
                let mut end = 0;
                return self
                    .range(0, &first.labels)?
                    .map(|identity| {
                        self.known(identity, 0)?;
                        let labels = self.payload(identity)?.labels;
                        let images = self.range(identity, &labels)?;
                        // In order and apart: no image of two people, and no more of them than the index has.
                        if images.start < end {
                            return Err(
                                self.damaged(identity, format!("its images {images:?} are another's too"))
                            );
                        }
                        end = images.end;
                        images.clone().try_for_each(|key| self.known(key, identity))?;
                        Ok(images.collect())
                    })
                    .collect();
            }
        }
        let mut by_label: BTreeMap<u64, Vec<u64>> = BTreeMap::new();
        for &key in self.offsets.keys() {
            let label = self.payload(key)?.labels.first().copied().unwrap_or(-1.0);
            let class = whole(label).ok_or_else(|| self.damaged(key, format!("its label is {label}")))?;
            by_label.entry(class).or_default().push(key);
        }
        Ok(by_label.into_values().collect())
    }

    /// The keys between two labels.
    fn range(&self, of: u64, labels: &[f32]) -> Result<Range<u64>, RecordError> {
        let bounds = match labels {
            [first, last, ..] => whole(*first).zip(whole(*last)),
            _ => None,
        };
        // No range of keys is longer than the index: a damaged label must not make a list of billions.
        bounds
            .filter(|(first, last)| first <= last && last - first <= self.offsets.len() as u64)
            .map(|(first, last)| first..last)
            .ok_or_else(|| self.damaged(of, format!("its labels {labels:?} bound no records")))
    }

    fn known(&self, key: u64, of: u64) -> Result<(), RecordError> {
        let missing = || RecordError::Missing { path: self.path.with_extension("idx"), key, of };
        self.offsets.get(&key).map(|_| ()).ok_or_else(missing)
    }

    fn damaged(&self, key: u64, what: String) -> RecordError {
        let offset = self.offsets.get(&key).copied().unwrap_or(0);
        RecordError::Record { path: self.path.clone(), key, offset, what }
    }

    fn payload(&self, key: u64) -> Result<Payload, RecordError> {
        let wrong = |what: String| self.damaged(key, what);
        let bytes = self.record(key)?;
        let (head, rest) = bytes
            .split_at_checked(HEADER)
            .ok_or_else(|| wrong(format!("its {} bytes are no header", bytes.len())))?;
        let count = u32_at(head, 0) as usize;
        if count == 0 {
            return Ok(Payload { labels: vec![f32::from_bits(u32_at(head, 4))], image: rest.to_vec() });
        }
        let labels = count.checked_mul(4).and_then(|end| rest.get(..end));
        let labels = labels.ok_or_else(|| wrong(format!("it ends within its {count} labels")))?;
        let image = rest[labels.len()..].to_vec();
        let labels = labels.as_chunks::<4>().0.iter().map(|&b| f32::from_le_bytes(b)).collect();
        Ok(Payload { labels, image })
    }

    /// The bytes of a record, its parts put together.
    fn record(&self, key: u64) -> Result<Vec<u8>, RecordError> {
        let wrong = |what: String| self.damaged(key, what);
        let mut at = self.offsets[&key];
        let mut bytes = Vec::new();
        loop {
            let head = self.read(key, at, 8)?;
            if u32_at(&head, 0) != MAGIC {
                return Err(wrong(format!("{:#010x} is not how a record begins", u32_at(&head, 0))));
            }
            let (part, length) = (u32_at(&head, 4) >> 29, (u32_at(&head, 4) & 0x1fff_ffff) as usize);
            if bytes.len() + length > LARGEST {
                return Err(wrong(format!("{length} bytes; accepted: at most {LARGEST}")));
            }
            if part > 3 || (part < 2) != bytes.is_empty() {
                return Err(wrong(format!("part {part} does not come here")));
            }
            if part > 1 {
                bytes.extend(MAGIC.to_le_bytes());
            }
            bytes.extend(self.read(key, at + 8, length)?);
            if part == 0 || part == 3 {
                return Ok(bytes);
            }
            at += 8 + (length as u64).next_multiple_of(4);
        }
    }

    fn read(&self, key: u64, at: u64, length: usize) -> Result<Vec<u8>, RecordError> {
        use std::io::{Read, Seek, SeekFrom};
        if at.checked_add(length as u64).is_none_or(|end| end > self.length) {
            return Err(self.damaged(key, format!("the file ends at byte {}, within it", self.length)));
        }
        let mut bytes = vec![0; length];
        let mut file = self.file.lock().expect("no thread panics while it reads");
        let read = file.seek(SeekFrom::Start(at)).and_then(|_| file.read_exact(&mut bytes));
        read.map_err(|why| RecordError::Io { path: self.path.clone(), why })?;
        Ok(bytes)
    }
}

fn u32_at(bytes: &[u8], at: usize) -> u32 {
    bytes.get(at..at + 4).and_then(|b| b.try_into().ok()).map_or(0, u32::from_le_bytes)
}

/// A label as the whole number that it is.
fn whole(label: f32) -> Option<u64> {
    // Above 2^24 an f32 skips whole numbers.
    (label >= 0.0 && label.fract() == 0.0 && label <= 16_777_216.0).then_some(label as u64)
}

#[cfg(test)]
pub(crate) mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::synth::Portraits;

    /// Writes records as MXNet does.
    #[derive(Default)]
    pub(crate) struct Writer {
        pub(crate) rec: Vec<u8>,
        idx: String,
    }

    impl Writer {
        pub(crate) fn add(&mut self, key: u64, labels: &[f32], image: &[u8]) {
            self.idx += &format!("{key}\t{}\n", self.rec.len());
            let count = if labels.len() == 1 { 0 } else { labels.len() as u32 };
            let mut payload = count.to_le_bytes().to_vec();
            payload.extend(if count == 0 { labels[0] } else { 0.0 }.to_le_bytes());
            payload.extend([0; 16]);
            if count > 0 {
                payload.extend(labels.iter().flat_map(|l| l.to_le_bytes()));
            }
            payload.extend(image);
            // A payload that holds the first word at a multiple of 4 is cut there.
            let at = |from: usize| {
                (from..payload.len().saturating_sub(3)).step_by(4).find(|&i| u32_at(&payload, i) == MAGIC)
            };
            let mut cuts = vec![];
            let mut from = 0;
            while let Some(cut) = at(from) {
                cuts.push(cut);
                from = cut + 4;
            }
            let parts: Vec<&[u8]> = {
                let mut start = 0;
                let mut parts: Vec<&[u8]> = cuts
                    .iter()
                    .map(|&cut| {
                        let part = &payload[start..cut];
                        start = cut + 4;
                        part
                    })
                    .collect();
                parts.push(&payload[start..]);
                parts
            };
            for (i, part) in parts.iter().enumerate() {
                let kind: u32 = match (i, parts.len() - 1) {
                    (0, 0) => 0,
                    (0, _) => 1,
                    (i, last) if i == last => 3,
                    _ => 2,
                };
                self.rec.extend(MAGIC.to_le_bytes());
                self.rec.extend((kind << 29 | part.len() as u32).to_le_bytes());
                self.rec.extend(*part);
                self.rec.resize(self.rec.len().next_multiple_of(4), 0);
            }
        }

        pub(crate) fn save(&self, folder: &Path) -> PathBuf {
            std::fs::write(folder.join("train.rec"), &self.rec).unwrap();
            std::fs::write(folder.join("train.idx"), &self.idx).unwrap();
            folder.join("train.rec")
        }
    }

    fn png(identity: u64, view: u64) -> Vec<u8> {
        let mut bytes = std::io::Cursor::new(Vec::new());
        let portrait = Portraits::new(5).portrait(identity, view, (12, 10));
        portrait.write_to(&mut bytes, image::ImageFormat::Png).unwrap();
        bytes.into_inner()
    }

    /// Three identities with two, three and one images; keys 1..7 are images, 7..10 identities.
    fn insightface() -> Writer {
        let mut writer = Writer::default();
        writer.add(0, &[7.0, 10.0], &[]);
        for (key, (identity, view)) in
            [(0, 0), (0, 1), (1, 0), (1, 1), (1, 2), (2, 0)].into_iter().enumerate()
        {
            writer.add(key as u64 + 1, &[identity as f32], &png(identity, view));
        }
        for (key, bounds) in [[1.0, 3.0], [3.0, 6.0], [6.0, 7.0]].iter().enumerate() {
            writer.add(key as u64 + 7, bounds, &[]);
        }
        writer
    }

    #[test]
    fn identities_by_record_0_and_by_label() {
        let folder = tempfile::tempdir().unwrap();
        let records = Records::open(&insightface().save(folder.path())).unwrap();
        assert_eq!(records.sizes().collect::<Vec<_>>(), [2, 3, 1]);
        assert_eq!(records.image(1, 2).unwrap(), Portraits::new(5).portrait(1, 2, (12, 10)));
        let mut plain = Writer::default();
        for (key, label) in [(0, 4.0), (1, 2.0), (5, 4.0)] {
            plain.add(key, &[label], &png(label as u64, key));
        }
        let records = Records::open(&plain.save(folder.path())).unwrap();
        assert_eq!(records.sizes().collect::<Vec<_>>(), [1, 2]);
        assert_eq!(records.image(1, 1).unwrap(), Portraits::new(5).portrait(4, 5, (12, 10)));
    }

    #[test]
    fn a_payload_that_holds_the_first_word_comes_back_whole() {
        let folder = tempfile::tempdir().unwrap();
        let mut image = png(1, 1);
        image.resize(image.len().next_multiple_of(4), 0);
        for _ in 0..2 {
            image.extend(MAGIC.to_le_bytes());
            image.extend([1, 2, 3, 4]);
        }
        let mut writer = Writer::default();
        writer.add(1, &[0.0], &image);
        let records = Records::open(&writer.save(folder.path())).unwrap();
        assert_eq!(records.payload(1).unwrap().image, image);
    }

    #[test]
    fn what_is_wrong_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let told = |change: &dyn Fn(&mut Writer)| {
            let mut writer = insightface();
            change(&mut writer);
            Records::open(&writer.save(folder.path())).unwrap_err().to_string()
        };
        let line = told(&|w| w.idx += "11 12\n");
        assert!(line.contains("train.idx line 11: \"11 12\"") && line.contains("KEY TAB OFFSET"), "{line}");
        let twice = told(&|w| w.idx += "3\t0\n");
        assert!(twice.contains("line 11"), "{twice}");
        let magic = told(&|w| w.rec[0] = 0);
        assert!(magic.contains("record 0 at byte 0: 0xced72300 is not how a record begins"), "{magic}");
        let cut = told(&|w| w.rec.truncate(20));
        assert!(cut.contains("the file ends at byte 20"), "{cut}");
        let shared = told(&|w| {
            let bounds = [6.0_f32.to_le_bytes(), 7.0_f32.to_le_bytes()].concat();
            let at = w.rec.windows(8).rposition(|b| b == bounds).unwrap();
            w.rec[at..][..4].copy_from_slice(&3.0_f32.to_le_bytes());
        });
        assert!(shared.contains("record 9 at byte") && shared.contains("3..7 are another's too"), "{shared}");
        let missing = told(&|w| w.idx = w.idx.replace("\n4\t", "\n44\t"));
        assert!(missing.contains("record 4 is missing, which record 8 names"), "{missing}");
        let no_image = Records::open(&insightface().save(folder.path())).unwrap();
        let mut broken = insightface();
        let at = broken.rec.windows(4).position(|w| w == b"\x89PNG").unwrap();
        broken.rec[at] = 0;
        drop(no_image);
        let records = Records::open(&broken.save(folder.path())).unwrap();
        let error = records.image(0, 0).unwrap_err().to_string();
        assert!(error.contains("record 1 at byte") && error.contains("no image"), "{error}");
        assert!(records.image(0, 1).is_ok());
    }

    proptest! {
        #[test]
        fn damage_is_an_error_or_an_image(
            hits in prop::collection::vec((any::<prop::sample::Index>(), 1u8..), 0..6),
            cut in prop::option::of(any::<prop::sample::Index>()),
            lines in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..3),
        ) {
            let folder = tempfile::tempdir().unwrap();
            let mut writer = insightface();
            for (at, mask) in hits {
                let at = at.index(writer.rec.len());
                writer.rec[at] ^= mask;
            }
            if let Some(cut) = cut {
                writer.rec.truncate(cut.index(writer.rec.len()));
            }
            let mut idx = writer.idx.clone().into_bytes();
            for (at, byte) in lines {
                let at = at.index(idx.len());
                idx[at] = byte;
            }
            let path = writer.save(folder.path());
            std::fs::write(folder.path().join("train.idx"), idx).unwrap();
            match Records::open(&path) {
                Ok(records) => {
                    let sizes: Vec<usize> = records.sizes().collect();
                    for (class, size) in sizes.into_iter().enumerate() {
                        for which in 0..size {
                            if let Err(error) = records.image(class, which) {
                                prop_assert!(error.to_string().contains("train.rec"));
                            }
                        }
                    }
                }
                Err(error) => prop_assert!(error.to_string().contains("train.")),
            }
        }
    }
}
