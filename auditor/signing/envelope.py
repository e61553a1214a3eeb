"""DSSE envelopes with ed25519 signatures (Dead Simple Signing Envelope, secure-systems-lab 1.0)."""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from auditor.signing.keys import key_id

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import (
        Ed25519PrivateKey,
        Ed25519PublicKey,
    )

PAYLOAD_TYPE = "application/vnd.in-toto+json"
NEW = "Fetch the folder again from whoever signed it, or have it signed anew"


class EnvelopeError(ValueError):
    """What is wrong with an envelope, said of the file that holds it, with what to do."""


class UnknownKeyError(EnvelopeError):
    """The envelope is signed with a key that was not given."""


@dataclass(frozen=True)
class Sealed:
    """What a verified envelope holds, and the id of the key that signed it."""

    statement: Mapping[str, Any]
    key_id: str


def canonical(value: object) -> bytes:
    """JSON with sorted keys and no spaces: one value, one sequence of bytes."""
    return json.dumps(value, sort_keys=True, separators=(",", ":")).encode("ascii")


def pre_authentication(payload_type: str, body: bytes) -> bytes:
    """The bytes that are signed (DSSE, PAE)."""
    kind = payload_type.encode()
    return b"DSSEv1 %d %s %d %s" % (len(kind), kind, len(body), body)


def seal(statement: Mapping[str, Any], key: Ed25519PrivateKey) -> bytes:
    """The file of an envelope around a statement."""
    body = canonical(statement)
    signature = key.sign(pre_authentication(PAYLOAD_TYPE, body))
    signed = {"keyid": key_id(key.public_key()), "sig": _text(signature)}
    envelope = {"payload": _text(body), "payloadType": PAYLOAD_TYPE, "signatures": [signed]}
    return canonical(envelope) + b"\n"


def unseal(data: bytes, *, name: str, keys: Sequence[Ed25519PublicKey]) -> Sealed:
    """What the envelope in a file holds, its signature verified with one of `keys`.

    The file must be laid out as `seal` does it, so that there is no byte that nobody looks at.

    Raises
    ------
    UnknownKeyError
        When none of `keys` is the one that it names.
    EnvelopeError
        When it is no envelope, or its signature does not fit.
    """
    from cryptography.exceptions import InvalidSignature

    body, named, signature = _parts(data, name)
    known = {key_id(key): key for key in keys}
    if named not in known:
        raise UnknownKeyError(
            f"{name} is signed with the key {named[:12]}, and --pub gives "
            f"{', '.join(sorted(one[:12] for one in known))}. Give the public key of its signer, "
            "from a place that you trust."
        )
    try:
        known[named].verify(signature, pre_authentication(PAYLOAD_TYPE, body))
    except InvalidSignature as error:
        raise EnvelopeError(
            f"{name}: the signature does not fit; what it says was changed. {NEW}."
        ) from error
    return Sealed(json.loads(body), named)


def _parts(data: bytes, name: str) -> tuple[bytes, str, bytes]:
    """Body, key id and signature."""
    try:
        found = json.loads(data)
        (signed,) = found["signatures"]
        body = base64.b64decode(found["payload"], validate=True)
        signature = base64.b64decode(signed["sig"], validate=True)
        named = str(signed["keyid"])
        kind = found["payloadType"]
    except (ValueError, KeyError, TypeError, RecursionError, binascii.Error) as error:
        raise EnvelopeError(f"{name} is no signed statement; it was damaged. {NEW}.") from error
    again = {
        "payload": _text(body), "payloadType": PAYLOAD_TYPE,
        "signatures": [{"keyid": named, "sig": _text(signature)}],
    }  # fmt: skip
    if kind != PAYLOAD_TYPE or data != canonical(again) + b"\n":
        raise EnvelopeError(f"{name} was changed after it had been signed. {NEW}.")
    return body, named, signature


def _text(data: bytes) -> str:
    return base64.b64encode(data).decode("ascii")
