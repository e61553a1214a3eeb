"""Letters of other alphabets, and digits, that look like Latin letters (Unicode's UTS 39)."""

from __future__ import annotations

CAPITALS = str.maketrans("ΑΒΕΖΗΙΚΜΝΟΡΤΥΧАВЕКМНОРСТУХІЈЅԌԚԜՕՍ", "ABEZHIKMNOPTYXABEKMHOPCTYXIJSGQWOU")
_LETTERS = {
    "a": "αаɑ", "b": "βвьƅ", "c": "сϲᴄ", "d": "ԁɗ", "e": "еєε3", "g": "ɡցԍ", "h": "һհн",
    "i": "іιıɩl1ӏℓ|", "j": "јϳ", "k": "κк", "m": "м", "n": "ոηпи", "o": "οоօσ0ꬽ", "p": "ρр",
    "q": "ԛզ", "r": "гꭇ", "s": "ѕꜱ5", "t": "τт", "u": "υսʋ", "v": "νѵᴠ", "w": "ωԝաѡ", "x": "χх",
    "y": "уγү", "z": "ᴢζ",
}  # fmt: skip

LETTERS = str.maketrans({other: a for a, others in _LETTERS.items() for other in others})
FOREIGN = str.maketrans(
    {other: a for a, others in _LETTERS.items() for other in others if not other.isascii()}
)
"""As `LETTERS`, without digits and Latin letters: names may differ in these alone."""
