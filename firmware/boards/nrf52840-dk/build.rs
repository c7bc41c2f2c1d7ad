//! Asks for cortex-m-rt's linker script and this folder's memory map.

fn main() {
    println!("cargo:rustc-link-search={}", std::env::var("CARGO_MANIFEST_DIR").expect("cargo names it"));
    // Sections need no page alignment in a memory without pages; relocations are for tests/boards, nothing of them is flashed.
    for argument in ["--nmagic", "--emit-relocs", "-Tlink.x", "-Tdefmt.x"] {
        println!("cargo:rustc-link-arg-bins={argument}");
    }
    println!("cargo:rerun-if-changed=build.rs");
    println!("cargo:rerun-if-changed=memory.x");
}
