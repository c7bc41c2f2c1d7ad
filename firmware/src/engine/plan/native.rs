//! A plan's operations prepared for this processor when the plan is opened, where it has kernels of its own.

#[cfg(all(feature = "std", any(target_arch = "x86_64", target_arch = "aarch64")))]
mod packed;

use super::{Plan, Target};
use crate::kernels::Isa;

/// What an engine keeps for the instruction set that it runs on. Clones share the weights.
#[derive(Debug, Clone)]
pub(super) struct Native {
    isa: Isa,
    #[cfg(all(feature = "std", any(target_arch = "x86_64", target_arch = "aarch64")))]
    prepared: Option<packed::Prepared>,
}

impl Native {
    /// Prepares a validated plan for `isa`; `None` if this build or processor does not have it, or the plan is packed for other
    /// cores.
    pub(super) fn new(plan: &Plan<'_>, isa: Isa) -> Option<Self> {
        let fits = isa == Isa::Scalar || isa.is_available() && plan.target() == Target::Portable;
        if !fits {
            return None;
        }
        Some(Native {
            isa,
            #[cfg(all(feature = "std", any(target_arch = "x86_64", target_arch = "aarch64")))]
            prepared: (isa != Isa::Scalar).then(|| packed::Prepared::new(plan, isa)),
        })
    }

    /// Prepares a validated plan for the widest instructions that this processor has.
    pub(super) fn best(plan: &Plan<'_>) -> Self {
        Native::new(plan, Isa::best()).unwrap_or(Native {
            isa: Isa::Scalar,
            #[cfg(all(feature = "std", any(target_arch = "x86_64", target_arch = "aarch64")))]
            prepared: None,
        })
    }

    /// What it is prepared for.
    pub(super) fn isa(&self) -> Isa {
        self.isa
    }

    /// Runs operation `index` if it is prepared, and says whether it was. `None` if a tensor lies outside the arena.
    pub(super) fn run(&mut self, index: usize, arena: &mut [u8]) -> Option<bool> {
        #[cfg(all(feature = "std", any(target_arch = "x86_64", target_arch = "aarch64")))]
        if let Some(prepared) = &mut self.prepared {
            return prepared.run(index, arena);
        }
        let _ = (index, arena);
        Some(false)
    }
}
