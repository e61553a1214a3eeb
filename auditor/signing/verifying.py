"""Verifying a bundle: signature, manifest, every file, the record in the PDF, the sign-offs."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from auditor.errors import AuditorError, MissingLibraryError
from auditor.judging.judged_record import read_record
from auditor.judging.names import same_name
from auditor.opening import shown_path, why_not
from auditor.record import AuditRecord
from auditor.signing.attached import embedded_files
from auditor.signing.envelope import EnvelopeError, Sealed, UnknownKeyError, unseal
from auditor.signing.manifest import (
    ENVELOPE,
    LEFT_OUT,
    MANIFEST,
    MIXED,
    REPORTS,
    SIGN_OFFS,
    SIGNED_PDF,
    Manifest,
    ManifestError,
    differences,
    file_digest,
    parse_manifest,
)
from auditor.signing.manifest import MOST_BYTES as MOST_MANIFEST
from auditor.signing.pades import signed_inside
from auditor.signing.statement import (
    SIGN_OFF,
    STATEMENT,
    TEST_RESULT,
    sign_off_stem,
    subjects,
    test_result,
)

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

MOST_BYTES = 5_000_000
"""Size of an envelope."""
UNSIGNED = "The folder is unsigned: a change to it could not be noticed. Sign it: `auditor sign`."
NEVER_CHECKED = (
    "Whether the test was right, the labels true or the data honest: a signature shows that "
    "nothing was changed since signing, and no more.",
    "Who holds the key, and when it was used: times are those that the signer stated.",
    "Whether a sign-off was removed from the folder.",
    f"What lies in {' and '.join(LEFT_OUT)}: it is no part of the bundle.",
)


@dataclass
class Found:
    """What a verification found: what fits, what does not, and what could not be checked.

    `open_` are parts of the bundle that could not be checked: nobody should rely on them.
    """

    checked: list[str] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)
    open_: list[str] = field(default_factory=list)
    not_checked: list[str] = field(default_factory=list)


def verify(folder: Path, *, keys: Sequence[Ed25519PublicKey], model: Path | None = None) -> Found:
    """Check a signed folder with the public `keys` of those who signed it.

    What does not fit is said, file by file; a first doubt about signature or manifest ends it, for
    what follows would rest on them. `model` is a model file to hold against the record.
    """
    found = Found(not_checked=list(NEVER_CHECKED))
    if folder.is_symlink() or not folder.is_dir():
        found.problems.append(f"{shown_path(folder)} is no folder. Give the folder of an audit.")
        return found
    try:
        sealed = _statement(folder, keys)
        manifest = _manifest(folder, sealed)
    except (EnvelopeError, ManifestError, OSError) as error:
        found.problems.append(str(error))
        return found
    found.checked.append(
        f"{ENVELOPE}: signed by {manifest.signed_by.name} with the key {sealed.key_id[:12]}"
    )
    problems = list(differences(folder, manifest))
    found.problems += problems
    if not problems:
        found.checked.append(f"{MANIFEST}: all {len(manifest.files):,} files are those signed")
        _check_record(folder, sealed, found, model)
    _check_sign_offs(folder, keys, found, manifest)
    return found


def _statement(folder: Path, keys: Sequence[Ed25519PublicKey]) -> Sealed:
    path = folder / ENVELOPE
    if not path.exists() and not path.is_symlink():
        raise EnvelopeError(UNSIGNED)
    sealed = unseal(_bytes(path, MOST_BYTES), name=ENVELOPE, keys=keys)
    statement = sealed.statement
    if (statement.get("_type"), statement.get("predicateType")) != (STATEMENT, TEST_RESULT):
        raise EnvelopeError(
            f"{ENVELOPE} holds another kind of statement ({statement.get('predicateType')!r}). "
            f"{MIXED}."
        )
    return sealed


def _manifest(folder: Path, sealed: Sealed) -> Manifest:
    path = folder / MANIFEST
    if not path.exists() and not path.is_symlink():
        raise ManifestError(f"{MANIFEST} is missing. {MIXED}.")
    data = _bytes(path, MOST_MANIFEST)
    if hashlib.sha256(data).hexdigest() != subjects(sealed.statement).get(MANIFEST):
        raise ManifestError(f"{MANIFEST} is not the one that was signed. {MIXED}.")
    manifest = parse_manifest(data)
    if manifest.signed_by.key_id != sealed.key_id:
        raise ManifestError(
            f"{MANIFEST} names the key {manifest.signed_by.key_id[:12]}, and {ENVELOPE} is signed "
            f"with {sealed.key_id[:12]}. {MIXED}."
        )
    return manifest


def _bytes(path: Path, at_most: int) -> bytes:
    if path.is_symlink():
        raise EnvelopeError(f"{path.name} is a link. Put the file itself in its place.")
    problem = why_not(path, at_most=at_most)
    if problem is not None:
        raise EnvelopeError(f"{path.name} {problem}. {MIXED}.")
    return path.read_bytes()


def _check_record(folder: Path, sealed: Sealed, found: Found, model: Path | None) -> None:
    try:
        record = read_record(folder)
    except AuditorError as error:
        found.problems.append(str(error))
        return
    named = {k: v for k, v in subjects(sealed.statement).items() if k in (MANIFEST, *REPORTS)}
    if test_result(record, named) != sealed.statement:
        found.problems.append(f"{ENVELOPE} states another result than audit.json gives. {MIXED}.")
        return
    found.checked.append(f"audit.json: a whole record, and its result is the one signed "
                         f"({record.verdict})")  # fmt: skip
    _check_pdf(folder, found)
    _check_model(record, found, model)


def _check_pdf(folder: Path, found: Found) -> None:
    """The record that the PDF carries must be the one beside it, to the byte."""
    path, record = folder / "report.pdf", (folder / "audit.json").read_bytes()
    if not path.exists():
        found.not_checked.append("report.pdf: the bundle has none.")
        return
    inside = list(embedded_files(path.read_bytes(), at_most=len(record)))
    if not inside:
        found.not_checked.append("report.pdf: it carries no record that could be compared.")
    elif any(one != record for one in inside):
        found.problems.append(f"report.pdf carries another record than audit.json. {MIXED}.")
    else:
        found.checked.append("report.pdf: the record inside is audit.json, to the byte")


def _check_model(record: AuditRecord, found: Found, model: Path | None) -> None:
    if model is None:
        found.not_checked.append(
            "The model file and the data: only their digests are here. --model FILE compares it."
        )
        return
    problem = why_not(model, at_most=10**13)
    if problem is not None:
        found.problems.append(f"--model: {shown_path(model)} {problem}. Give the model file.")
    elif file_digest(model.resolve()) != record.model.digest:
        found.problems.append(
            f"{shown_path(model)} is not the model that was audited ({record.model.digest[:12]}). "
            "Audit this one, or give the file that was."
        )
    else:
        found.checked.append(f"{shown_path(model)}: the model that was audited")
        found.not_checked.append("The data: only their digests are here.")


def _check_sign_offs(
    folder: Path, keys: Sequence[Ed25519PublicKey], found: Found, manifest: Manifest
) -> None:
    place = folder / SIGN_OFFS
    paths = sorted(place.iterdir()) if place.is_dir() and not place.is_symlink() else []
    named: set[str] = set()
    for path in (path for path in paths if not path.name.endswith(SIGNED_PDF)):
        name = f"{SIGN_OFFS}/{path.name}"
        try:
            sealed = unseal(_bytes(path, MOST_BYTES), name=name, keys=keys)
            named |= set(subjects(sealed.statement))
            found.checked.append(f"{name}: {_decided(folder, name, sealed, manifest)}")
        except UnknownKeyError as error:
            found.open_.append(str(error))
        except (EnvelopeError, OSError) as error:
            found.problems.append(str(error))
    for path in (path for path in paths if path.name.endswith(SIGNED_PDF)):
        _check_signed_copy(folder, path, named, found)
    if not paths:
        found.not_checked.append("Whether anybody decided on it: there is no sign-off.")


def _check_signed_copy(folder: Path, path: Path, named: set[str], found: Found) -> None:
    """A copy of the report that a person signed inside: it begins with the report, to the byte."""
    name, report = f"{SIGN_OFFS}/{path.name}", folder / "report.pdf"
    try:
        begins = report.is_file() and _bytes(path, 10**9).startswith(report.read_bytes())
    except (EnvelopeError, OSError) as error:
        found.problems.append(str(error))
        return
    if not begins:
        found.problems.append(f"{name} is no signed copy of report.pdf. Remove it.")
    elif name not in named:
        found.open_.append(f"{name} is named by no sign-off that was verified. Give its key.")
    else:
        found.checked.append(f"{name}: report.pdf, with a signature appended")
        _check_inside(name, _bytes(path, 10**9), found)


def _check_inside(name: str, pdf: bytes, found: Found) -> None:
    """The person's own signature in the PDF, where the library that made it is installed."""
    try:
        inside = signed_inside(pdf)
    except MissingLibraryError as error:
        found.not_checked.append(
            f"{name}: the person's signature inside the PDF (PAdES). For it, install pyHanko "
            f"({error}), or open the file in a reader of PDF that checks signatures."
        )
        return
    if inside is None or not inside.fits:
        why = "holds none that can be read" if inside is None else "does not fit its bytes"
        found.problems.append(f"{name}: the signature inside the PDF (PAdES) {why}. {MIXED}.")
        return
    found.checked.append(
        f"{name}: the signature inside fits the whole file; its certificate names "
        f"{inside.subject}, SHA-256 {inside.certificate[:12]}"
    )
    found.not_checked.append(
        f"{name}: who issued that certificate, whether it was revoked, and when it was used. A "
        "reader of PDF with the issuers that you trust says so."
    )


