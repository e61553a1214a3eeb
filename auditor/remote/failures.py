"""What went wrong when an object was asked for: each package has errors of its own.

What a package says of an error may hold a signed URL, so that its own words are never told.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from auditor.errors import DataError
from auditor.opening import FULL
from auditor.remote.urls import shown_url

NO_BUCKET = "there is no such bucket or container (404)"
_THERE = "there is such an object already, or another changes it"
_NO_CREDENTIALS = "no usable credentials were found in the environment"
_NO_ACCOUNT = (
    "the environment names no account that can be used (expected as AZURE_STORAGE_CONNECTION_STRING"
    ", or as AZURE_STORAGE_ACCOUNT_NAME with AZURE_STORAGE_ACCOUNT_KEY or AZURE_STORAGE_SAS_TOKEN)"
)
_CUT_OFF = ("ClientPayloadError", "IncompleteReadError", "ResponseStreamingError")


class TooLargeError(Exception):
    """A server sends more than it stated, or than is taken."""


def unopened(protocol: str) -> PermissionError:
    """Of a protocol whose package does not know from the environment whom to ask, or as whom."""
    azure = protocol in ("az", "abfs")
    return PermissionError(errno.EACCES, _NO_ACCOUNT if azure else _NO_CREDENTIALS)


def failure_of(error: BaseException, url: str) -> OSError | DataError:
    """What went wrong, in words that hold no URL, header or key."""
    if url.startswith("http") and isinstance(error, FileNotFoundError) and error.__cause__:
        # Fsspec says so of whatever kept it from asking.
        error = error.__cause__
    broken_off = _broken_off(error)
    if broken_off is not None:
        return broken_off
    status = _status(error)
    if status == 404 or (status is None and isinstance(error, FileNotFoundError)):
        return FileNotFoundError(errno.ENOENT, "there is no such object (404)")
    if status in (409, 412) or isinstance(error, FileExistsError):
        return FileExistsError(errno.EEXIST, _THERE)
    if status in (401, 403) or isinstance(error, PermissionError):
        return PermissionError(errno.EACCES, f"the server refuses access ({status or 403})")
    if _without_credentials(error):
        return PermissionError(errno.EACCES, _NO_CREDENTIALS)
    said = f"status {status}" if status is not None else type(error).__name__
    return DataError(
        f"{shown_url(url)} could not be reached ({said}, tried several times). See to the "
        "network, and to the address and the credentials in the environment; what was finished is "
        "kept, and the same command goes on from there."
    )


def _broken_off(error: BaseException) -> OSError | None:
    """Why the bytes of an object were not taken to their end."""
    if isinstance(error, TooLargeError):
        return OSError(errno.EFBIG, str(error))
    if isinstance(error, OSError) and error.errno in FULL:
        return OSError(error.errno, f"this disk takes no more ({os.strerror(error.errno)})")
    # Azure's package says so of the cause alone, to whose cause aiohttp gives the status 400.
    if any(type(one).__name__ in _CUT_OFF for one in _chain(error)):
        return OSError(errno.EIO, "the object ends before the size that its server states")
    return None


def _without_credentials(error: BaseException) -> bool:
    """Whether a package found nothing that says who asks, or nothing that it can sign with."""
    name = type(error).__name__
    return "Credential" in name or name in ("ClientAuthenticationError", "AzureSigningError")


def _status(error: BaseException) -> int | None:
    """The status of HTTP that an error, or its cause, stands for."""
    told = (said(one) for one in _chain(error) for said in _SAID_BY)
    return next((status for status in told if isinstance(status, int)), None)


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        error = error.__cause__


def _said_by_botocore(error: BaseException) -> Any:
    response = getattr(error, "response", None)
    held = response.get("ResponseMetadata", {}) if isinstance(response, Mapping) else {}
    return held.get("HTTPStatusCode")


def _said_by_gcsfs(error: BaseException) -> int | None:
    # It raises an OSError without a number, which is told by this word alone.
    return 403 if type(error) is OSError and str(error).startswith("Forbidden: ") else None


_SAID_BY: tuple[Callable[[BaseException], Any], ...] = (
    lambda error: getattr(error, "status", None),
    lambda error: getattr(error, "status_code", None),
    lambda error: getattr(error, "code", None),
    _said_by_botocore,
    _said_by_gcsfs,
)
"""Where packages tell the status: aiohttp, azure, gcsfs, botocore, gcsfs; asked in this order, for
aiohttp warns of whoever asks for its `code`."""
