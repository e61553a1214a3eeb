"""A YAML source checked against a class; what pydantic found wrong, said of the file as written."""

from __future__ import annotations

import difflib
import json
from collections.abc import Mapping
from types import NoneType, UnionType
from typing import Annotated, Any, TypeVar, Union, get_args, get_origin

from pydantic import BaseModel, ValidationError

from auditor.spec.yaml_source import Path, Problem, Source, did_you_mean, problems_error

Model = TypeVar("Model", bound=BaseModel)


def validate(source: Source, model: type[Model]) -> Model:
    """The source as a `model`; raises SpecError that lists what is wrong, line by line."""
    try:
        return model.model_validate_json(json.dumps(source.data))
    except ValidationError as error:
        problems = _problems(error, source.data, model)
    raise problems_error(source, problems)


def _problems(error: ValidationError, data: Any, model: type[BaseModel]) -> list[Problem]:
    by_value: dict[Path, list[tuple[Path, Mapping[str, Any]]]] = {}
    for each in error.errors(include_url=False):
        path, outermost = _real_path(each["loc"], data, str(each["type"]))
        by_value.setdefault(outermost, []).append((path, dict(each)))
    return [
        problem
        for outermost, errors in by_value.items()
        for problem in _problems_of(outermost, errors, data, model)
    ]


def _real_path(loc: tuple[str | int, ...], data: Any, kind: str) -> tuple[Path, Path]:
    """The part of pydantic's `loc` that is in the data, and where its first union stands.

    Pydantic puts the names of a union's branches between the keys.
    """
    path: list[str | int] = []
    outermost: Path | None = None
    for i, step in enumerate(loc):
        inside = step in data if isinstance(data, dict) else False
        if inside or (isinstance(data, list) and isinstance(step, int) and step < len(data)):
            data = data[step]
            path.append(step)
        elif kind == "missing" and i == len(loc) - 1:
            path.append(step)
        elif step != "[key]" and outermost is None:
            outermost = tuple(path)
    return tuple(path), tuple(path) if outermost is None else outermost


def _problems_of(
    outermost: Path,
    errors: list[tuple[Path, Mapping[str, Any]]],
    data: Any,
    model: type[BaseModel],
) -> list[Problem]:
    """The problems of one value: of a union's branches, those that the value came closest to."""
    deeper = [(path, e) for path, e in errors if path != outermost or e["type"] == "value_error"]
    if len(errors) == 1 or not all(path == outermost for path, _ in errors):
        return [_problem(path, e, data, model) for path, e in deeper or errors]
    expected = dict.fromkeys(_expected(e) for _, e in errors)
    value = _value_at(data, outermost)
    choices = [c for _, e in errors if e["type"] == "literal_error" for c in _choices(e)]
    text = f"found {_describe(value)}, expected {', or '.join(expected)}.{_nearest(value, choices)}"
    return [Problem(outermost, text)]


def _problem(path: Path, error: Mapping[str, Any], data: Any, model: type[BaseModel]) -> Problem:
    kind = error["type"]
    if kind == "extra_forbidden":
        known = sorted(set(_keys_at(model, path[:-1])) - set(_keys_of(data, path[:-1])))
        text = f"unknown key {path[-1]!r}.{did_you_mean(str(path[-1]), known)}"
        return Problem(path, text, within=True)
    if kind == "missing" and isinstance(path[-1], int):
        found = len(_value_at(data, path[:-1]))
        return Problem(path[:-1], f"found a list of {found}, expected more entries; add them.")
    if kind == "missing":
        return Problem(path, f"{path[-1]!r} is missing; add it.", within=True)
    if kind == "value_error":
        return Problem(path, f"{error['msg'].removeprefix('Value error, ')}.")
    if kind == "literal_error" and error["loc"][-1] == "[key]":
        choices = _choices(error)
        text = f"found the key {path[-1]!r}, expected one of {', '.join(choices)}."
        return Problem(path, text + _nearest(path[-1], choices), within=True)
    return Problem(path, _type_sentence(_value_at(data, path), error))


def _type_sentence(value: Any, error: Mapping[str, Any]) -> str:
    hint = ""
    if error["type"] in _CHOOSING:
        named = value.get(_key_of(error)) if isinstance(value, dict) else value
        hint = _nearest(named, _choices(error))
    elif error["type"] == "string_type" and isinstance(value, bool | int | float):
        hint = f' Put it in quotes: "{json.dumps(value)}".'
    return f"found {_describe(value)}, expected {_expected(error)}.{hint}"


