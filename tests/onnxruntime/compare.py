"""Runs an int8 ONNX by onnxruntime on the crops that `arcgate align` wrote, and compares with the embeddings beside them.

    compare.py MODEL.onnx CROPS EMBEDDINGS.json

A detector's maps, real values, stand in the place of the embeddings, one after the other.

Under every level of onnxruntime's optimizations, with and without its fusions of quantized islands. The last line of standard
output is JSON: `onnxruntime`, `crops`, and `sessions`, each with `options` and `differing`, the crops whose bytes are not the same.
"""

import json
import pathlib
import sys

import numpy as np
import onnxruntime
from PIL import Image


def pixels(path, order):
    """A crop as [1, planes, rows, columns] of bytes."""
    image = np.asarray(Image.open(path))
    planes = image[None] if order == "grey" else image.transpose(2, 0, 1)
    return np.ascontiguousarray((planes[::-1] if order == "bgr" else planes)[None])


def main():
    model, crops, expected = sys.argv[1:]
    expected = json.loads(pathlib.Path(expected).read_text())["embeddings"]
    levels = onnxruntime.GraphOptimizationLevel
    inputs, sessions = {}, []
    for level in (levels.ORT_DISABLE_ALL, levels.ORT_ENABLE_BASIC, levels.ORT_ENABLE_EXTENDED, levels.ORT_ENABLE_ALL):
        for unfused in ("0", "1"):
            options = onnxruntime.SessionOptions()
            options.graph_optimization_level = level
            options.add_session_config_entry("session.disable_quant_qdq", unfused)
            session = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
            # What `arcgate import` stores says how a crop becomes planes.
            order = json.loads(session.get_modelmeta().custom_metadata_map["arcgate"])["order"]
            inputs = inputs or {crop: pixels(pathlib.Path(crops) / crop, order) for crop in expected}
            name = session.get_inputs()[0].name
            found = {crop: session.run(None, {name: planes}) for crop, planes in inputs.items()}
            wanted = [np.int8] if len(session.get_outputs()) == 1 else [np.float32] * len(session.get_outputs())
            if any([output.dtype for output in outputs] != wanted for outputs in found.values()):
                sys.exit("the model's output is neither one int8 nor several float")
            values = {crop: np.concatenate([output.ravel() for output in outputs]) for crop, outputs in found.items()}
            differing = [crop for crop in expected if values[crop].tolist() != expected[crop]]
            sessions.append({"options": f"{level.name}, disable_quant_qdq={unfused}", "differing": differing})
    print(json.dumps({"onnxruntime": onnxruntime.__version__, "crops": len(expected), "sessions": sessions}))


if __name__ == "__main__":
    main()