def _decided(folder: Path, name: str, sealed: Sealed, manifest: Manifest) -> str:
    """What a sign-off says; raises EnvelopeError where it is void, or none."""
    statement, by = sealed.statement, manifest.signed_by
    try:
        said = statement["predicate"]
        same = same_name(said["person"], by.name) or sealed.key_id == by.key_id
        told = sign_off_text(said | {"same_person": same})
    except (KeyError, TypeError) as error:
        raise EnvelopeError(f"{name} is no sign-off. Remove it.") from error
    if statement.get("predicateType") != SIGN_OFF:
        raise EnvelopeError(f"{name} is no sign-off. Remove it.")
    # A name is signed by nobody: another one may tell of another person, or count one twice.
    own = f"{SIGN_OFFS}/{sign_off_stem(str(said['time']), sealed.key_id)}.dsse.json"
    if name != own:
        raise EnvelopeError(f"{name} is not the name of this sign-off. Rename it to {own}.")
    changed = next(_changed(folder, subjects(statement)), None)
    if changed is not None or not subjects(statement):
        raise EnvelopeError(
            f"{name} is void: {changed} was changed after {said['person']} had decided on "
            f"{str(said['time'])[:10]}. Have it signed off again, and remove this one."
        )
    return told


def _changed(folder: Path, files: Mapping[str, str]) -> Iterator[str]:
    for name, digest in sorted(files.items()):
        path = folder / name
        if path.is_symlink() or not path.is_file() or file_digest(path) != digest:
            yield name


_DECIDED = {
    "approve": "approved",
    "reject": "rejected",
    "conditional": "approved under conditions",
}


def sign_off_text(said: Mapping[str, Any]) -> str:
    """A sign-off in one sentence; that author and approver are one person is said."""
    same = (
        "; the same person signed the audit: nobody else looked at it"
        if said["same_person"]
        else ""
    )
    notes = f": “{said['notes']}”" if said["notes"] else ""
    return (
        f"{_DECIDED[said['decision']]} by {said['person']} ({said['role']}) on "
        f"{str(said['time'])[:10]}{notes}{same if said['same_person'] else ''}"
    )
