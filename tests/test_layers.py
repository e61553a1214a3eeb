"""Who may import whom, and what `import auditor` may load; see design: layers."""

import ast
import subprocess
import sys
from pathlib import Path

import auditor

PACKAGE = Path(auditor.__file__).parent
LAYERS = (
    ("errors",),
    ("stats",),
    ("findings", "spec", "yaml_source", "spec_file"),
    ("data",),
    ("models", "scoring"),
    (
        *("contract", "needs", "policy", "waivers", "reasons", "judge", "verdicts"),
        *(
            "record",
            "provenance",
            "codec",
            "answers",
            "volatile",
            "documentation",
            "tables",
            "declarations",
        ),
    ),
    ("checks", "shift", "bias"),
    ("engine",),
    ("figures", "modelcard", "reports"),
    ("catalogue", "init", "progress", "cli", "__init__"),
)
HEAVY = {
    "onnxruntime": {"models/onnx_model.py", "models/quantize.py", "models/bench.py"},
    "weasyprint": {"reports/pdf.py"},
    "matplotlib": {"figures.py"},
    "great_expectations": {"data/expectations.py"},
}


def modules():
    return sorted(PACKAGE.rglob("*.py"))


def layer_of(part: str) -> int:
    for level, names in enumerate(LAYERS):
        if part in names:
            return level
    raise AssertionError(f"auditor.{part} is in no layer: add it to LAYERS in {__file__}")


def imported(path: Path) -> set[str]:
    """Absolute names imported at run time (blocks under TYPE_CHECKING do not run)."""
    found = set()
    tree = ast.parse(path.read_text())
    for node in ast.walk(tree):
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.dump(node.test):
            for child in node.body:
                child.names = []
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        if isinstance(node, ast.ImportFrom) and node.names:
            assert node.level == 0, f"{path}: relative import"
            found.add(node.module)
            found |= {f"{node.module}.{alias.name}" for alias in node.names}
    return found


def part_of(path: Path) -> str:
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


def test_imports_go_downward_only():
    offences = []
    for path in modules():
        mine = part_of(path)
        for name in imported(path):
            other = name.removeprefix("auditor.").split(".")[0]
            if not name.startswith("auditor.") or not (
                (PACKAGE / f"{other}.py").exists() or (PACKAGE / other).is_dir()
            ):
                continue
            if layer_of(other) > layer_of(mine):
                offences.append(f"{path.relative_to(PACKAGE)} imports {name}, a layer above it")
            families = {"checks", "shift", "bias"}
            if {mine, other} <= families and mine != other:
                offences.append(f"{path.relative_to(PACKAGE)} imports {name}, another family")
    assert not sorted(set(offences))


def test_heavy_libraries_are_imported_where_they_belong():
    offences = []
    for path in modules():
        where = path.relative_to(PACKAGE).as_posix()
        for name in imported(path):
            allowed = HEAVY.get(name.split(".")[0])
            if allowed is not None and where not in allowed:
                offences.append(f"{where} imports {name}; only {sorted(allowed)} may")
    assert not sorted(set(offences))


def test_importing_auditor_and_asking_for_help_load_nothing_heavy():
    code = (
        "import sys, auditor, auditor.cli\n"
        "from typer.testing import CliRunner\n"
        "assert CliRunner().invoke(auditor.cli.app, ['--help']).exit_code == 0\n"
        "heavy = {'torch', 'torchvision', 'onnx', 'onnxruntime', 'pandas', 'sklearn', 'matplotlib',"
        " 'weasyprint', 'great_expectations', 'fairlearn', 'scipy', 'jinja2'}\n"
        "print(sorted(heavy & set(sys.modules)))\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_public_names_are_sorted_and_exist():
    assert auditor.__all__ == sorted(auditor.__all__)
    for name in auditor.__all__:
        assert getattr(auditor, name) is not None
