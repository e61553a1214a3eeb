"""What people state of the audited system, wherever they state it, and what nobody does.

A statement stands in ``declarations.yaml``, with owner, date and expiry, or in ``audit.yaml``
without them. Report, model card, bill of materials and clause table all look it up here.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date
from typing import Any

from auditor.findings import EvidenceStatus
from auditor.spec.consequences_spec import NOTHING
from auditor.spec.declarations import Declaration, declarations_of
from auditor.spec.document import Document
from auditor.spec.statement_keys import STATEMENTS, StatementKey, plain_key


@dataclass(frozen=True)
class Statement:
    """What somebody stated, or nobody did (`status` is MISSING, `text` empty).

    `owner`, `date`, `expires` and `evidence` (what it refers to) are those of a declaration, empty
    for what stands in the spec alone; `expired` says that it no longer held on the day asked about.
    """

    key: str
    name: str
    text: str
    status: EvidenceStatus
    owner: str = ""
    date: str = ""
    expires: str = ""
    expired: bool = False
    evidence: str = ""

    @property
    def said(self) -> str:
        """The text with who states it, from when and until when; empty where nobody does."""
        if not self.owner:
            return self.text
        until = f", valid until {self.expires}" if self.expires else ""
        late = " Out of date when this audit ran." if self.expired else ""
        shown = f" Evidence: {self.evidence}." if self.evidence else ""
        return f"{self.text} Stated by {self.owner} on {self.date}{until}.{late}{shown}"


def statements(
    spec: Mapping[str, Any], declarations: Document | None, *, as_of: date
) -> tuple[Statement, ...]:
    """All that people stated, and what is wanted and missing, in the order of `STATEMENTS`.

    `spec` is the spec as it was understood. After them come keys that are not in the list: those of
    ``audit.system``, claims, and declarations.
    """
    listed = declarations_of(declarations)
    known = [_known(key, spec, listed, as_of) for key in STATEMENTS]
    names = {plain_key(name) for key in STATEMENTS for name in (key.key, *key.also)}
    system = _system(spec)
    own = [
        _in_spec(name, name.replace("_", " "), system[name])
        for name in sorted(system)
        if plain_key(name) not in names
    ]
    others = [_declared(d, as_of) for d in listed if plain_key(d.key) not in names]
    return (*(one for one in known if one is not None), *own, *_claims(spec), *others)


def stated_in_spec(key: str, spec: Mapping[str, Any]) -> str:
    """Where in ``audit.yaml`` the statement of a key stands; empty where it does not."""
    found = next((one for one in STATEMENTS if one.key == key), None)
    return "" if found is None else _place(found, spec)[0]


def plain_text(found: Any) -> str:
    """A value of a spec in one line; empty for none."""
    if found is None:
        return ""
    if isinstance(found, Mapping):
        # audit.json sorts its keys: a record read back must render as the one that was written.
        return "; ".join(f"{k}: {plain_text(v)}" for k, v in sorted(found.items()))
    if isinstance(found, list | tuple):
        return "; ".join(plain_text(v) for v in found)
    if isinstance(found, bool):
        return "yes" if found else "no"
    return f"{found:g}" if isinstance(found, float) else str(found)


def _known(
    key: StatementKey, spec: Mapping[str, Any], listed: tuple[Declaration, ...], as_of: date
) -> Statement | None:
    """A holding declaration first, then what the spec says, then a declaration out of date."""
    names = {key.key, *key.also}
    made = [d for d in listed if plain_key(d.key) in names]
    holding = [d for d in made if not d.is_expired(as_of=as_of)]
    if holding:
        return _declared(max(holding, key=lambda d: d.date), as_of, key)
    _, found = _place(key, spec)
    if found or not made:
        said = _in_spec(key.key, key.name, _told(key, found))
        return said if said.text or key.wanted else None
    return _declared(max(made, key=lambda d: d.expires or ""), as_of, key)


def _declared(found: Declaration, as_of: date, key: StatementKey | None = None) -> Statement:
    owner = f"{found.owner.name}, {found.owner.role}" if found.owner.role else found.owner.name
    return Statement(
        plain_key(found.key) if key is None else key.key,
        _name(found.key) if key is None else key.name,
        " ".join(found.statement.split()),
        EvidenceStatus.DECLARED,
        owner,
        found.date,
        found.expires or "",
        found.is_expired(as_of=as_of),
        " ".join((found.evidence_ref or "").split()).rstrip("."),
    )


def _name(key: str) -> str:
    """A declaration's key as a reader is shown it: ``basis for room type``."""
    words = plain_key(key).replace("-", " ")
    return f"basis for {words.removeprefix('basis ')}" if words.startswith("basis ") else words


def _in_spec(key: str, name: str, found: Any) -> Statement:
    text = " ".join(plain_text(found).split())
    status = EvidenceStatus.DECLARED if text else EvidenceStatus.MISSING
    return Statement(plain_key(key), name, text, status)


def _place(key: StatementKey, spec: Mapping[str, Any]) -> tuple[str, Any]:
    """Where the spec states a key, and what; two empty texts for nowhere."""
    system = _system(spec)
    for name in sorted(system):
        if plain_key(name) in {key.key, *key.also} and system[name]:
            return f"audit.system.{name}", system[name]
    section, _, field = key.place.partition(".")
    found = (spec.get(section) or {}).get(field) if section else None
    return (key.place, found) if found else ("", "")


def _system(spec: Mapping[str, Any]) -> Mapping[str, Any]:
    return (spec.get("audit") or {}).get("system") or {}


def _told(key: StatementKey, found: Any) -> Any:
    if key.place == "consequences.borne_by" and isinstance(found, Mapping):
        return [f"{_wrong_answer(label)}: {who}" for label, who in sorted(found.items())]
    return found


def _wrong_answer(label: str) -> str:
    return "what is missed" if label == NOTHING else f"wrong “{label}”"


def _claims(spec: Mapping[str, Any]) -> Iterator[Statement]:
    for i, claim in enumerate(spec.get("claims") or (), start=1):
        bounds = [f"{k.replace('_', ' ')} {claim[k]:g}" for k in ("at_least", "at_most")
                  if claim.get(k) is not None]  # fmt: skip
        text = f"{claim['measure']} {' '.join(bounds)}, from: {claim['source']}"
        yield _in_spec(f"claim-{i}", f"claim {i}", text)
