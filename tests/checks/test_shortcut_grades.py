import numpy as np
import pytest

from auditor.checks.shortcut_grades import COLUMNS, MARGIN, Grade, cleared, grade, graded_cells
from auditor.stats import Normal, PairedDifference, paired_difference

STRONG, WEAK, VAGUE = (Normal(v, se) for v, se in ((0.4, 0.02), (0.0, 0.01), (0.05, 0.1)))


@pytest.mark.parametrize(
    ("opportunity", "reliance", "expected"),
    [
        (STRONG, STRONG, Grade.SHORTCUT),
        (WEAK, STRONG, Grade.RELIANCE),
        (None, STRONG, Grade.RELIANCE),
        (VAGUE, STRONG, Grade.RELIANCE),
        (STRONG, WEAK, Grade.OPPORTUNITY),
        (STRONG, None, Grade.OPPORTUNITY),
        (WEAK, WEAK, Grade.NOT_SHOWN),
        (None, WEAK, Grade.NOT_SHOWN),
        (STRONG, VAGUE, Grade.INCONCLUSIVE),
        (None, VAGUE, Grade.INCONCLUSIVE),
        (WEAK, None, Grade.INCONCLUSIVE),
        (None, None, Grade.INCONCLUSIVE),
    ],
)
def test_each_pair_of_estimates_has_one_grade(opportunity, reliance, expected):
    assert grade(opportunity, reliance, margin=MARGIN) is expected


def test_use_against_what_the_data_offer_is_no_shortcut():
    assert grade(STRONG, Normal(-0.4, 0.02), margin=MARGIN) is Grade.OPPORTUNITY


def test_what_two_classes_show_is_not_cleared_where_it_cancels():
    nothing, gained, lost = (PairedDifference(*x) for x in ((9, 9, 900), (0, 20, 60), (20, 0, 60)))
    assert cleared(nothing, margin=0.05, parts=(nothing, nothing))
    assert not cleared(nothing, margin=0.05, parts=(gained, lost))
    assert not cleared(nothing, margin=0.05, parts=(nothing, gained))
    assert not cleared(nothing, margin=0.05, parts=(lost, nothing))


def test_a_stated_strength_must_be_exceeded():
    assert grade(STRONG, STRONG, margin=MARGIN, least=0.5) is Grade.RELIANCE


def test_margin_is_what_reliance_is_held_against():
    reliance = PairedDifference(0, 40, 400)
    assert grade(None, PairedDifference(40, 0, 400), margin=0.05) is Grade.RELIANCE
    assert grade(None, PairedDifference(40, 0, 400), margin=0.15) is Grade.NOT_SHOWN
    assert grade(None, PairedDifference(40, 0, 400), margin=0.1) is Grade.INCONCLUSIVE
    assert grade(None, reliance, margin=0.05) is Grade.NOT_SHOWN


@pytest.mark.parametrize(("worth", "wrong"), [(0.05, Grade.RELIANCE), (0.05, Grade.NOT_SHOWN)])
def test_at_the_margin_a_decided_grade_is_wrong_in_a_twentieth(worth, wrong):
    """400 pairs whose first is right 5 points more often than the second, the margin itself."""
    rng = np.random.default_rng(3)
    grades = []
    for _ in range(1000):
        kind = rng.choice(3, 400, p=[0.10, 0.05, 0.85])
        before, after = kind == 1, kind == 0
        worths = paired_difference(before, after, unit=None)
        grades.append(grade(None, worths, margin=worth))
    assert np.mean([g is wrong for g in grades]) <= 0.065


def test_a_row_holds_both_estimates_and_the_grade():
    row = graded_cells("marker", "lower left", opportunity=None, reliance=STRONG, margin=MARGIN)
    assert len(row) == len(COLUMNS)
    assert row[:5] == ("marker", "lower left", None, None, None)
    assert row[5] == pytest.approx(0.4)
    assert row[6] < 0.4 < row[7]
    assert row[-1] == "reliance"
