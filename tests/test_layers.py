"""Who may import whom, and what `import auditor` may load; see design: layers."""

import ast
import subprocess
import sys
from pathlib import Path

import auditor

PACKAGE = Path(auditor.__file__).parent
LAYERS = (
    ("errors",),
    ("freed_memory", "opening", "own_folder", "containment", "remote"),
    ("stats",),
    ("findings", "spec"),
    ("record", "data"),
    ("models", "scoring", "clauses"),
    ("judging", "contract"),
    ("comparing",),
    ("checks", "shift", "bias"),
    ("engine",),
    ("changes",),
    ("reports",),
    ("modelcard", "signing"),
    (
        "catalogue",
        "evidence_commands",
        "keys_page",
        "init",
        "init_annotated",
        "init_model",
        "progress",
        "rendering",
        "stopping",
        "store_command",
        "cli",
        "cli_compare",
        "cli_explain",
        "cli_options",
        "cli_ray",
        "__init__",
        "__main__",
    ),
)
FAMILIES = {"checks", "shift", "bias"}
HEAVY = {
    "onnxruntime": {
        "models/onnx_model.py",
        "models/quantize.py",
        "models/half.py",
        "models/bench/sessions.py",
    },
    "weasyprint": {"reports/pdf.py"},
    "great_expectations": {"data/expectations.py"},
    "ray": set(),
}
LAZY_FRONT = {"__init__.py"}
"""Names its public names' homes, which it loads on first use; everything else imports downward."""


def modules():
    return sorted(PACKAGE.rglob("*.py"))


def layer_of(part: str) -> int:
    for level, names in enumerate(LAYERS):
        if part in names:
            return level
    raise AssertionError(f"auditor.{part} is in no layer: add it to LAYERS in {__file__}")


def imported(text: str) -> set[str]:
    """Absolute names that a source imports, also in functions and under TYPE_CHECKING."""
    found = set()
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        if isinstance(node, ast.ImportFrom):
            assert node.level == 0, "relative import"
            found.add(node.module)
            found |= {f"{node.module}.{alias.name}" for alias in node.names}
    return found


def part_of(name: str) -> str:
    return name.split(".")[1]


def module_name(path: Path) -> str:
    parts = path.relative_to(PACKAGE.parent).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" and len(parts) > 2 else parts)


def own_imports() -> dict[str, set[str]]:
    """Module -> modules of this package that it imports."""
    known = {module_name(p) for p in modules()}
    found = {}
    for path in modules():
        if path.relative_to(PACKAGE).as_posix() in LAZY_FRONT:
            continue
        found[module_name(path)] = imported(path.read_text()) & known - {module_name(path)}
    return found


def offences_of(imports: dict[str, set[str]]) -> list[str]:
    found = []
    for importer, names in imports.items():
        mine = part_of(importer)
        for name in names:
            other = part_of(name)
            if layer_of(other) > layer_of(mine):
                found.append(f"{importer} imports {name}, a layer above it")
            if {mine, other} <= FAMILIES and mine != other:
                found.append(f"{importer} imports {name}, another family")
    return sorted(found)


def circles_of(imports: dict[str, set[str]]) -> list[str]:
    """Packages of one layer, and modules, that import each other in a circle."""
    between: dict[str, set[str]] = {}
    for importer, names in imports.items():
        others = {part_of(name) for name in names} - {part_of(importer)}
        between.setdefault(part_of(importer), set()).update(others)
    inside = {
        importer: {n for n in names if part_of(n) == part_of(importer) and n.count(".") > 1}
        for importer, names in imports.items()
        if importer.count(".") > 1
    }
    return [*_circles(between), *_circles(inside)]


def _circles(edges: dict[str, set[str]]) -> list[str]:
    found, done = [], set()

    def walk(node: str, path: tuple[str, ...]) -> None:
        if node in path:
            found.append(" -> ".join((*path[path.index(node) :], node)))
            return
        if node in done:
            return
        for other in sorted(edges.get(node, ())):
            walk(other, (*path, node))
        done.add(node)

    for node in sorted(edges):
        walk(node, ())
    return found


def test_imports_go_downward_only():
    assert not offences_of(own_imports())


def test_nothing_imports_in_a_circle():
    assert not circles_of(own_imports())


def test_the_rules_speak_where_they_are_broken():
    upward = "def late():\n    from auditor.engine.run import run\n"
    typed = "if TYPE_CHECKING:\n    from auditor.rendering import render\n"
    assert "auditor.engine.run" in imported(upward)
    assert "auditor.rendering" in imported(typed)
    assert offences_of({"auditor.stats.codes": {"auditor.engine.run"}})
    assert offences_of({"auditor.comparing.groups": {"auditor.shift.accuracy"}})
    assert circles_of({"auditor.judging.a": {"auditor.contract.b"},
                       "auditor.contract.b": {"auditor.judging.a"}})  # fmt: skip
    assert circles_of({"auditor.judging.a": {"auditor.judging.b"},
                       "auditor.judging.b": {"auditor.judging.a"}})  # fmt: skip


def test_heavy_libraries_are_imported_where_they_belong():
    offences = []
    for path in modules():
        where = path.relative_to(PACKAGE).as_posix()
        for name in imported(path.read_text()):
            allowed = HEAVY.get(name.split(".")[0])
            if allowed is not None and where not in allowed:
                offences.append(f"{where} imports {name}; only {sorted(allowed)} may")
    assert not sorted(set(offences))


def test_importing_auditor_and_asking_for_help_load_nothing_heavy():
    code = (
        "import sys, auditor, auditor.cli\n"
        "from typer.testing import CliRunner\n"
        "assert CliRunner().invoke(auditor.cli.app, ['--help']).exit_code == 0\n"
        "heavy = {'torch', 'torchvision', 'onnx', 'onnxruntime', 'pandas', 'sklearn',"
        " 'weasyprint', 'great_expectations', 'fairlearn', 'scipy', 'jinja2'}\n"
        "print(sorted(heavy & set(sys.modules)))\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_public_names_are_sorted_and_exist():
    assert auditor.__all__ == sorted(auditor.__all__)
    for name in auditor.__all__:
        assert getattr(auditor, name) is not None
