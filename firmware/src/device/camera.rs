//! Where pictures come from besides the link.

use crate::frame::{Frame, Landmarks};

/// A picture and, where somebody found them, the face's landmarks.
#[derive(Debug, Clone, Copy)]
pub struct Shot<'c> {
    /// The picture, in the camera's own memory.
    pub frame: Frame<'c>,
    /// Without them the device's detector finds the face; without one the picture is taken whole.
    pub landmarks: Option<Landmarks>,
}

/// A source of pictures.
pub trait Camera {
    /// The next picture, or `None` when there is none yet or nobody is in it; never waits.
    fn capture(&mut self) -> Option<Shot<'_>>;
}
