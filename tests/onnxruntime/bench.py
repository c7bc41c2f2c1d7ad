"""onnxruntime's half of `tests/bench-host`: times a float model and int8 forms of it, one run at a time when it is told to.

    bench.py FLOAT.onnx OURS.onnx FOLDER WIDTH HEIGHT

Makes, in FOLDER, what onnxruntime's own quantizer makes of the float model: u8 activations and int8 weights for each channel, as QDQ
and as QOperator. OURS.onnx is the int8 model that `arcgate import` wrote. All run on one thread with every optimization. The first
line of standard output names the sessions; then each line of standard input is a number of runs, answered by a line of JSON: for each
session the milliseconds of so many runs, after one that does not count.
"""

import json
import pathlib
import sys
import time

import numpy as np
import onnxruntime
from onnxruntime import quantization
from onnxruntime.quantization import shape_inference

CALIBRATION = 8


class Noise(quantization.CalibrationDataReader):
    """Inputs to calibrate with: how fast a model runs does not depend on its scales."""

    def __init__(self, name, shape):
        random = np.random.default_rng(1)
        self.inputs = iter([{name: random.normal(size=shape).astype(np.float32)} for _ in range(CALIBRATION)])

    def get_next(self):
        return next(self.inputs, None)


def session(path):
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_ALL
    return onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])


def quantized(float_model, folder, name, shape):
    """The float model through onnxruntime's quantizer, in each format."""
    folded = folder / "folded.onnx"
    shape_inference.quant_pre_process(str(float_model), str(folded), skip_symbolic_shape=True)
    for kind in (quantization.QuantFormat.QDQ, quantization.QuantFormat.QOperator):
        path = folder / f"u8-{kind.name.lower()}.onnx"
        quantization.quantize_static(
            str(folded), str(path), Noise(name, shape), quant_format=kind, per_channel=True,
            activation_type=quantization.QuantType.QUInt8, weight_type=quantization.QuantType.QInt8,
        )
        yield path.stem, path


def main():
    float_model, ours, folder = map(pathlib.Path, sys.argv[1:4])
    width, height = map(int, sys.argv[4:6])
    folder.mkdir(parents=True, exist_ok=True)
    sessions = {"float": session(float_model)}
    given = sessions["float"].get_inputs()[0]
    shape = [1, given.shape[1], height, width]
    models = dict(quantized(float_model, folder, given.name, shape), ours=ours)
    sessions |= {f"int8 {name}": session(path) for name, path in models.items()}
    random = np.random.default_rng(2)
    feeds = {}
    for name, one in sessions.items():
        wanted = one.get_inputs()[0]
        noise = random.integers(0, 256, shape).astype(np.uint8)
        feeds[name] = {wanted.name: noise if wanted.type == "tensor(uint8)" else noise.astype(np.float32) / 128 - 1}
    print(json.dumps({"onnxruntime": onnxruntime.__version__, "sessions": list(sessions)}), flush=True)
    for line in sys.stdin:
        answer = {}
        for name, one in sessions.items():
            one.run(None, feeds[name])
            answer[name] = []
            for _ in range(int(line)):
                start = time.perf_counter()
                one.run(None, feeds[name])
                answer[name].append(1e3 * (time.perf_counter() - start))
        print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    main()