_CHOOSING = ("literal_error", "union_tag_invalid")


def _choices(error: Mapping[str, Any]) -> list[str]:
    context = error["ctx"]
    expected = context.get("expected", context.get("expected_tags", ""))
    return [part.strip("' ") for part in expected.replace(" or ", ",").split(",")]


def _key_of(error: Mapping[str, Any]) -> str:
    """The key that says which kind of mapping is meant."""
    return str(error["ctx"]["discriminator"]).strip("'")


def _nearest(found: Any, choices: list[str]) -> str:
    close = difflib.get_close_matches(str(found), choices, n=1, cutoff=0.6)
    return f" Did you mean {close[0]!r}?" if close else ""


_EXPECTED = {
    "string_type": "text",
    "int_type": "a whole number",
    "int_from_float": "a whole number",
    "float_type": "a number",
    "bool_type": "true or false",
    "list_type": "a list",
    "tuple_type": "a list",
    "dict_type": "a mapping of keys and values",
    "model_type": "a mapping of keys and values",
    "model_attributes_type": "a mapping of keys and values",
    "none_required": "nothing",
    "date_from_datetime_parsing": "a date as 2026-12-31",
    "date_type": "a date as 2026-12-31",
}


def _expected(error: Mapping[str, Any]) -> str:
    kind, context = error["type"], error.get("ctx", {})
    bounds = {"greater_than": "gt", "greater_than_equal": "ge", "less_than": "lt"}
    words = {
        "greater_than": "more than",
        "greater_than_equal": "at least",
        "less_than": "less than",
    }
    if kind in bounds:
        return f"{words[kind]} {context[bounds[kind]]:g}"
    if kind == "less_than_equal":
        return f"at most {context['le']:g}"
    if kind in ("missing", "extra_forbidden") or kind in _EXPECTED:
        return _EXPECTED.get(kind, "a mapping of keys and values")
    if kind in _CHOOSING:
        of = f" under {_key_of(error)}" if kind == "union_tag_invalid" else ""
        return f"one of {', '.join(_choices(error))}{of}"
    if kind == "union_tag_not_found":
        return f"the key {_key_of(error)!r} in it"
    if kind in ("too_long", "too_short"):
        return str(error["msg"]).split("should have ")[-1].split(", not")[0]
    message = str(error["msg"])
    return message[:1].lower() + message[1:]


def _describe(value: Any) -> str:
    match value:
        case None:
            return "nothing"
        case bool():
            return f"{str(value).lower()} (true or false)"
        case int() | float():
            return f"the number {value}"
        case str():
            return f"the text {value[:60]!r}"
        case list():
            return f"a list of {len(value)}"
        case _:
            return f"a mapping with the keys {', '.join(list(value)[:5])}" if value else "a mapping"


def _value_at(data: Any, path: Path) -> Any:
    for step in path:
        data = data[step]
    return data


def _keys_of(data: Any, path: Path) -> list[str]:
    found = _value_at(data, path)
    return list(found) if isinstance(found, dict) else []


def _keys_at(model: type[BaseModel], path: Path) -> list[str]:
    """The keys that a mapping at `path` may have, over all branches of unions on the way."""
    kinds: list[Any] = [model]
    for step in path:
        kinds = [inner for kind in kinds for inner in _inner(kind, step)]
    return [name for kind in kinds for name in _fields(kind)]


def _branches(annotation: Any) -> list[Any]:
    origin = get_origin(annotation)
    if origin is Annotated:
        return _branches(get_args(annotation)[0])
    if origin in (Union, UnionType):
        return [b for part in get_args(annotation) for b in _branches(part) if b is not NoneType]
    return [annotation]


def _fields(kind: Any) -> dict[str, Any]:
    is_model = isinstance(kind, type) and issubclass(kind, BaseModel)
    return {n: f.annotation for n, f in kind.model_fields.items()} if is_model else {}


def _inner(kind: Any, step: str | int) -> list[Any]:
    fields = _fields(kind)
    if fields:
        return _branches(fields[str(step)]) if step in fields else []
    parts = [part for part in get_args(kind) if part is not Ellipsis]
    return _branches(parts[-1]) if parts else []
