//! A detector's output maps: where each lies in the arena, and what its integers stand for.

use super::header::Header;
use super::step::{Tensor, inside};
use super::{HEADER_BYTES, PlanError, RECORD_BYTES};
use crate::bytes::put;
use crate::detect::STRIDES;
use crate::kernels::Shape;

/// Maps of a detector: for each of the three strides cls, obj, bbox and kps.
pub const MAPS: usize = 12;

/// Values of a cell of cls, obj, bbox and kps.
const VALUES: [usize; 4] = [1, 1, 4, 10];

/// One output map as it stands in a plan: 12 bytes, [`MAPS`] of them behind one another.
///
/// ```text
///  0  offset in the arena      4  scale, f32      8  zero point      9  0, 0, 0
/// ```
///
/// Its shape follows from the picture's: a cell for each stride of rows and columns.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct MapRecord {
    /// Where it lies.
    pub offset: u32,
    /// The real value of one step.
    pub scale: f32,
    /// The int8 that stands for real zero.
    pub zero_point: i8,
}

/// Bytes of a [`MapRecord`].
const BYTES: usize = 12;

impl MapRecord {
    /// As it stands in a plan.
    pub fn to_bytes(self) -> [u8; BYTES] {
        let mut bytes = [0; BYTES];
        put(&mut bytes, 0, &self.offset.to_le_bytes());
        put(&mut bytes, 4, &self.scale.to_le_bytes());
        bytes[8] = self.zero_point as u8;
        bytes
    }
}

/// One output map, checked.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct OutputMap {
    /// Where it lies and how large it is: cells in rows, values of a cell side by side.
    pub tensor: Tensor,
    /// The real value of one step.
    pub scale: f32,
    /// The int8 that stands for real zero.
    pub zero_point: i8,
}

/// The shape of map `index` of a detector for pictures of `width` x `height` pixels; of the last one for indices beyond it.
pub fn map_shape(index: usize, width: u16, height: u16) -> Shape {
    let index = index.min(MAPS - 1);
    let stride = STRIDES[index / VALUES.len()];
    Shape {
        height: (height / stride) as usize,
        width: (width / stride) as usize,
        channels: VALUES[index % VALUES.len()],
    }
}

/// Reads map `index` of a plan whose header is valid and that is a detector's.
pub(super) fn read(plan: &[u8], header: &Header, index: usize) -> Result<OutputMap, PlanError> {
    let wrong = |field, value: u32, accepted| Err(PlanError::map(index, field, value as usize, accepted));
    let (width, height) = (header.info.width, header.info.height);
    for side in [width, height] {
        if !side.is_multiple_of(STRIDES[2]) {
            return wrong("picture's side", side as u32, "multiples of 32");
        }
    }
    let first = header.maps as usize;
    let behind = HEADER_BYTES + header.steps * RECORD_BYTES;
    let found =
        first.checked_add(index * BYTES).and_then(|at| plan.get(at..)).and_then(|b| b.first_chunk::<BYTES>());
    let Some(bytes) = found.filter(|_| first >= behind && first.is_multiple_of(4)) else {
        return wrong("place", header.maps, "a multiple of 4 behind the operations, inside the plan");
    };
    let &[o0, o1, o2, o3, s0, s1, s2, s3, zero_point, reserved @ ..] = bytes;
    let (offset, scale) = (u32::from_le_bytes([o0, o1, o2, o3]), u32::from_le_bytes([s0, s1, s2, s3]));
    let step = f32::from_bits(scale);
    if !(step.is_finite() && step > 0.0) {
        return wrong("scale", scale, "a positive finite f32");
    }
    if reserved != [0; 3] {
        let [a, b, c] = reserved;
        return wrong("reserved bytes", u32::from_le_bytes([zero_point, a, b, c]), "0");
    }
    let shape = map_shape(index, width, height);
    if !inside(offset, shape, header.arena_bytes) {
        return wrong("offset", offset, "a place inside the arena");
    }
    let tensor = Tensor { offset: offset as usize, shape };
    Ok(OutputMap { tensor, scale: step, zero_point: zero_point as i8 })
}
