"""Functions of the model's author, ``module:function``: run only where the user says so."""

from __future__ import annotations

import hashlib
import importlib
import importlib.util
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType
from typing import Any

from auditor.errors import ModelError


def imported(name: str, folder: Path) -> Callable[..., Any]:
    """The function called `name`; its module is looked for in `folder` first."""
    module_name, _, function_name = name.partition(":")
    function: Callable[..., Any] = getattr(_import_from(module_name, folder), function_name)
    return function


def require_trust(name: str, *, key: str, trust_code: bool) -> None:
    """Raise ModelError unless code of the model's author may be run."""
    if not trust_code:
        raise ModelError(
            f"{key} {name!r} is Python code, which is not run unless you say so. Read it, then "
            "run with --trust-code; or export the model to ONNX."
        )


def file_of(name: str, folder: Path) -> Path:
    """Where a function's module would lie in `folder`."""
    return folder / Path(*name.partition(":")[0].split(".")).with_suffix(".py")


def code_digest(name: str, folder: Path) -> str:
    """The SHA-256 of a function's module, "" where it does not lie in `folder`."""
    file = file_of(name, folder)
    return hashlib.sha256(file.read_bytes()).hexdigest() if file.is_file() else ""


def _import_from(module_name: str, folder: Path) -> ModuleType:
    file = file_of(module_name, folder)
    if not file.is_file():
        return importlib.import_module(module_name)
    # From its file, under a name of its own: a module of that name may be loaded already.
    private = f"_audited_{module_name.replace('.', '_')}"
    spec = importlib.util.spec_from_file_location(private, file)
    if spec is None or spec.loader is None:
        raise ModuleNotFoundError(f"No module named {module_name!r}")
    module = importlib.util.module_from_spec(spec)
    sys.modules[private] = module
    spec.loader.exec_module(module)
    return module


@contextmanager
def importable(folder: Path) -> Iterator[None]:
    """Let the author's code import its neighbours while it is being loaded."""
    entry = str(folder.resolve())
    sys.path.insert(0, entry)
    try:
        yield
    finally:
        sys.path.remove(entry)


@contextmanager
def code_errors(name: str, *, key: str) -> Iterator[None]:
    """Turn whatever the author's code raises into a ModelError."""
    try:
        yield
    except ModelError:
        raise
    except ModuleNotFoundError as error:
        raise ModelError(
            f"{key} {name}: {error}. The module is looked for in the spec's folder, "
            "then among installed packages; correct the name or install what it imports."
        ) from error
    except Exception as error:
        raise ModelError(
            f"{key} {name} failed with {type(error).__name__}: {error}. Correct the "
            "code, or the name after the colon."
        ) from error
