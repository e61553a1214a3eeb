"""The one list of what people are asked to state."""

from __future__ import annotations

import difflib
from dataclasses import dataclass


@dataclass(frozen=True)
class StatementKey:
    """What may be stated: its key in ``declarations.yaml``, and what readers see it called.

    `also` are other names of the key, in ``declarations.yaml`` and under ``audit.system``; `place`
    is another place in ``audit.yaml``. What is `wanted` reads MISSING where nobody stated it.
    """

    key: str
    name: str
    also: tuple[str, ...] = ()
    place: str = ""
    wanted: bool = False


STATEMENTS = (
    StatementKey("intended-use", "intended use", ("purpose",), wanted=True),
    StatementKey("intended-users", "users", ("users",), wanted=True),
    StatementKey("out-of-scope", "out of scope", wanted=True),
    StatementKey("developer", "developer", ("made-by",), wanted=True),
    StatementKey("provider", "owner", ("owner",), wanted=True),
    StatementKey("contact", "contact", wanted=True),
    StatementKey("system-version", "version", ("version",), wanted=True),
    StatementKey("licence", "licence", ("license",)),
    StatementKey("citation", "citation"),
    StatementKey("decision", "decision that it supports"),
    StatementKey("oversight", "oversight", wanted=True),
    StatementKey("monitoring", "monitoring", wanted=True),
    StatementKey("data-collection", "data collection", wanted=True),
    StatementKey("data-labelling", "data labelling", ("annotation", "labelling")),
    StatementKey(
        "when-wrong", "what happens when it is wrong", place="consequences.when_wrong", wanted=True
    ),
    StatementKey("appeal", "way to object", place="consequences.appeal", wanted=True),
    StatementKey(
        "affected-groups", "who bears a wrong answer", place="consequences.borne_by", wanted=True
    ),
    StatementKey("adverse", "answers that harm", place="consequences.adverse", wanted=True),
)
"""In the order in which they are printed."""

_LIKE = 0.84
"""How like a known name an unknown one is to be taken for its misspelling."""


def known_key(name: str) -> StatementKey | None:
    """The key of the list that a name under ``audit.system``, or in declarations, stands for."""
    plain = plain_key(name)
    return next((one for one in STATEMENTS if plain in (one.key, *one.also)), None)


def misspelt(name: str) -> str:
    """The known name under ``audit.system`` that `name` is taken for; empty where it is none.

    Other keys of one's own are printed as they are.
    """
    known = [n for key in STATEMENTS if not key.place for n in (key.key, *key.also)]
    plain = plain_key(name)
    close = difflib.get_close_matches(plain, known, n=1, cutoff=_LIKE)
    return "" if plain in known or not close else close[0].replace("-", "_")


def plain_key(key: str) -> str:
    """A key however it is written, as ``intended-use``."""
    return key.replace("_", "-").replace(" ", "-")
