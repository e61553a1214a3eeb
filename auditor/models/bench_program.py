"""One file from the modules of `auditor.models.bench`: the program that times models.

It runs here in a process of its own, and, with what to measure written into it, on any machine.
"""

from __future__ import annotations

import ast
import json
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any

PARTS = ("loops", "machine", "sessions", "parts", "program")
"""The program's modules, each after those that it imports."""

FOLDER = Path(__file__).with_name("bench")

_OWN = "auditor.models.bench"

_HEAD = '''\
"""Measure a model on this machine for an audit: needs Python 3.10, numpy and onnxruntime.

    python bench.py model.onnx [--photos FOLDER] [--minutes 30]

Made by `auditor bench` from the modules of auditor.models.bench, one after the other. It reads the
model (and the photos that you name), opens no connection, and writes bench.json.
"""

from __future__ import annotations

import os

# Read by onnxruntime when it is imported.
os.environ["ORT_DISABLE_TELEMETRY"] = "1"
'''


@cache
def program_text() -> str:
    """The program, as one file of Python that imports nothing of the auditor."""
    return "\n\n".join([_HEAD, *(_body(name) for name in PARTS)])


def device_program(request: Mapping[str, Any]) -> str:
    """The program with what to measure on a device, and the nonce, written into it."""
    text = json.dumps(request, sort_keys=True)
    told = program_text()
    line = next(x for x in told.splitlines() if x.startswith("REQUEST:"))
    return told.replace(line, f"REQUEST: Mapping[str, Any] | None = json.loads(\n    {text!r}\n)")


def _body(name: str) -> str:
    """A module without its docstring, `__future__`, and imports of the other parts."""
    source = (FOLDER / f"{name}.py").read_text(encoding="utf-8")
    dropped = {line for node in _dropped(ast.parse(source)) for line in _lines(node)}
    kept = [x for i, x in enumerate(source.splitlines(), start=1) if i not in dropped]
    return f"# {name}.py\n" + "\n".join(kept).strip("\n") + "\n"


def _dropped(tree: ast.Module) -> Iterator[ast.stmt]:
    for i, node in enumerate(tree.body):
        is_docstring = i == 0 and isinstance(node, ast.Expr)
        is_own = isinstance(node, ast.ImportFrom) and str(node.module).startswith(_OWN)
        is_future = isinstance(node, ast.ImportFrom) and node.module == "__future__"
        if is_docstring or is_own or is_future:
            yield node


def _lines(node: ast.stmt) -> range:
    return range(node.lineno, (node.end_lineno or node.lineno) + 1)
