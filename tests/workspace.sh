#!/usr/bin/env bash
# How the workspace is built for tests and benches, which source this file: alike, so that one build of the libraries serves all of
# them.

# With burn's GPU backend. What writes its kernels runs once for each of them: optimizing that takes longer than tests would gain.
with_gpu=(--features arcgate-tests/gpu)
for package in burn-cubecl cubek-{attention,convolution,interpolate,matmul,pool,quant,random,reduce,tile}; do
    with_gpu+=(--config "profile.release.package.$package.opt-level=0")
done

build_workspace() {
    cargo build --release --workspace "${with_gpu[@]}" >&2
}
