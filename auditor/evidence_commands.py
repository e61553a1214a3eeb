"""Commands around the evidence: clauses before a run; sign, verify and sign off after it."""

from __future__ import annotations

from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Optional

import typer

if TYPE_CHECKING:
    from auditor.signing.bundle import Certificate
    from auditor.signing.keys import Passphrase

DOES_NOT_FIT = 1
NOT_DECIDED = 3

FolderPath = Annotated[Path, typer.Argument(metavar="FOLDER", help="The folder of an audit.")]
KeyPath = Annotated[
    Path, typer.Option("--key", metavar="PEM", help="Private key (ed25519); see docs/signing.md.")
]
PassphraseVariable = Annotated[
    Optional[str],  # noqa: UP045 - typer reads the annotation at run time
    typer.Option("--passphrase-env", metavar="NAME", help="Environment variable that holds it."),
]
PassphraseDescriptor = Annotated[
    Optional[int],  # noqa: UP045
    typer.Option("--passphrase-fd", metavar="N", help="Open file descriptor to read it from."),
]
PublicKeys = Annotated[
    list[Path], typer.Option("--pub", metavar="PEM", help="Public key; may be given several times.")
]


class _Decision(str, Enum):  # noqa: UP042 - typer shows the values of this kind
    approve = "approve"
    reject = "reject"
    conditional = "conditional"


def clauses(
    spec: Annotated[
        Optional[Path],  # noqa: UP045
        typer.Argument(metavar="AUDIT.YAML", help="An audit spec; left out: the table alone."),
    ] = None,
    trust_code: Annotated[bool, typer.Option("--trust-code", help="As in `auditor plan`.")] = False,
) -> None:
    """Print which clauses an audit's evidence may serve, and what is still missing, before a run.

    Example:  auditor clauses audit.yaml
    """
    from auditor.clauses.telling import coverage_lines, table_lines
    from auditor.opening import shown_line

    if spec is None:
        lines = table_lines()
    else:
        from auditor.engine.run import clauses_before

        lines = coverage_lines(clauses_before(spec, trust_code=trust_code))
    for line in lines:
        typer.echo(shown_line(line))


def sign(
    folder: FolderPath,
    key: KeyPath,
    by: Annotated[str, typer.Option("--by", metavar="NAME", help="Who signs.")],
    passphrase_env: PassphraseVariable = None,
    passphrase_fd: PassphraseDescriptor = None,
) -> None:
    """Render the report as signed, and sign every file of the folder.

    Example:  auditor sign audit-out --key key.pem --by "A. Auditor"
    """
    from auditor.engine.output import output_folder
    from auditor.rendering import render
    from auditor.signing.bundle import record_to_sign, require_signable, signer, write_signature
    from auditor.signing.keys import private_key

    record = record_to_sign(folder)
    secret = private_key(key, _passphrase(passphrase_env, passphrase_fd))
    who = signer(by, secret)
    require_signable(folder, record)
    with output_folder(folder):
        render(record, folder, signed_by=who)
        manifest = write_signature(folder, record, by=who, key=secret)
    from auditor.contract.numbers import numbered

    typer.echo(f"Signed {numbered(len(manifest.files), 'file')} as {who.name}, key {who.key_id}.")
    typer.echo("Give the public key to whoever will verify, by another way than this folder.")


def verify(
    folder: FolderPath,
    pub: PublicKeys,
    model: Annotated[
        Optional[Path],  # noqa: UP045
        typer.Option("--model", metavar="FILE", help="A model file to hold against the record."),
    ] = None,
) -> None:
    """Check signature, manifest, every file, the record in the PDF and the sign-offs.

    Exit codes: 0 all fits, 1 something does not, 2 usage or input error, 3 a part could not be
    checked.

    Example:  auditor verify audit-out --pub key.pub.pem
    """
    from auditor.opening import shown_line
    from auditor.signing.keys import public_key
    from auditor.signing.verifying import verify as verified

    found = verified(folder, keys=[public_key(path) for path in pub], model=model)
    for outcome, lines in (
        ("fits", found.checked),
        ("not checked", found.not_checked),
        ("NOT CHECKED", found.open_),
        ("DOES NOT FIT", found.problems),
    ):
        # Names and notes are of whoever wrote the folder: none may look like a line of ours.
        for line in lines:
            typer.echo(f"{outcome:12} {shown_line(line)}")
    if found.problems:
        raise typer.Exit(DOES_NOT_FIT)
    raise typer.Exit(NOT_DECIDED if found.open_ else 0)


def signoff(
    folder: FolderPath,
    key: KeyPath,
    role: Annotated[str, typer.Option("--as", metavar="ROLE", help="In which role.")],
    name: Annotated[str, typer.Option("--name", metavar="NAME", help="Who decides.")],
    decision: Annotated[_Decision, typer.Option("--decision", help="What was decided.")],
    notes: Annotated[
        str, typer.Option("--notes", metavar="TEXT", help="Conditions, reasons, accepted risk.")
    ] = "",
    pub: Annotated[
        Optional[list[Path]],  # noqa: UP045
        typer.Option("--pub", metavar="PEM", help="Public key of who signed the folder."),
    ] = None,
    passphrase_env: PassphraseVariable = None,
    passphrase_fd: PassphraseDescriptor = None,
    certificate: Annotated[
        Optional[Path],  # noqa: UP045
        typer.Option("--certificate", metavar="P12", help="Sign a copy of the PDF too (PAdES)."),
    ] = None,
    certificate_passphrase_env: Annotated[
        Optional[str],  # noqa: UP045
        typer.Option(
            "--certificate-passphrase-env", metavar="NAME", help="Variable that holds it."
        ),
    ] = None,
) -> None:
    """Record a person's decision on a signed folder, in a signed statement of its own.

    It names the digests of report and record: whatever changes them later voids it.

    Example:  auditor signoff audit-out --as "Head of housing" --name "B. Dean" --decision reject
    --notes "too many missed" --key dean.pem --pub key.pub.pem
    """
    from auditor.opening import shown_line
    from auditor.signing.bundle import write_sign_off
    from auditor.signing.keys import private_key, public_key
    from auditor.signing.verifying import sign_off_text

    path, said = write_sign_off(
        folder,
        person=name,
        role=role,
        decision=decision.value,
        notes=notes,
        trusted=[public_key(path) for path in pub or ()],
        key=private_key(key, _passphrase(passphrase_env, passphrase_fd)),
        certificate=_certificate(certificate, certificate_passphrase_env),
    )
    typer.echo(shown_line(f"{path}: {sign_off_text(said)}."))


def _passphrase(variable: str | None, descriptor: int | None) -> Passphrase:
    from auditor.errors import SpecError
    from auditor.signing.keys import Passphrase

    if variable is not None and descriptor is not None:
        raise SpecError("--passphrase-env and --passphrase-fd were both given. Give one of them.")
    return Passphrase(variable, descriptor)


def _certificate(path: Path | None, variable: str | None) -> Certificate | None:
    from auditor.signing.bundle import Certificate
    from auditor.signing.keys import Passphrase

    return None if path is None else Certificate(path, Passphrase(variable=variable))


COMMANDS = (clauses, sign, verify, signoff)
