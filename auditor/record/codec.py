"""Frozen dataclasses as JSON and back, and the JSON Schema of it, from type hints alone.

A field that equals its default is not written, and one that is not written has its default. So a
default, once published, is for ever; the schema states it.
"""

from __future__ import annotations

import dataclasses
import json
import math
import re
import types
from collections.abc import Iterable, Iterator, Mapping
from enum import Enum
from functools import cache
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

from auditor.stats.estimates import Estimate

WIDTH = 200
"""Characters within which an object stays on one line of a file."""
_MISSING = dataclasses.MISSING
_PRIMITIVES = {
    str: ("string", "text"),
    int: ("integer", "a whole number"),
    float: ("number", "a number"),
    bool: ("boolean", "true or false"),
    type(None): ("null", "nothing"),
}
_ESTIMATES = {
    # RateDifference -> rate-difference: what tells one estimate from another.
    kind: re.sub(r"(?<!^)(?=[A-Z])", "-", kind.__name__).lower()
    for kind in get_args(Estimate)
}


class CodecError(ValueError):
    """A value that JSON cannot hold, or JSON that is not the value expected; names the place."""

    place = ""

    def __str__(self) -> str:
        return f"{self.place.lstrip('.')}: {self.args[0]}" if self.place else str(self.args[0])


def _each(steps: Iterable[tuple[Any, ...]]) -> Iterator[Any]:
    """For each (step, function, arguments) the result; an error learns the step that led to it."""
    for step, convert, *given in steps:
        try:
            yield convert(*given)
        except CodecError as error:
            error.place = (f"[{step}]" if isinstance(step, int) else f".{step}") + error.place
            raise


def encode(value: Any) -> Any:
    """`value` as JSON values: dataclasses and mappings as objects, tuples as arrays.

    Raises CodecError for NaN, infinity, keys that are not strings, and other types.
    """
    if value is None or isinstance(value, str | int | float | Enum):
        return _encode_plain(value)
    if isinstance(value, Mapping):
        odd = next((key for key in value if not isinstance(key, str)), None)
        if odd is not None:
            raise CodecError(f"found the key {odd!r}; JSON keys are strings")
        return dict(zip(value, _each((k, encode, v) for k, v in value.items()), strict=True))
    if isinstance(value, tuple | list):
        return list(_each((i, encode, v) for i, v in enumerate(value)))
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return _encode_dataclass(value)
    return _encode_plain(value)


def _encode_plain(value: Any) -> Any:
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, float) and not math.isfinite(value):
        raise CodecError(f"found {value}; JSON has finite numbers only")
    if isinstance(value, float):
        return float(value)
    if value is None or isinstance(value, bool | str | int):
        return value
    if hasattr(value, "item") and getattr(value, "shape", None) == ():
        # A numpy scalar, without importing numpy here.
        return _encode_plain(value.item())
    raise CodecError(f"found a {type(value).__name__}, which JSON cannot hold")


def _encode_dataclass(value: Any) -> dict[str, Any]:
    kind: Any = type(value)
    defaults = _defaults(kind)
    stated = {n: v for n in defaults if (v := getattr(value, n)) != defaults[n]}
    if kind in _ESTIMATES:
        stated = {"kind": _ESTIMATES[kind]} | {n: _floats(v) for n, v in stated.items()}
    encoded: dict[str, Any] = encode(stated)
    return encoded


def _floats(value: Any) -> Any:
    # Equal estimates give equal bytes, so a count of 40 is 40.0.
    return [float(v) for v in value] if isinstance(value, tuple) else float(value)


@cache
def _defaults(kind: Any) -> dict[str, Any]:
    """The default of each field; `_MISSING` where it must be stated."""
    return {
        f.name: f.default if f.default_factory is _MISSING else f.default_factory()
        for f in dataclasses.fields(kind)
    }


def dumps(value: Any) -> str:
    """Canonical JSON text: keys sorted, what is short on one line, a newline at the end.

    Equal values give equal bytes. Raises CodecError as `encode` does.
    """
    return _laid_out(encode(value), "\n") + "\n"


_one_line = json.JSONEncoder(ensure_ascii=False, sort_keys=True, separators=(",", ": ")).encode


def _laid_out(value: Any, margin: str) -> str:
    """JSON on one line where it is short, a plain value, or an array of plain values."""
    children = value.values() if isinstance(value, dict) else value
    if not isinstance(value, dict | list) or not any(isinstance(v, dict | list) for v in children):
        line = _one_line(value)
        if len(line) <= WIDTH or not isinstance(value, dict):
            return line
    inner = margin + " "
    if isinstance(value, dict):
        parts = [f"{_one_line(k)}: {_laid_out(v, inner)}" for k, v in sorted(value.items())]
    else:
        parts = [_laid_out(v, inner) for v in value]
    opening, closing = "{}" if isinstance(value, dict) else "[]"
    line = f"{opening}{','.join(parts)}{closing}"
    if len(line) <= WIDTH and "\n" not in line:
        return line
    return f"{opening}{inner}{f',{inner}'.join(parts)}{margin}{closing}"


def decode(kind: Any, stored: Any) -> Any:
    """The value of type `kind` that `encode` wrote; raises CodecError naming the place."""
    if dataclasses.is_dataclass(kind):
        return _decode_dataclass(kind, stored)
    origin, parts = get_origin(kind), get_args(kind)
    if origin in (Union, types.UnionType):
        return _decode_union(parts, stored)
    if origin is tuple:
        return _decode_tuple(parts, stored)
    if origin is Mapping:
        return _decode_fields(dict.fromkeys(_required(stored, dict), parts[1]), stored)
    return stored if kind is Any else _decode_plain(kind, stored)


