//! Writes the memory map of the emulated machine that the target runs on, and asks for its runtime's linker script.

use std::path::PathBuf;

/// mps2-an386 and mps2-an500: 4 MB of code memory, 4 MB of SRAM.
const MPS2_M4: &str = "MEMORY { FLASH : ORIGIN = 0x00000000, LENGTH = 4M
    RAM : ORIGIN = 0x20000000, LENGTH = 4M }";

/// mps2-an505: the same in its secure halves.
const MPS2_M33: &str = "MEMORY { FLASH : ORIGIN = 0x10000000, LENGTH = 4M
    RAM : ORIGIN = 0x38000000, LENGTH = 4M }";

/// mps3-an547: the secure half of its code memory; data in DDR, which has room for plans and arenas.
const MPS3_M55: &str = "MEMORY { FLASH : ORIGIN = 0x10000000, LENGTH = 512K
    RAM : ORIGIN = 0x60000000, LENGTH = 16M }";

/// QEMU's virt: everything in its DRAM.
const VIRT: &str = "MEMORY { RAM : ORIGIN = 0x80000000, LENGTH = 16M }
REGION_ALIAS(\"REGION_TEXT\", RAM); REGION_ALIAS(\"REGION_RODATA\", RAM); REGION_ALIAS(\"REGION_DATA\", RAM);
REGION_ALIAS(\"REGION_BSS\", RAM); REGION_ALIAS(\"REGION_HEAP\", RAM); REGION_ALIAS(\"REGION_STACK\", RAM);";

fn main() {
    let target = std::env::var("TARGET").expect("cargo names the target");
    let is_m55 = std::env::var_os("CARGO_FEATURE_MVE").is_some();
    let (memory, arguments) = match target.as_str() {
        "thumbv7em-none-eabihf" => (MPS2_M4, ["-Tlink.x", "--nmagic"]),
        "thumbv8m.main-none-eabihf" if is_m55 => (MPS3_M55, ["-Tlink.x", "--nmagic"]),
        "thumbv8m.main-none-eabihf" => (MPS2_M33, ["-Tlink.x", "--nmagic"]),
        "riscv32imac-unknown-none-elf" => (VIRT, ["-Tmemory.x", "-Tlink.x"]),
        other => panic!(
            "no machine for {other}\n  accepted: thumbv7em-none-eabihf, thumbv8m.main-none-eabihf, \
             riscv32imac-unknown-none-elf"
        ),
    };
    let folder = PathBuf::from(std::env::var_os("OUT_DIR").expect("cargo names a folder for it"));
    std::fs::write(folder.join("memory.x"), memory).expect("the memory map is written");
    println!("cargo:rustc-link-search={}", folder.display());
    for argument in arguments {
        println!("cargo:rustc-link-arg={argument}");
    }
    println!("cargo:rustc-check-cfg=cfg(armv8m)");
    if target.starts_with("thumbv8m") {
        println!("cargo:rustc-cfg=armv8m");
    }
    println!("cargo:rerun-if-changed=build.rs");
}
