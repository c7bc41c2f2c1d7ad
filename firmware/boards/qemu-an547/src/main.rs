//! arcgate's firmware on QEMU's mps3-an547.
//!
//! The plan for it is loaded into the first slot for models (`-device loader,file=MODEL.plan,addr=0x60200000,force-raw=on`); the NOR
//! chip is the beginning of the DDR, which QEMU can keep in a file.
#![no_std]
#![no_main]

#[cortex_m_rt::entry]
fn main() -> ! {
    arcgate_qemu_support::run()
}
