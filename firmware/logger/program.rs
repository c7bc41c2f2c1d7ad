//! The build script of programs that can log by defmt: their words are in the file that runs, at the addresses that are their numbers.

fn main() {
    let script = std::env::var("DEP_ARCGATE_LOGGER_SCRIPT").expect("arcgate-logger tells where it is");
    println!("cargo::rerun-if-changed={script}");
    if std::env::var_os("CARGO_FEATURE_DEFMT").is_some() {
        println!("cargo::rustc-link-arg-bins=-no-pie");
        println!("cargo::rustc-link-arg-bins=-Wl,-T,{script}");
    }
}
