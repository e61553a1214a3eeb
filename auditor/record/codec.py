"""Frozen dataclasses as JSON and back, and the JSON Schema of it, from type hints alone."""

from __future__ import annotations

import dataclasses
import json
import math
import re
import types
from collections.abc import Hashable, Mapping
from enum import Enum
from functools import cache
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

from auditor.stats.estimates import Estimate, as_dict, from_dict

_ESTIMATES = get_args(Estimate)
_PRIMITIVES = {
    str: "string",
    int: "integer",
    float: "number",
    bool: "boolean",
    type(None): "null",
}


class CodecError(ValueError):
    """A value that JSON cannot hold, or JSON that is not the value expected; names the place."""


def encode(value: Any, *, where: str = "") -> Any:
    """`value` as JSON values: dataclasses and mappings as objects, tuples as arrays.

    Raises CodecError for NaN, infinity, keys that are not strings, and other types.
    """
    if isinstance(value, _ESTIMATES):
        return as_dict(value)
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        names = [f.name for f in dataclasses.fields(value)]
        return {n: encode(getattr(value, n), where=f"{where}.{n}") for n in names}
    if isinstance(value, Mapping):
        return {_key(k, where): encode(v, where=f"{where}.{k}") for k, v in value.items()}
    if isinstance(value, tuple | list):
        return [encode(v, where=f"{where}[{i}]") for i, v in enumerate(value)]
    return _encode_plain(value, where)


def _encode_plain(value: Any, where: str) -> Any:
    if isinstance(value, Enum):
        return value.value
    if value is None or isinstance(value, bool | str | int):
        return value
    if isinstance(value, float):
        if not math.isfinite(value):
            raise CodecError(f"{where}: found {value}; JSON has finite numbers only")
        return float(value)
    if hasattr(value, "item") and getattr(value, "shape", None) == ():
        # A numpy scalar, without importing numpy here.
        return _encode_plain(value.item(), where)
    raise CodecError(f"{where}: found a {type(value).__name__}, which JSON cannot hold")


def _key(key: Any, where: str) -> str:
    if not isinstance(key, str):
        raise CodecError(f"{where}: found the key {key!r}; JSON keys are strings")
    return key


def dumps(value: Any) -> str:
    """Canonical JSON text: keys sorted, two spaces of indent, a newline at the end.

    Equal values give equal bytes. Raises CodecError as `encode` does.
    """
    return json.dumps(encode(value), sort_keys=True, indent=2, ensure_ascii=False) + "\n"


def decode(kind: Any, stored: Any, *, where: str = "") -> Any:
    """The value of type `kind` that `encode` wrote; raises CodecError naming the place."""
    if kind is Any:
        return stored
    if kind == Estimate:
        return _decode_estimate(stored, where)
    if dataclasses.is_dataclass(kind) and isinstance(kind, type):
        return _decode_dataclass(kind, stored, where)
    origin = get_origin(kind)
    if origin in (Union, types.UnionType):
        return _decode_union(kind, stored, where)
    if origin is tuple:
        return _decode_tuple(get_args(kind), stored, where)
    if origin is not None and origin is not Literal and issubclass(origin, Mapping):
        _require(stored, dict, where)
        inner = get_args(kind)[1]
        return {k: decode(inner, v, where=f"{where}.{k}") for k, v in stored.items()}
    return _decode_plain(kind, stored, where)


def _decode_plain(kind: Any, stored: Any, where: str) -> Any:
    if get_origin(kind) is Literal:
        if stored not in get_args(kind):
            raise CodecError(f"{where}: found {stored!r}, expected one of {get_args(kind)}")
        return stored
    if issubclass(kind, Enum):
        try:
            return kind(stored)
        except ValueError as error:
            known = ", ".join(str(m.value) for m in kind)
            raise CodecError(f"{where}: found {stored!r}, expected one of {known}") from error
    accepted = (int, float) if kind is float else kind
    _require(stored, accepted, where)
    if isinstance(stored, bool) and kind is not bool:
        raise CodecError(f"{where}: found {stored}, expected a {kind.__name__}")
    return stored


def _decode_estimate(stored: Any, where: str) -> Estimate:
    _require(stored, dict, where)
    try:
        return from_dict(stored)
    except (TypeError, ValueError) as error:
        raise CodecError(f"{where}: {error}") from error


