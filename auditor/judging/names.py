"""Whether two names of persons are one, however they are written."""

from __future__ import annotations

import re
import unicodedata

from auditor.data.look_alikes import CAPITALS, LETTERS

_BLANK = "\u115f\u1160"
"""Letters by their category, and drawn as nothing (fillers; NFKC makes the others of them)."""


_NOBODY = frozenset({"na", "none", "null", "tbd", "tba", "todo", "nobody", "noone", "unknown"})
"""What people write where they have no name to write."""

_MAIL = re.compile(r"[\w.+-]+@[\w-]+\.[\w.-]+")


def has_letters(text: str) -> bool:
    """Whether there is a letter or a digit to be seen, and not only a word for none."""
    seen = _seen(unicodedata.normalize("NFKC", text)).casefold()
    return bool(seen) and seen not in _NOBODY


def same_name(first: str, second: str) -> bool:
    """Whether names look alike: case, accents, spaces, marks and unseen characters aside.

    Compatibility forms stand for what they are made of (NFKC); common letters of other alphabets,
    and digits, for the Latin letters that they look like (after the confusables of Unicode's
    UTS 39). Words may stand in any order (Lee, Ann); an equal mail address is an equal name.
    """
    mails = [{_skeleton(mail) for mail in _MAIL.findall(name)} for name in (first, second)]
    if mails[0] & mails[1]:
        return True
    return _skeleton(first) == _skeleton(second) or _words(first) == _words(second)


def _words(name: str) -> list[str]:
    return sorted(filter(None, map(_skeleton, re.split(r"[\s,;]+", name))))


def _skeleton(name: str) -> str:
    latin = unicodedata.normalize("NFKC", name).translate(CAPITALS).casefold()
    plain = unicodedata.normalize("NFKD", latin).translate(LETTERS)
    return _seen(plain).replace("rn", "m").replace("vv", "w")


def _seen(text: str) -> str:
    return "".join(c for c in text if c.isalnum() and c not in _BLANK)
