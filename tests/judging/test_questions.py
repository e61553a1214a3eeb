"""Words of the four answers that no other test holds: shares on either side, properties, costs."""

import pytest

from auditor.data.scan import PROPERTY_NAMES
from auditor.findings import Finding, Measure, Subject, Verdict
from auditor.judging.questions import PROPERTY_WORDS, answer_all
from auditor.record import DatasetSummary
from auditor.stats import Normal

TRAIN = DatasetSummary("train", 1000, 1000, None, True, (), (), (), "0")


def share(group: str, found: float, due: float) -> Finding:
    measure = Measure(
        "share-ratio", Subject.of(split="train", room=group), Normal(found / due, 0.01, None),
        "ratio", "higher", n=100,
        details={"rate": {"value": found, "n": 100}, "rest": {"value": due, "n": None}},
    )  # fmt: skip
    return Finding(group, "bias/representation", measure, None, verdict=Verdict.FAIL)


@pytest.mark.parametrize(
    ("found", "said"),
    [
        ([share("old", 0.02, 0.1)], "Too few of: old (room): 2% where 10% are due."),
        ([share("new", 0.9, 0.3)], "Too many of: new (room): 90% where 30% are due."),
        (
            [share("old", 0.02, 0.1), share("new", 0.9, 0.3)],
            "Too few of: old (room): 2% where 10% are due. "
            "Too many of: new (room): 90% where 30% are due.",
        ),
    ],
)
def test_a_share_beyond_its_limit_is_too_few_or_too_many(worlds, found, said):
    second = answer_all(found, spec=worlds.spec(), datasets=[TRAIN])[1]
    assert (second.answer, second.why) == ("No", said)


def test_properties_of_images_are_named_in_words(worlds):
    found = [
        Finding(
            name, "shift/properties",
            Measure("auc", Subject.of(split="deployment", property=name),
                    Normal(0.9 - 0.1 * place, 0.01, None), "probability", "none", n=99),
            None,
        )
        for place, name in enumerate(("p99", "bytes"))
    ]  # fmt: skip
    differ = Measure("any", Subject(split="deployment"), Normal(0.9, 0.01, None), "probability",
                     "lower", n=99)  # fmt: skip
    broken = Finding("any", "shift/properties", differ, None, verdict=Verdict.FAIL)
    first = answer_all([broken, *found], spec=worlds.spec())[0]
    assert first.why == "Bright parts and file size differ."


def test_every_property_that_has_words_is_one_that_is_measured():
    assert set(PROPERTY_WORDS) <= set(PROPERTY_NAMES)


def test_a_cost_is_said_in_two_figures(worlds):
    cost = Measure("expected-cost", Subject(split="test"), Normal(483.28, 56.0, None),
                   "EUR per image", "lower", n=1400)  # fmt: skip
    fourth = answer_all(
        [Finding("cost", "performance/consequences", cost, None)], spec=worlds.spec()
    )[3]
    assert "Errors cost about 480 EUR per image [370, 590] on average." in fourth.why
