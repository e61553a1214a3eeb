"""Whether two names of persons are one, however they are written."""

from __future__ import annotations

import unicodedata

_CAPITALS = str.maketrans(
    "ΑΒΕΖΗΙΚΜΝΟΡΤΥΧАВЕКМНОРСТУХІЈЅԌԚԜՕՍ", "ABEZHIKMNOPTYXABEKMHOPCTYXIJSGQWOU"
)
_LETTERS = {
    "a": "αаɑ", "b": "βвьƅ", "c": "сϲᴄ", "d": "ԁɗ", "e": "еєε3", "g": "ɡցԍ", "h": "һհн",
    "i": "іιıɩl1ӏℓ|", "j": "јϳ", "k": "κк", "m": "м", "n": "ոηпи", "o": "οоօσ0ꬽ", "p": "ρр",
    "q": "ԛզ", "r": "гꭇ", "s": "ѕꜱ5", "t": "τт", "u": "υսʋ", "v": "νѵᴠ", "w": "ωԝաѡ", "x": "χх",
    "y": "уγү", "z": "ᴢζ",
}  # fmt: skip
_LOOK_ALIKES = str.maketrans({other: a for a, others in _LETTERS.items() for other in others})


_BLANK = "\u115f\u1160"
"""Letters by their category, and drawn as nothing (fillers; NFKC makes the others of them)."""


def has_letters(text: str) -> bool:
    """Whether there is a letter or a digit to be seen."""
    return bool(_seen(unicodedata.normalize("NFKC", text)))


def same_name(first: str, second: str) -> bool:
    """Whether names look alike: case, accents, spaces, marks and unseen characters aside.

    Compatibility forms stand for what they are made of (NFKC); common letters of other alphabets,
    and digits, for the Latin letters that they look like (after the confusables of Unicode's
    UTS 39).
    """
    return _skeleton(first) == _skeleton(second)


def _skeleton(name: str) -> str:
    latin = unicodedata.normalize("NFKC", name).translate(_CAPITALS).casefold()
    plain = unicodedata.normalize("NFKD", latin).translate(_LOOK_ALIKES)
    return _seen(plain).replace("rn", "m").replace("vv", "w")


def _seen(text: str) -> str:
    return "".join(c for c in text if c.isalnum() and c not in _BLANK)
