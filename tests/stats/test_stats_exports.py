"""The public names, and what importing them loads."""

import subprocess
import sys
import types

from auditor import stats


def test_every_imported_name_is_exported():
    public = {
        name
        for name, thing in vars(stats).items()
        if not name.startswith("_") and not isinstance(thing, types.ModuleType)
    }
    assert set(stats.__all__) == public


def test_import_loads_no_heavy_library():
    heavy = ("scipy.stats", "scipy.optimize", "pandas", "sklearn", "torch")
    script = f"import sys, auditor.stats; print([m for m in {heavy} if m in sys.modules])"
    run = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True,
        env={"PYTHONPATH": ":".join(sys.path)},
    )  # fmt: skip
    assert run.stdout.strip() == "[]"
