//! What a host may ask and what a device answers.

use heapless::Vec;
use serde::{Deserialize, Serialize};

use super::Fault;
use crate::decide::time::{UnixTime, Uptime};
use crate::decide::{Confidence, Decision, Rejection, Unknown};
use crate::device::Phase;
use crate::device::guide::{Progress, ShotFault};
use crate::embedding::Angle;
use crate::engine::{ChannelOrder, ModelInfo};
use crate::events::Page;
use crate::frame::{Landmarks, PixelFormat};
use crate::gallery::{Candidate, Damage, GalleryError, Name, Person, PersonId, Usage, Validity};
use crate::link::pairings::{PAIRINGS, PairedHost};

/// The version of these messages; a device with another one greets all the same.
pub const PROTOCOL: u16 = 7;

/// Major, minor, patch of this firmware.
pub const FIRMWARE: [u16; 3] = [
    number(env!("CARGO_PKG_VERSION_MAJOR")),
    number(env!("CARGO_PKG_VERSION_MINOR")),
    number(env!("CARGO_PKG_VERSION_PATCH")),
];

const fn number(text: &str) -> u16 {
    match u16::from_str_radix(text, 10) {
        Ok(number) => number,
        Err(_) => 0,
    }
}

/// The longest piece of a frame, crop or embedding in one message.
pub const MAX_PIECE: usize = 1024;

/// People in one [`Reply::People`].
pub const PAGE: usize = 16;

/// Damages in one [`Reply::Damages`].
pub const DAMAGES: usize = 64;

/// Lines in one [`Reply::Log`].
pub const LINES: usize = 16;

/// Operations in one [`Reply::Laps`].
pub const MAX_LAPS: usize = 64;

