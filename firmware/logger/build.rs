//! Tells the build scripts of programs where the linker script is, and defmt which levels are logged.

fn main() {
    let folder = std::env::var("CARGO_MANIFEST_DIR").expect("cargo names the package's folder");
    println!("cargo::metadata=script={folder}/defmt.x");
    // As the boards' builds have it.
    let levels = std::env::var("DEFMT_LOG").unwrap_or_else(|_| "info".into());
    println!("cargo::rustc-env=DEFMT_LOG={levels}");
    println!("cargo::rerun-if-env-changed=DEFMT_LOG");
    println!("cargo::rerun-if-changed=build.rs");
}
