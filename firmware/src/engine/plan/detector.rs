//! A detector's plan: a picture to faces.

use super::engine::{admit, run_all};
use super::native::Native;
use super::{Header, OutputMap, Plan, PlanError};
use crate::detect::{self, DetectError, Face, Map, Settings, Values};
use crate::engine::kernels::{Isa, as_i8};
use crate::engine::{ModelInfo, Task};

/// Runs a detector's plan over one arena: a static buffer on a device, a vector on the host. Clones share what was
/// prepared for the processor.
#[derive(Debug, Clone)]
pub struct PlanDetector<B, A> {
    bytes: B,
    arena: A,
    header: Header,
    native: Native,
}

/// Why a detector looked at nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum LookError {
    /// The picture is not `height * width * channels` bytes.
    PictureLength {
        /// Bytes of a picture for this model.
        expected: usize,
        /// Bytes given.
        found: usize,
    },
    /// The plan's bytes changed since it was validated.
    Changed,
    /// The maps are not those of the picture, which validation excludes.
    Maps(DetectError),
}

impl core::fmt::Display for LookError {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match self {
            LookError::PictureLength { expected, found } => {
                write!(f, "the detector takes pictures of {expected} bytes, {found} were given")
            }
            LookError::Changed => write!(f, "the detector's plan has changed since it was read"),
            LookError::Maps(error) => error.fmt(f),
        }
    }
}

impl core::error::Error for LookError {}

impl<B: AsRef<[u8]>, A: AsRef<[u8]> + AsMut<[u8]>> PlanDetector<B, A> {
    /// Validates the plan, takes the arena that it will run in, and prepares it for the widest instructions that the processor
    /// has kernels for.
    ///
    /// # Errors
    /// As [`super::PlanEngine::new`]; an embedder's plan is refused.
    pub fn new(bytes: B, mut arena: A) -> Result<Self, PlanError> {
        let header = admit(bytes.as_ref(), arena.as_mut(), Task::Detection)?;
        let native = Native::best(&Plan::reopen(bytes.as_ref(), &header));
        Ok(PlanDetector { bytes, arena, header, native })
    }

    /// The same detector on `isa`, which gives the same bytes: for whoever compares them. `None` if this build or processor does
    /// not have it.
    pub fn on(self, isa: Isa) -> Option<Self> {
        let native = Native::new(&Plan::reopen(self.bytes.as_ref(), &self.header), isa)?;
        Some(PlanDetector { native, ..self })
    }

    /// The instructions that it runs on.
    pub fn isa(&self) -> Isa {
        self.native.isa()
    }

    /// What the model says of itself: the size of its pictures, the order of its planes.
    pub fn info(&self) -> &ModelInfo {
        &self.header.info
    }

    /// The faces in a picture, best first, at most `N`: `height * width` pixels, rows from top to bottom, interleaved R, G, B
    /// whatever the model's channel order (one byte a pixel for a grey model).
    ///
    /// # Errors
    /// When `picture` has the wrong length; nothing else can fail on a device.
    pub fn faces<const N: usize>(
        &mut self,
        picture: &[u8],
        settings: &Settings,
    ) -> Result<heapless::Vec<Face, N>, LookError> {
        self.look(picture, |_| ())?;
        let plan = Plan::reopen(self.bytes.as_ref(), &self.header);
        let mut maps = plan.maps();
        let mut next = || -> Option<Values<'_>> {
            let OutputMap { tensor, scale, zero_point } = maps.next()?.ok()?;
            let steps = as_i8(self.arena.as_ref().get(tensor.range())?);
            Some(Values::Int8 { steps, scale, zero_point })
        };
        let mut map = || Some(Map { cls: next()?, obj: next()?, bbox: next()?, kps: next()? });
        let maps = [map(), map(), map()];
        let [Some(small), Some(middle), Some(large)] = maps else { return Err(LookError::Changed) };
        let ModelInfo { width, height, .. } = self.header.info;
        detect::decode(&[small, middle, large], width, height, settings).map_err(LookError::Maps)
    }

    /// Runs the plan on a picture and gives the maps as they come out: for each stride cls, obj, bbox and kps, cells in rows.
    ///
    /// # Errors
    /// As [`PlanDetector::faces`].
    pub fn maps(&mut self, picture: &[u8]) -> Result<impl Iterator<Item = (OutputMap, &[i8])>, LookError> {
        self.look(picture, |_| ())?;
        let plan = Plan::reopen(self.bytes.as_ref(), &self.header);
        let arena = self.arena.as_ref();
        let places: heapless::Vec<OutputMap, { super::MAPS }> = plan.maps().flatten().collect();
        Ok(places.into_iter().filter_map(move |map| Some((map, as_i8(arena.get(map.tensor.range())?)))))
    }

    /// Runs the plan on a picture and calls `after` with the index of each operation when it is done: for whoever measures them.
    ///
    /// # Errors
    /// As [`PlanDetector::faces`].
    pub fn look(&mut self, picture: &[u8], after: impl FnMut(usize)) -> Result<(), LookError> {
        let (expected, found) = (self.header.info.crop_bytes(), picture.len());
        if found != expected {
            return Err(LookError::PictureLength { expected, found });
        }
        let plan = Plan::reopen(self.bytes.as_ref(), &self.header);
        run_all(&plan, &mut self.native, picture, self.arena.as_mut(), after).ok_or(LookError::Changed)?;
        Ok(())
    }
}
