//! Writes the memory map of the machine that the target runs on, and asks for cortex-m-rt's linker script.

use std::path::PathBuf;

/// mps2-an386 and mps2-an500: the first 768 KB of 4 MB of code memory, 4 MB of SRAM.
const AN386: &str = "MEMORY { FLASH : ORIGIN = 0x00000000, LENGTH = 768K
    RAM : ORIGIN = 0x20000000, LENGTH = 4M }";

/// mps2-an505: the same in its secure halves.
const AN505: &str = "MEMORY { FLASH : ORIGIN = 0x10000000, LENGTH = 768K
    RAM : ORIGIN = 0x38000000, LENGTH = 4M }";

fn main() {
    let target = std::env::var("TARGET").expect("cargo names the target");
    let memory = if target.starts_with("thumbv8m.main-") { AN505 } else { AN386 };
    let folder = PathBuf::from(std::env::var_os("OUT_DIR").expect("cargo names a folder for it"));
    std::fs::write(folder.join("memory.x"), memory).expect("the memory map is written");
    println!("cargo:rustc-link-search={}", folder.display());
    println!("cargo:rustc-link-arg=-Tlink.x");
    // Sections need no page alignment in a memory without pages.
    println!("cargo:rustc-link-arg=--nmagic");
    if std::env::var_os("CARGO_FEATURE_DEFMT").is_some() {
        println!("cargo:rustc-link-arg=-Tdefmt.x");
    }
    println!("cargo:rerun-if-changed=build.rs");
}
