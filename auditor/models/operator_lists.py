"""Operators of an ONNX file beside the lists that makers of runtimes publish."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from functools import cache
from importlib import resources
from typing import TYPE_CHECKING

from auditor.spec import SpecPart
from auditor.spec.yaml_checked import validate
from auditor.spec.yaml_source import load

if TYPE_CHECKING:
    import onnx

STANDARD, MICROSOFT = "ai.onnx", "com.microsoft"


class OperatorList(SpecPart):
    """Operators that one runtime's maker lists: by name, in a release, on a day."""

    id: str
    name: str
    source: str
    date: str
    opsets: tuple[int, ...] = ()
    """Opsets that the list speaks of; any, where it names none."""
    format: str
    """The file that would be needed there."""
    operators: tuple[str, ...]
    microsoft: tuple[str, ...] = ()

    def missing(self, operators: Mapping[str, int]) -> tuple[str, ...]:
        """Operators (``domain:name``) that are not on the list, sorted.

        Constants are folded into weights before a file is read there, whatever a list says.
        """
        listed = {f"{STANDARD}:{name}" for name in (*self.operators, "Constant")}
        listed |= {f"{MICROSOFT}:{name}" for name in self.microsoft}
        return tuple(sorted(set(operators) - listed))

    def speaks_of(self, opset: int) -> bool:
        return not self.opsets or opset in self.opsets


class OperatorLists(SpecPart):
    targets: tuple[OperatorList, ...]


@cache
def operator_lists() -> tuple[OperatorList, ...]:
    """The lists that ship with the auditor, from ``operator_lists.yaml``."""
    place = resources.files("auditor") / "models" / "operator_lists.yaml"
    text = place.read_text(encoding="utf-8")
    return validate(load(text, name="operator_lists.yaml"), OperatorLists).targets


def operators_of(graph: onnx.GraphProto) -> dict[str, int]:
    """How often each operator stands in a graph and the graphs inside of it, ``domain:name``."""
    counts = Counter(_names(graph))
    return dict(sorted(counts.items()))


def _names(graph: onnx.GraphProto) -> Iterator[str]:
    for node in graph.node:
        yield f"{node.domain or STANDARD}:{node.op_type}"
        for held in node.attribute:
            for inner in ([held.g] if held.HasField("g") else []) + list(held.graphs):
                yield from _names(inner)
