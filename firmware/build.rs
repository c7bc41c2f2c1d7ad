//! Names Arm cores with the DSP instructions, which a stable compiler's `target_feature` does not: `cfg(arm_dsp)`.

fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    println!("cargo:rustc-check-cfg=cfg(arm_dsp, values(none(), \"v8m\"))");
    let target = std::env::var("TARGET").unwrap_or_default();
    if target.starts_with("thumbv7em-") {
        println!("cargo:rustc-cfg=arm_dsp");
    }
    if target.starts_with("thumbv8m.main-") {
        println!("cargo:rustc-cfg=arm_dsp");
        println!("cargo:rustc-cfg=arm_dsp=\"v8m\"");
    }
}
