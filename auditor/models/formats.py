"""What kind of model a file is, from its first bytes and not from its name."""

from __future__ import annotations

import zipfile
from pathlib import Path
from typing import Literal

from auditor.errors import ModelError
from auditor.opening import require_file

Format = Literal["onnx", "torchscript", "torch-weights", "safetensors", "pt2"]

LARGEST_FILE = 4 * 10**9
"""Bytes that a model's file may have, all files of its weights together."""

TAKEN = (
    "Give an ONNX file (.onnx), TorchScript, or PyTorch weights (.pt, .pth, .safetensors) with "
    "`model.architecture`."
)

_FOREIGN = (
    (0, b"\x89HDF", "a Keras (HDF5) file: convert it with tf2onnx"),
    (4, b"TFL3", "a TensorFlow Lite file: convert it with tf2onnx"),
    (0, b"version https://git-lfs", "a Git LFS pointer: fetch the file itself with `git lfs pull`"),
    (0, b"<?xml", "an XML file (OpenVINO keeps its graph in one): export the model to ONNX"),
    (0, b"\x89PNG", "an image"),
    (0, b"\xff\xd8\xff", "an image"),
    (0, b"\x1f\x8b", "a gzip archive: unpack it"),
)


def require_model_file(path: Path) -> int:
    """The size of a model's file; raises ModelError for what may not be opened as one."""
    return require_file(
        path,
        what="model.path",
        at_most=LARGEST_FILE,
        error=ModelError,
        remedy=f"A relative path starts at the spec's folder. {TAKEN}",
    )


def imports_of(path: Path) -> tuple[str, ...]:
    """The module that a model's file takes to be read, told from its first bytes alone."""
    with path.open("rb") as file:
        head = file.read(9)
    torch_like = head.startswith((b"PK", b"\x80")) or head[8:] == b"{"
    return ("auditor.models.torch_model" if torch_like else "auditor.models.onnx_model",)


def detect_format(path: Path) -> Format:
    """The kind of model at `path`.

    Raises ModelError for a missing file, a folder, an empty file and what is no model.
    """
    require_model_file(path)
    try:
        with path.open("rb") as file:
            head = file.read(64)
    except OSError as error:
        raise ModelError(f"{path} cannot be read ({error.strerror}). Check its rights.") from error
    found = _from_head(path, head)
    if found is None:
        raise ModelError(f"{path.name} is {_what(head)}, not a model that can be audited. {TAKEN}")
    return found


def _from_head(path: Path, head: bytes) -> Format | None:
    if head.startswith(b"PK\x03\x04"):
        return _from_archive(path)
    if head[:1] == b"\x80" and head[1:2] in (b"\x02", b"\x03", b"\x04", b"\x05"):
        return "torch-weights"
    if head[8:9] == b"{" and int.from_bytes(head[:8], "little") < path.stat().st_size:
        return "safetensors"
    foreign = any(head[at:].startswith(magic) for at, magic, _ in _FOREIGN)
    # A protocol buffer begins with a field's number and type; for ONNX that is its version.
    return "onnx" if head[:1] in (b"\x08", b"\x0a", b"\x12", b"\x3a") and not foreign else None


def _from_archive(path: Path) -> Format | None:
    try:
        with zipfile.ZipFile(path) as archive:
            # Each name without the archive's own root folder, which may be called anything.
            names = {name.partition("/")[2] or name for name in archive.namelist()}
    except zipfile.BadZipFile as error:
        raise ModelError(
            f"{path.name} is a damaged archive ({error}). Save or copy the model again."
        ) from error
    if "constants.pkl" in names:
        return "torchscript"
    if "data.pkl" in names:
        return "torch-weights"
    if "archive_format" in names or "serialized_exported_program.json" in names:
        return "pt2"
    return None


def _what(head: bytes) -> str:
    if not head:
        return "an empty file"
    for at, magic, name in _FOREIGN:
        if head[at:].startswith(magic):
            return name
    if head.startswith(b"PK"):
        return "a zip archive without a PyTorch model in it"
    return f"a file of an unknown kind (it begins with {head[:8]!r})"
