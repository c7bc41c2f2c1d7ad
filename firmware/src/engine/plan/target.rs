//! Which cores a plan is laid out for.

use crate::kernels::packing::Packing;
use crate::kernels::scalar::scratch_bytes;
use crate::kernels::{Shape, Window, dsp, mve};

/// The cores that a plan's weights and scratch are laid out for.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq, serde::Serialize)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[serde(rename_all = "lowercase")]
#[repr(u8)]
pub enum Target {
    /// Any: weights lie as [`crate::kernels::scalar`] defines.
    #[default]
    Portable = 0,
    /// Arm cores with the DSP instructions (Cortex-M4, M7, M33): weights lie as [`dsp::packing`] says. Desktops run such plans
    /// too, as a simulator does.
    Dsp = 1,
    /// Arm cores with MVE (Cortex-M55, M85): weights lie as [`mve::packing`] says. Desktops run such plans too.
    Mve = 2,
}

impl Target {
    /// All of them.
    pub const ALL: [Target; 3] = [Target::Portable, Target::Dsp, Target::Mve];

    /// What people call it.
    pub const fn name(self) -> &'static str {
        match self {
            Target::Portable => "portable",
            Target::Dsp => "dsp",
            Target::Mve => "mve",
        }
    }

    /// The target with the number that stands in a header.
    pub fn of(number: u8) -> Option<Self> {
        Target::ALL.into_iter().find(|&target| target as u8 == number)
    }

    /// How the weights of a convolution with these shapes lie, where they are packed. Both channel counts are multiples of `groups`.
    pub const fn packing(
        self,
        input: Shape,
        output: Shape,
        window: Window,
        groups: usize,
    ) -> Option<Packing> {
        match self {
            Target::Portable => None,
            Target::Dsp => Some(dsp::packing(input, output, window, groups)),
            Target::Mve => Some(mve::packing(input, output, window, groups)),
        }
    }

    /// Bytes of the arena that a convolution works in.
    pub fn conv_scratch_bytes(self, input: Shape, output: Shape, window: Window, groups: usize) -> usize {
        match self {
            Target::Portable => scratch_bytes(input, output, window, groups),
            Target::Dsp => dsp::conv_scratch_bytes(input, output, window, groups),
            Target::Mve => mve::conv_scratch_bytes(input, output, window, groups),
        }
    }

    /// Bytes of the arena that a depthwise convolution works in.
    pub fn depthwise_scratch_bytes(self, input: Shape, output: Shape, window: Window) -> usize {
        match self {
            Target::Portable => 0,
            Target::Dsp => dsp::depthwise_scratch_bytes(input, output, window),
            Target::Mve => mve::depthwise_scratch_bytes(input, output, window),
        }
    }

    /// Whether this build has the kernels for such plans.
    pub const fn is_built(self) -> bool {
        match self {
            Target::Portable => true,
            Target::Dsp => dsp::IS_BUILT,
            Target::Mve => mve::IS_BUILT,
        }
    }

    /// Whether the core that this program runs on takes such plans.
    pub fn runs_here(self) -> bool {
        match self {
            Target::Portable => true,
            Target::Dsp => dsp::is_here(),
            Target::Mve => mve::is_here(),
        }
    }
}
