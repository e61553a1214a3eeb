"""Reading the shipped tables: ``clauses.yaml`` and ``standards.yaml``."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from importlib import resources
from typing import Annotated, Literal, Self, TypeVar

from pydantic import Field, model_validator

from auditor.record.clauses import Coverage
from auditor.spec import SpecPart
from auditor.spec.declarations import Day
from auditor.spec.spec_file import text_digest
from auditor.spec.yaml_checked import validate
from auditor.spec.yaml_source import load

Part = TypeVar("Part", bound=SpecPart)


class Instrument(SpecPart):
    """A law or framework: which text, from when it applies by route, when it was looked up."""

    id: str
    name: str
    text_version: str
    applies_from: Annotated[dict[str, Day], Field(min_length=1)]
    verified_on: Day
    note: str


class Wanted(SpecPart):
    """A statement that clauses ask a person for.

    Where in audit.yaml it may stand too is in `auditor.spec.statements`; `policy` says that a
    policy's approval states it.
    """

    key: str
    asks: str
    policy: bool = False


class Clause(SpecPart):
    """A clause, what of it can be measured or derived here, and what must be declared.

    `measured_by` and `derived_by` are patterns of ``check:measure``; a pattern without a colon is
    about every measure of the checks that it names.
    """

    id: str
    title: str
    role: str = ""
    paraphrase: str
    coverage: Coverage
    measured_by: tuple[str, ...] = ()
    derived_by: tuple[str, ...] = ()
    declared_by: tuple[str, ...] = ()
    applies_from: dict[str, Day] = Field(default_factory=dict)
    verified_from: str
    verified_on: Day | None = None
    note: str = ""

    @property
    def instrument(self) -> str:
        return self.id.partition("/")[0]

    @model_validator(mode="after")
    def _says_what_it_can_do(self) -> Self:
        measures = bool(self.measured_by or self.derived_by)
        if self.coverage in ("declared only", "none") and measures:
            raise ValueError(f"coverage is {self.coverage!r}, and yet something measures it")
        if not measures and not self.declared_by:
            raise ValueError("nothing is named that could be evidence")
        return self


class Clauses(SpecPart):
    """The whole of ``clauses.yaml``; `sources` say from where texts were looked up."""

    schema_: Literal["auditor/clauses/v1"] = Field(alias="schema")
    sources: dict[str, str]
    instruments: tuple[Instrument, ...]
    declarations: tuple[Wanted, ...]
    clauses: tuple[Clause, ...]

    @model_validator(mode="after")
    def _names_what_there_is(self) -> Self:
        for problem in self._problems():
            raise ValueError(problem)
        return self

    def _problems(self) -> Iterator[str]:
        keys = {wanted.key for wanted in self.declarations}
        instruments = {instrument.id for instrument in self.instruments}
        seen: set[str] = set()
        for clause in self.clauses:
            if clause.id in seen:
                yield f"the clause {clause.id!r} stands twice"
            if clause.instrument not in instruments:
                yield f"{clause.id!r} is of no instrument"
            if clause.verified_from not in self.sources:
                yield f"{clause.id!r} names the source {clause.verified_from!r}, which is none"
            for key in sorted({*clause.declared_by} - keys):
                yield f"{clause.id!r} asks for {key!r}, which no declaration is"
            seen.add(clause.id)
        asked = {key for clause in self.clauses for key in clause.declared_by}
        for key in sorted(keys - asked):
            yield f"the declaration {key!r} is asked for by no clause"


class Standard(SpecPart):
    id: str
    about: str
    stage: str


class Standards(SpecPart):
    """The whole of ``standards.yaml``."""

    schema_: Literal["auditor/standards/v1"] = Field(alias="schema")
    checked_on: Day
    source: str
    standards: tuple[Standard, ...]


@cache
def shipped_clauses() -> Clauses:
    """The clauses that this version ships."""
    return parse_clauses(_text("clauses.yaml"))


@cache
def shipped_standards() -> Standards:
    """The standards that this version ships."""
    return validate(load(_text("standards.yaml"), name="standards.yaml"), Standards)


@cache
def shipped_digest() -> str:
    """SHA-256 of the shipped clauses and standards."""
    return text_digest(_text("clauses.yaml") + _text("standards.yaml"))


def parse_clauses(text: str) -> Clauses:
    """A clause table from its YAML text; raises SpecError that lists what is wrong in it."""
    return validate(load(text, name="clauses.yaml"), Clauses)


def _text(name: str) -> str:
    place = resources.files("auditor") / "clauses" / name
    return place.read_text(encoding="utf-8")
