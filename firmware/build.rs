//! Names Arm cores with the DSP instructions, which a stable compiler's `target_feature` does not: `cfg(arm_dsp)`.

fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    println!("cargo:rustc-check-cfg=cfg(arm_dsp)");
    let target = std::env::var("TARGET").unwrap_or_default();
    if ["thumbv7em-", "thumbv8m.main-"].iter().any(|core| target.starts_with(core)) {
        println!("cargo:rustc-cfg=arm_dsp");
    }
}
