import numpy as np
import pytest

from auditor.scoring.outcomes import Outcomes
from auditor.scoring.units import severities, unit_votes

CLASSES = ("fine", "minor", "serious")


def outcomes(worlds, units, labels, probabilities):
    dataset = worlds.dataset(labels, classes=CLASSES, units=units)
    return Outcomes(dataset, np.array(probabilities, dtype=np.float32))


def one_room(worlds, probabilities, labels=None):
    n = len(probabilities)
    return outcomes(worlds, ["room"] * n, [0] * n if labels is None else labels, probabilities)


VOTES = [[0.5, 0.4, 0.1], [0.5, 0.4, 0.1], [0.0, 0.9, 0.1], [0.3, 0.3, 0.4]]


@pytest.mark.parametrize(("rule", "answer"), [("mean", 1), ("majority", 0), ("worst", 2)])
def test_each_rule_decides_by_its_own_lights(worlds, rule, answer):
    decided = unit_votes(one_room(worlds, VOTES)).decide(rule)
    assert decided.presence.answers.tolist() == [answer]


def test_a_tied_vote_goes_to_the_likelier_class(worlds):
    room = one_room(worlds, [[0.6, 0.4, 0.0], [0.1, 0.9, 0.0]])
    assert unit_votes(room).decide("majority").presence.answers.tolist() == [1]


def test_adverse_classes_are_graver_than_later_ones(worlds):
    assert severities(CLASSES).tolist() == [0, 1, 2]
    assert severities(CLASSES, adverse=("minor",)).argmax() == 1
    room = one_room(worlds, VOTES)
    assert unit_votes(room, adverse=("minor",)).decide("worst").presence.answers.tolist() == [1]


def test_the_label_is_the_commonest_and_conflicts_are_counted(worlds):
    probabilities = [[0.6, 0.4, 0.0], [0.0, 1.0, 0.0], [1.0, 0.0, 0.0], [1.0, 0.0, 0.0]]
    images = outcomes(worlds, ["a", "a", "b", ""], [0, -1, -1, 0], probabilities)
    found = unit_votes(images).decide("mean")
    assert found.names.tolist() == ["a", "image:test/00003.png"]
    assert found.presence.truth.tolist() == [0, 0]
    assert found.presence.answers.tolist() == [1, 0]
    assert found.left_out == 1


def test_unlabelled_images_help_to_answer_and_not_to_label(worlds):
    probabilities = [[0.6, 0.4, 0.0], [0.0, 1.0, 0.0], [1.0, 0.0, 0.0], [1.0, 0.0, 0.0]]
    images = outcomes(worlds, ["a", "a", "b", ""], [0, -1, -1, 0], probabilities)
    found = unit_votes(images).decide("mean")
    assert found.names.tolist() == ["a", "image:test/00003.png"]
    assert found.presence.truth.tolist() == [0, 0]
    assert found.presence.answers.tolist() == [1, 0]
    assert found.left_out == 1


def test_units_are_needed(worlds):
    dataset = worlds.dataset([0], classes=CLASSES)
    with pytest.raises(ValueError, match="names none"):
        unit_votes(Outcomes(dataset, np.array([VOTES[0]])))
