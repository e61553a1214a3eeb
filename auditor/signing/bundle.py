"""A bundle: the folder of an audit, signed, with the decisions that people signed on it."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from auditor.errors import DataError
from auditor.findings import Verdict
from auditor.judging.judged_record import read_record
from auditor.judging.names import has_letters, same_name
from auditor.opening import shown_path, write_whole
from auditor.record import AuditRecord
from auditor.reports.signed_by import SignedBy
from auditor.signing.envelope import seal
from auditor.signing.keys import MOST_BYTES as MOST_KEY_BYTES
from auditor.signing.keys import Passphrase, key_id
from auditor.signing.manifest import (
    ENVELOPE,
    MANIFEST,
    REPORTS,
    SIGN_OFFS,
    SIGNED_PDF,
    Manifest,
    digests,
    file_digest,
    files_beside,
    parse_manifest,
    walk,
)
from auditor.signing.statement import Decision, sign_off, sign_off_stem, test_result
from auditor.signing.verifying import verify

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import (
        Ed25519PrivateKey,
        Ed25519PublicKey,
    )


@dataclass(frozen=True)
class Certificate:
    """A PKCS #12 file with which the PDF is signed too, and where its passphrase comes from."""

    path: Path
    passphrase: Passphrase


_PRIVATE = re.compile(rb"^-----BEGIN [A-Z ]*PRIVATE KEY-----", re.MULTILINE)


def signer(name: str, key: Ed25519PrivateKey) -> SignedBy:
    """Who signs; raises DataError where the name names nobody, or cannot be printed as it is."""
    _require_name("--by", name)
    return SignedBy(" ".join(name.split()), key_id(key.public_key()))


def _require_name(option: str, text: str) -> None:
    """A name with letters, of which a terminal and a page show every character."""
    if not has_letters(text):
        raise DataError(f"{option} is {text!r}; expected a name. Give it in letters.")
    unseen = sorted({c for c in " ".join(text.split()) if not c.isprintable()})
    if unseen:
        raise DataError(
            f"{option} is {text!a}, which holds {', '.join(map(ascii, unseen))}; expected a "
            "name of which every character is seen. Type it again without them."
        )


def record_to_sign(folder: Path) -> AuditRecord:
    """The record of a folder; DataError where there is none, or it was changed by hand."""
    if not folder.is_dir() or folder.is_symlink():
        raise DataError(
            f"{shown_path(folder)} is no folder. Give the folder that `auditor run --out` wrote."
        )
    record = read_record(folder)
    if record.altered:
        raise DataError(
            f"{shown_path(folder / 'audit.json')} was changed after the audit had written it, and "
            "is not signed. Run the audit again."
        )
    return record


def require_signable(folder: Path, record: AuditRecord) -> tuple[str, ...]:
    """The files that a bundle of the folder holds.

    Raises
    ------
    DataError
        When the folder holds what a bundle may not: links, a private key, tables of another audit.
    """
    found = walk(folder)
    problems = [
        *found.problems,
        *_foreign_tables(folder, record),
        *_private_keys(folder, (*found.files, *files_beside(folder))),
        *_who_is_who(found.files, record),
    ]
    if problems:
        raise DataError(f"{shown_path(folder)} cannot be signed. {problems[0]}")
    return found.files


def write_signature(
    folder: Path,
    record: AuditRecord,
    *,
    by: SignedBy,
    key: Ed25519PrivateKey,
    now: datetime | None = None,
) -> Manifest:
    """Write the manifest of all files in the folder, and the signed statement; the manifest.

    Raises
    ------
    DataError
        When the folder holds what a bundle may not: links, a private key, tables of another audit.
    """
    files = require_signable(folder, record)
    manifest = Manifest(digests(folder, files), by, _stamp(now))
    write_whole(folder / MANIFEST, manifest.to_bytes())
    named = {MANIFEST: file_digest(folder / MANIFEST)} | {
        name: manifest.files[name] for name in REPORTS if name in manifest.files
    }
    write_whole(folder / ENVELOPE, seal(test_result(record, named), key))
    return manifest


def _foreign_tables(folder: Path, record: AuditRecord) -> list[str]:
    """Tables whose digest is not the one in the record: left by another audit."""
    from auditor.record.tables import table_file_name

    known = {
        f"tables/{table_file_name(table.id)}": table.digest
        for each in record.results
        for table in each.tables
        if table.digest is not None and table.total > len(table.rows)
    }
    return [
        f"{name} is not the table of audit.json. Run the audit into an empty folder."
        for name, digest in known.items()
        if (folder / name).is_file() and file_digest(folder / name) != digest
    ]


