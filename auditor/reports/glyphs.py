"""Which characters a PDF shows as empty boxes, and the package that has their shapes."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable

_NAMED = 8

_CJK = ("CJK", "HIRAGANA", "KATAKANA", "HANGUL", "BOPOMOFO", "IDEOGRAPHIC", "FULLWIDTH")
_FIRST_EMOJI, _LAST_EMOJI = "\U0001f000", "\U0001faff"
_OTHERS = "fonts-noto-core"


def missing_glyphs(characters: Iterable[str]) -> str:
    """A sentence on characters that no font here has, and what installs one; empty for none."""
    found = sorted(set(characters))
    if not found:
        return ""
    named = ", ".join(f"{c} (U+{ord(c):04X})" for c in found[:_NAMED])
    more = f" and {len(found) - _NAMED} more" if len(found) > _NAMED else ""
    packages = " ".join(dict.fromkeys(_package(c) for c in found))
    return (
        f"report.pdf shows empty boxes for {named}{more}: no font on this machine has them. "
        "report.html shows them where the reader's machine does. For the PDF, install fonts and "
        f"run `auditor report` again: apt-get install -y --no-install-recommends {packages}"
    )


def _package(character: str) -> str:
    if _FIRST_EMOJI <= character <= _LAST_EMOJI:
        return "fonts-noto-color-emoji"
    name = unicodedata.name(character, "")
    return "fonts-noto-cjk" if name.startswith(_CJK) else _OTHERS
