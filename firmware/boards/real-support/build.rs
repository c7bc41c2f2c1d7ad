//! Puts into the firmware what is not for the repository.
//!
//! | variable | a file, by its absolute path | without it |
//! |---|---|---|
//! | `ARCGATE_UPDATE_KEY` | public half of the key whose models the board takes (`arcgate keys update`) | it takes none; with the feature `development`, those of the development key |
//! | `ARCGATE_DEVICE_KEY` | the board's secret (`arcgate keys device`) | a secret that follows from the chip's number |
//! | `ARCGATE_MODEL` | a packed model (`arcgate pack`), which lies in slot A (Cortex-M boards), or in the program, which puts it into a slot at the first start | the board waits for one over the link |

use std::fmt::Write;
use std::path::PathBuf;

/// What a line of each kind of key begins with, as `arcgate keys` writes it.
const UPDATE_KEY: &str = "arcgate update public key 1: ";
const DEVICE_KEY: &str = "arcgate device key 1: ";

fn main() {
    let mut made = String::new();
    let mut constant = |name: &str, value: Option<[u8; 32]>| {
        writeln!(made, "pub const {name}: Option<[u8; 32]> = {value:?};").expect("a string takes everything");
    };
    constant("UPDATE_KEY", file("ARCGATE_UPDATE_KEY").map(|path| key(&path, UPDATE_KEY)));
    constant("DEVICE_KEY", file("ARCGATE_DEVICE_KEY").map(|path| key(&path, DEVICE_KEY)));
    // A debug probe writes slot A along with the program; a boot loader's image has no room for what lies outside of it.
    let in_slot = std::env::var("TARGET").unwrap_or_default().starts_with("thumb");
    let mut line = |text: String| writeln!(made, "{text}").expect("a string takes everything");
    let mut carried = None;
    match file("ARCGATE_MODEL") {
        Some(path) if in_slot => {
            let bytes = std::fs::metadata(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display())).len();
            line("#[used]\n#[unsafe(link_section = \".model\")]".into());
            line(format!("static SLOT: [u8; {bytes}] = *include_bytes!({path:?});"));
        }
        other => carried = other,
    }
    let carried = carried.map_or_else(|| "None".into(), |path| format!("Some(include_bytes!({path:?}))"));
    line(format!("pub const MODEL: Option<&[u8]> = {carried};"));
    let out = PathBuf::from(std::env::var_os("OUT_DIR").expect("cargo names a folder for it"));
    std::fs::write(out.join("given.rs"), made).expect("what was given is written");
    println!("cargo:rerun-if-changed=build.rs");
}

fn file(variable: &str) -> Option<PathBuf> {
    println!("cargo:rerun-if-env-changed={variable}");
    let path = std::path::absolute(std::env::var_os(variable)?).expect("a path is made absolute");
    println!("cargo:rerun-if-changed={}", path.display());
    Some(path)
}

/// The 32 bytes of a key's file.
fn key(path: &PathBuf, prefix: &str) -> [u8; 32] {
    let text = std::fs::read_to_string(path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    let digits = text.trim().strip_prefix(prefix).filter(|digits| digits.len() == 64);
    let digits = digits.filter(|digits| digits.bytes().all(|digit| digit.is_ascii_hexdigit()));
    let digits = digits.unwrap_or_else(|| {
        panic!("{}: no key\n  accepted: \"{prefix}\" and 64 hexadecimal digits", path.display())
    });
    core::array::from_fn(|i| {
        u8::from_str_radix(&digits[2 * i..2 * i + 2], 16)
            .unwrap_or_else(|e| panic!("{}: {e}", path.display()))
    })
}
