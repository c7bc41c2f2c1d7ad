//! Asks for esp-hal's linker script; the memory map is esp-hal's own.

fn main() {
    // Relocations are for tests/boards, nothing of them is flashed.
    for argument in ["--emit-relocs", "-Tlinkall.x", "-Tdefmt.x"] {
        println!("cargo:rustc-link-arg-bins={argument}");
    }
    println!("cargo:rerun-if-changed=build.rs");
}
