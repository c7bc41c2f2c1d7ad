#!/usr/bin/env bash
# What the emulated boards need, and their firmware. `tests/run` sources this file; run by itself it builds the firmware and
# prints the path of each ELF file.
#
# A compiler for Cortex-M comes from one of two places: rustup's target, with which a board is a plain `cargo build`; or
# Debian's packages rustc-web, cargo-web and rust-web-src, which carry the library's source, so that cargo builds it too.

bare_metal_root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
bare_metal_target=thumbv7em-none-eabihf
. "$bare_metal_root/tests/apt.sh"

# Whether rustup's toolchain has the target's library.
has_rustup_target() {
    [ -d "$(rustc --print sysroot)/lib/rustlib/$bare_metal_target/lib" ]
}

# Whether Debian's compiler and the library's source are there.
has_web_toolchain() {
    [ -x /usr/bin/cargo ] && [ -x /usr/bin/rustc ] &&
        [ -d "$(/usr/bin/rustc --print sysroot)/lib/rustlib/src/rust/library/core" ]
}

# Prints a linker for the target; any lld will do.
bare_metal_linker() {
    local candidate
    for candidate in "$(rustc --print sysroot)/lib/rustlib/$(rustc --print host-tuple)/bin/rust-lld" rust-lld ld.lld; do
        candidate=$(command -v "$candidate") && "$candidate" -flavor gnu --version >/dev/null 2>&1 && echo "$candidate" && return
    done
    return 1
}

# Installs a compiler for the boards and the emulator, whatever of it is missing and can be had.
install_bare_metal() {
    local packages=()
    if ! has_rustup_target && ! has_web_toolchain &&
        ! { command -v rustup && timeout 120 rustup target add "$bare_metal_target"; } >/dev/null 2>&1; then
        packages+=(rustc-web cargo-web rust-web-src)
    fi
    has_rustup_target || bare_metal_linker >/dev/null || packages+=(lld)
    command -v qemu-system-arm >/dev/null || packages+=(qemu-system-arm)
    install_packages "the emulated board" "${packages[@]}"
}

# build_board BOARD: builds it and prints the path of its ELF file.
build_board() (
    cd "$bare_metal_root/firmware/boards/$1" || exit 1
    # One target folder a board, wherever the workspace has its own.
    unset CARGO_TARGET_DIR
    if has_rustup_target; then
        cargo build --release --locked >&2 || exit 1
    elif has_web_toolchain && linker=$(bare_metal_linker); then
        export RUSTC=/usr/bin/rustc RUSTC_BOOTSTRAP=1 CARGO_TARGET_THUMBV7EM_NONE_EABIHF_LINKER=$linker
        /usr/bin/cargo build --release --locked -Zbuild-std=core --target "$bare_metal_target" >&2 || exit 1
    else
        echo "no compiler for $bare_metal_target: \`rustup target add $bare_metal_target\`, or the packages" \
            "rustc-web, cargo-web, rust-web-src and lld" >&2
        exit 3
    fi
    echo "$PWD/target/$bare_metal_target/release/arcgate-$1"
)

# Builds every emulated board.
build_boards() {
    build_board qemu-mps2
}

if [ "${BASH_SOURCE[0]}" = "$0" ]; then
    set -eu
    build_boards
fi
