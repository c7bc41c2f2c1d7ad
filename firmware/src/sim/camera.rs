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

/// Milliseconds from one picture of a camera to the next, where one picture lasts.
const FRAME_MS: u64 = 66;

/// A camera that shows stored pictures: each once, for a presentation of its own ([`Rules::photographs`](crate::decide::Rules::photographs)),
/// or one for ever, as frames of somebody who stays.
#[derive(Debug, Default)]
pub struct StoredCamera {
    shots: VecDeque<StoredShot>,
    shown: Option<StoredShot>,
    /// Whether the shot lasts.
    lasts: bool,
    /// When the last frame of one that lasts was taken.
    taken: Option<Uptime>,
}

impl StoredCamera {
    /// A camera that will show `shots` in order.
    pub fn new(shots: impl IntoIterator<Item = StoredShot>) -> Self {
        StoredCamera { shots: shots.into_iter().collect(), ..StoredCamera::default() }
    }

    /// A camera that will show `shot` for ever.
    pub fn lasting(shot: StoredShot) -> Self {
        StoredCamera { lasts: true, ..StoredCamera::new([shot]) }
    }

    /// Whether there are pictures that it has not shown, or one that lasts.
    pub fn has_more(&self) -> bool {
        !self.shots.is_empty()
    }

    /// Whether its pictures are frames, as a camera's are, and no photographs.
    pub fn shows_frames(&self) -> bool {
        self.lasts
    }

    /// The next frame of a shot that lasts, if it is time for one.
    fn frame(&mut self, now: Uptime) -> bool {
        // A device that starts anew begins to count anew.
        let since = self.taken.and_then(|taken| now.0.checked_sub(taken.0));
        if since.is_some_and(|since| since < FRAME_MS) {
            return false;
        }
        self.taken = Some(now);
        if self.shown.is_none() {
            self.shown = self.shots.front().cloned();
        }
        self.shown.is_some()
    }
}

impl Camera for StoredCamera {
    fn poll(&mut self, now: Uptime) -> Result<bool, CameraFault> {
        if self.lasts {
            return Ok(self.frame(now));
        }
        self.shown = self.shots.pop_front();
        Ok(self.shown.is_some())
    }

    fn shot(&self) -> Option<Shot<'_>> {
        self.shown.as_ref()?.shot()
    }

    fn rest(&mut self) {}

    fn is_fitted(&self) -> bool {
        self.shown.is_some() || self.has_more()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_shot_that_lasts_comes_again_and_again_as_often_as_frames_do() {
        let data = vec![7; 6];
        let shot = StoredShot { format: PixelFormat::Grey8, width: 3, height: 2, data, landmarks: None };
        let mut camera = StoredCamera::lasting(shot.clone());
        let taken = |camera: &mut StoredCamera, from: u64, to: u64| {
            let frames = (from..to).filter(|&now| camera.poll(Uptime(now)).unwrap());
            (frames.count(), camera.has_more(), camera.shot().map(|shot| shot.frame.data().to_vec()))
        };
        assert_eq!(taken(&mut camera, 1000, 1000 + 10 * FRAME_MS), (10, true, Some(vec![7; 6])));
        // The device starts anew.
        assert_eq!(taken(&mut camera, 0, 1), (1, true, Some(vec![7; 6])));
        assert!(camera.is_fitted());
        let mut camera = StoredCamera::new([shot.clone(), shot]);
        assert!(camera.is_fitted() && !StoredCamera::default().is_fitted());
        assert_eq!(taken(&mut camera, 0, 9), (2, false, None));
    }
}
