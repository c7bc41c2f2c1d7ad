//! Cells to faces, greedy non-maximum suppression on the way.

use core::fmt;

use nalgebra::Point2;

use super::{Face, Settings, overlap};

/// Pixels of the picture under one cell of each of the three maps.
pub const STRIDES: [u16; 3] = [8, 16, 32];

/// The values of one output map.
#[derive(Debug, Clone, Copy)]
pub enum Values<'a> {
    /// As they are.
    Float(&'a [f32]),
    /// In steps of int8.
    Int8 {
        /// The steps.
        steps: &'a [i8],
        /// The real value of one step.
        scale: f32,
        /// The step that stands for zero.
        zero_point: i8,
    },
}

impl Values<'_> {
    /// How many.
    pub fn len(&self) -> usize {
        match self {
            Values::Float(values) => values.len(),
            Values::Int8 { steps, .. } => steps.len(),
        }
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The real value at `index`; `None` behind the last.
    pub fn get(&self, index: usize) -> Option<f32> {
        match *self {
            Values::Float(values) => values.get(index).copied(),
            Values::Int8 { steps, scale, zero_point } => {
                steps.get(index).map(|&step| (step as i32 - zero_point as i32) as f32 * scale)
            }
        }
    }

    /// The `N` values of a cell.
    fn cell<const N: usize>(&self, cell: usize) -> Option<[f32; N]> {
        let mut values = [0.0; N];
        for (i, value) in values.iter_mut().enumerate() {
            *value = self.get(cell * N + i)?;
        }
        Some(values)
    }
}

/// What the detector computed at one stride, cells in rows from the picture's upper left.
#[derive(Debug, Clone, Copy)]
pub struct Map<'a> {
    /// Class score of each cell, after the sigmoid.
    pub cls: Values<'a>,
    /// Objectness of each cell, after the sigmoid.
    pub obj: Values<'a>,
    /// Four values a cell: the box's centre relative to the cell, and the logarithms of its sides, in strides.
    pub bbox: Values<'a>,
    /// Ten values a cell: five points x, y relative to the cell, in strides.
    pub kps: Values<'a>,
}

/// Why maps were not decoded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum DetectError {
    /// The picture's sides are not multiples of the largest stride.
    Size {
        /// Pixels in a row.
        width: u16,
        /// Rows.
        height: u16,
    },
    /// A map has another length than the picture's size asks for.
    Length {
        /// Of the map.
        stride: u16,
        /// "cls", "obj", "bbox" or "kps".
        map: &'static str,
        /// Values that the size asks for.
        expected: usize,
        /// Values given.
        found: usize,
    },
}

impl fmt::Display for DetectError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            DetectError::Size { width, height } => {
                write!(
                    f,
                    "a detector's picture of {width}x{height}; accepted: multiples of 32, at least 32x32"
                )
            }
            DetectError::Length { stride, map, expected, found } => {
                write!(
                    f,
                    "the detector's output {map}_{stride} has {found} values, its picture asks for {expected}"
                )
            }
        }
    }
}

impl core::error::Error for DetectError {}

