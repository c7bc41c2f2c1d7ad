//! arcgate's firmware on QEMU's mps3-an547.
//!
//! A plan that QEMU is to lay into its memory goes to 0x60800000 (`-device loader,file=MODEL.plan,addr=0x60800000,force-raw=on`); the
//! NOR chip is the beginning of the DDR, which QEMU can keep in a file.
#![no_std]
#![no_main]

#[cortex_m_rt::entry]
fn main() -> ! {
    arcgate_qemu_support::run()
}
