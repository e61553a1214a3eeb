"""Sentences of hundreds: the numbers of both sides, a group named, nothing said without words."""

import pytest

from auditor.contract import check_classes
from auditor.findings import Measure, Side, Subject
from auditor.reports.telling import Telling
from auditor.stats import Exact, Rate

TELLING = Telling(check_classes(), attributes=frozenset({"room", "wall"}))


def compared(name, *, here, there, split="test", scale="ratio", neutral=1.0, facts=None, **keys):
    sides = (Side(Exact(here), 50), Side(Exact(there), 500))
    return Measure(
        name, Subject.of(split=split, **keys), Rate(1, 2), scale, "lower", n=50, neutral=neutral,
        sides=sides, facts=facts or {},
    )  # fmt: skip


def hundred(check, measure) -> str | None:
    return TELLING.filled(TELLING.words(check, measure).hundred, measure)


def test_wrongly_called_names_the_group_the_class_and_both_counts():
    found = compared("false-positive-ratio", here=0.134, there=0.039, room="old",
                     **{"class": "bad"})  # fmt: skip
    assert hundred("bias/error-rates", found) == (
        "Of 100 images of old (room) that are not “bad”, 13 are wrongly called so; "
        "of 100 others, 4."
    )


def test_what_happens_in_fewer_than_one_of_a_hundred_is_not_nothing():
    found = compared("accuracy", here=0.004, there=0.0, room="old", scale="difference", neutral=0.0)
    said = hundred("bias/subgroup-gap", found)
    assert "answers fewer than 1 rightly; of 100 others, 0." in said


def test_whose_labels_are_severe_is_named():
    found = compared("severity", here=0.42, there=0.01, wall="full", annotator="bo",
                     scale="difference", neutral=0.0)  # fmt: skip
    said = hundred("bias/label-agreement", found)
    assert said.startswith("Of 100 images of full (wall), bo grades 42 more severely")


@pytest.mark.parametrize("share", [-0.1, 12.0])
def test_what_is_no_share_is_not_said_as_a_count_of_a_hundred(share):
    found = compared("accuracy", here=share, there=0.5, room="old", scale="difference", neutral=0.0)
    assert hundred("bias/subgroup-gap", found) is None


def test_a_measure_without_words_has_no_sentence_of_hundreds():
    assert hundred("bias/subgroup-gap", compared("made-up", here=0.5, there=0.5, room="o")) is None
