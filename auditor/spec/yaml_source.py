"""YAML with line numbers: read by YAML 1.2's rules, errors that name the line.

PyYAML follows YAML 1.1, where ``on`` and ``no`` are booleans, ``12:30`` is 750 and ``010`` is 8.
Here only ``true``, ``false``, ``null`` and JSON's numbers are anything but text, so what was
written is what is read.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import yaml

from auditor.errors import SpecError

Path = tuple[str | int, ...]

MOST_VALUES = 200_000
"""Values that a file may hold once its aliases are expanded; a specification has hundreds."""
MOST_ERRORS = 10

_TEXT = "tag:yaml.org,2002:str"
_PLAIN = {
    "tag:yaml.org,2002:null": (r"^(?:~|null|Null|NULL|)$", ["~", "n", "N", ""]),
    "tag:yaml.org,2002:bool": (r"^(?:true|True|TRUE|false|False|FALSE)$", list("tTfF")),
    "tag:yaml.org,2002:int": (r"^[-+]?(?:0|[1-9][0-9]*)$", list("-+0123456789")),
    "tag:yaml.org,2002:float": (
        r"^[-+]?(?:(?:0|[1-9][0-9]*)(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][-+]?[0-9]+)?$",
        list("-+.0123456789"),
    ),
}


class _Loader(yaml.SafeLoader):
    """SafeLoader's parser with YAML 1.2's reading of plain scalars; its constructors are unused."""

    yaml_implicit_resolvers: dict[str, Any] = {}  # noqa: RUF012 - PyYAML's own class attribute


for _tag, (_pattern, _first) in _PLAIN.items():
    _Loader.add_implicit_resolver(_tag, re.compile(_pattern), _first)


@dataclass(frozen=True)
class Source:
    """A YAML file as JSON values; `lines` maps the path of each value to its line, from 1."""

    name: str
    data: Any
    lines: Mapping[Path, int]

    def line(self, path: Path) -> int:
        """The line of the value at `path`, or of the nearest value around it that exists."""
        known = next(path[:i] for i in range(len(path), -1, -1) if path[:i] in self.lines)
        return self.lines[known]


@dataclass(frozen=True)
class Problem:
    """Something wrong at a path of a source; `text` says found, expected, what to do.

    `within` says that the text names the last key itself, so that only what holds it is printed.
    """

    path: Path
    text: str
    within: bool = False

    def printed(self, source: Source) -> str:
        """``audit.yaml:14: data.test: unknown key 'manifst'. ...``."""
        path = self.path[:-1] if self.within else self.path
        dotted = "".join(f"[{p}]" if isinstance(p, int) else f".{p}" for p in path).lstrip(".")
        place = f"{source.name}:{source.line(self.path)}"
        return f"{place}: {dotted}: {self.text}" if dotted else f"{place}: {self.text}"


def load(text: str, *, name: str) -> Source:
    """Read one YAML document of mappings, lists, text, numbers, booleans and null.

    Keys are text as written. Raises SpecError with the line for YAML that cannot be read,
    duplicate keys, tags, other keys than scalars, and aliases that expand without end.
    """
    try:
        root = _composed(text)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line = f":{mark.line + 1}" if mark else ""
        raise SpecError(
            f"{name}{line}: this is not YAML: {_said(error)}. Check the indentation, brackets and "
            "quotes there."
        ) from error
    except yaml.YAMLError as error:
        raise SpecError(f"{name}: this is not YAML: {' '.join(str(error).split())}.") from error
    except RecursionError as error:
        raise SpecError(f"{name}: the values are nested too deep. Flatten them.") from error
    if root is None:
        raise SpecError(f"{name} is empty. `auditor init MODEL DATA` writes one to begin with.")
    if isinstance(root, yaml.ScalarNode):
        # Nothing of it is repeated: it may be a key or a password, given by mistake.
        raise SpecError(
            f"{name}:1: found one text and no keys, expected a mapping of keys and values. Give a "
            "file of YAML; `auditor init MODEL DATA` writes an audit.yaml to begin with."
        )
    walk = _Walk(name)
    data = walk.value(root, (), ())
    return Source(name=name, data=data, lines=walk.lines)


@lru_cache(maxsize=8)
def _composed(text: str) -> yaml.Node | None:
    """The nodes of a text, which are not to be changed: a run reads its policy several times."""
    root: yaml.Node | None = yaml.compose(text, Loader=_Loader)
    return root


def _said(error: yaml.MarkedYAMLError) -> str:
    return ", ".join(part.strip(", ") for part in (error.context, error.problem) if part)


class _Walk:
    """One pass over the nodes, collecting lines; bounded, since aliases can multiply."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._count = 0
        self.lines: dict[Path, int] = {}

    def value(self, node: yaml.Node, path: Path, above: tuple[int, ...]) -> Any:
        self._count += 1
        if self._count > MOST_VALUES or id(node) in above:
            self._refuse(node, "an alias (*name) that expands without end; write the values out")
        self.lines.setdefault(path, _line(node))
        above = (*above, id(node))
        if isinstance(node, yaml.MappingNode):
            return self._mapping(node, path, above)
        if isinstance(node, yaml.SequenceNode):
            return [self.value(child, (*path, i), above) for i, child in enumerate(node.value)]
        assert isinstance(node, yaml.ScalarNode)
        return self._scalar(node)

    def _mapping(self, node: yaml.MappingNode, path: Path, above: tuple[int, ...]) -> Any:
        found: dict[str, Any] = {}
        for key, child in node.value:
            if not isinstance(key, yaml.ScalarNode):
                self._refuse(key, "a key that is not text; write keys as plain words")
            if key.value in found:
                first = self.lines[(*path, key.value)]
                self._refuse(
                    key, f"the key {key.value!r} again (first in line {first}); keep one of the two"
                )
            self.lines[(*path, key.value)] = _line(key)
            found[key.value] = self.value(child, (*path, key.value), above)
        return found

    def _scalar(self, node: yaml.ScalarNode) -> Any:
        kind, text = node.tag.rpartition(":")[2], node.value
        if node.tag != _TEXT and not (node.tag in _PLAIN and re.match(_PLAIN[node.tag][0], text)):
            self._refuse(node, f"the tag {node.tag!r} on {text!r}; write plain YAML without tags")
        try:
            return _READ[kind](text)
        except ValueError:
            self._refuse(node, f"{text[:40]!r}, which is no number that fits; quote it if text")

    def _refuse(self, node: yaml.Node, found: str) -> Any:
        raise SpecError(f"{self._name}:{_line(node)}: found {found}.")


