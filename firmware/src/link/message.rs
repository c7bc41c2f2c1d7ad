//! What a host may ask and what a device answers.

use heapless::Vec;
use serde::{Deserialize, Serialize};

use super::Fault;
use super::answer::Answer;
use super::status::{DeviceInfo, Enrolment, Restored, Stats, Unit};
use crate::events::Page;
use crate::frame::{Landmarks, PixelFormat};
use crate::gallery::{Damage, Person, PersonId};
use crate::pairings::{PAIRINGS, PairedHost};
use crate::time::{UnixTime, Validity};

/// The version of these messages; a device with another one greets all the same.
pub const PROTOCOL: u16 = 9;

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
        #[serde(deserialize_with = "crate::wire::array")]
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
        #[serde(deserialize_with = "crate::wire::array")]
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
        /// Shots, at most [`MAX_SHOTS`](crate::guide::MAX_SHOTS).
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
    /// the picture is taken whole, and for a model that aligns it must then be exactly the input's size. (Of its own camera's pictures
    /// a device without a detector takes the middle.)
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
