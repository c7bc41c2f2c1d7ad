//! Where pictures come from besides the link.

use serde::{Deserialize, Serialize};

use crate::camera::{self, Failure, Grabber};
use crate::decide::time::Uptime;
use crate::frame::{Frame, Landmarks};

/// A picture and, where somebody found them, the face's landmarks.
#[derive(Debug, Clone, Copy)]
pub struct Shot<'c> {
    /// The picture, in the camera's own memory.
    pub frame: Frame<'c>,
    /// Without them the device's detector finds the face; without one the picture is taken whole.
    pub landmarks: Option<Landmarks>,
}

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
    /// A picture is larger than the memory for it.
    TooLarge {
        /// Its bytes.
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
                write!(f, "the camera's pictures have {needed} bytes, there is room for {capacity}")
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
            Failure::TooLarge { needed, capacity } => {
                CameraFault::TooLarge { needed: needed as u32, capacity: capacity as u32 }
            }
            Failure::Geometry(_) => CameraFault::Empty,
        }
    }
}

/// A source of pictures: a [`Grabber`] over a driver, or whatever a board has.
pub trait Camera {
    /// Goes on with a picture, one bounded piece of work; whether it is whole now. The next call begins the next one.
    ///
    /// # Errors
    /// Why there is none. It is for the camera to try again, at once or after a while.
    fn poll(&mut self, now: Uptime) -> Result<bool, CameraFault>;

    /// The picture that the last [`Camera::poll`] made whole.
    fn shot(&self) -> Option<Shot<'_>>;

    /// Nobody is there: takes as little power as it can until the next [`Camera::poll`].
    fn rest(&mut self);

    /// Whether there is such a thing, so that somebody may be enrolled before it.
    fn is_fitted(&self) -> bool {
        true
    }
}

/// A camera that may not be there: then it shows nothing.
impl<C: Camera> Camera for Option<C> {
    fn poll(&mut self, now: Uptime) -> Result<bool, CameraFault> {
        self.as_mut().map_or(Ok(false), |camera| camera.poll(now))
    }

    fn shot(&self) -> Option<Shot<'_>> {
        self.as_ref()?.shot()
    }

    fn rest(&mut self) {
        if let Some(camera) = self {
            camera.rest();
        }
    }

    fn is_fitted(&self) -> bool {
        self.as_ref().is_some_and(Camera::is_fitted)
    }
}

impl<C: camera::Camera, B: AsRef<[u8]> + AsMut<[u8]>> Camera for Grabber<C, B> {
    fn poll(&mut self, now: Uptime) -> Result<bool, CameraFault> {
        Ok(Grabber::poll(self, now).map_err(CameraFault::from)?.is_some())
    }

    fn shot(&self) -> Option<Shot<'_>> {
        Some(Shot { frame: self.frame()?, landmarks: None })
    }

    fn rest(&mut self) {
        // Whatever is wrong with it, the next poll meets.
        let _ = Grabber::rest(self);
    }
}
