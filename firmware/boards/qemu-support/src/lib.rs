//! arcgate's device on QEMU's boards; a board's own package has the linker's memory map and calls [`run`].
//!
//! | machine | core | kernels |
//! |---|---|---|
//! | mps2-an386, mps2-an500 | Cortex-M4F, M7 (one ELF file) | DSP |
//! | mps2-an505 | Cortex-M33 | DSP |
//! | mps3-an547 | Cortex-M55 | MVE |
//! | virt | RV32 | portable |
//!
//! Gallery, event log, state and two slots for models lie on a NOR chip ([`MAP`]), which QEMU keeps in a file: killing QEMU is a power
//! cut. A board starts without a model, and takes images of the development key over its link; or it runs a plan that QEMU has laid
//! into its memory. The link is the first UART. QEMU's command line says whom it trusts, for how long the button is held, and what the
//! camera sees (`words.rs`). Lock and lights are those of the FPGA. What happens is said through semihosting; a panic or a boot that
//! fails ends QEMU with a non-zero status.
#![no_std]
#![warn(missing_docs)]

mod camera;
#[cfg(target_arch = "riscv32")]
mod cfi;
mod events;
mod file;
mod level;
#[cfg_attr(machine = "an386", path = "machine/an386.rs")]
#[cfg_attr(machine = "an505", path = "machine/an505.rs")]
#[cfg_attr(machine = "an547", path = "machine/an547.rs")]
#[cfg_attr(machine = "virt", path = "machine/virt.rs")]
pub mod machine;
mod map;
#[cfg(target_arch = "arm")]
mod mps;
mod region;
mod run;
mod say;
#[cfg_attr(target_arch = "arm", path = "uart/cmsdk.rs")]
#[cfg_attr(target_arch = "riscv32", path = "uart/ns16550.rs")]
mod uart;
mod words;

pub use map::MAP;
pub use region::Region;
pub use run::run;
