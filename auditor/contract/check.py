"""A check: it measures and never judges; its class is its documentation."""

from __future__ import annotations

import importlib
import pkgutil
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from auditor.contract.evidence import Evidence
from auditor.contract.needs import Need
from auditor.findings import Result

FAMILIES = ("auditor.checks", "auditor.bias", "auditor.shift")


@dataclass(frozen=True)
class Check(ABC):
    """A check: its fields are its parameters, its docstring is its documentation.

    Subclasses are frozen dataclasses; their docstring begins with one sentence and has the
    sections *What it measures*, *Why it matters*, *How it can mislead*. Fields are documented
    with ``Annotated[type, "meaning"]``.
    """

    id: ClassVar[str]
    needs: ClassVar[tuple[Need, ...]]
    sources: ClassVar[tuple[str, ...]] = ()
    since: ClassVar[str] = "0.1"

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