def _who_is_who(names: Sequence[str], record: AuditRecord) -> list[str]:
    """Files that would tell whoever gets the folder which image a pseudonym stands for."""
    key = record.spec.parsed.get("privacy", {}).get("key")
    telling = {"pseudonyms.csv", Path(key).name} if key else {"pseudonyms.csv"}
    return [
        f"{shown_path(Path(name))} tells what the pseudonyms stand for. Keep it elsewhere."
        for name in names
        if Path(name).name in telling
    ]


def _private_keys(folder: Path, names: Sequence[str]) -> list[str]:
    return [
        f"{shown_path(Path(name))} holds a private key. Keep it elsewhere."
        for name in names
        if _is_private_key(folder / name)
    ]


def _is_private_key(path: Path) -> bool:
    """Whether a file of whatever name is a PEM file with a private key."""
    return path.stat().st_size <= MOST_KEY_BYTES and bool(_PRIVATE.search(path.read_bytes()))


def _stamp(now: datetime | None) -> str:
    return (now or datetime.now(UTC)).astimezone(UTC).isoformat(timespec="seconds")


def write_sign_off(
    folder: Path,
    *,
    person: str,
    role: str,
    decision: Decision,
    notes: str,
    key: Ed25519PrivateKey,
    trusted: Sequence[Ed25519PublicKey] = (),
    certificate: Certificate | None = None,
    now: datetime | None = None,
) -> tuple[Path, dict[str, Any]]:
    """Record what a person decided on the bundle as it is: the file, and what it says.

    The bundle is verified first, with the `trusted` keys and the person's own. With a `certificate`
    a copy of the PDF, signed inside, lies beside the statement, which names its digest.

    Raises
    ------
    DataError
        When the bundle is not whole or not signed, a name is none, or a decision needs notes.
    """
    for option, text in (("--name", person), ("--as", role)):
        _require_name(option, text)
    _require_whole(folder, [*trusted, key.public_key()])
    record = read_record(folder)
    _require_notes(decision, notes, record)
    manifest = parse_manifest((folder / MANIFEST).read_bytes())
    own = key_id(key.public_key())
    reports = {name: manifest.files[name] for name in REPORTS if name in manifest.files}
    named = {MANIFEST: file_digest(folder / MANIFEST)} | reports
    stamp = _stamp(now)
    path = _sign_off_place(folder, sign_off_stem(stamp, own))
    if certificate is not None:
        copy = path.with_name(f"{sign_off_stem(stamp, own)}{SIGNED_PDF}")
        write_whole(copy, _signed_copy(folder, certificate, person, role, decision))
        named[f"{SIGN_OFFS}/{copy.name}"] = file_digest(copy)
    same = same_name(person, manifest.signed_by.name) or own == manifest.signed_by.key_id
    statement = sign_off(
        files=named,
        person=" ".join(person.split()),
        role=" ".join(role.split()),
        decision=decision,
        notes=notes.strip(),
        time=stamp,
        author=manifest.signed_by.name,
        same_person=same,
        verdict=record.verdict.value,
    )
    write_whole(path, seal(statement, key))
    return path, statement["predicate"]


def _require_whole(folder: Path, keys: Sequence[Ed25519PublicKey]) -> None:
    found = verify(folder, keys=keys)
    if found.problems:
        raise DataError(f"{shown_path(folder)} cannot be signed off. {found.problems[0]}")


def _sign_off_place(folder: Path, stem: str) -> Path:
    """Where a statement will lie; DataError where there is one already."""
    path = folder / SIGN_OFFS / f"{stem}.dsse.json"
    if path.exists():
        raise DataError(f"{shown_path(path)} exists. Wait a second and sign off again.")
    path.parent.mkdir(exist_ok=True)
    return path


def _signed_copy(
    folder: Path, certificate: Certificate, person: str, role: str, decision: Decision
) -> bytes:
    from auditor.signing.pades import signed_pdf

    pdf = folder / "report.pdf"
    if not pdf.is_file():
        raise DataError("There is no report.pdf to sign. Leave --certificate out.")
    return signed_pdf(
        pdf.read_bytes(),
        certificate=certificate.path,
        passphrase=certificate.passphrase,
        person=person,
        reason=f"{decision}, as {role}",
    )


def _require_notes(decision: Decision, notes: str, record: AuditRecord) -> None:
    if notes.strip():
        return
    if decision != "approve":
        raise DataError(
            f"--decision {decision} without --notes; expected "
            f"{'the conditions' if decision == 'conditional' else 'the reason'}. Add --notes TEXT."
        )
    if record.verdict is not Verdict.PASS:
        raise DataError(
            f"--decision approve without --notes, although the verdict is {record.verdict}; "
            "expected why, and who accepts the risk. Add --notes TEXT."
        )
