"""Words: what the tool never says, and numbers as a reader sees them."""

import ast
import dataclasses
import re
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import auditor
from auditor.contract import Words, check_classes
from auditor.contract.numbers import value_text
from auditor.data.attributes import bin_words
from auditor.data.left_out import ELSEWHERE, ROW_REASONS, UNANNOTATED, UNLABELLED
from auditor.data.soundness import RoleSoundness, Soundness
from auditor.findings import Finding, Measure, Subject, Verdict
from auditor.record import DatasetSummary, SetApart
from auditor.record.reasons import SET_APART, set_apart_text
from auditor.reports.reasons import limit_text
from auditor.reports.shown_figure import shown_words
from auditor.reports.telling import Telling
from auditor.reports.templates import template_folder
from auditor.reports.wording import (
    date_text,
    left_out_text,
    listed,
    shortened,
    verdict_word,
)
from auditor.stats import Draws, Exact, Normal, PairedDifference, Rate, RateDifference, RateRatio

STATISTICS = r"(?i)p-value|\bCI\b|confidence interval|\bHolm\b|significan|hypothes|standard error"
NEVER = (
    r"\b(AI[- ]Act|GDPR)[- ]?(compliant|ready|certified)",
    r"\bcompliant\b",
    r"\bcertif(y|ied)",
    r"\bcertificates? of\b",
    r"\b(un)?biased\b",
    r"\bguarantee",
    r"(?<!formerly )\b10\(5\)",
    r"tamper-?proof",
    r"\bsafe\b",
    r"\bno shift\b",
    r"\bapproved for\b",
    r"\bindependent audit\b",
    r"\bsatisf(y|ies|ied)\b",
    r"\bcompliance\b",
    r"\bconforms? (to|with)\b",
    r"Article \d+[^.;]{0,20}: (PASS|met)\b",
    r"\bis (fair|secure)\b",
    r"\banonymous\b",
    r"\bdetermined the risk class",
    r"biometric identification is high-risk",
    r"\b(required|applies|apply|applicable) (since|from|as of) (2 )?August 2026",
)
ALLOWED = (
    r"safe from several threads",
    r"fail-safe",
    r"\|safe }}",
    r"the unbiased statistic",
    r"less biased than bins",
    r"biased\s+downwards",
    r"approved for enquiry",
    r"40% are compliant",
)
"""What is said of threads, estimators, drafts and classes in place of a model or a law."""
CLASS_NAMES = r"\bcompliant\b"
"""In the examples a class of rooms is called so."""
PACKAGE = Path(auditor.__file__).parent
PROJECT = PACKAGE.parent
SHIPPED = [
    path
    for folder, endings in (
        (PACKAGE, (".py", ".yaml", ".txt")),
        (template_folder(), (".j2", ".css")),
        (PROJECT / "docs", (".md",)),
        (PROJECT / "examples", (".yaml", ".md")),
    )
    for path in sorted(folder.rglob("*"))
    if path.suffix in endings and path.name not in ("team-report.md",)
] + [PROJECT / "README.md"]
"""Every text of ours that a user may read; the team's report of the lab is not in our voice."""


def words_of(check) -> list[Words]:
    stated = check.words.values()
    return [w for some in stated for w in ((some,) if isinstance(some, Words) else some)]


def texts_of(check) -> Iterator[str]:
    """Every text that a check's words hold, and its topic."""
    yield check.topic
    for words in words_of(check):
        for text in vars(words).values():
            if isinstance(text, str):
                yield text
            elif isinstance(text, tuple):
                yield from (part for part in text if isinstance(part, str))


def shipped_text(path: Path) -> str:
    """What a file says: of a module its strings, docstrings among them; of others all."""
    return strings(path) if path.suffix == ".py" else path.read_text(encoding="utf-8")


def said_of(text: str, *, classes: bool = False) -> list[str]:
    """What a text says that no tool can know; `classes` may be called what a tool may not say."""
    for allowed in ALLOWED:
        text = re.sub(allowed, "", text)
    patterns = [pattern for pattern in NEVER if not (classes and pattern == CLASS_NAMES)]
    return [m.group() for p in patterns for m in re.finditer(p, text, flags=re.IGNORECASE)]


def strings(path: Path) -> str:
    tree = ast.parse(path.read_text())
    found = [n.value for n in ast.walk(tree) if isinstance(n, ast.Constant)]
    return "\n".join(text for text in found if isinstance(text, str))


def measure(estimate, scale="share", unit="", **changes) -> Measure:
    given = {"name": "m", "subject": Subject(), "better": "lower", "n": 100} | changes
    return Measure(estimate=estimate, scale=scale, unit=unit, **given)


def test_templates_never_say_what_no_tool_can_know():
    for path in sorted(template_folder().rglob("*.j2")):
        assert not said_of(path.read_text()), path


def test_no_shipped_string_says_what_no_tool_can_know():
    assert len(SHIPPED) > 300
    said = {path.relative_to(PROJECT).as_posix(): said_of(
                shipped_text(path), classes=path.is_relative_to(PROJECT / "examples"))
            for path in SHIPPED}  # fmt: skip
    assert not {name: found for name, found in said.items() if found}


