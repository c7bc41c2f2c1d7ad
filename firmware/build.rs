//! Names Arm cores with the DSP instructions, which a stable compiler's `target_feature` does not: `cfg(arm_dsp)`; and those with
//! MVE, which are asked for with `-C target-cpu=cortex-m55`: `cfg(arm_mve)`.

fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    println!("cargo:rustc-check-cfg=cfg(arm_dsp, values(none(), \"v8m\"))");
    println!("cargo:rustc-check-cfg=cfg(arm_mve)");
    let target = std::env::var("TARGET").unwrap_or_default();
    if target.starts_with("thumbv7em-") {
        println!("cargo:rustc-cfg=arm_dsp");
    }
    if target.starts_with("thumbv8m.main-") {
        println!("cargo:rustc-cfg=arm_dsp");
        println!("cargo:rustc-cfg=arm_dsp=\"v8m\"");
        // Cargo puts a unit separator between the compiler's flags.
        let flags = std::env::var("CARGO_ENCODED_RUSTFLAGS").unwrap_or_default();
        if flags.split('\u{1f}').any(|flag| flag.ends_with("target-cpu=cortex-m55")) {
            println!("cargo:rustc-cfg=arm_mve");
        }
    }
}
