//! The first 128 bytes of a plan.

use nalgebra::Point2;

use super::{MAX_STEPS, PlanError, RECORD_BYTES, Target};
use crate::align::Similarity;
use crate::bytes::{self, field, u16_at, u32_at};
use crate::embedding::MAX_DIMENSION;
use crate::frame::Landmarks;
use crate::model::thresholds::ThresholdTable;
use crate::model::{ChannelOrder, ModelInfo, Task};

/// What a plan begins with.
pub const MAGIC: [u8; 8] = *b"ARCPLAN\0";

/// The version of the format.
pub const VERSION: u32 = 2;

/// Bytes before the first operation.
pub const HEADER_BYTES: usize = 128;

/// Bytes that the checksum does not cover: those up to and including itself.
const UNCHECKED: usize = 20;

/// Columns or rows that an input may have.
const MAX_SIDE: u16 = 1024;

/// The checksum of a whole plan.
pub fn checksum(plan: &[u8]) -> u32 {
    crc::Crc::<u32, crc::Table<1>>::new(&crc::CRC_32_ISO_HDLC)
        .checksum(plan.get(UNCHECKED..).unwrap_or_default())
}

/// The fields of the header that are not constants.
#[derive(Debug, Clone, PartialEq)]
pub struct Header {
    /// What the model says of itself.
    pub info: ModelInfo,
    /// What it is for.
    pub task: Task,
    /// The cores that weights and scratch are laid out for.
    pub target: Target,
    /// Where the list of a detector's maps begins; 0 for an embedder.
    pub maps: u32,
    /// Where the threshold table begins; 0 where `arcgate calibrate` has not run.
    pub thresholds: u32,
    /// Bytes of the arena.
    pub arena_bytes: usize,
    /// How many operations follow.
    pub steps: usize,
}

impl Header {
    /// Reads and validates the header of a plan, its length and its checksum.
    ///
    /// # Errors
    /// Whatever is wrong with them.
    pub fn parse(plan: &[u8]) -> Result<Self, PlanError> {
        let short = PlanError::Short { needed: HEADER_BYTES, found: plan.len() };
        if plan.iter().zip(&MAGIC).any(|(byte, magic)| byte != magic) {
            return Err(PlanError::NotAPlan);
        }
        let h = plan.first_chunk::<HEADER_BYTES>().ok_or(short)?;
        if u32_at(h, 8) != VERSION {
            return Err(PlanError::Version(u32_at(h, 8)));
        }
        let stated = u32_at(h, 12) as usize;
        if stated != plan.len() {
            return Err(PlanError::Length { stated, found: plan.len() });
        }
        let (stated, computed) = (u32_at(h, 16), checksum(plan));
        if stated != computed {
            return Err(PlanError::Checksum { stated, computed });
        }
        let wrong = |field, value, accepted| Err(PlanError::header(field, value, accepted));
        let steps = u16_at(h, 24) as usize;
        if steps == 0 || steps > MAX_STEPS {
            return wrong("operations", steps as u32, "1 to 1024");
        }
        let needed = HEADER_BYTES + steps * RECORD_BYTES;
        if plan.len() < needed {
            return Err(PlanError::Short { needed, found: plan.len() });
        }
        let (width, height) = (u16_at(h, 26), u16_at(h, 28));
        for (field, side) in [("width", width), ("height", height)] {
            if side == 0 || side > MAX_SIDE {
                return wrong(field, side as u32, "1 to 1024");
            }
        }
        let order = match h[30] {
            0 => ChannelOrder::Grey,
            1 => ChannelOrder::Rgb,
            2 => ChannelOrder::Bgr,
            other => return wrong("channel order", other as u32, "0 (grey), 1 (R G B) or 2 (B G R)"),
        };
        if h[31] > 1 {
            return wrong("presence bits", h[31] as u32, "0 or 1");
        }
        let task = match h[34] {
            0 => Task::Embedding,
            1 => Task::Detection,
            other => return wrong("task", other as u32, "0 (embedding) or 1 (detection)"),
        };
        let Some(target) = Target::of(h[35]) else {
            return wrong(
                "target",
                h[35] as u32,
                "0 (portable), 1 (Arm cores with DSP instructions) or 2 (with MVE)",
            );
        };
        let (dimension, maps) = (u16_at(h, 32), u32_at(h, 124));
        match task {
            Task::Embedding if dimension == 0 || dimension as usize > MAX_DIMENSION => {
                return wrong("dimension", dimension as u32, "1 to 512");
            }
            Task::Embedding if maps != 0 => return wrong("maps", maps, "0 for an embedder"),
            Task::Detection if dimension != 0 => {
                return wrong("dimension", dimension as u32, "0 for a detector");
            }
            Task::Detection if h[31] != 0 => return wrong("presence bits", h[31] as u32, "0 for a detector"),
            _ => {}
        }
        let float = |at| f32::from_bits(u32_at(h, at));
        let template = (h[31] & 1 != 0)
            .then(|| core::array::from_fn(|i| Point2::new(float(68 + 8 * i), float(72 + 8 * i))));
        // What aligns to itself aligns faces: finite points, not too far out, that span something.
        if template.is_some_and(|t: Landmarks| Similarity::from_landmarks(&t, &t).is_err()) {
            return wrong("template", u32_at(h, 68), "five points that span a face");
        }
        if field::<12>(h, 112) != [0; 12] {
            return wrong("reserved bytes", u32_at(h, 112), "0");
        }
        let thresholds = u32_at(h, 108);
        if thresholds != 0 {
            if task == Task::Detection {
                return wrong("threshold table", thresholds, "0 for a detector");
            }
            if (thresholds as usize) < needed
                || thresholds as usize > plan.len()
                || !thresholds.is_multiple_of(4)
            {
                return wrong("threshold table", thresholds, "a multiple of 4 behind the operations");
            }
            let table = plan.get(thresholds as usize..).unwrap_or_default();
            ThresholdTable::parse(table).map_err(PlanError::Thresholds)?;
        }
        let embedding_id = field(h, 36);
        let info = ModelInfo { width, height, order, template, dimension, embedding_id };
        Ok(Header { info, task, target, maps, thresholds, arena_bytes: u32_at(h, 20) as usize, steps })
    }

