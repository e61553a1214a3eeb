"""Keys: ed25519 in PEM files, private ones with a passphrase that no command line ever sees."""

from __future__ import annotations

import getpass
import hashlib
import os
import stat
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from auditor.errors import DataError
from auditor.opening import require_file

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import (
        Ed25519PrivateKey,
        Ed25519PublicKey,
    )

MOST_BYTES = 100_000
HOW_TO_MAKE = (
    "openssl genpkey -algorithm ed25519 -aes-256-cbc -out key.pem  and then  "
    "openssl pkey -in key.pem -pubout -out key.pub.pem"
)
_REMEDY = f"Make a pair of keys with  {HOW_TO_MAKE}."


@dataclass(frozen=True)
class Passphrase:
    """From where the passphrase of an encrypted key comes; asked for where nothing is given.

    `variable` names an environment variable, `descriptor` an open file descriptor whose first line
    it is.
    """

    variable: str | None = None
    descriptor: int | None = None

    def read(self, path: Path) -> bytes:
        if self.variable is not None:
            return self._of_variable(self.variable)
        if self.descriptor is not None:
            return self._of_descriptor(self.descriptor)
        if not sys.stdin.isatty():
            raise DataError(
                f"{path} is encrypted, and there is no terminal to ask for its passphrase. Give "
                "--passphrase-env NAME or --passphrase-fd NUMBER."
            )
        return getpass.getpass(f"Passphrase of {path}: ").encode()

    @staticmethod
    def _of_variable(name: str) -> bytes:
        if name not in os.environ:
            raise DataError(
                f"--passphrase-env names {name}, which is not set. Set it to the passphrase of the "
                "key, or leave the option out to be asked."
            )
        return os.environ[name].encode()

    @staticmethod
    def _of_descriptor(number: int) -> bytes:
        try:
            with os.fdopen(number, "rb") as stream:
                return stream.readline(MOST_BYTES).rstrip(b"\r\n")
        except (OSError, ValueError) as error:
            raise DataError(
                f"--passphrase-fd {number} cannot be read. Open it in the shell, as in  "
                f"--passphrase-fd 3 3< passphrase-file."
            ) from error


def private_key(path: Path, passphrase: Passphrase) -> Ed25519PrivateKey:
    """The private key in a PEM file; raises DataError where there is none that can be used."""
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
    from cryptography.hazmat.primitives.serialization import load_pem_private_key

    data = _read(path, what="--key")
    encrypted = b"ENCRYPTED" in data
    try:
        key = load_pem_private_key(data, passphrase.read(path) if encrypted else None)
    except (ValueError, TypeError, UnsupportedAlgorithm) as error:
        said = "cannot be opened with that passphrase" if encrypted else "holds no private key"
        raise DataError(f"--key: {path} {said}. {_private_remedy(encrypted)}") from error
    if not isinstance(key, Ed25519PrivateKey):
        raise DataError(f"--key: {path} is no ed25519 key, which is expected here. {_REMEDY}")
    if not encrypted:
        _require_own(path)
    return key


def _private_remedy(encrypted: bool) -> str:
    return "Give the passphrase that it was made with." if encrypted else _REMEDY


def _require_own(path: Path) -> None:
    """A key without a passphrase is whoever's may read its file."""
    if path.stat().st_mode & (stat.S_IRWXG | stat.S_IRWXO):
        raise DataError(
            f"--key: {path} has no passphrase and may be read by others. Run  chmod 600 {path}  or "
            f"encrypt it with  openssl pkey -in {path} -aes-256-cbc -out encrypted.pem."
        )


def public_key(path: Path) -> Ed25519PublicKey:
    """The public key in a PEM file; raises DataError where there is none that can be used."""
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
    from cryptography.hazmat.primitives.serialization import load_pem_public_key

    data = _read(path, what="--pub")
    remedy = "Ask the signer for the public key: openssl pkey -in key.pem -pubout -out key.pub.pem"
    try:
        key = load_pem_public_key(data)
    except (ValueError, UnsupportedAlgorithm) as error:
        raise DataError(f"--pub: {path} holds no public key. {remedy}.") from error
    if not isinstance(key, Ed25519PublicKey):
        raise DataError(f"--pub: {path} is no ed25519 key, which is expected here. {remedy}.")
    return key


def _read(path: Path, *, what: str) -> bytes:
    require_file(path, what=what, at_most=MOST_BYTES, error=DataError, remedy=_REMEDY)
    try:
        return path.read_bytes()
    except OSError as error:
        raise DataError(f"{what}: {path} cannot be read ({error.strerror}). {_REMEDY}") from error


def key_id(key: Ed25519PublicKey) -> str:
    """SHA-256 of the public key as DER (SubjectPublicKeyInfo), in hexadecimal."""
    from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

    der = key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    return hashlib.sha256(der).hexdigest()
