//! arcgate's firmware on QEMU's virt with an RV32 core.
//!
//! It runs from the first chip of flash (`-device loader,file=ELF,cpu-num=0`). The second one holds the NOR chip and, from 8 MB on,
//! a plan that QEMU lays there; QEMU keeps it in a file of 32 MB (`-drive if=pflash,unit=1,format=raw,file=FILE`).
#![no_std]
#![no_main]

#[riscv_rt::entry]
fn main() -> ! {
    arcgate_qemu_support::run()
}
