//! arcgate's firmware on QEMU's mps2-an386, mps2-an500 and mps2-an505.
//!
//! A plan that QEMU is to lay into its memory goes to 0x100000 (`-device loader,file=MODEL.plan,addr=0x100000,force-raw=on`), on an505
//! to 0x10100000; the NOR chip is the beginning of the PSRAM, which QEMU can keep in a file.
#![no_std]
#![no_main]

#[cortex_m_rt::entry]
fn main() -> ! {
    arcgate_qemu_support::run()
}
