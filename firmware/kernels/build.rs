//! Names Arm cores with the DSP instructions and with MVE, and RISC-V cores with vectors, which a stable compiler's `target_feature`
//! does not: `cfg(arm_dsp)`, `cfg(arm_mve)`, `cfg(riscv_rvv)`. The target says whether there are the first; features `mve` and `rvv`
//! say that there are the others.

fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    println!("cargo:rustc-check-cfg=cfg(arm_dsp, values(none(), \"v8m\"))");
    println!("cargo:rustc-check-cfg=cfg(arm_mve)");
    println!("cargo:rustc-check-cfg=cfg(riscv_rvv)");
    let target = std::env::var("TARGET").unwrap_or_default();
    if target.starts_with("thumbv7em-") {
        println!("cargo:rustc-cfg=arm_dsp");
    }
    if target.starts_with("riscv32im") && std::env::var_os("CARGO_FEATURE_RVV").is_some() {
        println!("cargo:rustc-cfg=riscv_rvv");
    }
    if target.starts_with("thumbv8m.main-") {
        println!("cargo:rustc-cfg=arm_dsp");
        println!("cargo:rustc-cfg=arm_dsp=\"v8m\"");
        if target.ends_with("-eabihf") && std::env::var_os("CARGO_FEATURE_MVE").is_some() {
            println!("cargo:rustc-cfg=arm_mve");
        }
    }
}
