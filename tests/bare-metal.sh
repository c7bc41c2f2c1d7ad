#!/usr/bin/env bash
# Builds the firmware of the emulated board and prints the path of its ELF file.
#
#   tests/bare-metal.sh [BOARD] [CARGO ARGUMENTS...]       BOARD: qemu-mps2
#
# With rustup's target thumbv7em-none-eabihf that is a plain cargo build. Without it, Debian's packages rustc-web, cargo-web and
# rust-web-src carry the library's source, and cargo builds it too. Status 3: neither is there (what is missing is on standard
# error); any other status: the build failed.
set -eu
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
board=${1:-qemu-mps2}
[ $# -eq 0 ] || shift
target=thumbv7em-none-eabihf
cd "$root/firmware/boards/$board"
elf=$PWD/target/$target/release/arcgate-$board

if [ -d "$(rustc --print sysroot)/lib/rustlib/$target/lib" ]; then
  cargo build --release --locked "$@" >&2
  echo "$elf"
  exit
fi

# A linker for the target: any lld will do.
linker() {
  local candidate
  for candidate in "$(rustc --print sysroot)/lib/rustlib/$(rustc --print host-tuple)/bin/rust-lld" ld.lld rust-lld; do
    candidate=$(command -v "$candidate") || continue
    "$candidate" -flavor gnu --version >/dev/null 2>&1 || "$candidate" --version >/dev/null 2>&1 || continue
    echo "$candidate"
    return
  done
  return 1
}

missing=()
[ -x /usr/bin/cargo ] && [ -x /usr/bin/rustc ] || missing+=(rustc-web cargo-web)
[ -d "$(/usr/bin/rustc --print sysroot 2>/dev/null)/lib/rustlib/src/rust/library/core" ] || missing+=(rust-web-src)
lld=$(linker) || missing+=(lld)
if [ ${#missing[@]} -gt 0 ]; then
  echo "no compiler for $target: \`rustup target add $target\`, or install the packages ${missing[*]}" >&2
  exit 3
fi
export RUSTC=/usr/bin/rustc RUSTC_BOOTSTRAP=1 CARGO_TARGET_THUMBV7EM_NONE_EABIHF_LINKER=$lld
/usr/bin/cargo build --release --locked -Zbuild-std=core --target "$target" "$@" >&2
echo "$elf"
