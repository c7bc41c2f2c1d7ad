#!/usr/bin/env bash
# What the emulated boards need, and their firmware. `tests/run` sources this file; run by itself it builds the firmware and
# prints the path of each ELF file.
#
# A compiler for bare metal comes from one of two places: rustup's targets, with which a board is a plain `cargo build`; or
# Debian's packages rustc-web, cargo-web and rust-web-src, which carry the library's source, so that cargo builds it too.

bare_metal_root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
bare_metal_targets=(thumbv7em-none-eabihf thumbv8m.main-none-eabihf riscv32imac-unknown-none-elf)
. "$bare_metal_root/tests/apt.sh"

# has_rustup_target TARGET...: whether rustup's toolchain has the library of all of them.
has_rustup_target() {
    local target
    for target in "$@"; do
        [ -d "$(rustc --print sysroot)/lib/rustlib/$target/lib" ] || return 1
    done
}

# Whether Debian's compiler and the library's source are there.
has_web_toolchain() {
    [ -x /usr/bin/cargo ] && [ -x /usr/bin/rustc ] &&
        [ -d "$(/usr/bin/rustc --print sysroot)/lib/rustlib/src/rust/library/core" ]
}

# Prints a linker for the targets; any lld will do.
bare_metal_linker() {
    local candidate
    for candidate in "$(rustc --print sysroot)/lib/rustlib/$(rustc --print host-tuple)/bin/rust-lld" rust-lld ld.lld; do
        candidate=$(command -v "$candidate") && "$candidate" -flavor gnu --version >/dev/null 2>&1 && echo "$candidate" && return
    done
    return 1
}

# Installs a compiler for the boards and the emulators, whatever of it is missing and can be had.
install_bare_metal() {
    local packages=()
    if ! has_rustup_target "${bare_metal_targets[@]}" && ! has_web_toolchain &&
        ! { command -v rustup && timeout 300 rustup target add "${bare_metal_targets[@]}"; } >/dev/null 2>&1; then
        packages+=(rustc-web cargo-web rust-web-src)
    fi
    has_rustup_target "${bare_metal_targets[@]}" || bare_metal_linker >/dev/null || packages+=(lld)
    command -v qemu-system-arm >/dev/null || packages+=(qemu-system-arm)
    command -v qemu-system-riscv32 >/dev/null || packages+=(qemu-system-misc)
    install_packages "the emulated boards" "${packages[@]}"
}

# bare_metal_cargo COMMAND TARGET OPTION...: what cargo does for a target, in this folder. 3: there is no compiler for it.
bare_metal_cargo() (
    target=$2 arguments=("$1" --release --locked --target "$2" "${@:3}")
    # One target folder a board, wherever the workspace has its own, and one folder for what they have in common, which is compiled
    # once; and one code, whose instructions are counted: built incrementally it takes a tenth more.
    export CARGO_BUILD_BUILD_DIR=${CARGO_TARGET_DIR:-$bare_metal_root/target}/boards
    unset CARGO_TARGET_DIR CARGO_INCREMENTAL
    if has_rustup_target "$target"; then
        cargo "${arguments[@]}" >&2 || exit 1
    elif has_web_toolchain && linker=$(bare_metal_linker); then
        name=${target^^}
        export RUSTC=/usr/bin/rustc RUSTC_BOOTSTRAP=1 "CARGO_TARGET_${name//[-.]/_}_LINKER=$linker"
        /usr/bin/cargo "${arguments[@]}" -Zbuild-std=core >&2 || exit 1
    else
        echo "no compiler for $target: \`rustup target add $target\`, or the packages" \
            "rustc-web, cargo-web, rust-web-src and lld" >&2
        exit 3
    fi
)

# build_board BOARD TARGET [FEATURE]: builds it and prints the path of its ELF file. What has a feature has a folder of its own. An
# emulated device takes the tests' models, which are signed with the development key.
build_board() (
    cd "$bare_metal_root/firmware/boards/$1" || exit 1
    folder=target${3:+/$3} features=(${3:+--features "$3"})
    [[ " ${device_boards[*]} " != *" $1:"* ]] || features+=(--features development)
    bare_metal_cargo build "$2" --target-dir "$folder" "${features[@]}" || exit
    echo "$PWD/$folder/$2/release/arcgate-$1"
)

# The boards with a whole device, each with the targets that it has machines for.
device_boards=(
    qemu-mps2:thumbv7em-none-eabihf qemu-mps2:thumbv8m.main-none-eabihf
    qemu-an547:thumbv8m.main-none-eabihf qemu-riscv:riscv32imac-unknown-none-elf
)

# Builds every emulated board, each for every target that it has machines for. 3: for one of them there is no compiler.
build_boards() {
    local status=0 board target
    try() { build_board "$@" || { local failed=$?; [ "$status" -eq 1 ] || status=$failed; }; }
    for board in "${device_boards[@]}"; do
        try "${board%:*}" "${board#*:}"
    done
    for board in qemu-bench qemu-search qemu-kernels; do
        for target in "${bare_metal_targets[@]}"; do
            try "$board" "$target"
        done
        # The Cortex-M55 has the M33's target; that it has MVE is a feature, as are a RISC-V core's vectors.
        try "$board" thumbv8m.main-none-eabihf mve
        try "$board" riscv32imac-unknown-none-elf rvv
    done
    return "$status"
}

# Whether the devices compile with each of their other features, for use; nothing is linked. As build_boards.
check_boards() {
    local board feature
    for board in "${device_boards[@]}"; do
        for feature in text defmt; do
            (cd "$bare_metal_root/firmware/boards/${board%:*}" &&
                bare_metal_cargo check "${board#*:}" --target-dir target --features "$feature") || return
        done
    done
}

if [ "${BASH_SOURCE[0]}" = "$0" ]; then
    set -eu
    build_boards
fi
