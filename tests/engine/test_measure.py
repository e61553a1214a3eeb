"""What the engine keeps of what a check yields."""

from types import SimpleNamespace
from unittest.mock import MagicMock

import pytest

from auditor.contract import Check, Pass, Words
from auditor.engine.gathered import Gathered
from auditor.engine.measure import _short, run_checks
from auditor.findings import Alike, Axis, Column, Figure, Measure, Subject, Table
from auditor.stats import Rate

THIRD = 1 / 3


class Crashing(Check):
    id = "test/crashing"
    topic = "what is told"
    needs = ()
    words = {"told": Words("Told", "told")}  # noqa: RUF012 - as checks declare them

    def run(self, evidence):
        try:
            raise FileNotFoundError("test/Jane Roe.png")
        except FileNotFoundError as error:
            raise RuntimeError("no Jane Roe") from error


@pytest.mark.parametrize("quoted", [True, False])
def test_what_an_error_says_stays_out_of_a_record_of_pseudonyms(quoted):
    (run,) = run_checks((Crashing(),), MagicMock(), report=lambda *_: None, quoted=quoted)
    (left,) = run.results.unmeasured
    assert ("Jane Roe" in left.reason) is quoted
    assert ("no Jane Roe\n" in run.results.traceback) is quoted
    assert left.reason.startswith("The check crashed: RuntimeError")
    assert "test_measure.py" in run.results.traceback


def test_what_is_only_shown_keeps_six_figures_and_estimates_keep_all():
    alike = (Alike("light", "remains", THIRD, -2 * THIRD, 1000 * THIRD, 123456789, 7),)
    estimate, facts = Rate(THIRD, 2.0), {"expected": THIRD}
    measure = Measure("m", Subject(), estimate, "share", "none", 3, adjusted=alike, facts=facts)
    kept = _short(measure)
    assert kept.adjusted == (Alike("light", "remains", 0.333333, -0.666667, 333.333, 123456789, 7),)
    assert kept.estimate is estimate
    assert kept.facts is facts
    row = {"label": "a", "value": THIRD, "low": None, "n": 123456789}
    figure = Figure("f", "forest", "t", "c", "a", Axis("x"), Axis("y"), (row,))
    assert _short(figure).rows == (row | {"value": 0.333333},)
    table = Table("t", "T", (Column("a"), Column("b")), ((THIRD, True), ("1/3", 10**9)))
    assert _short(table).rows == ((0.333333, True), ("1/3", 10**9))


def test_what_one_check_asked_for_goes_and_what_others_ask_for_stays():
    sound = SimpleNamespace(derived={})
    apart = SimpleNamespace(image_ids="ids", presence="presence")
    test = Pass("test")
    gathered = SimpleNamespace(
        handed_out={(test, "sound"): 1}, last_scores={(test, "sound"): 2}, scans={}, said={},
        scored={(test, "sound", "image"): sound, (test, "as-given", "image"): apart},
        available=SimpleNamespace(datasets={}),
    )  # fmt: skip
    Gathered.let_go(gathered)
    assert (gathered.handed_out, gathered.last_scores) == ({}, {})
    assert gathered.scored == {(test, "sound", "image"): sound}
    assert gathered.said == {(test, "as-given"): ("ids", "presence")}


def test_once_checks_are_done_nothing_of_rows_stays():
    test = Pass("test")
    names = ("handed_out", "last_scores", "scored", "said", "set_values", "parts", "orders")
    gathered = SimpleNamespace(
        **{name: {(test, "sound", "image"): SimpleNamespace()} for name in names},
        scans={}, available=SimpleNamespace(datasets={"test": range(4)}), let_go=lambda: None,
    )  # fmt: skip
    Gathered.let_go_of_rows(gathered)
    left = {name: getattr(gathered, name) for name in names[2:]}
    assert left == {name: {} for name in names[2:]}
