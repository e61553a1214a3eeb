"""Detectors whose outputs are read in another order than they are in: numbers, but of nothing."""

import pytest
from pictured_outputs import audited

from auditor.reports.record_words import telling

pytestmark = pytest.mark.slow

READS = {
    "ssd": {"corners": "xyxy", "first_class": 0},
    "ssd of TensorFlow": {"corners": "yxyx", "first_class": 0},
    "detr": {},
    "detr with no object first": {"no_object": "first"},
}
DECLARED = {"ssd": "xyxy", "ssd of TensorFlow": "yxyx", "detr": "last",
            "detr with no object first": "first"}  # fmt: skip
OTHER = {"xyxy": "yxyx", "yxyx": "xyxy", "last": "first", "first": "last"}


def told(record):
    """Ids of what fails, and of what is called the fit."""
    failed = [f.id.split(":", 2)[2] for f in record.findings if f.verdict == "FAIL"]
    measures = [record.measure(finding) for finding in record.findings]
    return failed, [m for m in measures if m is not None and m.facts.get("fits")]


@pytest.mark.parametrize("read", READS)
def test_an_output_in_another_order_is_told_which(tmp_path, read):
    kind, is_in = read.partition(" ")[0], OTHER[DECLARED[read]]
    record = audited(tmp_path, kind, is_in=is_in, seed=1, read=READS[read])
    key = "corners" if kind == "ssd" else "no_object"
    failed, (fits,) = told(record)
    assert failed == [f"output={key}-{is_in}@test"]
    assert fits.subject.get("output") == f"{key}-{is_in}"
    sentence = telling(record).sentence("model/preprocessing", fits)
    assert f"(output {key}: {is_in})" in sentence
    assert "The labels fit far better with it" in sentence


@pytest.mark.parametrize("seed", [2, 3])
@pytest.mark.parametrize("read", READS)
def test_an_output_that_is_read_as_it_is_shows_nothing(tmp_path, read, seed):
    kind = read.partition(" ")[0]
    record = audited(tmp_path, kind, is_in=DECLARED[read], seed=seed, read=READS[read])
    assert told(record) == ([], [])
    # Fed from -1 to 1 these boxes have no area: what is only tried must not end the audit.
    assert any("input=grey--1..1" in f.id for f in record.findings)


@pytest.mark.parametrize("seed", [12, 16])
def test_a_reading_that_takes_everything_for_an_object_is_no_better_one(tmp_path, seed):
    # What it overlooks it has boxes for, too; read the other way all of these are answers.
    record = audited(tmp_path, "detr", is_in="last", seed=seed, read={}, finds=0.1)
    assert told(record) == ([], [])


def test_where_boxes_are_the_same_either_way_nothing_is_told(tmp_path):
    record = audited(tmp_path, "ssd", is_in="yxyx", seed=4, read=READS["ssd"], square=True)
    assert told(record) == ([], [])
    assert not any("output=" in f.id for f in record.findings)


@pytest.mark.parametrize(("finds", "verdict"), [(0.9, "PASS"), (0.02, "FAIL")])
def test_a_detector_must_find_more_than_next_to_nothing(tmp_path, finds, verdict):
    only = ("performance/overall", "performance/baseline")
    record = audited(tmp_path, "detr", is_in="last", seed=1, read={}, finds=finds, only=only)
    limits = {limit.limit["id"]: limit.verdict for limit in record.limit_results}
    assert limits["finds-objects"] == verdict
    assert (limits["better-than-fixed-boxes"] == "PASS") is (verdict == "PASS")
