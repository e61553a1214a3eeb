"""A check: it measures and never judges; its class is its documentation."""

from __future__ import annotations

import importlib
import pkgutil
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Literal, Self

from auditor.contract.evidence import Evidence
from auditor.contract.needs import Need
from auditor.contract.words import Words
from auditor.findings import Question, Result
from auditor.spec import AuditSpec

FAMILIES = ("auditor.checks", "auditor.bias", "auditor.shift")


@dataclass(frozen=True)
class Check(ABC):
    """A check: its fields are its parameters, its docstring is its documentation.

    Subclasses are frozen dataclasses; their docstring begins with one sentence and has the
    sections *What it measures*, *Why it matters*, *How it can mislead*. Fields are documented
    with ``Annotated[type, "meaning"]``.

    `topic` is what the check is about, in a few words. `words` has the words of every measure
    that it can yield, by name. `question` is which of the four questions its findings answer.
    `shown` says what a report never folds: ``open`` its first picture and small tables, ``told``
    the sentences of what it found. `cannot_see` says in one sentence which faults
    of its kind no result of it could show; the report prints it where the check ran.
    """

    id: ClassVar[str]
    topic: ClassVar[str]
    needs: ClassVar[tuple[Need, ...]]
    words: ClassVar[Mapping[str, Words | tuple[Words, ...]]]
    question: ClassVar[Question | None] = None
    shown: ClassVar[Literal["folded", "open", "told"]] = "folded"
    sources: ClassVar[tuple[str, ...]] = ()
    cannot_see: ClassVar[str] = ""
    at_end: ClassVar[bool] = False
    """Whether it runs after all others, since what they did is what it looks for."""
    always: ClassVar[bool] = False
    """Whether it runs however few checks are asked for: a condition of every policy is on it."""
    since: ClassVar[str] = "0.1"

    @classmethod
    def shown_id(cls, name: str, split: str) -> str:
        """The id of a figure or table about a split; those of the test data name none."""
        return f"{cls.id}:{name}" + ("" if split == "test" else f"@{split}")

    @classmethod
    def asked(cls, spec: AuditSpec) -> Self:
        """The check with the parameters of `spec`, for a need whose passes depend on them."""
        stated = spec.checks.get(cls.id, {})
        return cls(**{n: tuple(v) if isinstance(v, list) else v for n, v in stated.items()})

    @abstractmethod
    def run(self, evidence: Evidence) -> Iterator[Result]:
        """Measures, reasons why there are none, figures and tables."""


def check_classes() -> Mapping[str, type[Check]]:
    """Every check of the three families by id, sorted; finding one is a module's presence."""
    for family in FAMILIES:
        package = importlib.import_module(family)
        for module in pkgutil.iter_modules(package.__path__):
            importlib.import_module(f"{family}.{module.name}")
    found: dict[str, type[Check]] = {}
    for cls in Check.__subclasses__():
        if cls.id in found and found[cls.id] is not cls:
            raise RuntimeError(f"two checks share the id {cls.id}: {found[cls.id]} and {cls}")
        if cls.__module__.startswith(FAMILIES):
            found[cls.id] = cls
    return dict(sorted(found.items()))


def make_check(cls: type[Check], parameters: Mapping[str, Any]) -> Check:
    """A check with the spec's parameters; unknown ones raise TypeError naming them."""
    return cls(**parameters)