def _decode_dataclass(kind: Any, stored: Any, where: str) -> Any:
    _require(stored, dict, where)
    hints = _hints(kind)
    unknown = sorted(set(stored) - set(hints))
    if unknown:
        raise CodecError(f"{where or kind.__name__}: found the unknown field {unknown[0]!r}")
    needed = [f.name for f in dataclasses.fields(kind) if not _has_default(f)]
    missing = [name for name in needed if name not in stored]
    if missing:
        raise CodecError(f"{where or kind.__name__}: the field {missing[0]!r} is missing")
    return kind(**{n: decode(hints[n], v, where=f"{where}.{n}") for n, v in stored.items()})


def _decode_union(kind: Any, stored: Any, where: str) -> Any:
    options = get_args(kind)
    if stored is None and type(None) in options:
        return None
    rest = [option for option in options if option is not type(None)]
    if len(rest) == 1:
        return decode(rest[0], stored, where=where)
    if not isinstance(stored, tuple(rest)):
        raise CodecError(f"{where}: found {stored!r}, expected one of {kind}")
    return stored


def _decode_tuple(kinds: tuple[Any, ...], stored: Any, where: str) -> tuple[Any, ...]:
    _require(stored, list, where)
    if len(kinds) == 2 and kinds[1] is Ellipsis:
        return tuple(decode(kinds[0], v, where=f"{where}[{i}]") for i, v in enumerate(stored))
    if len(kinds) != len(stored):
        raise CodecError(f"{where}: found {len(stored)} entries, expected {len(kinds)}")
    pairs = enumerate(zip(kinds, stored, strict=True))
    return tuple(decode(kind, value, where=f"{where}[{i}]") for i, (kind, value) in pairs)


def _require(stored: Any, kind: Any, where: str) -> None:
    if not isinstance(stored, kind):
        names = " or ".join(k.__name__ for k in (kind if isinstance(kind, tuple) else (kind,)))
        raise CodecError(f"{where}: found {stored!r}, expected {names}")


@cache
def _hints(kind: Hashable) -> dict[str, Any]:
    return get_type_hints(kind)


def _has_default(field: dataclasses.Field[Any]) -> bool:
    missing = dataclasses.MISSING
    return field.default is not missing or field.default_factory is not missing


def schema_of(kind: type[Any], *, title: str, identifier: str) -> dict[str, Any]:
    """The JSON Schema (2020-12) of what `encode` writes for the dataclass `kind`."""
    definitions: dict[str, Any] = {}
    root = _schema(kind, definitions)
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$id": identifier,
        "title": title,
        **root,
        "$defs": dict(sorted(definitions.items())),
    }


def _schema(kind: Any, definitions: dict[str, Any]) -> dict[str, Any]:
    if kind in _PRIMITIVES:
        return {"type": _PRIMITIVES[kind]}
    if kind is Any:
        return {}
    if dataclasses.is_dataclass(kind) and isinstance(kind, type):
        return _dataclass_schema(kind, definitions)
    origin, parts = get_origin(kind), get_args(kind)
    if origin in (Union, types.UnionType):
        return {"anyOf": [_schema(part, definitions) for part in parts]}
    if origin is Literal:
        return {"enum": list(parts)}
    if origin is tuple:
        return _tuple_schema(parts, definitions)
    if origin is not None and issubclass(origin, Mapping):
        return {"type": "object", "additionalProperties": _schema(parts[1], definitions)}
    return {"enum": [member.value for member in kind]}


def _dataclass_schema(kind: Any, definitions: dict[str, Any]) -> dict[str, Any]:
    if kind.__name__ not in definitions:
        definitions[kind.__name__] = {}
        fields = {n: _schema(hint, definitions) for n, hint in _hints(kind).items()}
        if kind in _ESTIMATES:
            # The name that `as_dict` writes: RateDifference -> rate-difference.
            fields["kind"] = {"const": re.sub(r"(?<!^)(?=[A-Z])", "-", kind.__name__).lower()}
        summary = (kind.__doc__ or "").strip().split("\n\n")[0].replace("\n", " ")
        described = not summary.startswith(f"{kind.__name__}(")
        definitions[kind.__name__] = {
            **({"description": " ".join(summary.split())} if described else {}),
            "type": "object",
            "properties": fields,
            "required": sorted(fields),
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
