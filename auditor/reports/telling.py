"""Measures in words: the templates that checks declare, filled from what the record holds."""

from __future__ import annotations

import string
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from auditor.contract import Check, Words
from auditor.contract.numbers import (
    gap_text,
    number_text,
    percent,
    points,
    points_apart,
    side_text,
    times,
    value_text,
)
from auditor.contract.quantity_words import called
from auditor.contract.words import Text
from auditor.findings import Measure, Measured, Question, Side, Subject
from auditor.record.reasons import set_apart_text
from auditor.reports.alike import alike_clause
from auditor.reports.unit_words import with_units
from auditor.stats import value

PLAIN = Words(title="", short="")
SPLIT_WORDS = {"train": "training"}
"""What is said of a split's data where that is another word than its name."""
PARTS = {"sound": "without images that were set apart", "as-given": "as given"}


@dataclass(frozen=True)
class Telling:
    """What the reports of one audit need to speak: the checks' words, and names to display.

    `attributes` are the spec's attributes; `display` maps a name of an attribute, group or class
    to what readers are shown, `bins` those of an attribute of numbers, as ``floor=1-4``, to words
    that stand beside its name; `unit` and `units` call what was sampled independently,
    `places` the images of a split. `right_means` says from when on an image counts as right, where
    that is not its label alone. `unit_is_a_name`: a name of the data holds the word "unit", so
    that the word in a text may be that name.
    """

    checks: Mapping[str, type[Check]]
    attributes: frozenset[str] = frozenset()
    display: Mapping[str, str] = field(default_factory=dict)
    bins: Mapping[str, str] = field(default_factory=dict)
    unit: str = "unit"
    units: str = "units"
    places: Mapping[str, str] = field(default_factory=dict)
    unit_is_a_name: bool = False
    right_means: str = ""

    def shown(self, name: str) -> str:
        """A name as readers are shown it."""
        return self.display.get(name, name)

    def shown_of(self, key: str, said: str) -> str:
        """What a subject says under a key; `display` may have a name for ``key=said`` alone."""
        return self._own_name(key, said) or self.bins.get(f"{key}={said}", said)

    def _own_name(self, key: str, said: str) -> str:
        """What `display` calls it; empty where it has no name of its own there."""
        return self.display.get(f"{key}={said}") or self.display.get(said, "")

    def with_units(self, text: str) -> str:
        """A text on units in general, with what they are called here in the place of the word.

        Where the manifest names none, such a text asks for a column of units, and stays.
        """
        if self.unit in ("unit", "image") or self.unit_is_a_name:
            return text
        return with_units(text, unit=self.unit, units=self.units)

    def topic(self, check: str) -> str:
        """What a check is about, in a few words; from its id where it is not installed."""
        known = self.checks.get(check)
        topic = known.topic if known else check.partition("/")[2].replace("-", " ") or check
        return self.with_units(topic)

    def shows(self, check: str) -> str:
        """What a report never folds of a check (`Check.shown`)."""
        known = self.checks.get(check)
        return known.shown if known else "folded"

    def has_headline(self, check: str) -> bool:
        """Whether a check measures what stands on top of page one."""
        known = self.checks.get(check)
        every = known.words.values() if known else ()
        return any(w.headline for one in every for w in ((one,) if isinstance(one, Words) else one))

    def question(self, check: str) -> Question | None:
        """Which of the four questions a check answers."""
        known = self.checks.get(check)
        return known.question if known else None

    def place(self, split: str | None) -> str:
        """The images of a split as a sentence ends with them."""
        return self.places.get(split or "test", f"{split} images")

    def words(self, check: str, result: Measured) -> Words:
        """The first words of a measure whose title is fit; empty ones where there are none."""
        known = self.checks.get(check)
        stated = known.words.get(result.name, ()) if known else ()
        for words in (stated,) if isinstance(stated, Words) else stated:
            if _applies(words, result) and self.filled(words.title, result) is not None:
                return words
        return PLAIN

    def group_keys(self, subject: Subject) -> dict[str, str]:
        """The attributes and groups that a subject is about; empty for all images."""
        return {key: said for key, said in subject.keys if key in self.attributes}

    def group(self, subject: Subject) -> str:
        """The group of a subject as ``old (phone)``, by its own name where it has one to display.

        Empty for all images.
        """
        named = self.named_groups(subject)
        return ", ".join(f"{said} ({key})" if key else said for key, said in named)

    def named_groups(self, subject: Subject) -> list[tuple[str, str]]:
        """Attribute and group of each as shown; no attribute where the group has its own name."""
        return [
            (
                "" if self._own_name(key, said) not in ("", said) else self.shown(key),
                self.shown_of(key, said),
            )
            for key, said in self.group_keys(subject).items()
        ]

    def named(self, attribute: str, group: str) -> str:
        """One group as it is named where it stands alone."""
        return self.group(Subject.about({attribute: group}))

    def title(self, check: str, result: Measured) -> str:
        """The heading of a finding."""
        text = self.filled(self.words(check, result).title, result)
        return text or self._plain(check, result, capital=True)

    def short(self, check: str, result: Measured) -> str:
        """A finding in a few words, for a list."""
        text = self.filled(self.words(check, result).short, result)
        return text or self._plain(check, result, capital=False)

    def sentence(self, check: str, measure: Measure) -> str:
        """Value, range and sizes in one or two plain sentences, and what stays of a gap."""
        words = self.words(check, measure)
        text = self.filled(words.sentence, measure, gap=words.gap)
        text = text or f"{self.title(check, measure)}: {value_text(measure)}, {self.size(measure)}."
        clause = alike_clause(measure, self.shown, gap=words.gap)
        return f"{text} {clause}" if clause else text

    def size(self, result: Measure) -> str:
        """How many images and units a measure rests on, as ``from 110 images, 24 rooms``."""
        units = "" if result.n_units is None else f", {self.counted(result.n_units)}"
        return f"from {result.n:,} {counted_as(result)}{units}"

    def counted(self, n: int) -> str:
        """A number of units, as ``1 room`` or ``12 rooms``."""
        return f"{n:,} {self.unit if n == 1 else self.units}"

    def filled(
        self,
        text: Text,
        result: Measured,
        *,
        gap: tuple[str, str] = PLAIN.gap,
        group: str | None = None,
    ) -> str | None:
        """A template filled; None where it is empty or a field is lacking. `gap` as of `Words`.

        `group` is said in place of the group that the result is about.
        """
        if not text:
            return None
        fields = _Fields(self, result, gap, group)
        if isinstance(text, str):
            return fields.fill(text)
        parts = [filled for part in text if (filled := fields.fill(part)) is not None]
        return " ".join(parts) or None

    def _plain(self, check: str, result: Measured, *, capital: bool) -> str:
        name = called(result.name)
        text = self.topic(check) if result.name == "check" else f"{self.topic(check)}, {name}"
        text = text[:1].upper() + text[1:] if capital else text
        about = self.about(result.subject)
        return f"{text}: {about}" if about else text

    def about(self, subject: Subject) -> str:
        """What a subject is about in a few words; empty for all test images."""
        parts = [self._about(key, said) for key, said in subject.keys]
        if subject.split not in (None, "test"):
            parts.append(data_of(subject.split))
        if subject.variant not in (None, "as-given"):
            parts.append(f"{subject.variant} version")
        return ", ".join(parts)

    def _about(self, key: str, said: str) -> str:
        """One key of a subject: a class in quotes as everywhere, an artefact by its name."""
        shown = self.shown_of(key, said)
        if key == "part":
            return PARTS.get(said, said)
        if key in self.attributes or key not in ("class", "artefact", "attribute"):
            return f"{self.shown(key)}: {shown}"
        return f"“{shown}”" if key == "class" else shown


