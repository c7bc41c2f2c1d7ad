#!/usr/bin/env bash
# How the workspace is built for tests and benches, which source this file: alike, so that one build of the libraries serves all of
# them.

# With burn's GPU backend. What reads models, records gradients and writes a GPU's kernels runs once for a model, a step or a kernel:
# optimizing that takes longer than tests would gain.
with_gpu=(--features arcgate-tests/gpu)
for package in burn-{cubecl,dispatch,nn,optim,store,tensor,wgpu} cubecl{,-common,-core,-environment,-ir,-opt,-runtime,-server,-std,-wgpu} \
    cubek-{attention,convolution,interpolate,matmul,pool,quant,random,reduce,std,tile} pliron naga wgpu{,-core,-hal,-types} ash \
    tract-{hir,nnef,onnx,onnx-opl} moxcms pxfm; do
    with_gpu+=(--config "profile.release.package.$package.opt-level=0")
done

build_workspace() {
    cargo build --release --workspace "${with_gpu[@]}" >&2
}
