"""A file as it was read: what the record keeps of the spec, the policy, the declarations."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Document:
    """A file as it was read: its text, the SHA-256 of its bytes, and what was understood.

    `name` is the file's name without its folder, or the name of a built-in policy.
    """

    name: str
    text: str
    digest: str
    parsed: Mapping[str, Any]
