//! Faces decoded from random maps, as one number: the same on every core if every float is. The host's test compiles this file too.

use arcgate_firmware::detect::{Face, Map, Settings, Values, View, decode};

/// Columns and rows of the detector's picture.
const SIDE: u16 = 64;

/// Cells of the three maps.
const CELLS: [usize; 3] = [64, 16, 4];

/// Pictures.
const CASES: u32 = 400;

/// Numbers that look random (xorshift).
struct Numbers(u32);

impl Numbers {
    fn next(&mut self) -> u32 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 17;
        self.0 ^= self.0 << 5;
        self.0
    }

    /// A scale between 2^-9 and 2^-4 of any mantissa.
    fn scale(&mut self) -> f32 {
        let exponent = 127 - 4 - self.next() % 5;
        f32::from_bits(exponent << 23 | self.next() >> 9)
    }
}

/// How many faces there are in all the pictures, and the FNV-1a hash of the bits of their boxes, landmarks and scores.
pub fn digest() -> (u32, u32) {
    let (mut numbers, mut hash, mut count) = (Numbers(0x9e37_79b9), 0x811c_9dc5_u32, 0);
    let mut steps = [[0i8; 64 * 16]; 3];
    for _ in 0..CASES {
        for (map, cells) in steps.iter_mut().zip(CELLS) {
            map[..cells * 16].iter_mut().for_each(|step| *step = (numbers.next() >> 24) as i8);
        }
        let maps: [Map<'_>; 3] = core::array::from_fn(|i| {
            let (map, cells) = (&steps[i], CELLS[i]);
            let values = |from: usize, to: usize, scale: f32, zero_point| Values::Int8 {
                steps: &map[from * cells..to * cells],
                scale,
                zero_point,
            };
            let (scales, zero) = ([numbers.scale(), numbers.scale()], (numbers.next() >> 24) as i8);
            Map {
                cls: values(0, 1, 1.0 / 255.0, -128),
                obj: values(1, 2, 1.0 / 255.0, -128),
                bbox: values(2, 6, scales[0], zero),
                kps: values(6, 16, scales[1], zero),
            }
        });
        let settings = Settings { least_score: 0.5, most_overlap: 0.3 };
        let sides = [0, 1].map(|_| (numbers.next() % 4000) as u16 + 1);
        let view = View::fitting(sides, [SIDE, SIDE]);
        let faces = decode::<8>(&maps, SIDE, SIDE, &settings);
        for face in faces.iter().flatten().map(|face| view.in_frame(face)) {
            let landmarks = face.landmarks.iter().flat_map(|p| [p.x, p.y]);
            let values = [face.x, face.y, face.width, face.height, face.score].into_iter().chain(landmarks);
            for byte in values.flat_map(|value| value.to_bits().to_le_bytes()) {
                hash = (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193);
            }
            count += 1;
        }
        let main = faces.ok().and_then(|faces| Face::main(&faces, SIDE, SIDE));
        hash = (hash ^ main.map_or(u32::MAX, |at| at as u32)).wrapping_mul(0x0100_0193);
    }
    (count, hash)
}
