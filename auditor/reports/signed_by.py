"""What a report says of its own signature: one line on page one, a paragraph in the annex."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from pathlib import Path


@dataclass(frozen=True)
class SignedBy:
    """Who signs the bundle that a report is part of: the name given, and the key's id.

    The id is the SHA-256 of the public key (DER, SubjectPublicKeyInfo) in hexadecimal.
    """

    name: str
    key_id: str


@dataclass(frozen=True)
class SigningWords:
    line: str
    annex: str


UNSIGNED = SigningWords(
    line="Unsigned: a change would go unnoticed.",
    annex="This report is unsigned: a later change to it could not be noticed. Once signed "
    "with auditor sign, its folder holds MANIFEST.json and audit.intoto.dsse.json, and this checks "
    "them:",
)


def signing_words(by: SignedBy | None) -> SigningWords:
    """What to print of the signature; without one, that there is none."""
    if by is None:
        return UNSIGNED
    return SigningWords(
        line=f"Made to be signed by {by.name} (key {by.key_id[:12]}); auditor verify shows it.",
        annex=f"This report was made to be signed by {by.name} with the key {by.key_id}. That it "
        "was, and that no file was changed since, is shown by MANIFEST.json and "
        "audit.intoto.dsse.json in its folder: auditor verify checks them, and so does this:",
    )


@cache
def recipe() -> str:
    """The ten lines that verify a bundle with the package cryptography alone."""
    return Path(__file__).with_name("verify_recipe.txt").read_text(encoding="utf-8").rstrip()
