//! What is counted from a start on.

use super::Event;
use crate::link::Fault;
use crate::link::answer::Answer;

/// What happened since the start.
#[derive(Debug, Default)]
pub(super) struct Counts {
    /// Known, unknown, rejected before the camera.
    pub answers: [u32; 3],
    pub camera_faults: u32,
    /// Noise, and forged packets.
    pub noise: [u32; 2],
}

impl Counts {
    pub fn count(&mut self, event: &Event) {
        let counter = match event {
            Event::Answered(Answer::Known { .. }) => &mut self.answers[0],
            Event::Answered(Answer::Unknown { .. }) => &mut self.answers[1],
            Event::Answered(Answer::Rejected(_)) => &mut self.answers[2],
            Event::Refused(Fault::Camera(_)) => &mut self.camera_faults,
            Event::Noise(_) => &mut self.noise[0],
            Event::Forged(_) => &mut self.noise[1],
            _ => return,
        };
        *counter = counter.saturating_add(1);
    }
}
