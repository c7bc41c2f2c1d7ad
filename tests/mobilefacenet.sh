#!/usr/bin/env bash
# A real embedder from the data folder for tests and benches, which source this file.

# make_mobilefacenet DATA PROGRAM MADE: MADE.onnx, int8 with a threshold, and MADE.plan; false where the data folder lacks it.
make_mobilefacenet() {
    local data=$1 arcgate=$2 made=$3
    [ -e "$data/models/MobileFaceNet.onnx" ] && [ -d "$data/lfw" ] || return 1
    mkdir -p "$(dirname "$made")"
    "$arcgate" import "$data/models/MobileFaceNet.onnx" --calibrate "$data/lfw" \
        --mean .485,.456,.406 --std .229,.224,.225 -o "$made.onnx" --quiet &&
        "$arcgate" calibrate "$made.onnx" --impostors "$data/lfw" --images 500 --quiet &&
        "$arcgate" compile "$made.onnx" -o "$made.plan" --quiet
}