/// The faces in the `maps` (strides 8, 16, 32) of a picture of `width` x `height` pixels, best first, at most `N`.
///
/// The score is `sqrt(cls * obj)`, each first brought into 0..=1. Suppression is the greedy one: the best cell is a face, cells
/// whose boxes overlap it are not, and so on. It needs no list of candidates, but looks at all scores once a face. Cells with a
/// value that is not finite are no faces.
///
/// # Errors
/// When the size is no multiple of 32 or a map has the wrong length.
pub fn decode<const N: usize>(
    maps: &[Map<'_>; 3],
    width: u16,
    height: u16,
    settings: &Settings,
) -> Result<heapless::Vec<Face, N>, DetectError> {
    let largest = STRIDES[2];
    if width == 0 || height == 0 || !width.is_multiple_of(largest) || !height.is_multiple_of(largest) {
        return Err(DetectError::Size { width, height });
    }
    for (map, stride) in maps.iter().zip(STRIDES) {
        let cells = cells(width, stride) * cells(height, stride);
        for (name, found, values) in
            [("cls", map.cls, 1), ("obj", map.obj, 1), ("bbox", map.bbox, 4), ("kps", map.kps, 10)]
        {
            let (expected, found) = (cells * values, found.len());
            if found != expected {
                return Err(DetectError::Length { stride, map: name, expected, found });
            }
        }
    }
    let mut faces = heapless::Vec::new();
    while !faces.is_full() {
        let Some(face) = best_apart(maps, width, settings, &faces) else { break };
        if faces.push(face).is_err() {
            break;
        }
    }
    Ok(faces)
}

/// Cells along a side of the picture.
fn cells(side: u16, stride: u16) -> usize {
    // No stride is zero, which the compiler does not see.
    side.checked_div(stride).unwrap_or(0).into()
}

/// The best face that overlaps none of `taken`.
fn best_apart(maps: &[Map<'_>; 3], width: u16, settings: &Settings, taken: &[Face]) -> Option<Face> {
    let mut best: Option<Face> = None;
    for (map, stride) in maps.iter().zip(STRIDES) {
        let columns = cells(width, stride);
        for cell in 0..map.cls.len() {
            let (Some(cls), Some(obj)) = (map.cls.get(cell), map.obj.get(cell)) else { break };
            // A NaN fails the comparison.
            let product = cls.clamp(0.0, 1.0) * obj.clamp(0.0, 1.0);
            let bar = best.map_or(0.0, |b| b.score);
            if !(product > 0.0 && product >= settings.least_score * settings.least_score) {
                continue;
            }
            let score = libm::sqrtf(product);
            if score <= bar {
                continue;
            }
            let Some(face) = face_at(map, stride, cell, columns, score) else { continue };
            if taken.iter().all(|t| overlap(t, &face) <= settings.most_overlap) {
                best = Some(face);
            }
        }
    }
    best
}

/// The face of one cell; `None` when a value is missing or not finite.
fn face_at(map: &Map<'_>, stride: u16, cell: usize, columns: usize, score: f32) -> Option<Face> {
    let bbox: [f32; 4] = map.bbox.cell(cell)?;
    let kps: [f32; 10] = map.kps.cell(cell)?;
    let (column, row) = (cell.checked_rem(columns)?, cell.checked_div(columns)?);
    let (column, row, stride) = (column as f32, row as f32, stride as f32);
    let (width, height) = (libm::expf(bbox[2]) * stride, libm::expf(bbox[3]) * stride);
    let face = Face {
        x: (bbox[0] + column) * stride - width * 0.5,
        y: (bbox[1] + row) * stride - height * 0.5,
        width,
        height,
        landmarks: core::array::from_fn(|i| {
            Point2::new((kps[2 * i] + column) * stride, (kps[2 * i + 1] + row) * stride)
        }),
        score,
    };
    let edges = [face.x, face.y, face.width, face.height, face.x + face.width, face.y + face.height];
    let finite =
        edges.iter().chain(face.landmarks.iter().flat_map(|p| p.coords.iter())).all(|v| v.is_finite());
    // A box without area, also one so far out that its size is lost, overlaps nothing, not even itself: it would be found
    // again and again.
    (finite && edges[4] > face.x && edges[5] > face.y).then_some(face)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Maps of a 64x32 picture, all zero.
    struct Maps([[Vec<f32>; 4]; 3]);

    impl Maps {
        fn empty() -> Self {
            let map = |stride: usize| {
                let cells = (64 / stride) * (32 / stride);
                [1, 1, 4, 10].map(|values| vec![0.0; cells * values])
            };
            Maps([map(8), map(16), map(32)])
        }

        fn put(&mut self, map: usize, cell: usize, cls: f32, obj: f32, bbox: [f32; 4]) {
            let [c, o, b, k] = &mut self.0[map];
            (c[cell], o[cell]) = (cls, obj);
            b[cell * 4..cell * 4 + 4].copy_from_slice(&bbox);
            for (i, value) in k[cell * 10..cell * 10 + 10].iter_mut().enumerate() {
                *value = i as f32 * 0.25;
            }
        }

        fn views(&self) -> [Map<'_>; 3] {
            [0, 1, 2].map(|i| {
                let [cls, obj, bbox, kps] = self.0[i].each_ref().map(|values| Values::Float(values));
                Map { cls, obj, bbox, kps }
            })
        }
    }

    #[test]
    fn a_cell_by_hand() {
        let mut maps = Maps::empty();
        // Stride 16, 4 columns: cell 6 is column 2, row 1.
        maps.put(1, 6, 0.81, 1.0, [0.5, 0.25, 0.0, core::f32::consts::LN_2]);
        let faces: heapless::Vec<Face, 4> = decode(&maps.views(), 64, 32, &Settings::default()).unwrap();
        let [face] = &faces[..] else { panic!("{faces:?}") };
        assert!((face.score - 0.9).abs() < 1e-6);
        assert_eq!([face.x, face.y, face.width], [32.0, 4.0, 16.0]);
        assert!((face.height - 32.0).abs() < 1e-4);
        assert_eq!(face.landmarks[0], Point2::new(32.0, 20.0));
        assert_eq!(face.landmarks[4], Point2::new(64.0, 52.0));
    }

    #[test]
    fn overlapping_boxes_are_one_face_and_the_best_stays() {
        let mut maps = Maps::empty();
        let l = 0.5; // side 8 e^.5 = 13.2 pixels
        maps.put(0, 1, 0.8, 0.8, [0.0, 0.0, l, l]);
        maps.put(0, 2, 0.9, 0.9, [-0.5, 0.0, l, l]);
        maps.put(0, 7, 0.7, 0.7, [0.0, 0.0, l, l]);
        maps.put(0, 20, 0.5, 0.5, [0.0, 0.0, l, l]);
        let faces: heapless::Vec<Face, 4> = decode(&maps.views(), 64, 32, &Settings::default()).unwrap();
        let scores: Vec<f32> = faces.iter().map(|f| f.score).collect();
        assert_eq!(scores.len(), 2, "{scores:?}");
        assert!((scores[0] - 0.9).abs() < 1e-6 && (scores[1] - 0.7).abs() < 1e-6);
        let full: heapless::Vec<Face, 1> = decode(&maps.views(), 64, 32, &Settings::default()).unwrap();
        assert_eq!(full[..], faces[..1]);
    }

    #[test]
    fn cells_that_are_not_finite_are_no_faces() {
        for bad in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY, 1e4] {
            let mut maps = Maps::empty();
            maps.put(2, 0, 0.9, 0.9, [0.0, 0.0, bad, 0.0]);
            maps.put(2, 1, f32::NAN, 0.9, [0.0; 4]);
            let faces: heapless::Vec<Face, 4> = decode(&maps.views(), 64, 32, &Settings::default()).unwrap();
            // exp(-inf) is a width of 0: finite, but no box.
            assert_eq!(faces.len(), 0, "{bad}");
        }
        // So far out that the width is lost in the sum.
        let mut maps = Maps::empty();
        maps.put(2, 0, 0.9, 0.9, [1e9, 0.0, 0.0, 0.0]);
        let faces: heapless::Vec<Face, 4> = decode(&maps.views(), 64, 32, &Settings::default()).unwrap();
        assert_eq!(faces.len(), 0);
    }

    #[test]
    fn wrong_sizes_and_lengths_are_errors() {
        let mut maps = Maps::empty();
        let found = decode::<4>(&maps.views(), 64, 40, &Settings::default());
        assert_eq!(found, Err(DetectError::Size { width: 64, height: 40 }));
        maps.0[1][3].pop();
        let found = decode::<4>(&maps.views(), 64, 32, &Settings::default());
        let expected = DetectError::Length { stride: 16, map: "kps", expected: 80, found: 79 };
        assert_eq!(found, Err(expected));
    }

    proptest! {
        #[test]
        fn any_bits_decode(bits in prop::collection::vec(any::<u32>(), 1..200)) {
            let mut maps = Maps::empty();
            let mut bits = bits.iter().cycle();
            for map in &mut maps.0 {
                for v in map.iter_mut().flatten() {
                    *v = f32::from_bits(*bits.next().unwrap());
                }
            }
            let settings = Settings { least_score: 0.0, most_overlap: 0.3 };
            let faces = decode::<8>(&maps.views(), 64, 32, &settings).unwrap();
            prop_assert!(faces.windows(2).all(|w| w[0].score >= w[1].score));
            prop_assert!(faces.iter().all(|f| (0.0..=1.0).contains(&f.score)));
        }
    }
}