/// What a host asks.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub enum Request<'a> {
    /// Who are you? -> [`Reply::Info`]
    Info,
    /// A picture follows in pieces; the one before is forgotten. -> [`Reply::Received`]
    BeginFrame(FrameHeader),
    /// The next piece of the picture. -> [`Reply::Received`]
    FramePiece {
        /// Where it belongs; pieces come in order.
        offset: u32,
        /// At most [`MAX_PIECE`] bytes.
        #[serde(borrow)]
        bytes: &'a [u8],
    },
    /// Enroll who is in the picture. -> [`Reply::Enrolled`]
    Enroll(#[serde(borrow)] Who<'a>),
    /// Who is in the picture? -> [`Reply::Decided`]
    Identify,
    /// The people enrolled, from the lowest number above `after` on. -> [`Reply::People`]
    List {
        /// The last number seen, `None` at first.
        after: Option<PersonId>,
    },
    /// Forget somebody. -> [`Reply::Removed`]
    Remove(PersonId),
    /// A piece of the crop that the device embeds. -> [`Reply::Piece`]
    ReadCrop {
        /// Where it begins.
        offset: u32,
    },
    /// A piece of the picture's embedding. -> [`Reply::Piece`]
    ReadEmbedding {
        /// Where it begins.
        offset: u32,
    },
    /// Begin an empty gallery for the model in use: everybody enrolled is lost. -> [`Reply::Erased`]
    EraseGallery,
    /// Take a backup of the gallery, sealed with the device's bundle key and signed by the device. -> [`Reply::Bundle`]
    BeginBackup {
        /// Random bytes for the bundle's salt.
        salt: [u8; 32],
    },
    /// The next record of the backup. -> [`Reply::Piece`], its offset counting records
    BackupRecord {
        /// From 0, one after the other.
        number: u32,
    },
    /// A bundle follows, sealed with the device's bundle key. -> [`Reply::Restored`]
    BeginRestore {
        /// The bundle's header.
        #[serde(borrow)]
        header: &'a [u8],
        /// Forget everybody enrolled first. Without it, people are added; stored templates then only to an empty gallery or to
        /// the one that they were in.
        replace: bool,
        /// Of a backup take names and validity alone. So it is done anyway when the backup is of another model.
        people_only: bool,
    },
    /// The next record of the bundle. -> [`Reply::Restored`]
    RestoreRecord {
        /// From 0, one after the other.
        number: u32,
        /// The record.
        #[serde(borrow)]
        bytes: &'a [u8],
    },
    /// Something to prove the bundle key with. -> [`Reply::Challenge`]
    Challenge,
    /// What time it is, from who has the bundle key. -> [`Reply::Clock`]
    SetClock {
        /// The time.
        time: UnixTime,
        /// [`BundleKey::proof_of_time`](crate::bundle::BundleKey::proof_of_time) for the last challenge.
        proof: [u8; 32],
    },
    /// Say when somebody is let in. -> [`Reply::Valid`]
    SetValidity {
        /// Who.
        person: PersonId,
        /// When.
        validity: Validity,
    },
    /// Run the model and say how long its operations take, from number `first` on. -> [`Reply::Laps`]
    Profile {
        /// The first operation that is asked for.
        first: u16,
    },
    /// Enroll who stands before the device's camera, shot by shot. -> [`Reply::Enrolling`]
    EnrollHere {
        /// Whom.
        #[serde(borrow)]
        who: Who<'a>,
        /// Shots, at most [`MAX_SHOTS`](crate::device::guide::MAX_SHOTS).
        shots: u8,
    },
    /// How does the enrolment before the camera go? -> [`Reply::Enrolling`]
    Enrolling,
    /// Give that enrolment up. -> [`Reply::Enrolling`]
    StopEnrolling,
    /// How does the device do? -> [`Reply::Stats`]
    Stats,
    /// Lines of the event log from a number on. -> [`Reply::Log`]
    ReadLog {
        /// The first that is asked for, or the next one there is.
        from: u32,
    },
    /// A model image follows. -> [`Reply::Updating`]
    BeginUpdate {
        /// Its header.
        #[serde(borrow)]
        header: &'a [u8],
    },
    /// The next bytes of the image behind its header. -> [`Reply::Updating`]
    UpdatePiece {
        /// Where they begin, counted from behind the header.
        offset: u32,
        /// At most [`MAX_PIECE`].
        #[serde(borrow)]
        bytes: &'a [u8],
    },
    /// Check the image, try it, and run it from the next start on. -> [`Reply::Updated`]
    FinishUpdate,
    /// Begin anew, as if the power had been off. -> [`Reply::Restarting`]
    Restart,
    /// Check every seal in the gallery and say what is damaged, from number `first` on. Each page is a whole check. ->
    /// [`Reply::Damages`]
    Verify {
        /// The first damage that is asked for.
        first: u32,
    },
    /// The hosts that are paired. -> [`Reply::Pairings`]
    ListPairings,
    /// Forget a host: it needs to be paired again. -> [`Reply::Unpaired`]
    RemovePairing {
        /// Its number.
        host: u16,
    },
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

/// Geometry of the picture that follows.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct FrameHeader {
    /// How its pixels lie.
    pub format: PixelFormat,
    /// Pixels in a row.
    pub width: u16,
    /// Rows.
    pub height: u16,
    /// x and y of the five landmarks. Without them a device with a detector finds the face itself, if its model aligns; elsewhere
    /// the picture is taken whole, and for a model that aligns it must then be exactly the input's size.
    #[serde(with = "crate::wire::landmarks")]
    pub landmarks: Option<[[f32; 2]; 5]>,
}

impl FrameHeader {
    /// Bytes of the picture; no overflow, `u16` sides and three bytes a pixel fit.
    pub fn bytes(&self) -> u64 {
        self.width as u64 * self.height as u64 * self.format.bytes_per_pixel() as u64
    }

    /// The landmarks as the aligner takes them.
    pub fn landmarks(&self) -> Option<Landmarks> {
        self.landmarks.map(|points| points.map(nalgebra::Point2::from))
    }
}

/// Whom a picture is to be enrolled as.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Who<'a> {
    /// Somebody new.
    New(&'a str),
    /// One more shot of somebody enrolled.
    Person(PersonId),
}

