"""No test asks two estimates worked out in two ways to be the same to the last digit.

Another processor adds in another order: `pytest.approx` and `worlds.nearly` allow for that.
"""

import ast
from pathlib import Path

import pytest

from auditor.stats import Normal, Rate, RateDifference, RateRatio

ESTIMATING = {"value", "interval", "bound", "p_value"}
EXACT = {"approx", "nearly", "len"}
MODULES = {"math", "np", "stats"}


def called(node: ast.AST) -> str:
    function = getattr(node, "func", None)
    return getattr(function, "attr", getattr(function, "id", ""))


def estimated(side: ast.expr) -> bool:
    if isinstance(side, ast.Tuple | ast.List):
        return any(map(estimated, side.elts))
    if isinstance(side, ast.ListComp | ast.DictComp):
        return estimated(getattr(side, "elt", None) or side.value)
    return getattr(side, "attr", "") == "estimate" or called(side) in ESTIMATING


def exact(side: ast.expr) -> bool:
    """Whether a side is made of literals and constants, counts, or allows for rounding."""
    nodes = list(ast.walk(side))
    names = {n.id for n in nodes if isinstance(n, ast.Name)} - MODULES
    return any(called(n) in EXACT for n in nodes) or all(name[0].isupper() for name in names)


def unsafe(source: str) -> list[str]:
    """The comparisons that another processor may turn red, each with its line."""
    return [
        f"{node.lineno}: {ast.unparse(node)}"
        for node in ast.walk(ast.parse(source))
        if isinstance(node, ast.Compare) and all(isinstance(op, ast.Eq) for op in node.ops)
        for sides in [(node.left, *node.comparators)]
        if any(map(estimated, sides)) and not any(map(exact, sides))
    ]


def test_no_test_asks_for_the_last_digit_of_an_estimate():
    folder = Path(__file__).parent
    files = sorted(folder.rglob("*.py"))
    assert len(files) > 50
    found = [f"{p.relative_to(folder)}:{line}" for p in files for line in unsafe(p.read_text())]
    assert not found, "use pytest.approx or worlds.nearly:\n" + "\n".join(found)


@pytest.mark.parametrize(
    ("comparison", "is_unsafe"),
    [
        ("found.estimate == rate_difference(right, unit=rooms)", True),
        ("measure.estimate == expected", True),
        ("stats.value(found) == total / n", True),
        ("(value(a), 1) == (b.value, 1)", True),
        ("{n: m.estimate for n, m in a.items()} == fewer", True),
        ("found.estimate == worlds.nearly(expected)", False),
        ("value(m.estimate) == pytest.approx(right.mean())", False),
        ("value(m.estimate) == 0.5", False),
        ("stats.interval(size) == stats.Interval(0.3, 0.3)", False),
        ("bound(ratio) == ENDLESS", False),
        ("value(count) == len(found) - 1", False),
    ],
)
def test_what_is_unsafe(comparison, is_unsafe):
    assert bool(unsafe(comparison)) is is_unsafe


def test_nearly_allows_for_rounding_and_nothing_else(worlds):
    expected = {"a": [Rate(0.3, 1), Normal(0.3, 0.1, 9.0)], "b": ("x", None, 2)}
    same = {"a": [Rate(0.1 + 0.2, 1), Normal(0.1 + 0.2, 0.1, 9.0)], "b": ("x", None, 2)}
    assert same != expected
    assert same == worlds.nearly(expected)
    rate, normal = same["a"]
    for other in (
        same | {"a": [rate]},
        same | {"a": [rate, Normal(0.30001, 0.1, 9.0)]},
        same | {"a": [rate, Normal(0.3, 0.1, None)]},
        same | {"a": [rate, normal], "b": ("y", None, 2)},
        same | {"c": 1},
    ):
        assert other != worlds.nearly(expected)
    assert RateRatio(2, 10, 1, 10) != worlds.nearly(RateDifference(2, 10, 1, 10))
