"""The keys of policies, waivers, declarations and of parts of audit.yaml: docs/keys.md."""

from __future__ import annotations

import inspect
import re
import sys
import types
from collections.abc import Iterator, Mapping
from typing import Annotated, Any, Literal, Union, get_args, get_origin, get_type_hints

from pydantic import BaseModel

from auditor.judging.policy import Approval, Gate, Limit, Owner, Policy, Where
from auditor.judging.waivers import Waiver
from auditor.spec import RuntimeSpec, VariantSpec
from auditor.spec.declarations import Day, Declaration, DeclarationOwner, Declarations
from auditor.spec.handing_on import PicturesSpec, PrivacySpec, ReportSpec
from auditor.spec.statement_keys import STATEMENTS

PARTS: Mapping[str, tuple[type[BaseModel], ...]] = {
    "A policy": (Policy, Owner, Approval, Limit, Where, Gate),
    "A waiver, in a policy's list `waivers`": (Waiver,),
    "A file of declarations": (Declarations, Declaration, DeclarationOwner),
    "What is handed on, in the mappings `privacy` and `report` of `audit.yaml`": (
        PrivacySpec,
        ReportSpec,
        PicturesSpec,
    ),
    "A form of the model, in the mapping `variants` of `audit.yaml`": (VariantSpec, RuntimeSpec),
}

_HEAD = """# Keys of policies, waivers, declarations, what is handed on, and forms of the model

This page is made from the classes that read these files (`python -m auditor.keys_page >
docs/keys.md`). A key that is not listed is an error, with its line and the nearest known one.
`auditor/policies/default.yaml` is a whole policy; the other keys of `audit.yaml` are in the README.
"""


def render_keys() -> str:
    """All keys in Markdown, a table for each mapping."""
    lines = [_HEAD]
    for title, classes in PARTS.items():
        lines.append(f"## {title}\n")
        for cls in classes:
            lines += [f"### {cls.__name__}\n", f"{_about(cls)}\n", *_table(cls), ""]
    return "\n".join([*lines, *_statements()]).rstrip() + "\n"


def _statements() -> Iterator[str]:
    """What people are asked to state, under which keys, and where else it may stand."""
    yield "## Statements\n"
    yield (
        "The `key` of a declaration. Under `audit.system` a statement may stand too, without owner "
        "and date; `_` may stand for `-`. What is wanted reads MISSING where nobody stated it; "
        "`auditor clauses audit.yaml` lists what else clauses ask for.\n"
    )
    yield from ("| key | also called | in `audit.yaml` | wanted |", "|---|---|---|---|")
    for one in STATEMENTS:
        also = ", ".join(f"`{name}`" for name in one.also) or "–"
        place = f"`{one.place}`" if one.place else "`audit.system`"
        yield f"| `{one.key}` ({one.name}) | {also} | {place} | {'yes' if one.wanted else 'no'} |"


def _about(cls: type[BaseModel]) -> str:
    return inspect.cleandoc(cls.__doc__ or "").replace("``", "`")


def _table(cls: type[BaseModel]) -> Iterator[str]:
    said, kinds = _below_fields(cls), get_type_hints(cls, include_extras=True)
    yield "| key | value | if left out |"
    yield "|---|---|---|"
    for name, field in cls.model_fields.items():
        note = f"; {said[name]}" if name in said else ""
        left = (
            "an error"
            if field.is_required()
            else _default(field.get_default(call_default_factory=True))
        )
        yield f"| `{field.alias or name}` | {_told(kinds[name])}{note} | {left} |"


def _below_fields(cls: type[BaseModel]) -> dict[str, str]:
    """The texts below fields of a class, by field, without their last dot."""
    found: dict[str, str] = {}
    for each in reversed(cls.__mro__[: cls.__mro__.index(BaseModel)]):
        pattern = r'^    (\w+): [^\n]*\n    """(.*?)"""'
        for name, text in re.findall(pattern, inspect.getsource(each), re.MULTILINE | re.DOTALL):
            found[name] = " ".join(text.split()).rstrip(".").replace("``", "`")
    return found


def _told(kind: Any) -> str:
    origin, inner = get_origin(kind), get_args(kind)
    if kind == Day:
        return "a date, as 2026-11-30"
    if isinstance(kind, type) and issubclass(kind, BaseModel):
        listed = any(kind in classes for classes in PARTS.values())
        link = f"[{kind.__name__}](#{kind.__name__.lower()})"
        return link if listed else "as under `model`"
    return _of_parts(kind, origin, inner)


def _of_parts(kind: Any, origin: Any, inner: tuple[Any, ...]) -> str:
    if origin is Annotated:
        return _told(inner[0])
    if origin is Literal:
        return ", ".join(f"`{value}`" for value in inner)
    if origin in (Union, types.UnionType):
        return " or ".join(dict.fromkeys(_told(each) for each in inner if each is not type(None)))
    if origin is tuple:
        return f"a list of: {_told(inner[0])}"
    if origin is dict:
        return "a mapping of text to text"
    return {str: "text", int: "a whole number", float: "a number", bool: "`true`, `false`"}[kind]


def _default(value: Any) -> str:
    if isinstance(value, BaseModel):
        return "none of its keys"
    if value is None:
        return "nothing"
    if value in ((), {}):
        return "none"
    if isinstance(value, tuple):
        return ", ".join(f"`{each}`" for each in value)
    return f"`{str(value).lower() if isinstance(value, bool) else value}`"


if __name__ == "__main__":
    sys.stdout.write(render_keys())
