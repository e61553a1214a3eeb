"""A half-precision (FP16) form of an ONNX model: every weight rounded to 16 bits.

Inputs and outputs stay as they are, so that it is fed and read as the model as given. Where a
processor has no kernel for 16 bits, onnxruntime computes in 32 bits from the rounded weights.
"""

from __future__ import annotations

import contextlib
import io
import logging
import warnings
from pathlib import Path

import onnx

from auditor.errors import ModelError
from auditor.models.onnx_graph import OnnxGraph, read_onnx
from auditor.models.quantize import is_quantised

HALF_VERSION = 1
"""Changes when the same model would give another file; enters store keys."""

_EXPORT = (
    "Convert it with the framework that it will ship with, and name that file as "
    "`variants.fp16.path`."
)


def half_precision(model_path: Path) -> bytes:
    """The FP16 form of an ONNX model, as a file's content; same file, same bytes.

    Raises ModelError for no ONNX model, for one without weights in 32 bits, and for one that
    onnxruntime cannot convert.
    """
    model = read_onnx(model_path).model
    if is_quantised(OnnxGraph(model)):
        raise ModelError(
            f"{model_path.name}: found a model whose weights are quantised, expected one in "
            "floating point. Give the floating-point file."
        )
    kinds = [tensor.data_type for tensor in model.graph.initializer]
    if onnx.TensorProto.FLOAT not in kinds:
        raise ModelError(
            f"{model_path.name}: found no weight in 32 bits, expected some to be halved. Audit it "
            "as it is."
        )
    try:
        # It tells of every weight that is too small for 16 bits; what that does is measured.
        with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
            warnings.simplefilter("ignore")
            logging.disable(logging.WARNING)
            from onnxruntime.transformers.float16 import convert_float_to_float16

            made = convert_float_to_float16(model, keep_io_types=True)
    except Exception as error:
        raise ModelError(
            f"onnxruntime cannot convert this model to 16 bits ({type(error).__name__}: {error}). "
            f"{_EXPORT}"
        ) from error
    finally:
        logging.disable(logging.NOTSET)
    return bytes(made.SerializeToString(deterministic=True))