_READ: dict[str, Any] = {
    "str": str,
    "null": lambda text: None,
    "bool": lambda text: text.lower() == "true",
    "int": int,
    "float": lambda text: _finite(float(text)),
}


def _finite(number: float) -> float:
    if number in (float("inf"), float("-inf")):
        raise ValueError("out of range")
    return number


def _line(node: yaml.Node) -> int:
    return int(node.start_mark.line) + 1


def problems_error(source: Source, problems: Iterable[Problem]) -> SpecError:
    """One error that lists the problems in the order of their lines, at most ten."""
    ordered = sorted(problems, key=lambda problem: source.line(problem.path))
    shown = [problem.printed(source) for problem in ordered[:MOST_ERRORS]]
    if len(ordered) > MOST_ERRORS:
        shown.append(f"... and {len(ordered) - MOST_ERRORS} more")
    return SpecError("\n".join(shown))


def did_you_mean(found: str, known: Iterable[str]) -> str:
    """`` Did you mean 'x'?``, or `` Known: ...`` where nothing is close; begins with a space."""
    names = [str(name) for name in known]
    close = difflib.get_close_matches(found, names, n=1, cutoff=0.6)
    if close:
        return f" Did you mean {close[0]!r}?"
    shown = ", ".join(names[:12]) + (", ..." if len(names) > 12 else "")
    return f" Known: {shown}." if names else ""