def _required(stored: Any, kind: Any) -> Any:
    if not isinstance(stored, kind):
        raise CodecError(f"found {stored!r}, expected {'a list' if kind is list else 'an object'}")
    return stored


def _decode_plain(kind: Any, stored: Any) -> Any:
    if kind not in _PRIMITIVES:
        choices = {part: part for part in get_args(kind)} or {m.value: m for m in kind}
        if not isinstance(stored, str) or stored not in choices:
            raise CodecError(f"found {stored!r}, expected one of {', '.join(choices)}")
        return choices[stored]
    accepted = (int, float) if kind is float else kind
    if not isinstance(stored, accepted) or (isinstance(stored, bool) and kind is not bool):
        raise CodecError(f"found {stored!r}, expected {_PRIMITIVES[kind][1]}")
    return stored


def _decode_fields(kinds: Mapping[str, Any], stored: dict[str, Any]) -> dict[str, Any]:
    steps = ((name, decode, kinds[name], value) for name, value in stored.items())
    return dict(zip(stored, _each(steps), strict=True))


def _decode_dataclass(kind: Any, stored: Any) -> Any:
    hints = _hints(kind)
    unknown = sorted(_required(stored, dict).keys() - hints.keys())
    if unknown:
        raise CodecError(f"found the unknown field {unknown[0]!r}")
    missing = [n for n, d in _defaults(kind).items() if d is _MISSING and n not in stored]
    if missing:
        raise CodecError(f"the field {missing[0]!r} is missing")
    values = _decode_fields(hints, stored)
    try:
        return kind(**values)
    except ValueError as error:
        raise CodecError(str(error)) from error


def _decode_union(parts: tuple[Any, ...], stored: Any) -> Any:
    if stored is None and type(None) in parts:
        return None
    rest = [part for part in parts if part is not type(None)]
    if len(rest) == 1:
        return decode(rest[0], stored)
    if rest[0] in _ESTIMATES:
        kinds = {_ESTIMATES[part]: part for part in rest}
        found = _required(stored, dict).get("kind")
        if found not in kinds:
            raise CodecError(f"found kind {found!r}, expected one of {', '.join(kinds)}")
        return decode(kinds[found], {n: v for n, v in stored.items() if n != "kind"})
    if not isinstance(stored, tuple(rest)):
        words = " or ".join(_PRIMITIVES[part][1] for part in parts)
        raise CodecError(f"found {stored!r}, expected {words}")
    return stored


def _decode_tuple(kinds: tuple[Any, ...], stored: Any) -> tuple[Any, ...]:
    _required(stored, list)
    if len(kinds) == 2 and kinds[1] is Ellipsis:
        kinds = kinds[:1] * len(stored)
    if len(kinds) != len(stored):
        raise CodecError(f"found {len(stored)} entries, expected {len(kinds)}")
    pairs = zip(kinds, stored, strict=True)
    return tuple(_each((i, decode, kind, value) for i, (kind, value) in enumerate(pairs)))


@cache
def _hints(kind: Any) -> dict[str, Any]:
    return get_type_hints(kind)


def schema_of(kind: type[Any], *, title: str, identifier: str) -> dict[str, Any]:
    """The JSON Schema (2020-12) of what `encode` writes for the dataclass `kind`."""
    definitions: dict[str, Any] = {}
    root = _schema(kind, definitions)
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$id": identifier,
        "title": title,
        **root,
        "$defs": definitions,
    }


def _schema(kind: Any, definitions: dict[str, Any]) -> dict[str, Any]:
    if kind in _PRIMITIVES:
        return {"type": _PRIMITIVES[kind][0]}
    if kind is Any:
        return {}
    if dataclasses.is_dataclass(kind):
        return _dataclass_schema(kind, definitions)
    origin, parts = get_origin(kind), get_args(kind)
    if origin in (Union, types.UnionType):
        return {"anyOf": [_schema(part, definitions) for part in parts]}
    if origin is Literal:
        return {"enum": list(parts)}
    if origin is tuple:
        return _tuple_schema(parts, definitions)
    if origin is not None:
        return {"type": "object", "additionalProperties": _schema(parts[1], definitions)}
    return {"enum": [member.value for member in kind]}


def _dataclass_schema(kind: Any, definitions: dict[str, Any]) -> dict[str, Any]:
    if kind.__name__ not in definitions:
        fields = {n: _schema(hint, definitions) for n, hint in _hints(kind).items()}
        required = [name for name, default in _defaults(kind).items() if default is _MISSING]
        for name in fields.keys() - required:
            fields[name]["default"] = encode(_defaults(kind)[name])
        if kind in _ESTIMATES:
            fields["kind"] = {"const": _ESTIMATES[kind]}
            required.append("kind")
        summary = " ".join((kind.__doc__ or "").strip().split("\n\n")[0].split())
        definitions[kind.__name__] = {
            **({} if summary.startswith(f"{kind.__name__}(") else {"description": summary}),
            "type": "object",
            "properties": fields,
            "required": sorted(required),
            "additionalProperties": False,
        }
    return {"$ref": f"#/$defs/{kind.__name__}"}


def _tuple_schema(parts: tuple[Any, ...], definitions: dict[str, Any]) -> dict[str, Any]:
    if len(parts) == 2 and parts[1] is Ellipsis:
        return {"type": "array", "items": _schema(parts[0], definitions)}
    return {
        "type": "array",
        "prefixItems": [_schema(part, definitions) for part in parts],
        "minItems": len(parts),
        "maxItems": len(parts),
    }
