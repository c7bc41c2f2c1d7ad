//! Names the emulated machine that the target and the features stand for: `cfg(machine)`.

fn main() {
    let target = std::env::var("TARGET").unwrap_or_default();
    let is_m55 = std::env::var_os("CARGO_FEATURE_MVE").is_some();
    let machine = match target.as_str() {
        "thumbv7em-none-eabihf" => "an386",
        "thumbv8m.main-none-eabihf" if is_m55 => "an547",
        "thumbv8m.main-none-eabihf" => "an505",
        "riscv32imac-unknown-none-elf" => "virt",
        other => panic!(
            "no machine for {other}\n  accepted: thumbv7em-none-eabihf, thumbv8m.main-none-eabihf, \
             riscv32imac-unknown-none-elf"
        ),
    };
    println!("cargo:rustc-check-cfg=cfg(machine, values(\"an386\", \"an505\", \"an547\", \"virt\"))");
    println!("cargo:rustc-cfg=machine=\"{machine}\"");
    println!("cargo:rerun-if-changed=build.rs");
}
