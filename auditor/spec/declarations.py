"""Declarations: what humans state, with owner, date and expiry; never measured, never inferred."""

from __future__ import annotations

import datetime
import hashlib
from pathlib import Path
from typing import Annotated

from pydantic import AfterValidator

from auditor.errors import SpecError
from auditor.spec.audit_spec import AuditSpec
from auditor.spec.document import Document
from auditor.spec.handing_on import PICTURES
from auditor.spec.spec_file import read_text
from auditor.spec.spec_part import SpecPart
from auditor.spec.statement_keys import plain_key
from auditor.spec.yaml_checked import validate
from auditor.spec.yaml_source import load


def _day(text: str) -> str:
    try:
        datetime.date.fromisoformat(text)
    except ValueError as error:
        raise ValueError(f"{text!r} is no date; write it as 2026-11-30") from error
    return text


def _named(text: str) -> str:
    if not text.strip():
        raise ValueError(f"found {text!r}, expected the name of a person or an office; write it")
    return text


Day = Annotated[str, AfterValidator(_day)]


class DeclarationOwner(SpecPart):
    """Who answers for a statement."""

    name: Annotated[str, AfterValidator(_named)]
    role: str | None = None


class Declaration(SpecPart):
    """One statement: what it is about (`key`), who makes it, from when and until when."""

    key: str
    statement: str
    owner: DeclarationOwner
    date: Day
    expires: Day | None = None
    evidence_ref: str | None = None
    """Where what shows it is kept: a document, a register, an address. Printed beside it."""

    def is_expired(self, *, as_of: datetime.date) -> bool:
        return self.expires is not None and datetime.date.fromisoformat(self.expires) < as_of


class Declarations(SpecPart):
    """A whole declarations.yaml: a list under ``declarations``."""

    declarations: tuple[Declaration, ...]


def read_declarations(path: Path) -> Document:
    """Read a declarations file for the record; raises SpecError listing what is wrong in it."""
    text = read_text(path)
    found = validate(load(text, name=path.name), Declarations)
    digest = hashlib.sha256(text.encode("utf-8")).hexdigest()
    return Document(path.name, text, digest, found.model_dump(mode="json"))


def declarations_of(document: Document | None) -> tuple[Declaration, ...]:
    """The declarations of a record; empty when it has none."""
    if document is None:
        return ()
    return Declarations.model_validate(document.parsed, strict=False).declarations


NOT_APPLICABLE = "not-applicable:"
"""Begins the key of a declaration that an attribute or a clause does not apply to this audit."""


def not_applicable(declarations: Document | None, *, as_of: datetime.date) -> dict[str, str]:
    """Attributes and clauses that a named owner declares not to apply: who says so, and why.

    A declaration that has expired by `as_of` says nothing.
    """
    said: dict[str, str] = {}
    for stated in declarations.parsed["declarations"] if declarations else ():
        expires = stated.get("expires")
        if expires is not None and datetime.date.fromisoformat(expires) < as_of:
            continue
        if str(stated["key"]).startswith(NOT_APPLICABLE):
            owner = stated["owner"]
            role = f" ({owner['role']})" if owner.get("role") else ""
            name = str(stated["key"]).removeprefix(NOT_APPLICABLE)
            statement = str(stated["statement"]).strip()
            said[name] = f"{owner['name']}{role} on {stated['date']}: {statement}"
    return said


def basis_key(attribute: str) -> str:
    """The key of the declaration that says on what ground an attribute of people is used.

    Examples
    --------
    >>> basis_key("room_type")
    'basis-room-type'
    """
    return plain_key(f"basis-{attribute}")


def basis_of(document: Document | None, attribute: str) -> Declaration | None:
    """The declaration of an attribute's basis; of several, the one with the latest date."""
    wanted = basis_key(attribute)
    found = [d for d in declarations_of(document) if plain_key(d.key) == wanted]
    return max(found, key=lambda d: d.date, default=None)


