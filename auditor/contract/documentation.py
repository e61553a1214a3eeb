"""What a check says of itself: its docstring, taken apart once for catalogue, CLI and report."""

from __future__ import annotations

import dataclasses
import inspect
import re
from collections.abc import Mapping
from typing import Annotated, Any, get_args, get_origin, get_type_hints

from auditor.contract.check import Check
from auditor.record import CheckText

_HEADING = re.compile(r"^(?P<title>\S[^\n]*)\n-{3,}[ ]*$", re.MULTILINE)


@dataclasses.dataclass(frozen=True)
class Parameter:
    """A parameter of a check: its name, what it means, its default."""

    name: str
    meaning: str
    default: Any


def check_text(check: type[Check], *, values: Mapping[str, Any] | None = None) -> CheckText:
    """The documentation of a check; `values` are the parameters it ran with."""
    doc = inspect.getdoc(check) or ""
    pieces = _HEADING.split(doc)
    titles, bodies = pieces[1::2], pieces[2::2]
    defaults = {p.name: p.default for p in parameters(check)}
    return CheckText(
        id=check.id,
        summary=" ".join(pieces[0].split("\n\n")[0].split()),
        sections=tuple(
            (title.strip(), body.strip()) for title, body in zip(titles, bodies, strict=True)
        ),
        parameters=defaults | dict(values or {}),
        sources=check.sources,
        question=check.question,
        cannot_see=check.cannot_see,
    )


def parameters(check: type[Check]) -> tuple[Parameter, ...]:
    """The parameters of a check, in the order in which they are declared."""
    hints = get_type_hints(check, include_extras=True)
    found = []
    for field in dataclasses.fields(check):
        hint = hints[field.name]
        meaning = str(get_args(hint)[1]) if get_origin(hint) is Annotated else ""
        found.append(Parameter(field.name, meaning, field.default))
    return tuple(found)
