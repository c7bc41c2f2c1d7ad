//! Which cores a plan is laid out for.

use crate::engine::kernels::{dsp, mve};

/// The cores that a plan's weights and scratch are laid out for.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq, serde::Serialize)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[serde(rename_all = "lowercase")]
#[repr(u8)]
pub enum Target {
    /// Any: weights lie as [`crate::engine::kernels::scalar`] defines.
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

    /// Whether the core that this program runs on takes such plans.
    pub fn runs_here(self) -> bool {
        match self {
            Target::Portable => true,
            Target::Dsp => dsp::is_here(),
            Target::Mve => mve::is_here(),
        }
    }
}