/// What a device answers.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum Reply<'a> {
    /// What it is.
    Info(DeviceInfo),
    /// Bytes of the picture that have arrived.
    Received {
        /// From the beginning.
        bytes: u32,
    },
    /// Somebody has a template more.
    Enrolled {
        /// Who.
        person: PersonId,
        /// Templates they have now.
        templates: u16,
    },
    /// Who is in the picture.
    Decided(Answer),
    /// A page of the people enrolled.
    People {
        /// In the order of their numbers.
        people: Vec<Person, PAGE>,
        /// Whether others follow.
        more: bool,
    },
    /// They are forgotten.
    Removed(PersonId),
    /// A piece of a crop or an embedding.
    Piece {
        /// Bytes of the whole.
        total: u32,
        /// Where the piece begins.
        offset: u32,
        /// At most [`MAX_PIECE`].
        #[serde(borrow)]
        bytes: &'a [u8],
    },
    /// The gallery is empty.
    Erased,
    /// A backup is ready to be read.
    Bundle {
        /// Records that follow.
        records: u32,
        /// Damages in the gallery: what they lost is not in the backup.
        damaged: u32,
        /// The bundle's header.
        #[serde(borrow)]
        header: &'a [u8],
    },
    /// How far a bundle was taken in.
    Restored(Restored),
    /// Good for one proof.
    Challenge([u8; 16]),
    /// The device's clock is set.
    Clock(UnixTime),
    /// They are let in so from now on.
    Valid(PersonId),
    /// How long operations took in one run of the model.
    Laps {
        /// Operations of the model; 0 when its engine does not tell them apart.
        total: u16,
        /// The first of those that follow.
        first: u16,
        /// What the clock counts.
        unit: Unit,
        /// How many of these are one tick.
        per_tick: u32,
        /// Ticks of each operation.
        ticks: Vec<u32, MAX_LAPS>,
    },
    /// How the enrolment before the camera goes.
    Enrolling(Enrolment),
    /// How the device does.
    Stats(Stats),
    /// Lines of the event log.
    Log(Page<LINES>),
    /// How much of a model image has come.
    Updating {
        /// Bytes behind its header.
        received: u32,
        /// Bytes that there will be.
        total: u32,
    },
    /// The image is accepted and runs from the next start on.
    Updated {
        /// Its version.
        version: u32,
    },
    /// The device starts anew when this is sent.
    Restarting,
    /// What is damaged in the gallery.
    Damages {
        /// Damages that the check found. One in RAM is mended by the check that finds it, and the next has one less.
        total: u32,
        /// The first of those that follow.
        first: u32,
        /// In the order in which the check finds them.
        damages: Vec<Damage, DAMAGES>,
    },
    /// The hosts that are paired.
    Pairings(Vec<PairedHost, PAIRINGS>),
    /// The host is forgotten.
    Unpaired {
        /// Its number.
        host: u16,
    },
    /// It could not be done. Nothing has changed, unless the flash failed: then a restart shows whether it was done.
    Fault(Fault),
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
    /// Who signed it, of a backup that was taken in to the end.
    pub signed: Signed,
}

/// Whose signature a bundle has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Signed {
    /// None was read.
    #[default]
    No,
    /// This device's own.
    Here,
    /// Another device's.
    Elsewhere,
}

/// What a device says of itself.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct DeviceInfo {
    /// [`PROTOCOL`].
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

/// A candidate with their name.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Named {
    /// Stable number.
    pub person: PersonId,
    /// As enrolled.
    pub name: Name,
    /// The angle to the nearest of their templates.
    pub angle: Angle,
}

impl Named {
    /// Gives a candidate the name.
    pub fn new(candidate: Candidate, name: Name) -> Self {
        Named { person: candidate.person, name, angle: candidate.angle }
    }

    /// Without the name.
    pub fn candidate(&self) -> Candidate {
        Candidate { person: self.person, angle: self.angle }
    }
}

/// [`Decision`] with names.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Answer {
    /// Somebody enrolled.
    Known {
        /// Who.
        best: Named,
        /// The nearest other person.
        second: Option<Named>,
        /// How sure that is.
        confidence: Confidence,
        /// Whether the probe may become a template of theirs.
        may_adapt: bool,
    },
    /// Nobody enrolled.
    Unknown {
        /// Why.
        why: Unknown,
        /// The nearest person all the same.
        nearest: Option<Named>,
    },
    /// The probe counts for nothing.
    Rejected(Rejection),
}

impl core::fmt::Display for Answer {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match self {
            Answer::Known { best, .. } => write!(f, "known: {} at {} degrees", best.name, best.angle),
            Answer::Unknown { why, .. } => write!(f, "unknown: {why}"),
            Answer::Rejected(why) => write!(f, "rejected: {why}"),
        }
    }
}

impl Answer {
    /// Names the people of a decision; `name` looks a candidate up.
    ///
    /// # Errors
    /// What `name` gives.
    pub fn new<E>(
        decision: Decision,
        mut name: impl FnMut(Candidate) -> Result<Named, E>,
    ) -> Result<Self, E> {
        Ok(match decision {
            Decision::Known(known) => Answer::Known {
                best: name(known.best)?,
                second: known.second.map(name).transpose()?,
                confidence: known.confidence,
                may_adapt: known.may_adapt,
            },
            Decision::Unknown { why, nearest } => {
                Answer::Unknown { why, nearest: nearest.map(name).transpose()? }
            }
            Decision::Rejected(why) => Answer::Rejected(why),
        })
    }
}
