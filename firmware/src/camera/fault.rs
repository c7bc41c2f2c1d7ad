//! Why a camera gave no picture, whatever its driver.

use serde::{Deserialize, Serialize};

use super::Failure;
use crate::frame::TooLarge;

/// Why there is no picture.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum CameraFault {
    /// The camera failed: its own error was for the board's log.
    Driver,
    /// A picture did not come.
    Late {
        /// Milliseconds since it was begun.
        waited_ms: u32,
    },
    /// The memory for a picture does not hold one however often it is halved.
    TooLarge {
        /// Bytes that one takes at the smallest.
        needed: u32,
        /// Bytes there are.
        capacity: u32,
    },
    /// A picture without pixels.
    Empty,
}

impl core::fmt::Display for CameraFault {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match self {
            CameraFault::Driver => f.write_str("the camera does not answer as it should"),
            CameraFault::Late { waited_ms } => write!(f, "the camera gave no picture in {waited_ms} ms"),
            CameraFault::TooLarge { needed, capacity } => {
                write!(
                    f,
                    "the camera's pictures take {needed} bytes at the smallest, there is room for {capacity}"
                )
            }
            CameraFault::Empty => f.write_str("the camera's pictures have no pixels"),
        }
    }
}

impl<E> From<Failure<E>> for CameraFault {
    fn from(failure: Failure<E>) -> Self {
        match failure {
            Failure::Camera(_) => CameraFault::Driver,
            Failure::Late { waited_ms } => CameraFault::Late { waited_ms },
            // Beyond 32 bits no picture goes after all its halvings.
            Failure::TooLarge(TooLarge { needed, capacity }) => {
                CameraFault::TooLarge { needed: needed as u32, capacity: capacity as u32 }
            }
            Failure::Geometry(_) => CameraFault::Empty,
        }
    }
}
