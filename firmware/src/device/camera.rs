//! Where pictures come from besides the link.

use crate::camera::{self, CameraFault, Grabber};
use crate::frame::{Frame, Landmarks};
use crate::time::Uptime;

/// A picture and, where somebody found them, the face's landmarks.
#[derive(Debug, Clone, Copy)]
pub struct Shot<'c> {
    /// The picture, in the camera's own memory.
    pub frame: Frame<'c>,
    /// Without them the device's detector finds the face; without one a model that aligns takes the picture's middle in its input's
    /// shape, and another one the whole picture.
    pub landmarks: Option<Landmarks>,
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
