"""Words: what the tool never says, and numbers as a reader sees them."""

import ast
import re
from pathlib import Path

import pytest

import auditor
from auditor.findings import Finding, Measure, Subject, Verdict
from auditor.reports.templates import template_folder
from auditor.reports.titles import action, short_name, title, topic
from auditor.reports.wording import (
    date_text,
    limit_text,
    listed,
    shortened,
    subject_text,
    value_text,
    verdict_word,
)
from auditor.stats import Draws, Exact, Normal, PairedDifference, Rate, RateDifference, RateRatio

NEVER = (
    r"\b(AI[- ]Act|GDPR)[- ]?(compliant|ready|certified)",
    r"\bcompliant\b",
    r"\bcertif(y|ied|icate)",
    r"\b(un)?biased\b",
    r"\bguarantee",
    r"Article 10\(5\)",
    r"tamper-?proof",
    r"\bsafe\b",
    r"\bno shift\b",
    r"\bapproved for\b",
    r"\bindependent audit\b",
)
PACKAGE = Path(auditor.__file__).parent
OURS = [
    *(PACKAGE / "reports").rglob("*.py"),
    *(PACKAGE / "modelcard").glob("*.py"),
    PACKAGE / "catalogue.py",
]


def strings(path: Path) -> str:
    tree = ast.parse(path.read_text())
    found = [n.value for n in ast.walk(tree) if isinstance(n, ast.Constant)]
    return "\n".join(text for text in found if isinstance(text, str))


def measure(estimate, unit="share", **changes) -> Measure:
    given = {"name": "m", "subject": Subject(), "better": "lower", "n": 100} | changes
    return Measure(estimate=estimate, unit=unit, **given)


def test_templates_never_say_what_no_tool_can_know():
    sources = [p for p in template_folder().iterdir() if p.suffix in (".j2", ".css")]
    assert len(sources) == 4
    for path in sources:
        prose = path.read_text().replace("|safe }}", "")
        for pattern in NEVER:
            assert not re.search(pattern, prose, flags=re.IGNORECASE), (path, pattern)


@pytest.mark.parametrize("path", OURS, ids=lambda p: p.stem)
def test_strings_never_say_what_no_tool_can_know(path):
    text = strings(path)
    for pattern in NEVER:
        assert not re.search(pattern, text, flags=re.IGNORECASE), pattern


def test_the_lint_would_see_such_words():
    for text in ("AI Act ready", "The model is unbiased.", "guaranteed", "tamper-proof", "is safe"):
        assert any(re.search(pattern, text, flags=re.IGNORECASE) for pattern in NEVER)


@pytest.mark.parametrize(
    ("estimate", "unit", "text"),
    [
        (Rate(78, 100), "share", "78% [69, 85]"),
        (Rate(0, 100), "share of images", "0% [0, 4]"),
        (RateDifference(66, 100, 450, 500), "share", "−24 points [−34, −15]"),
        (PairedDifference(2, 9, 750), "share", "−0.9 points [−2, −0.1]"),
        (RateRatio(14, 110, 22, 560), "ratio", "3.2 times [1.7, 6]"),
        (RateRatio(3, 50, 0, 60), "ratio", "never among the others [at least 0.96 times]"),
        (Exact(12.5), "MB", "12.5 MB"),
        (Exact(0.26), "ratio", "0.26"),
        (Normal(1290.6, 10.0), "EUR per image", "1,291 EUR per image [1,271, 1,310]"),
        (Draws(30.0, tuple(float(i) for i in range(6, 55))), "ms", "30 ms [15, 45]"),
    ],
)
def test_values_with_their_range(estimate, unit, text):
    assert value_text(measure(estimate, unit)) == text


def test_a_count_of_all_there_is_has_no_range():
    assert value_text(measure(Rate(25, 100)), exact=True) == "25%"


@pytest.mark.parametrize(
    ("limit", "estimate", "unit", "text"),
    [
        ({"at_most": 1.25}, RateRatio(1, 2, 1, 2), "ratio", "at most 1.25 times"),
        ({"at_least": -0.05}, RateDifference(1, 2, 1, 2), "share", "at most 5 points lower"),
        ({"above": 0.0}, PairedDifference(1, 1, 4), "share", "more than 0 points"),
        ({"at_most": 0.001}, Rate(1, 2), "share of images", "at most 0.1%"),
        ({"at_most": 200.0}, Exact(3), "ms", "at most 200 ms"),
        ({"below": 0.3}, Exact(3), "ratio", "less than 0.3"),
        ({}, Exact(3), "ratio", ""),
    ],
)
def test_limits_are_never_rounded(limit, estimate, unit, text):
    assert limit_text(limit, measure(estimate, unit)) == text


def test_texts_are_cut_at_words_and_long_words_are_cut():
    assert shortened("a few words", 40) == "a few words"
    assert shortened("one two three four", 12) == "one two…"
    assert shortened("x" * 50, 10) == "x" * 9 + "…"
    assert shortened("a\nb\t c", 40) == "a b c"
    assert listed(["a", "b", "a", "c"], most=2) == "a, b and 1 more"
    assert date_text("2026-11-02T09:30:00+00:00") == "2 November 2026"


def finding(check, name, verdict=Verdict.FAIL, **subject) -> Finding:
    split, variant = subject.pop("split", "test"), subject.pop("variant", None)
    about = Subject.about(subject, split=split, variant=variant)
    found = measure(Rate(1, 20), name=name, subject=about)
    return Finding(f"{check}:{name}", check, found, None, verdict=verdict)


def test_titles_and_actions_name_group_and_class():
    harm = finding("bias/error-rates", "false-positive-ratio",
                   **{"class": "serious", "household": "accessible"})  # fmt: skip
    assert title(harm) == "Wrongly called “serious”: accessible (household), against all others"
    assert short_name(harm) == "accessible (household): wrongly called “serious”"
    assert "a person reviews each “serious”" in action(harm)


def test_braces_in_names_are_names():
    harm = finding("bias/subgroup-gap", "accuracy", household="{0.__class__}")
    assert title(harm) == "Accuracy for {0.__class__} (household), against all others"


def test_a_measure_without_words_gets_its_own_name():
    odd = finding("new/check", "some-thing", colour="red")
    assert title(odd) == "Check, some thing: colour: red"
    assert action(odd).startswith("mend and measure again: ")
    assert topic("new/check") == "check"
    assert title(finding("bias/subgroup-gap", "recall", household="a")).endswith("household: a")
    assert "\0" not in action(finding("bias/error-rates", "false-positive-ratio"))


def test_every_check_has_a_topic_in_words():
    from auditor.contract import check_classes

    for identifier in check_classes():
        assert topic(identifier)
        assert "/" not in topic(identifier)


def test_leaning_and_waivers_are_said():
    import dataclasses

    leaning = dataclasses.replace(
        finding("bias/subgroup-gap", "accuracy", Verdict.INCONCLUSIVE), leaning="worse"
    )
    assert verdict_word(leaning) == "not decided, leaning worse"
    waived = dataclasses.replace(finding("bias/subgroup-gap", "accuracy"), waived_by="W-1")
    assert verdict_word(waived) == "not met, waived"
    assert subject_text(Subject.about({"a": "b"}, split="train", variant="int8")) == (
        "a: b; train data; int8 version"
    )
