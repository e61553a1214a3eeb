"""The filter of a page by family and by verdict, made of boxes and style rules: no script runs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from auditor.findings import Verdict
from auditor.reports.chapters import Chapter
from auditor.reports.finding_view import Mark, mark
from auditor.reports.limits_section import LimitView

VERDICTS = (Verdict.FAIL, Verdict.INCONCLUSIVE, Verdict.NOT_RUN, Verdict.PASS, None)

_ITEM = ":is(.card, tr, .run-in)"
_HOLDER = ".limit, section > details:has(> table.rows)"


@dataclass(frozen=True)
class Sieve:
    """What a reader may choose: `families` are keys and titles of chapters; `rules` act on it."""

    verdicts: tuple[Mark, ...]
    families: tuple[tuple[str, str], ...]
    rules: str


def sieve(chapters: Sequence[Chapter]) -> Sieve:
    """The filter of a page with these chapters."""
    verdicts = tuple(mark(verdict) for verdict in VERDICTS)
    families = tuple((chapter.key, chapter.title) for chapter in chapters)
    lines = [*_by_verdict([v.style for v in verdicts]), *_by_family([key for key, _ in families])]
    inside = "\n".join(f"  {line}" for line in lines)
    # A printed page is whole: what a filter hid would be missed by whoever is handed the paper.
    return Sieve(verdicts, families, f"@media screen {{\n{inside}\n}}")


def families_of(limit: LimitView) -> str:
    """The families that a limit's findings are of, as classes of its element."""
    findings = (*limit.cards, *limit.rows, *limit.passed)
    families = dict.fromkeys(f.id.partition("/")[0] for f in findings)
    return " ".join(f"of-{family}" for family in families)


def _by_verdict(styles: Sequence[str]) -> list[str]:
    """Hide findings of a verdict, and a limit or a check that is left without any."""
    boxes = ".filter input[type=checkbox]"
    left = ", ".join(f"body:has(#show-{s}:checked) :has({_ITEM}.{s})" for s in styles)
    return [
        *(f"body:has(#show-{s}:not(:checked)) main {_ITEM}.{s} {{ display: none; }}"
          for s in styles),
        f"body:has({boxes}:not(:checked)) :is({_HOLDER}):not({left}) {{ display: none; }}",
        f"body:has({boxes}:not(:checked), #only-all:not(:checked)) .filtered {{ display: block; }}",
    ]  # fmt: skip


def _by_family(keys: Sequence[str]) -> list[str]:
    """Hide the chapters of other families, and limits on nothing of this one."""
    return [
        f"body:has(#only-{key}:checked) :is(.limit:not(.of-{key}), "
        f'section[aria-labelledby^="chapter-"]:not([aria-labelledby="chapter-{key}"])) '
        "{ display: none; }"
        for key in keys
    ]
