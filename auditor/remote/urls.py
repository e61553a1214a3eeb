"""URLs of a spec: which may be named, and how they are told without anything secret.

Who may read a place is a matter of the environment (the variables and files of each protocol's own
package). A URL that carries credentials would stand in the record, which holds the spec verbatim.
"""

from __future__ import annotations

import os
import re
from pathlib import Path
from urllib.parse import quote, unquote, urlsplit

PROTOCOLS = ("s3", "gs", "az", "abfs", "http", "https", "memory")
"""What is read; ``memory`` is fsspec's own, which lives as long as this process. And ``file``."""

WRITTEN = ("s3", "gs", "az", "abfs", "memory")
"""What a store may lie in: a web server takes no files."""

_URL = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*(?:::[^:/]*)*)://")


def is_url(text: str) -> bool:
    """Whether a text begins as a URL does."""
    return _URL.match(text) is not None


def shown_url(text: str) -> str:
    """A URL without user, password, query and fragment, at most 200 letters of it."""
    plain = re.split(r"[?#]", text, maxsplit=1)[0]
    scheme, mark, rest = plain.partition("://")
    host, slash, path = rest.partition("/")
    found = f"{scheme}{mark}{host.rpartition('@')[2]}{slash}{path}"
    return found if len(found) <= 200 else f"{found[:140]}...{found[-50:]}"


def url_problem(text: str) -> str:
    """Why a URL is not read, without what is secret in it; "" where it is."""
    found = f"found the URL {shown_url(text)!r}"
    protocol = text.partition("://")[0]
    if protocol != protocol.lower():
        return f"{found} with capital letters before `://`; write {protocol.lower()}://"
    if protocol != "file" and protocol not in PROTOCOLS:
        known = ", ".join(f"{name}://" for name in ("file", *PROTOCOLS[:-1]))
        return f"{found}, expected one of {known}; copy the files to one of these, or to this disk"
    rest = text.partition("://")[2]
    if "@" in rest.partition("/")[0]:
        return (
            f"{found} with a user or a password in it, which the record would tell; take them out, "
            "and set them in the environment (README, Data elsewhere)"
        )
    if "?" in rest or "#" in rest:
        return (
            f"{found} with a `?` or a `#`, as signed URLs have, which the record would tell; give "
            "the plain URL, and credentials in the environment (README, Data elsewhere)"
        )
    if not rest.strip("/") or (
        protocol != "memory" and rest.startswith("/") != (protocol == "file")
    ):
        return f"{found}, which names no place; write it as s3://BUCKET/FOLDER"
    if any(ord(letter) < 32 for letter in text) or ".." in rest.split("/"):
        return f"{found}, which holds `..` or a letter that no URL has; write it out"
    return ""


def local_path(url: str) -> str:
    """The path of a ``file://`` URL."""
    return unquote(urlsplit(url).path)


def name_of(url: str) -> str:
    """What a file is called whose URL this is, so that one on this disk can be called so."""
    last = url.rstrip("/").rpartition("/")[2]
    name = re.sub(r"[/\0]", "_", unquote(last) if url.lower().startswith("http") else last)
    return name if name.strip(".") else f"_{name}"


def leads_inside(name: str) -> bool:
    """Whether a name that somebody else states is that of a file in a folder, or below it."""
    plain = name.isprintable() and "\\" not in name and not is_url(name)
    return plain and all(part not in ("", "..") for part in name.split("/"))


def joined(place: str, name: str) -> str:
    """The URL of a file below a place; of a web server with its name quoted."""
    written = quote(name) if place.lower().startswith("http") else name
    return f"{place.rstrip('/')}/{written}"


def placed(folder: Path, text: str) -> str:
    """What a spec in `folder` names: the URL as it is, a path so that it can be opened."""
    return text if is_url(text) else os.path.abspath(folder / text)
