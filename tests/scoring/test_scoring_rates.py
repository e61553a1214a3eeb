import numpy as np

from auditor.findings import Measure, Subject, Unmeasured
from auditor.scoring.outcomes import Outcomes
from auditor.scoring.rates import n_units, rate_cells, rate_measure
from auditor.stats import interval, value


def measured(worlds, n=40, units=None, better="higher"):
    labels = np.zeros(n, dtype=int)
    answers = (np.arange(n) % 4 == 0).astype(int)
    confidence = np.linspace(0.6, 0.99, n)
    outcomes = Outcomes(
        worlds.dataset(labels, units=units), worlds.probabilities(answers, confidence=confidence)
    )
    success = outcomes.correct if better == "higher" else ~outcomes.correct
    return outcomes, rate_measure(
        "accuracy",
        subject=Subject.of(split="test"),
        among=outcomes,
        success=success,
        better=better,
        of="the data",
    )


def test_a_rate_comes_with_its_count_and_its_worst_images(worlds):
    outcomes, found = measured(worlds)
    assert isinstance(found, Measure)
    assert (value(found.estimate), found.n, found.n_units) == (0.75, 40, None)
    assert found.facts["count"] == 30
    wrong = np.flatnonzero(~outcomes.correct)[::-1]
    assert found.examples == tuple(outcomes.image_ids[wrong])


def test_where_success_is_harm_its_images_are_the_examples(worlds):
    _, higher = measured(worlds)
    _, lower = measured(worlds, better="lower")
    assert value(lower.estimate) == 0.25
    assert lower.examples == higher.examples


def test_units_widen_the_interval_and_decide_whether_there_is_a_measure(worlds):
    _, alone = measured(worlds)
    outcomes, together = measured(worlds, units=np.arange(40) // 4)
    assert together.n_units == 10 == n_units(outcomes)
    width = [i.high - i.low for i in (interval(alone.estimate), interval(together.estimate))]
    assert width[1] >= width[0]
    _, few = measured(worlds, units=np.arange(40) // 5)
    assert isinstance(few, Unmeasured)
    assert "8 units" in few.reason
    assert "2 more" in few.remedy


def test_cells_of_too_few_are_empty():
    assert rate_cells(np.ones(9, dtype=bool)) == (None, None, None)
    assert rate_cells(np.ones(10, dtype=bool))[0] == 1
    assert rate_cells(np.ones(40, dtype=bool), unit=np.arange(40) // 5) == (None, None, None)