def test_the_lint_would_see_such_words():
    for text in ("AI Act ready", "The model is unbiased.", "guaranteed", "tamper-proof", "is safe",
                 "Article 15(1): PASS", "the conditions of Article 10(5)", "duties are satisfied",
                 "required since August 2026", "the photos are anonymous"):  # fmt: skip
        assert said_of(text), text
    assert not said_of("the conditions of Article 4a, formerly 10(5)")


@pytest.mark.parametrize("check", check_classes().values(), ids=lambda check: check.id)
def test_the_words_of_checks_never_say_what_no_tool_can_know(check):
    texts = list(texts_of(check))
    assert texts
    for text in texts:
        for pattern in NEVER:
            assert not re.search(pattern, text, flags=re.IGNORECASE), (text, pattern)


@pytest.mark.parametrize("check", check_classes().values(), ids=lambda check: check.id)
def test_the_words_of_checks_have_no_words_of_statistics(check):
    """What page one may show: a dean reads it."""
    for words in words_of(check):
        for text in (words.short, words.harm, words.headline, words.answer, words.action):
            assert not re.search(STATISTICS, text), text


def test_words_of_page_one_do_not_end_as_sentences_do():
    for check in check_classes().values():
        for words in words_of(check):
            for text in (words.title, words.short, words.harm, words.answer, words.action):
                assert not text.endswith("."), text


@pytest.mark.parametrize(
    ("estimate", "scale", "unit", "text"),
    [
        (Rate(78, 100), "share", "", "78% [69, 85]"),
        (Rate(0, 100), "share", "", "0% [0, 4]"),
        (RateDifference(66, 100, 450, 500), "difference", "", "−24 points [−34, −15]"),
        (PairedDifference(2, 9, 750), "difference", "", "−0.9 points [−2, −0.1]"),
        (RateRatio(14, 110, 22, 560), "ratio", "", "3.2 times [1.7, 6.0]"),
        (RateRatio(3, 50, 0, 60), "ratio", "", "never among the others [at least 0.96 times]"),
        (Exact(12.5), "amount", "MB", "12.5 MB"),
        (Exact(0.26), "ratio", "", "0.26 times"),
        (Normal(1290.6, 10.0), "amount", "EUR per image", "1,291 EUR per image [1,271, 1,310]"),
        (
            Draws(30.0, tuple(float(i) for i in range(6, 55))),
            "amount",
            "ms",
            "30.0 ms [15.0, 45.0]",
        ),
    ],
)
def test_values_with_their_range(estimate, scale, unit, text):
    assert value_text(measure(estimate, scale, unit)) == text


def test_a_count_of_all_there_is_has_no_range():
    assert value_text(measure(Rate(25, 100)), exact=True) == "25%"


@pytest.mark.parametrize(
    ("limit", "estimate", "scale", "unit", "text"),
    [
        ({"at_most": 1.25}, RateRatio(1, 2, 1, 2), "ratio", "", "at most 1.25 times"),
        ({"at_least": -0.05}, RateDifference(1, 2, 1, 2), "difference", "",
         "at most 5 points lower"),
        ({"above": 0.0}, PairedDifference(1, 1, 4), "difference", "", "more than 0 points"),
        ({"at_most": 0.001}, Rate(1, 2), "share", "", "at most 0.1%"),
        ({"at_most": 200.0}, Exact(3), "amount", "ms", "at most 200 ms"),
        ({"below": 0.3}, Exact(3), "ratio", "", "less than 0.3 times"),
        ({}, Exact(3), "ratio", "", ""),
    ],
)  # fmt: skip
def test_limits_are_never_rounded(limit, estimate, scale, unit, text):
    assert limit_text(limit, measure(estimate, scale, unit)) == text


def test_texts_are_cut_at_words_and_long_words_are_cut():
    assert shortened("a few words", 40) == "a few words"
    assert shortened("one two three four", 12) == "one two…"
    assert shortened("x" * 50, 10) == "x" * 9 + "…"
    assert shortened("a\nb\t c", 40) == "a b c"
    assert listed(["a", "b", "a", "c"], most=2) == "a, b and 1 more"
    assert date_text("2026-11-02T09:30:00+00:00") == "2 November 2026"


DISPLAYED = Telling(
    check_classes(),
    attributes=frozenset({"phone", "building"}),
    display={"phone": "kind of phone", "old": "old phones", "building=new": "the new hall"},
)


def test_whatever_is_set_apart_has_words():
    masks = {
        f.name: pd.DataFrame() if "DataFrame" in str(f.type) else np.zeros(1, dtype=bool)
        for f in dataclasses.fields(RoleSoundness)
    }
    found = Soundness({"test": RoleSoundness(**masks)}, units_compared=True).summary()["test"]
    of_rows = {*ROW_REASONS, UNLABELLED, UNANNOTATED, ELSEWHERE}
    assert found.keys() - {"images", "sound"} | of_rows == SET_APART.keys()
    assert set_apart_text("seen_unit", "rooms") == "images of rooms that the model had already seen"
    assert set_apart_text("of_a_later_version", "rooms") == "of a later version"


