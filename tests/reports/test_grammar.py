"""Sentences that are put together agree in number, whatever is counted and however called."""

from __future__ import annotations

import re

import pytest

from auditor.contract import Words, check_classes
from auditor.contract.quantity_words import NAMINGS, group_words
from auditor.data.scan import PROPERTY_NAMES
from auditor.engine.prune import Pruning, pruning_lines
from auditor.findings import Measure, Side, Subject
from auditor.reports.reasons import of_group
from auditor.reports.telling import Telling
from auditor.scoring.comparison import too_few
from auditor.shift.properties import PROPERTY_WORDS
from auditor.stats import Rate, RateDifference

TELLING = Telling({}, attributes=frozenset({"room"}))


def groups(ones: int, of: str) -> Measure:
    sides = (Side(Rate(ones, 100), 100), Side(Rate(12, 100), 100))
    return Measure(
        "found", Subject.of(room="old", split="test"), RateDifference(ones, 100, 12, 100),
        "difference", "lower", n=100, of=of, sides=sides, facts={"k": ones},
    )  # fmt: skip


@pytest.mark.parametrize(("k", "said"), [(0, "0 fail"), (1, "1 fails"), (2, "2 fail")])
def test_a_count_has_its_verb(k, said):
    assert TELLING.filled("{k:fail/fails} it.", groups(k, "image")) == f"{said} it."


@pytest.mark.parametrize("name", [n for n, naming in NAMINGS.items() if naming.hundred])
def test_of_a_hundred_one_is_and_two_are(name):
    words = group_words()[name]
    (first, *_) = (words,) if isinstance(words, Words) else words
    one, two = (TELLING.filled(first.hundred, groups(k, NAMINGS[name].of)) for k in (1, 2))
    said = re.search(r"of old \(room\) (it finds )?1 ?(\w*)", one)
    assert said, one
    if not said[1]:
        plural = re.search(r"of old \(room\) 2 (\w+)", two)[1]
        pairs = {"are": "is", "have": "has", "go": "goes"}
        assert said[2] == pairs.get(plural, f"{plural}s")


_COUNTED = re.compile(
    r"\{(?!value|this|other|n\}|rows|split|attribute|annotator|in_where)\w+\} "
    r"(are|have|were|fail|go|name|say)\b"
)


def texts():
    for check in check_classes().values():
        for stated in check.words.values():
            for words in (stated,) if isinstance(stated, Words) else stated:
                told = words.sentence
                yield from (words.hundred, *((told,) if isinstance(told, str) else told))


def test_no_template_has_a_verb_for_several_after_a_count_that_may_be_one():
    every = list(texts())
    assert len(every) > 300
    assert not [text for text in every if _COUNTED.search(text)]


@pytest.mark.parametrize("name", [*PROPERTY_NAMES, "bytes"])
def test_a_property_of_images_is_one_thing_that_can_be_higher(name):
    head = PROPERTY_WORDS.get(name, name).partition(" of ")[0].split("_")[-1]
    assert not head.endswith("s") or head.endswith("ness"), head


@pytest.mark.parametrize(
    ("noun", "side", "had", "more"),
    [
        ("units", "units without “hole”", "0 units without “hole”", "10 more units without “hole”"),
        ("rooms", "rooms with posters", "0 rooms with posters", "10 more rooms with posters"),
        ("images", "room=old", "0 images of room=old", "10 more images of room=old"),
        ("units", "units_old=1", "0 units of units_old=1", "10 more units of units_old=1"),
    ],
)
def test_units_that_are_called_units_are_named_once(noun, side, had, more):
    found = too_few("found", Subject(), sides={side: 0}, noun=noun)
    assert f"Too few to compare: {had}, and" in found.reason
    assert f"Collect at least {more};" in found.remedy


@pytest.mark.parametrize(
    ("counted", "group", "said"),
    [
        ("about 140 more rooms", "rooms with dense hangings",
         "about 140 more rooms with dense hangings"),
        ("about 140 more rooms", "night photos", "about 140 more rooms of night photos"),
        ("1 room", "rooms with dense hangings", "1 room of rooms with dense hangings"),
        ("3 more images", "", "3 more images"),
    ],
)  # fmt: skip
def test_a_group_that_is_called_as_its_units_is_named_once(counted, group, said):
    assert of_group(counted, group) == said


@pytest.mark.parametrize(("left", "said"), [(0, "0 files"), (1, "1 file"), (2, "2 files")])
def test_one_file_is_a_file(left, said):
    going = Pruning(removed=(), needed=(), left=left)
    assert list(pruning_lines(going, done=True))[-1] == f"Left: {said}."
