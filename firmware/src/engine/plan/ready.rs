//! A plan that may run, apart from the arena that it runs in: several can share one.

use super::interpreter::{admit, run_all};
use super::native::Native;
use super::{Header, OutputMap, Plan, PlanError};
use crate::bytes::copy;
use crate::detect::{self, Face, LookError, Map, Settings, Values};
use crate::engine::EmbedError;
use crate::kernels::{Isa, as_i8};
use crate::model::{ModelInfo, Task};

/// A validated plan, prepared for this processor. Clones share what was prepared.
#[derive(Debug, Clone)]
pub(super) struct Ready<B> {
    bytes: B,
    header: Header,
    native: Native,
}

impl<B: AsRef<[u8]>> Ready<B> {
    /// Validates a plan for `task` that is to run in `arena`, and prepares it for the widest instructions that there are.
    pub fn new(bytes: B, arena: &[u8], task: Task) -> Result<Self, PlanError> {
        let header = admit(bytes.as_ref(), arena, task)?;
        let native = Native::best(&Plan::reopen(bytes.as_ref(), &header));
        Ok(Ready { bytes, header, native })
    }

    /// The same on `isa`; `None` if this build or processor does not have it.
    pub fn on(self, isa: Isa) -> Option<Self> {
        let native = Native::new(&self.plan(), isa)?;
        Some(Ready { native, ..self })
    }

    pub fn isa(&self) -> Isa {
        self.native.isa()
    }

    pub fn header(&self) -> &Header {
        &self.header
    }

    pub fn info(&self) -> &ModelInfo {
        &self.header.info
    }

    pub fn plan(&self) -> Plan<'_> {
        Plan::reopen(self.bytes.as_ref(), &self.header)
    }

    /// An embedder's run.
    pub fn embed(
        &mut self,
        arena: &mut [u8],
        crop: &[u8],
        out: &mut [i8],
        after: impl FnMut(usize),
    ) -> Result<(), EmbedError> {
        let info = self.info();
        let (expected, found) = (info.crop_bytes(), crop.len());
        if found != expected {
            return Err(EmbedError::CropLength { expected, found });
        }
        let (expected, found) = (info.dimension as usize, out.len());
        if found != expected {
            return Err(EmbedError::OutputLength { expected, found });
        }
        let plan = Plan::reopen(self.bytes.as_ref(), &self.header);
        let last = run_all(&plan, &mut self.native, crop, arena, after).ok_or(EmbedError::Runtime)?;
        match arena.get(last) {
            Some(embedding) if embedding.len() == out.len() => {
                copy(as_i8(embedding), out);
                Ok(())
            }
            _ => Err(EmbedError::Runtime),
        }
    }

    /// A detector's run, which leaves its maps in the arena.
    pub fn look(
        &mut self,
        arena: &mut [u8],
        picture: &[u8],
        after: impl FnMut(usize),
    ) -> Result<(), LookError> {
        let (expected, found) = (self.info().crop_bytes(), picture.len());
        if found != expected {
            return Err(LookError::PictureLength { expected, found });
        }
        let plan = Plan::reopen(self.bytes.as_ref(), &self.header);
        run_all(&plan, &mut self.native, picture, arena, after).ok_or(LookError::Changed)?;
        Ok(())
    }

    /// A detector's run, and the faces in its maps.
    pub fn faces<const N: usize>(
        &mut self,
        arena: &mut [u8],
        picture: &[u8],
        settings: &Settings,
    ) -> Result<heapless::Vec<Face, N>, LookError> {
        self.look(arena, picture, |_| ())?;
        let plan = self.plan();
        let mut maps = plan.maps();
        let mut next = || -> Option<Values<'_>> {
            let OutputMap { tensor, scale, zero_point } = maps.next()?.ok()?;
            let steps = as_i8(arena.get(tensor.range())?);
            Some(Values::Int8 { steps, scale, zero_point })
        };
        let mut map = || Some(Map { cls: next()?, obj: next()?, bbox: next()?, kps: next()? });
        let maps = [map(), map(), map()];
        let [Some(small), Some(middle), Some(large)] = maps else { return Err(LookError::Changed) };
        let ModelInfo { width, height, .. } = self.header.info;
        detect::decode(&[small, middle, large], width, height, settings).map_err(LookError::Maps)
    }
}