@pytest.mark.parametrize(
    ("keys", "said"),
    [
        ({"phone": "old"}, "old phones"),
        ({"phone": "new"}, "new (kind of phone)"),
        ({"building": "new"}, "the new hall"),
        ({"building": "new", "phone": "new"}, "the new hall, new (kind of phone)"),
        ({"class": "old"}, ""),
    ],
)
def test_a_group_is_called_by_the_name_to_display(keys, said):
    assert DISPLAYED.group(Subject.about(keys)) == said


BINNED = dataclasses.replace(
    DISPLAYED,
    attributes=frozenset({"floor", "stairs"}),
    display={"floor": "storey", "stairs=1-4": "few stairs"},
    bins={
        **{f"floor={name}": words for name, words in bin_words([1, 4, 7, 9]).items()},
        **{f"stairs={name}": words for name, words in bin_words([1, 4, 7]).items()},
    },
)


@pytest.mark.parametrize(
    ("keys", "said"),
    [
        ({"floor": "1-4"}, "1 to below 4 (storey)"),
        ({"floor": "7-9"}, "7 to 9 (storey)"),
        ({"stairs": "1-4"}, "few stairs"),
        ({"stairs": "4-7"}, "4 to 7 (stairs)"),
    ],
)
def test_a_bin_is_called_by_the_numbers_it_holds(keys, said):
    assert BINNED.group(Subject.about(keys)) == said


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("1-4", "1 to below 4"),
        ("1-4 (floor) 4%; 7-9 (serious missed) 5%.", "1 to below 4 (storey) 4%; 7 to 9 (serious "
         "missed) 5%."),
        ("2021-4-7, 1-4.5, 21-4", "2021-4-7, 1-4.5, 21-4"),
        # Of stairs it holds the 7, of floors it does not.
        ("4-7", "4-7"),
    ],
)  # fmt: skip
def test_texts_of_checks_call_a_bin_by_the_numbers_it_holds(text, said):
    assert shown_words(text, BINNED) == said


TELLING = Telling(check_classes(), attributes=frozenset({"household", "colour"}))


def about(name, **keys) -> Measure:
    return measure(Rate(1, 20), name=name, subject=Subject.about(keys, split="test"), neutral=1.0)


def test_titles_and_actions_name_group_and_class():
    check = "bias/error-rates"
    harm = about("false-positive-ratio", **{"class": "serious", "household": "accessible"})
    assert TELLING.title(check, harm) == (
        "Wrongly called “serious”: accessible (household), against all others"
    )
    assert TELLING.short(check, harm) == "accessible (household): wrongly called “serious”"
    action = TELLING.filled(TELLING.words(check, harm).action, harm)
    assert "a person reviews each “serious”" in action


def test_braces_in_names_are_names():
    harm = about("accuracy", household="{0.__class__}")
    said = TELLING.title("bias/subgroup-gap", harm)
    assert said == "Accuracy for {0.__class__} (household), against all others"


def test_a_measure_without_words_gets_its_own_name():
    odd = about("some-thing", colour="red")
    assert TELLING.title("new/check", odd) == "Check, some thing: colour: red"
    assert TELLING.topic("new/check") == "check"
    lacking = about("recall", household="a")
    assert TELLING.title("bias/subgroup-gap", lacking).endswith("household: a")


def test_every_check_has_a_topic_in_words():
    for identifier in check_classes():
        assert TELLING.topic(identifier)
        assert "/" not in TELLING.topic(identifier)


def test_leaning_and_waivers_are_said():
    found = Finding("a/b:c", "a/b", verdict=Verdict.INCONCLUSIVE, leaning="worse")
    assert verdict_word(found) == "not decided, leaning worse"
    waived = Finding("a/b:c", "a/b", verdict=Verdict.FAIL, waived_by="W-1")
    assert verdict_word(waived) == "not met, waived"
    assert TELLING.about(Subject.about({"a": "b"}, split="train", variant="int8")) == (
        "a: b, training data, int8 version"
    )


def test_rows_that_no_split_takes_are_told_beside_those_of_the_split():
    elsewhere = SetApart(ELSEWHERE, 222, cause="they have 'train' (222 rows)")
    whole = DatasetSummary(
        "test", n=233, n_sound=233, n_units=None, has_labels=True, labels=(), attributes=(),
        set_apart=(), digest="", n_rows=233, left_out=(elsewhere,),
    )  # fmt: skip
    beside = (
        "Beside the 233 test rows: 222 rows of the manifest that no split takes "
        "(they have 'train' (222 rows))."
    )
    assert left_out_text(whole, "rooms") == beside
    part = dataclasses.replace(whole, left_out=(elsewhere, SetApart("absent", 3)))
    assert left_out_text(part, "rooms").startswith("Left out of 233 test rows: 3 ")
    assert left_out_text(part, "rooms").endswith(f". {beside}")
