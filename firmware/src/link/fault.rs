//! Why a device did not do what was asked.

use serde::{Deserialize, Serialize};

use crate::bundle::BundleError;
use crate::camera::CameraFault;
use crate::decide::Rejection;
use crate::detect::LookError;
use crate::engine::EmbedError;
use crate::events::LogError;
use crate::frame::FrameError;
use crate::gallery::GalleryError;
use crate::pairings::{PairingsError, Role};
use crate::state::StateError;
use crate::update::UpdateError;

/// Why a device did not do what was asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Fault {
    /// The packet is whole but is no message of this version.
    Message {
        /// [`PROTOCOL`](super::message::PROTOCOL) of the device.
        protocol: u16,
    },
    /// The picture does not fit the device's memory for it, however often it is halved, or a piece of it could not be told the place.
    FrameTooLarge {
        /// Bytes that it takes.
        needed: u64,
        /// Bytes there are.
        capacity: u32,
    },
    /// A picture with a side of zero pixels.
    EmptyFrame {
        /// Pixels in a row.
        width: u16,
        /// Rows.
        height: u16,
    },
    /// A piece that does not go on where the last one ended, or goes beyond the end.
    Piece {
        /// Bytes, or records of a bundle, that have arrived.
        expected: u32,
        /// Where the piece began, or the record's number.
        found: u32,
        /// Bytes, or records, of the whole.
        total: u32,
    },
    /// There is no picture, or not all of it yet.
    NoFrame {
        /// Bytes that have arrived.
        received: u32,
        /// Bytes of the whole; zero before [`Request::BeginFrame`](super::Request::BeginFrame).
        total: u32,
    },
    /// A host's picture without landmarks that is not exactly the input of a model that aligns, on a device without a detector.
    NotFramed {
        /// The model's columns and rows.
        expected: [u16; 2],
        /// The picture's.
        found: [u16; 2],
    },
    /// Landmarks came with a picture for a model that takes pictures whole.
    NoTemplate,
    /// The device's memory for crops is smaller than the model's input, or the detector's.
    CropTooLarge {
        /// Bytes of the input.
        needed: u32,
        /// Bytes there are.
        capacity: u32,
    },
    /// The picture cannot be enrolled.
    Rejected(Rejection),
    /// Pieces are read from inside the whole.
    Offset {
        /// Where the reading was to begin.
        found: u32,
        /// Bytes of the whole.
        total: u32,
    },
    /// The gallery says no.
    Gallery(GalleryError),
    /// The engine failed.
    Engine,
    /// The device has no model yet.
    NoModel,
    /// The device takes no models.
    NoSlots,
    /// A model image is refused; the model before runs on.
    Update(UpdateError),
    /// The event log cannot be read.
    Log(LogError),
    /// There is no picture from the camera.
    Camera(CameraFault),
    /// The device has no camera that looks.
    NoCamera,
    /// The board has no clock to measure with.
    NoClock,
    /// The board does not tell its uptime, without which it cannot keep the time of day.
    NoUptime,
    /// Who says what time it is does not have the bundle key, or answers no challenge.
    Proof,
    /// A bundle is refused.
    Bundle(BundleError),
    /// No bundle is under way: none was begun, or an error ended it.
    NoBundle,
    /// The gallery changed while it was taken out.
    Changed,
    /// Stored templates go into an empty gallery, or into the one that they were in.
    NotEmpty {
        /// People enrolled.
        people: u32,
    },
    /// The host was paired for less.
    NotAllowed {
        /// What it takes.
        role: Role,
    },
    /// The pairings stay as they are.
    Pairings(PairingsError),
    /// The device's state cannot be kept.
    State(StateError),
}

impl From<StateError> for Fault {
    fn from(error: StateError) -> Self {
        Fault::State(error)
    }
}

impl From<PairingsError> for Fault {
    fn from(error: PairingsError) -> Self {
        Fault::Pairings(error)
    }
}

impl From<UpdateError> for Fault {
    fn from(error: UpdateError) -> Self {
        Fault::Update(error)
    }
}

