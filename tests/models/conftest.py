"""Tiny models whose answers can be worked out by hand, in every format."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from auditor.spec import AuditSpec

FLOATS = {"float32": TensorProto.FLOAT, "float16": TensorProto.FLOAT16}


def channel_net(
    path: Path,
    *,
    n_classes: int = 3,
    size: int = 8,
    layout: str = "nchw",
    dtype: str = "float32",
    batch: int | str = "n",
    ending: str | None = None,
    tail: tuple[int, ...] | None = None,
    quantised_output: bool = False,
    external: str | None = None,
) -> Path:
    """A 1x1 convolution to 4 features, ReLU, mean over space, a 1x1 convolution to the classes.

    Features are the channels' values and their sum. The score of class 0, 1, 2 is 4 times the
    mean of channel 0, 1, 2; further classes score -9. `tail` reshapes the scores.
    """
    kind = TensorProto.UINT8 if dtype == "uint8" else FLOATS[dtype]
    inner = TensorProto.FLOAT16 if dtype == "float16" else TensorProto.FLOAT
    np_inner = np.float16 if dtype == "float16" else np.float32
    shape = [batch, 3, size, size] if layout == "nchw" else [batch, size, size, 3]
    first = np.concatenate([np.eye(3), np.ones((1, 3))]).astype(np_inner).reshape(4, 3, 1, 1)
    last = np.zeros((n_classes, 4, 1, 1), dtype=np_inner)
    last[range(min(3, n_classes)), range(min(3, n_classes))] = 4
    bias = np.where(np.arange(n_classes) < 3, 0, -9).astype(np_inner)
    weights = [numpy_helper.from_array(v, k) for k, v in
               {"w1": first, "w2": last, "b2": bias}.items()]  # fmt: skip
    nodes, at = [], "x"
    if dtype == "uint8":
        weights.append(numpy_helper.from_array(np.float32(255), "full"))
        nodes += [helper.make_node("Cast", [at], ["cast"], to=TensorProto.FLOAT),
                  helper.make_node("Div", ["cast", "full"], ["unit"])]  # fmt: skip
        at = "unit"
    if layout == "nhwc":
        nodes.append(helper.make_node("Transpose", [at], ["planes"], perm=[0, 3, 1, 2]))
        at = "planes"
    nodes += [
        helper.make_node("Conv", [at, "w1"], ["c1"], kernel_shape=[1, 1]),
        helper.make_node("Relu", ["c1"], ["r1"]),
        helper.make_node("GlobalAveragePool", ["r1"], ["pooled"]),
        helper.make_node("Conv", ["pooled", "w2", "b2"], ["c2"], kernel_shape=[1, 1]),
    ]
    at = "c2"
    if tail != (n_classes, 1, 1):
        wanted = (n_classes,) if tail is None else tail
        weights.append(numpy_helper.from_array(np.array([-1 if batch == "n" else batch, *wanted],
                                                        dtype=np.int64), "tail"))  # fmt: skip
        nodes.append(helper.make_node("Reshape", [at, "tail"], ["shaped"]))
        at = "shaped"
    if ending:
        extra = {"axis": 1} if ending == "Softmax" else {}
        nodes.append(helper.make_node(ending, [at], ["ended"], **extra))
        at = "ended"
    out_kind = inner
    if quantised_output:
        weights += [numpy_helper.from_array(np.float32(1 / 256), "scale"),
                    numpy_helper.from_array(np.uint8(0), "zero")]  # fmt: skip
        nodes.append(helper.make_node("QuantizeLinear", [at, "scale", "zero"], ["y8"]))
        at, out_kind = "y8", TensorProto.UINT8
    out_shape = [batch, *((n_classes,) if tail is None else tail)]
    graph = helper.make_graph(
        nodes,
        "channel_net",
        [helper.make_tensor_value_info("x", kind, shape)],
        [helper.make_tensor_value_info(at, out_kind, out_shape)],
        initializer=weights,
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    onnx.checker.check_model(model)
    if external:
        onnx.save(model, str(path), save_as_external_data=True, location=external,
                  size_threshold=0)  # fmt: skip
    else:
        onnx.save(model, str(path))
    return path


def spec_for(path: Path | str, *, classes=("r", "g", "b"), output="logits", folder=Path(), **model):
    """A spec of a model whose input is plain 0..1 RGB at 8x8; `input` in `model` adds to that."""
    given = {"size": (8, 8), "mean": (0.0, 0.0, 0.0), "std": (1.0, 1.0, 1.0)}
    return AuditSpec.model_validate(
        {
            "audit": {"title": "t", "seed": 7},
            "model": {
                "path": str(path),
                "classes": classes,
                "output": output,
                **model,
                "input": given | model.get("input", {}),
            },
            "data": {"test": {"images": "images"}},
            "folder": folder,
        }
    )


def coloured(*, n: int = 12, seed: int = 0) -> np.ndarray:
    """Frames (n, 8, 8, 3) with one channel brighter than the others, and noise."""
    rng = np.random.default_rng(seed)
    frames = rng.integers(0, 120, (n, 8, 8, 3))
    frames[np.arange(n), :, :, np.arange(n) % 3] += 100
    return frames.astype(np.uint8)


def expected(frames: np.ndarray, *, n_classes: int = 3) -> np.ndarray:
    """Probabilities that `channel_net` gives, worked out in double precision."""
    means = frames.reshape(len(frames), -1, 3).mean(axis=1) / 255
    scores = np.full((len(frames), n_classes), -9.0)
    scores[:, : min(3, n_classes)] = 4 * means[:, : min(3, n_classes)]
    powers = np.exp(scores - scores.max(axis=1, keepdims=True))
    return powers / powers.sum(axis=1, keepdims=True)


@dataclasses.dataclass(frozen=True)
class TinyModels:
    channel_net = staticmethod(channel_net)
    spec = staticmethod(spec_for)
    frames = staticmethod(coloured)
    expected = staticmethod(expected)


@pytest.fixture(scope="session")
def tiny() -> TinyModels:
    return TinyModels()
