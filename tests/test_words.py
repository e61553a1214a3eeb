"""Every check has words for what it yields, and no other module knows a check by its name."""

import ast
import importlib
import re
from dataclasses import dataclass
from pathlib import Path
from unittest.mock import MagicMock

import pytest

import auditor
from auditor.contract import FAMILIES, Check, Words, check_classes
from auditor.engine.measure import run_checks
from auditor.findings import Measure, Subject, Unmeasured
from auditor.stats import Exact

PACKAGE = Path(auditor.__file__).parent
CLASSES = check_classes()
FAMILY_FOLDERS = {family.split(".")[1] for family in FAMILIES}
TABLE_OF_FAMILIES = "reports/families.py"
ADVICE = {
    "cli_explain.py",  # the help of `auditor explain` gives an example
    "engine/evidence.py",  # where no image is left, which checks list those set apart
    "init_model.py",  # a comment in the spec that `auditor init` writes
    "models/guess.py",
    "models/normalisation.py",  # which check tries out a guessed preprocessing
}
"""Modules of which a sentence for the reader sends them to a check."""

DERIVING = {"difference", "ratio", "replace", "nothing_to_compare", "too_few_units"}
"""Calls that make a measure, or the reason why there is none, of the given `name`."""


def said(name: str, *, measured: bool) -> Measure | Unmeasured:
    if measured:
        return Measure(name, Subject(), Exact(0.5), "share", "higher", n=1)
    return Unmeasured(name, Subject(), "No image.", "Give images.")


@dataclass(frozen=True)
class Speaking(Check):
    """Yields what it is told to, with words for one name."""

    name: str = "told"
    measured: bool = True

    id = "test/speaking"
    topic = "what is told"
    needs = ()
    words = {"told": Words("Told", "told")}  # noqa: RUF012 - as checks declare them

    def run(self, evidence):
        yield said(self.name, measured=self.measured)


def ran(check: Check):
    (run,) = run_checks((check,), MagicMock(), report=lambda *_: None)
    return run.results


@pytest.mark.parametrize("measured", [True, False])
def test_what_a_check_has_no_words_for_never_reaches_the_record(measured):
    results = ran(Speaking("told", measured))
    assert [r.name for r in (*results.measures, *results.unmeasured)] == ["told"]
    assert results.traceback is None
    results = ran(Speaking("untold", measured))
    assert results.measures == ()
    (left,) = results.unmeasured
    assert left.name == "check"
    assert "test/speaking yields 'untold', which its words lack" in left.reason


def family_modules() -> dict[str, ast.Module]:
    paths = [p for folder in FAMILY_FOLDERS for p in sorted((PACKAGE / folder).glob("*.py"))]
    return {f"auditor.{p.parent.name}.{p.stem}": ast.parse(p.read_text()) for p in paths}


def literal(node: ast.expr, module: str) -> str | None:
    """The text of a literal, or of a constant of the module or of a class in it, else None."""
    if isinstance(node, ast.Constant):
        value = node.value
    elif isinstance(node, ast.Name):
        value = getattr(importlib.import_module(module), node.id, None)
    else:
        value = None
    return value if isinstance(value, str) else None


def called(node: ast.Call) -> str:
    return node.func.id if isinstance(node.func, ast.Name) else getattr(node.func, "attr", "")


def names_in(tree: ast.Module, module: str) -> set[str]:
    """The names of measures that a module spells out, in ``Measure(…)`` and ``difference(…)``."""
    found = set()
    for node in ast.walk(tree):
        if not isinstance(node, ast.Call):
            continue
        given = [k.value for k in node.keywords if k.arg == "name"]
        if called(node) in ("Measure", "Unmeasured"):
            given += node.args[:1]
        elif called(node) not in DERIVING:
            continue
        found |= {text for value in given if (text := literal(value, module)) is not None}
    return found


def used_by(trees: dict[str, ast.Module], module: str) -> set[str]:
    """The module and those of the families that it imports, directly or not."""
    seen, left = set(), [module]
    while left:
        at = left.pop()
        seen.add(at)
        found = {n.module for n in ast.walk(trees[at]) if isinstance(n, ast.ImportFrom)}
        left += (found & trees.keys()) - seen
    return seen


def test_every_name_that_a_source_spells_out_has_words():
    trees = family_modules()
    spelled = {module: names_in(tree, module) for module, tree in trees.items()}
    assert len({name for names in spelled.values() for name in names}) > 30
    words = {module: set() for module in trees}
    for cls in CLASSES.values():
        for module in used_by(trees, cls.__module__):
            words[module] |= cls.words.keys()
    lacking = {m: sorted(names - words[m]) for m, names in spelled.items() if names - words[m]}
    assert lacking == {}


def test_a_check_spells_out_no_name_that_only_another_has_words_for():
    trees = family_modules()
    for identifier, cls in CLASSES.items():
        names = names_in(trees[cls.__module__], cls.__module__)
        assert names <= cls.words.keys(), identifier


def test_all_words_head_a_finding_and_name_it_in_a_list():
    for identifier, cls in CLASSES.items():
        assert cls.words, identifier
        for name, words in cls.words.items():
            for one in words if isinstance(words, tuple) else (words,):
                assert "" not in (one.title, one.short), f"{identifier}:{name}"


def texts(tree: ast.Module) -> list[tuple[int, str]]:
    """The string constants of a source and their lines, without those that only document."""
    documenting = {id(n.value) for n in ast.walk(tree) if isinstance(n, ast.Expr)}
    return [
        (n.lineno, n.value)
        for n in ast.walk(tree)
        if isinstance(n, ast.Constant) and isinstance(n.value, str) and id(n) not in documenting
    ]


def naming(text: str, *, advice: bool) -> bool:
    """Whether a text names a check; a sentence does not where it may give `advice`."""
    ids = "|".join(map(re.escape, CLASSES))
    named = re.search(rf"(?<![\w/-])({ids})(?![\w/-])", text)
    return named is not None and not (advice and " " in text.strip())


def test_naming_tells_a_name_from_advice():
    for text in ("bias/subgroup-gap", "bias/subgroup-gap:accuracy", "See `bias/subgroup-gap`."):
        assert naming(text, advice=False)
    assert naming("bias/subgroup-gap:", advice=True)
    assert not naming("See `bias/subgroup-gap`.", advice=True)
    assert not naming("auditor/bias/subgroup-gap", advice=False)
    assert not naming("bias/subgroup-gaps", advice=False)
    assert texts(ast.parse('"""bias/harm"""\nx = 1\n"""bias/harm"""\ny = f"bias/harm:{x}"')) == [
        (4, "bias/harm:")
    ]


def test_no_module_outside_the_families_knows_a_check_by_name():
    found = []
    for path in sorted(PACKAGE.rglob("*.py")):
        name = path.relative_to(PACKAGE).as_posix()
        if name.split("/")[0] in FAMILY_FOLDERS or name == TABLE_OF_FAMILIES:
            continue
        found += [
            f"{name}:{line}: {text!r}"
            for line, text in texts(ast.parse(path.read_text()))
            if naming(text, advice=name in ADVICE)
        ]
    assert found == []


@pytest.mark.parametrize("name", sorted(ADVICE))
def test_only_modules_that_advise_are_let_off(name):
    tree = ast.parse((PACKAGE / name).read_text())
    assert any(naming(text, advice=False) for _, text in texts(tree))
