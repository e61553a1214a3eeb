"""Sentences of hundreds: the numbers of the details, a group named, nothing said without words."""

import pytest

from auditor.findings import Measure, Subject
from auditor.reports.sentences import hundred_sentence, share_of
from auditor.stats import Rate


def compared(name, *, rate, rest, split="test", details=None, **keys) -> Measure:
    sides = {"rate": {"value": rate, "n": 50}, "rest": {"value": rest, "n": 500}}
    return Measure(
        name, Subject.of(split=split, **keys), Rate(1, 2), "share", "lower", n=50,
        details=sides | (details or {}),
    )  # fmt: skip


def test_wrongly_called_names_the_group_the_class_and_both_counts():
    found = compared("false-positive-ratio", rate=0.134, rest=0.039, room="old", **{"class": "bad"})
    assert hundred_sentence(found, check="bias/error-rates") == (
        "Of 100 images of old (room) that are not “bad”, 13 are wrongly called so; "
        "of 100 others, 4."
    )


def test_what_happens_in_fewer_than_one_of_a_hundred_is_not_nothing():
    found = compared("accuracy", rate=0.004, rest=0.0, room="old")
    said = hundred_sentence(found, check="bias/subgroup-gap")
    assert "answers fewer than 1 rightly; of 100 others, 0." in said


def test_shares_of_data_are_said_against_what_is_due():
    found = compared("share-ratio", rate=0.024, rest=0.1, split="train", room="old",
                     details={"counted": "units"})  # fmt: skip
    assert hundred_sentence(found, check="bias/representation") == (
        "Of 100 units of the train data, 2 are of old (room); 10 would be due."
    )


def test_whose_labels_are_severe_is_named_and_labels_without_a_hand_are_not_guessed():
    found = compared("severity", rate=0.42, rest=0.01, wall="full", annotator="bo")
    said = hundred_sentence(found, check="bias/label-agreement")
    assert said.startswith("Of 100 images of full (wall), bo grades 42 more severely")
    nobody = compared("severity", rate=0.42, rest=0.01, wall="full")
    assert hundred_sentence(nobody, check="bias/label-agreement") == ""


@pytest.mark.parametrize(
    "details", [{}, {"rate": None}, {"rate": {"value": None}}, {"rate": {"value": -0.1}},
                {"rate": {"value": 12.0}}]
)  # fmt: skip
def test_what_is_no_share_is_not_said_as_a_count_of_a_hundred(details):
    assert share_of(details, "rate") is None
    found = compared("accuracy", rate=0.5, rest=0.5, details=details | {"rest": None}, room="old")
    assert hundred_sentence(found, check="bias/subgroup-gap") == ""


def test_a_measure_without_words_has_no_sentence():
    found = compared("made-up", rate=0.5, rest=0.5, room="old")
    assert hundred_sentence(found, check="bias/subgroup-gap") == ""
