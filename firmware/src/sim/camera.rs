//! A camera that shows stored pictures.

use std::collections::VecDeque;

use crate::camera::CameraFault;
use crate::device::{Camera, Shot};
use crate::frame::{Frame, Intake, Landmarks, PixelFormat};
use crate::time::Uptime;

/// A picture for the camera.
#[derive(Debug, Clone)]
pub struct StoredShot {
    /// How its pixels lie.
    pub format: PixelFormat,
    /// Pixels in a row.
    pub width: u16,
    /// Rows.
    pub height: u16,
    /// The pixels.
    pub data: Vec<u8>,
    /// The face's landmarks, where somebody found them.
    pub landmarks: Option<Landmarks>,
}

impl StoredShot {
    /// A picture and its face's landmarks as a device keeps them in a memory of `capacity` bytes. One that does not fit however often
    /// it is halved stays as it is.
    pub fn kept(frame: &Frame<'_>, landmarks: Option<Landmarks>, capacity: u32) -> Self {
        let (mut buffer, capacity) = (Vec::new(), capacity as usize);
        let (mut shown, mut points) = (*frame, landmarks);
        if let Ok(mut intake) = Intake::new(frame.format(), frame.width(), frame.height(), capacity)
            && intake.halvings() > 0
        {
            buffer.resize(capacity, 0);
            intake.push(frame.data(), &mut buffer);
            points = landmarks.map(|points| intake.landmarks(&points));
            shown = intake.frame(&buffer).unwrap_or(shown);
        }
        let (format, width, height) = (shown.format(), shown.width(), shown.height());
        StoredShot { format, width, height, data: shown.data().to_vec(), landmarks: points }
    }

    /// As a camera gives it; `None` when the pixels are not as many as it says.
    pub fn shot(&self) -> Option<Shot<'_>> {
        let frame = Frame::new(self.format, self.width, self.height, &self.data).ok()?;
        Some(Shot { frame, landmarks: self.landmarks })
    }
}

/// A camera that shows stored pictures, each once; the device takes each for a presentation ([`Rules::photographs`]).
#[derive(Debug, Default)]
pub struct StoredCamera {
    shots: VecDeque<StoredShot>,
    shown: Option<StoredShot>,
}

impl StoredCamera {
    /// A camera that will show `shots` in order.
    pub fn new(shots: impl IntoIterator<Item = StoredShot>) -> Self {
        StoredCamera { shots: shots.into_iter().collect(), ..StoredCamera::default() }
    }

    /// Whether there are pictures that it has not shown.
    pub fn has_more(&self) -> bool {
        !self.shots.is_empty()
    }
}

impl Camera for StoredCamera {
    fn poll(&mut self, _: Uptime) -> Result<bool, CameraFault> {
        self.shown = self.shots.pop_front();
        Ok(self.shown.is_some())
    }

    fn shot(&self) -> Option<Shot<'_>> {
        self.shown.as_ref()?.shot()
    }

    fn rest(&mut self) {}
}