def data_of(split: str | None) -> str:
    """The data of a split as they are called: ``training data``."""
    return f"{SPLIT_WORDS.get(split or 'test', split or 'test')} data"


def counted_as(measure: Measure, n: int | None = None) -> str:
    """What the `n` of a measure counts, as ``images`` or ``timed run``; one where `n` is 1."""
    what = "timed run" if measure.volatile else measure.of
    return what if (measure.n if n is None else n) == 1 else f"{what}s"


def _applies(words: Words, result: Measured) -> bool:
    """Whether the value lies where the words are for; reasons have no value and take any."""
    if words.of is not None and isinstance(result, Measure) and words.of != result.of:
        return False
    if words.when is None or not isinstance(result, Measure) or result.neutral is None:
        return words.when is None
    above = value(result.estimate) > result.neutral
    return above == (words.when == "above")


class _Fields(string.Formatter):
    """The fields of one result's templates."""

    def __init__(
        self, telling: Telling, result: Measured, gap: tuple[str, str], group: str | None
    ) -> None:
        self.telling, self.result, self.gap = telling, result, gap
        self.group = telling.group(result.subject) if group is None else group

    def fill(self, template: str) -> str | None:
        """The template filled, None where a field is lacking."""
        try:
            return self.format(template)
        except LookupError:
            return None

    def get_value(self, key: int | str, args: Sequence[Any], kwargs: Mapping[str, Any]) -> Any:
        found = self._subject(str(key))
        if key in ("of_group", "in_group", "where", "in_where"):
            return found
        if found is None and isinstance(self.result, Measure):
            found = self._number(str(key), self.result)
        if found is None or found is False or found in ("", (), []):
            raise KeyError(key)
        return found

    def _subject(self, key: str) -> Any:
        subject, telling, group = self.result.subject, self.telling, self.group
        split = SPLIT_WORDS.get(subject.split or "test", subject.split or "test")
        known: dict[str, Any] = {name: telling.shown_of(name, said) for name, said in subject.keys}
        known |= {
            "group": group,
            "of_group": f", {group}" if group else "",
            "in_group": f" of {group}" if group else "",
            "split": split,
            "place": telling.place(subject.split),
            "where": "" if split == "test" else f"{split} data",
            "in_where": "" if split == "test" else f" in {split} data",
            "variant": subject.variant or "as-given",
            "right_means": telling.right_means if self._row == "image" else "",
            "row": self._row,
            "rows": f"{self._row}s",
            "unit_noun": telling.unit,
            "units_noun": telling.units,
        }
        if "part" in known:
            known["part"] = PARTS.get(subject.get("part") or "", known["part"])
        return known.get(key)

    def _number(self, key: str, measure: Measure) -> Any:
        match key:
            case "value":
                return value_text(measure)
            case "point":
                return number_text(value(measure.estimate), measure)
            case "gap":
                ends = measure.interval
                point = value(measure.estimate)
                return gap_text(point, ends.low, ends.high, measure, words=self.gap)
            case "n":
                return measure.n
            case "n_rest":
                return measure.sides[1].n if measure.sides else None
            case "units":
                return measure.n_units
            case "this" | "other" | "here" | "there":
                return self._side(key, measure)
        found = measure.facts.get(key)
        return self.telling.shown(found) if isinstance(found, str) else found

    def _side(self, key: str, measure: Measure) -> str | None:
        if measure.sides is None:
            return None
        side = measure.sides[0 if key in ("this", "here") else 1]
        if key in ("here", "there"):
            return _of_hundred(side)
        return side_text(side, finely=measure.scale == "ratio")

    def _named(self, one: Any) -> str:
        """A name as readers are shown it; several in one place stand together."""
        names = one if isinstance(one, list | tuple) else [one]
        return " with ".join(self.telling.shown(str(name)) for name in names)

    def _set_apart(self, found: Sequence[str]) -> str:
        """Why images were set apart, with the likely cause where one is known."""
        reason, cause = found
        return f"{set_apart_text(reason, self.telling.units)}{f' ({cause})' if cause else ''}"

    @property
    def _row(self) -> str:
        return self.result.of if isinstance(self.result, Measure) else "image"

    def format_field(self, value: Any, format_spec: str) -> Any:
        printers: dict[str, Callable[[Any], str]] = {
            "percent": lambda v: f"{percent(v)}%",
            "points": points,
            "if": lambda v: "",
            "times": times,
            "units": self.telling.counted,
            "apart": self._set_apart,
            "noun": lambda v: self.telling.units if v == "units" else v,
            "rows": lambda v: f"{v:,} {self._row}{'' if v == 1 else 's'}",
        }
        if format_spec in printers:
            return printers[format_spec](value)
        if "/" in format_spec:
            several, one = format_spec.split("/")
            return f"{self.format_field(value, '')} {one if value in (1, *_ONE) else several}"
        if "|" in format_spec:
            return points_apart(*value, words=format_spec.split("|"))
        if isinstance(value, list | tuple) and not format_spec:
            return listed_with_and([self._named(v) for v in value])
        if isinstance(value, int) and not format_spec:
            return f"{value:,}"
        return super().format_field(value, format_spec)


_FEWER = "fewer than 1"
_ONE = ("1", _FEWER)


def _of_hundred(side: Side) -> str | None:
    """A side as a count of a hundred; None where it is no share."""
    share = value(side.estimate)
    if side.scale != "share" or not 0 <= share <= 1:
        return None
    shown = round(100 * share)
    return _FEWER if shown == 0 and share > 0 else f"{shown}"


def listed_with_and(names: Sequence[str]) -> str:
    """Names in a line, as ``a, b and c``."""
    return " and ".join([*([", ".join(names[:-1])] if names[1:] else []), *names[-1:]])
