//! What a device says of itself and of what it is at.

use serde::{Deserialize, Serialize};

use crate::embedding::Angle;
use crate::gallery::{GalleryError, PersonId, Usage};
use crate::guide::{Progress, ShotFault};
use crate::model::{ChannelOrder, ModelInfo};
use crate::time::{UnixTime, Uptime};

/// What the device is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Phase {
    /// Nobody is there; the camera rests.
    #[default]
    Idle,
    /// Somebody is there.
    Presence,
    /// A picture is taken and fetched.
    Capture,
    /// Faces are looked for in it.
    Detect,
    /// The face is cropped, and looked at whether it is worth embedding.
    Align,
    /// The model runs.
    Embed,
    /// The gallery is searched.
    Match,
    /// What was found is judged.
    Decide,
    /// The answer is given.
    Act,
    /// Nobody is looked at after too many failures.
    LockedOut,
    /// The model is being replaced.
    Updating,
    /// The camera or the engine failed; it is tried again.
    Fault,
}

/// What a device's clock counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Unit {
    /// Time.
    Nanoseconds,
    /// Cycles of the core.
    Cycles,
    /// Instructions.
    Instructions,
}

/// How the enrolment before the camera goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub enum Enrolment {
    /// None was begun.
    #[default]
    None,
    /// Shots are being taken.
    UnderWay {
        /// How many, of how many.
        progress: Progress,
        /// Why the last one was not kept, if it was not.
        last: Option<ShotFault>,
    },
    /// All shots are there and somebody is enrolled.
    Done(PersonId),
    /// Nobody stood still for it, or it was given up.
    GaveUp,
    /// The gallery did not take the shots.
    Failed(GalleryError),
}

/// How a device does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stats {
    /// Starts so far, this one included; 0 where it does not remember.
    pub boots: u32,
    /// Since the last of them, as far as the board tells.
    pub uptime: Uptime,
    /// What it is doing before its camera.
    pub phase: Phase,
    /// Failed presentations in a row.
    pub failures: u8,
    /// Answers before the camera since the start: known, unknown, rejected.
    pub answers: [u32; 3],
    /// Pictures that the camera did not give since the start.
    pub camera_faults: u32,
    /// Packets that were noise since the start, and packets that were forged.
    pub noise: [u32; 2],
    /// Hosts that it is paired with.
    pub pairings: u8,
    /// Lines of the event log that could not be written since the start.
    pub lines_lost: u32,
    /// The version of the model; `None` for one that did not come as an update.
    pub model_version: Option<u32>,
    /// The version that enrolment bundles count from ([`State::bundle_version`](crate::state::State::bundle_version)); `None` where there
    /// was none.
    pub bundle_version: Option<u32>,
}

/// What came of a bundle so far.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Restored {
    /// Records of the bundle.
    pub total: u32,
    /// Records taken in.
    pub records: u32,
    /// People who are new.
    pub people: u32,
    /// People whose names were there already.
    pub known: u32,
    /// Templates that are new.
    pub templates: u32,
    /// Templates left out: they were there already, or only people were to be taken in.
    pub left_out: u32,
    /// Whose device signed it, of a backup that was taken in to the end.
    pub signed: Signed,
}

/// Whose signature a backup has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Signed {
    /// None was read yet; never of an enrolment, whose signature its header has.
    #[default]
    No,
    /// This device's own.
    Here,
    /// With another key.
    Elsewhere,
}

/// What a device says of itself.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct DeviceInfo {
    /// [`PROTOCOL`](super::message::PROTOCOL).
    pub protocol: u16,
    /// Major, minor, patch of the firmware.
    pub firmware: [u16; 3],
    /// The model that it runs.
    pub model: ModelSummary,
    /// How full the gallery is; nobody when it is not mounted.
    pub usage: Usage,
    /// Why the gallery is not mounted, if it is not.
    pub gallery: Option<GalleryError>,
    /// The angle within which a search is answered, for the people who are enrolled now; `None` where the model has none for so many.
    pub threshold: Option<Angle>,
    /// Damages in the gallery; everybody whose records are whole is found all the same.
    pub damaged: u32,
    /// Whether a gallery that was put back as a whole is noticed: whether the device has a counter outside of it.
    pub detects_rollback: bool,
    /// Whether the key that seals the gallery lies in software, where a thief of the flash may find it.
    pub software_key: bool,
    /// What time it is, if a host has said so since the device's start: who is enrolled for a time only is known by it.
    pub time: Option<UnixTime>,
    /// Bytes in which a picture is kept; a larger one is halved as it arrives ([`Intake`](crate::frame::Intake)).
    pub frame_capacity: u32,
    /// Columns and rows of the pictures in which the device looks for faces itself; `None` without a detector.
    pub detector: Option<[u16; 2]>,
    /// Whether everybody on the wire is an administrator.
    pub open_link: bool,
    /// Whether it takes models over its link.
    pub takes_models: bool,
}

/// [`ModelInfo`] on the wire.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct ModelSummary {
    /// As [`ModelInfo::width`].
    pub width: u16,
    /// As [`ModelInfo::height`].
    pub height: u16,
    /// As [`ModelInfo::order`].
    pub order: ChannelOrder,
    /// As [`ModelInfo::template`].
    pub template: Option<[[f32; 2]; 5]>,
    /// As [`ModelInfo::dimension`].
    pub dimension: u16,
    /// As [`ModelInfo::embedding_id`].
    pub embedding_id: [u8; 32],
}

impl From<&ModelInfo> for ModelSummary {
    fn from(info: &ModelInfo) -> Self {
        ModelSummary {
            width: info.width,
            height: info.height,
            order: info.order,
            template: info.template.map(|points| points.map(|p| [p.x, p.y])),
            dimension: info.dimension,
            embedding_id: info.embedding_id,
        }
    }
}

impl From<&ModelSummary> for ModelInfo {
    fn from(summary: &ModelSummary) -> Self {
        ModelInfo {
            width: summary.width,
            height: summary.height,
            order: summary.order,
            template: summary.template.map(|points| points.map(nalgebra::Point2::from)),
            dimension: summary.dimension,
            embedding_id: summary.embedding_id,
        }
    }
}