    /// Checks that the plan is for `task`.
    ///
    /// # Errors
    /// When it is for another.
    pub fn expect(&self, task: Task) -> Result<(), PlanError> {
        let accepted = match task {
            _ if self.task == task => return Ok(()),
            Task::Embedding => "0, a plan that embeds; this one detects faces",
            Task::Detection => "1, a plan that detects faces; this one embeds",
        };
        Err(PlanError::header("task", self.task as u32, accepted))
    }

    /// Writes the header into the beginning of a plan that is complete but for it; `false` when there is no room, or a
    /// number does not fit its field.
    #[must_use]
    pub fn write(&self, plan: &mut [u8]) -> bool {
        let length = u32::try_from(plan.len());
        let (steps, arena) = (u16::try_from(self.steps), u32::try_from(self.arena_bytes));
        let (Ok(length), Ok(steps), Ok(arena)) = (length, steps, arena) else { return false };
        let Some(h) = plan.first_chunk_mut::<HEADER_BYTES>() else { return false };
        let info = &self.info;
        let mut put = |at, value: &[u8]| bytes::put(h, at, value);
        put(0, &[0; HEADER_BYTES]);
        put(0, &MAGIC);
        put(8, &VERSION.to_le_bytes());
        put(12, &length.to_le_bytes());
        put(20, &arena.to_le_bytes());
        put(24, &steps.to_le_bytes());
        put(26, &info.width.to_le_bytes());
        put(28, &info.height.to_le_bytes());
        let order = match info.order {
            ChannelOrder::Grey => 0,
            ChannelOrder::Rgb => 1,
            ChannelOrder::Bgr => 2,
        };
        put(30, &[order, info.template.is_some() as u8]);
        put(32, &info.dimension.to_le_bytes());
        put(34, &[self.task as u8, self.target as u8]);
        put(36, &info.embedding_id);
        for (i, point) in info.template.iter().flatten().enumerate() {
            put(68 + 8 * i, &point.x.to_le_bytes());
            put(72 + 8 * i, &point.y.to_le_bytes());
        }
        put(108, &self.thresholds.to_le_bytes());
        put(124, &self.maps.to_le_bytes());
        let sum = checksum(plan);
        plan[16..20].copy_from_slice(&sum.to_le_bytes());
        true
    }
}