impl From<LogError> for Fault {
    fn from(error: LogError) -> Self {
        Fault::Log(error)
    }
}

impl From<CameraFault> for Fault {
    fn from(fault: CameraFault) -> Self {
        Fault::Camera(fault)
    }
}

impl From<BundleError> for Fault {
    fn from(error: BundleError) -> Self {
        Fault::Bundle(error)
    }
}

impl From<GalleryError> for Fault {
    fn from(error: GalleryError) -> Self {
        Fault::Gallery(error)
    }
}

impl From<EmbedError> for Fault {
    fn from(_: EmbedError) -> Self {
        // The device checks both lengths before; what is left is the runtime.
        Fault::Engine
    }
}

impl From<LookError> for Fault {
    fn from(_: LookError) -> Self {
        // The device asks a detector that is there, and for pictures of its size.
        Fault::Engine
    }
}

impl From<FrameError> for Fault {
    fn from(error: FrameError) -> Self {
        match error {
            FrameError::Empty { width, height } => Fault::EmptyFrame { width, height },
            FrameError::Length { expected, found } => {
                Fault::NoFrame { received: found as u32, total: expected as u32 }
            }
        }
    }
}

impl core::fmt::Display for Fault {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match self {
            Fault::Message { protocol } => {
                write!(f, "the device does not know this message; it speaks version {protocol}")
            }
            Fault::FrameTooLarge { needed, capacity } => {
                write!(f, "the picture takes {needed} bytes, the device has {capacity}")
            }
            Fault::EmptyFrame { width, height } => {
                write!(f, "a picture of {width}x{height} pixels has none")
            }
            Fault::Piece { expected, found, total } => {
                write!(f, "a piece came as number {found} where {expected} of {total} was expected")
            }
            Fault::NoFrame { received, total } => {
                write!(f, "the device has {received} of {total} bytes of the picture")
            }
            Fault::NotFramed { expected: [ew, eh], found: [w, h] } => {
                write!(f, "a picture without landmarks must be {ew}x{eh}, this one is {w}x{h}")
            }
            Fault::NoTemplate => write!(f, "the model takes whole pictures, without landmarks"),
            Fault::CropTooLarge { needed, capacity } => {
                write!(f, "the model's input has {needed} bytes, the device has room for {capacity}")
            }
            Fault::Rejected(why) => write!(f, "{why}"),
            Fault::Offset { found, total } => write!(f, "byte {found} lies outside {total}"),
            Fault::Gallery(error) => write!(f, "{error}"),
            Fault::Bundle(error) => write!(f, "{error}"),
            Fault::NoBundle => write!(f, "no bundle was begun, or an error ended it"),
            Fault::Changed => write!(f, "the gallery changed while it was taken out"),
            Fault::NotEmpty { people } => {
                write!(f, "{people} people are enrolled there, under another transform than the backup's")
            }
            Fault::NotAllowed { role } => write!(f, "only a host that is paired as {role} may ask this"),
            Fault::Pairings(error) => write!(f, "{error}"),
            Fault::State(error) => write!(f, "the device cannot keep its state: {error}"),
            Fault::NoUptime => {
                write!(f, "the board does not tell how long it has been up, so it cannot keep the time")
            }
            Fault::Proof => write!(f, "the time was not told by who has the device's key, or too late"),
            Fault::NoModel => {
                f.write_str("the device has no model yet; `arcgate device update` gives it one")
            }
            Fault::NoSlots => f.write_str("the device takes no models over its link"),
            Fault::Update(error) => write!(f, "{error}"),
            Fault::Log(error) => write!(f, "{error}"),
            Fault::Camera(fault) => write!(f, "{fault}"),
            Fault::NoCamera => f.write_str("the device has no camera that looks"),
            Fault::NoClock => write!(f, "the device has no clock to measure with"),
            Fault::Engine => write!(f, "the device's engine failed to run the model"),
        }
    }
}

impl core::error::Error for Fault {}
