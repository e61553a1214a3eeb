"""The catalogue of checks: one text for docs/checks.md, `auditor explain` and a list."""

from __future__ import annotations

import dataclasses
import sys
from collections.abc import Iterator
from difflib import get_close_matches

from auditor.contract import Check, Need, check_classes
from auditor.contract.documentation import check_text, parameters
from auditor.errors import SpecError
from auditor.reports.families import FAMILY_TITLES

_HEAD = """# Checks

This page is made from the checks' own source; `auditor explain CHECK` prints the same text.
A check measures and never judges: limits are a policy's.
"""


def render_catalogue() -> str:
    """All checks in Markdown, by family, with a list at the top: the text of docs/checks.md."""
    classes = check_classes()
    lines = [_HEAD, "| check | what it measures |", "|---|---|"]
    lines += [f"| [`{i}`](#{_anchor(i)}) | {check_text(c).summary} |" for i, c in classes.items()]
    for family in _families(list(classes)):
        lines += ["", f"## {FAMILY_TITLES.get(family, family.capitalize())}", ""]
        members = [c for i, c in classes.items() if i.split("/")[0] == family]
        lines.append("\n".join(_check_markdown(cls) for cls in members).rstrip())
    return "\n".join(lines) + "\n"


def explain(check: str) -> str:
    """What a check measures, why it matters and how it can mislead, in Markdown.

    Raises
    ------
    SpecError
        When there is no such check; the message names the nearest ones.
    """
    classes = check_classes()
    if check not in classes:
        near = get_close_matches(check, classes, n=3, cutoff=0.4)
        guess = f" Did you mean {' or '.join(repr(name) for name in near)}?" if near else ""
        raise SpecError(f"There is no check {check!r}.{guess} `auditor checks` lists them all.")
    return _check_markdown(classes[check]).rstrip()


def summaries() -> list[str]:
    """One line a check: its id and the first sentence of its documentation."""
    classes = check_classes()
    width = max((len(identifier) for identifier in classes), default=0)
    return [f"{i:<{width}}  {check_text(cls).summary}" for i, cls in classes.items()]


def _families(identifiers: list[str]) -> list[str]:
    found = {identifier.split("/")[0] for identifier in identifiers}
    return [f for f in FAMILY_TITLES if f in found] + sorted(found - set(FAMILY_TITLES))


def _check_markdown(cls: type[Check]) -> str:
    text = check_text(cls)
    lines = [f"### {cls.id}", "", text.summary, ""]
    for name, body in text.sections:
        lines += [f"#### {name}", "", body, ""]
    lines += ["#### Needs", "", *(f"- {need_text(need)}" for need in cls.needs), ""]
    found = parameters(cls)
    if found:
        lines += ["#### Parameters", ""]
        lines += [f"- `{p.name}` (default {p.default!r}): {p.meaning}" for p in found]
        lines.append("")
    if cls.sources:
        lines += ["#### Sources", "", *(f"- {source}" for source in cls.sources), ""]
    lines += [f"Since {cls.since}.", "", ""]
    return "\n".join(lines)


def need_text(need: Need) -> str:
    """A need in words: what is asked for, of which split, and whether it may be lacking."""
    name = "".join(f" {c.lower()}" if c.isupper() else c for c in type(need).__name__).strip()
    said = list(_stated_fields(need))
    detail = f" ({', '.join(said)})" if said else ""
    return f"{name}{detail}{', optional' if need.optional else ''}"


def _stated_fields(need: Need) -> Iterator[str]:
    for field in dataclasses.fields(need):
        found = getattr(need, field.name)
        if field.name in ("optional", "remedy") or found in (None, (), "", False):
            continue
        if field.name == "view" or (field.name == "variant" and found == "as-given"):
            if found != field.default:
                yield f"view {found.name}"
            continue
        if isinstance(found, str | int | float):
            yield f"{field.name} {found}"
        elif isinstance(found, tuple):
            yield f"{field.name} {', '.join(str(part) for part in found)}"


def _anchor(identifier: str) -> str:
    return identifier.replace("/", "")


if __name__ == "__main__":
    sys.stdout.write(render_catalogue())
