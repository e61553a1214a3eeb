"""The last touches to a page, which hold for whatever section wrote it."""

from __future__ import annotations

import re

from auditor.reports.drawing.svg import FAMILY, NAMESPACE

MOST_COLUMNS = 5
"""A table of more is wider than a phone: it is moved inside itself, by keys too."""

_TABLE = re.compile(r"<table(?P<attributes>[^>]*)>(?P<head>.*?</thead>)", re.DOTALL)
_UNTOUCHED = re.compile(
    r"(<title\b.*?</title>|<style\b.*?</style>|<svg\b.*?</svg>|<[^>]*>)", re.DOTALL
)
_RIGHT_TO_LEFT = "\u0590-\u08ff\ufb1d-\ufdff\ufe70-\ufefc\U00010800-\U00010fff\U0001e800-\U0001efff"
_RUN = re.compile(f"[{_RIGHT_TO_LEFT}](?:[^\\n<>&,;:.()·%]*[{_RIGHT_TO_LEFT}])?")
_BLANK_LINES = re.compile(r"\n\s*\n+")


def finished(page: str, *, for_browser: bool) -> str:
    """A page without blank lines, names that read from the right kept apart from what follows.

    For a browser, tables of more than `MOST_COLUMNS` columns can be reached by keys.
    """
    page = _BLANK_LINES.sub("\n", page)
    if re.search(f"[{_RIGHT_TO_LEFT}]", page):
        page = _isolated(page)
    if not for_browser:
        return page
    # Pictures have the page's letters, and need no namespace in it: a hundredth of its size.
    page = page.replace(f"<svg {NAMESPACE} ", "<svg ").replace(f' font-family="{FAMILY}"', "")
    return _TABLE.sub(_reachable, page)


def _reachable(found: re.Match[str]) -> str:
    wide = found["head"].count('scope="col"') > MOST_COLUMNS and "matrix" not in found["attributes"]
    return f'<table{found["attributes"]} tabindex="0">{found["head"]}' if wide else found[0]


def _isolated(page: str) -> str:
    """Runs of right-to-left letters in ``<bdi>``: they would else reorder the numbers beside them.

    Pictures are left alone: each of their texts is a paragraph of its own.
    """
    parts = _UNTOUCHED.split(page)
    parts[::2] = [_RUN.sub(lambda run: f"<bdi>{run[0]}</bdi>", text) for text in parts[::2]]
    return "".join(parts)
