//! What a place is sent of a photograph: the model's crop, or the whole where the device finds the face itself.

use std::borrow::Cow;

use arcgate_firmware::frame::{Frame, FrameError, PixelFormat};
use arcgate_firmware::link::status::DeviceInfo;
use arcgate_firmware::model::{ChannelOrder, ModelInfo};
use arcgate_firmware::sim::StoredShot;

use crate::photo::{self, Finder, Found, Photo, PhotoError};

/// The pixels for one template or one question.
#[derive(Debug, Clone)]
pub enum Sending<'p> {
    /// The model's input.
    Crop(Cow<'p, [u8]>),
    /// A whole picture in three colours.
    Whole {
        /// Pixels in a row.
        width: u16,
        /// Rows.
        height: u16,
        /// R, G, B.
        pixels: Vec<u8>,
    },
}

impl Sending<'_> {
    /// What `device` is sent of a photograph, and how many faces are seen there besides the one that is meant. The crop where
    /// `finder` can tell where the face is; the whole where only the device can: as large as the device would keep it, halved by the
    /// device's own code.
    ///
    /// # Errors
    /// Those of [`Finder::find`], a face that looks away or is too small, and landmarks that cannot be aligned.
    pub fn of(
        photo: &Photo,
        finder: &Finder,
        device: &DeviceInfo,
        model: &ModelInfo,
    ) -> Result<(Sending<'static>, usize), PhotoError> {
        if device.detector.is_some() && model.template.is_some() && !finder.can_tell(photo) {
            return Ok((Sending::whole(photo, device.frame_capacity), 0));
        }
        let found = finder.find(photo, model)?;
        found.check_pose(photo)?;
        let others = match found {
            Found::Face { others, .. } => others,
            Found::Framed => 0,
        };
        Ok((Sending::Crop(photo::crop(photo, &found, model)?.into()), others))
    }

    /// A photograph as a device keeps it in a memory of `capacity` bytes. One that does not fit at all is left for the device to refuse.
    pub fn whole(photo: &Photo, capacity: u32) -> Sending<'static> {
        let StoredShot { width, height, data: pixels, .. } = StoredShot::kept(&photo.frame(), None, capacity);
        Sending::Whole { width, height, pixels }
    }

    /// Its pixels.
    pub fn pixels(&self) -> &[u8] {
        match self {
            Sending::Crop(crop) => crop,
            Sending::Whole { pixels, .. } => pixels,
        }
    }

    /// As a picture for the link.
    ///
    /// # Errors
    /// When a crop is not of the model's size.
    pub fn frame(&self, model: &ModelInfo) -> Result<Frame<'_>, FrameError> {
        match self {
            Sending::Crop(crop) => {
                let format = match model.order {
                    ChannelOrder::Grey => PixelFormat::Grey8,
                    ChannelOrder::Rgb | ChannelOrder::Bgr => PixelFormat::Rgb8,
                };
                Frame::new(format, model.width, model.height, crop)
            }
            Sending::Whole { width, height, pixels } => {
                Frame::new(PixelFormat::Rgb8, *width, *height, pixels)
            }
        }
    }
}