def require_basis(spec: AuditSpec, document: Document | None, *, as_of: datetime.date) -> None:
    """Raise SpecError unless every sensitive attribute has a basis that holds on a day.

    Asked for before any manifest is read: without a ground to use them for, such values are not
    looked at. A basis is a declaration with the key ``basis-NAME``, a named owner and, where it
    ends, a day on which it expires.
    """
    named = [name for name, a in spec.data.attributes.items() if a.role == "sensitive"]
    without = [name for name in named if basis_of(document, name) is None]
    if without:
        raise SpecError(_no_basis(spec, without))
    for name in named:
        found = basis_of(document, name)
        if found is None:
            continue
        if not found.statement.strip() or not found.owner.name.strip():
            raise SpecError(
                f"{spec.declarations}: {found.key} has no statement or no owner's name; a ground "
                f"and who answers for it were expected, because {name} is a sensitive attribute. "
                "Write both."
            )
        if found.is_expired(as_of=as_of):
            raise SpecError(
                f"{spec.declarations}: {found.key} expired on {found.expires}, and the sensitive "
                f"attribute {name} is used with no other basis. Have {found.owner.name} declare "
                "it again with a later date, or take the attribute out of data.attributes."
            )


def holding_basis(
    spec: AuditSpec, document: Document | None, about: str, *, as_of: datetime.date
) -> Declaration | None:
    """The basis declared for what is no attribute (``annotators``, ``pictures``); None for none.

    Raises SpecError for one that says nothing, or has expired: a name or a picture that somebody
    meant to show is neither shown nor hidden in silence.
    """
    found = basis_of(document, about)
    if found is None:
        return None
    if not found.statement.strip():
        raise SpecError(
            f"{spec.declarations}: {found.key} has no statement; a ground was expected. Write it, "
            "or take the declaration out."
        )
    if found.is_expired(as_of=as_of):
        raise SpecError(
            f"{spec.declarations}: {found.key} expired on {found.expires}. Have "
            f"{found.owner.name} declare it again with a later date, or take the declaration out."
        )
    return found


def require_picture_basis(
    spec: AuditSpec, document: Document | None, *, as_of: datetime.date
) -> Declaration | None:
    """The basis of pictures; None where none are asked for, SpecError where it is lacking."""
    if spec.report.pictures is None:
        return None
    found = holding_basis(spec, document, PICTURES, as_of=as_of)
    if found is None:
        place = spec.declarations or "a declarations.yaml that the spec names with `declarations:`"
        raise SpecError(
            "report.pictures asks for photos in what is handed on, and nobody declares on what "
            "ground; a named person's statement was expected (consent, or that the pictures are "
            f"synthetic). Add a declaration with the key {basis_key(PICTURES)} to {place}, with "
            "statement, owner and date; or take report.pictures out."
        )
    return found


def _no_basis(spec: AuditSpec, names: list[str]) -> str:
    listed = ", ".join(f"data.attributes.{name}" for name in names)
    are = "is sensitive and has" if len(names) == 1 else "are sensitive and have"
    place = spec.declarations or "a declarations.yaml that the spec names with `declarations:`"
    keys = " and ".join(basis_key(name) for name in names)
    return (
        f"{listed} {are} no basis declared; a named person's statement was expected of why these "
        "values may be used (consent, or the conditions of Article 4a, formerly 10(5), of the EU "
        f"AI Act). Add a declaration with the key {keys} to {place}, with statement, owner and "
        "date; or take the attribute out of data.attributes."
    )


def basis_text(found: Declaration) -> str:
    """A basis with its owner and its days, for the record."""
    role = f", {found.owner.role}" if found.owner.role else ""
    until = f", until {found.expires}" if found.expires else ""
    statement = found.statement.strip().rstrip(".")
    return f"{statement}. Declared by {found.owner.name}{role}, {found.date}{until}."
