"""How large what a spec says may be: what lies above is refused before any of it is used."""

from __future__ import annotations

from typing import Annotated

from pydantic import AfterValidator

from auditor.remote.urls import is_url, local_path, shown_url, url_problem

MOST_SPEC_BYTES = 2_000_000
"""Size of a file of YAML; its reader takes seconds for one."""
MOST_CLASSES = 100_000
MOST_ATTRIBUTES = 200
MOST_CLAIMS = 1_000
MOST_SIDE = 4_096
"""Height and width that a model's frame may have."""
MOST_THREADS = 1_024
MOST_PATH_BYTES, MOST_NAME_BYTES = 4_095, 255
"""What Linux can open: a whole path, and each name in it."""


def path_problem(text: str) -> str:
    """Why no file can have this path; "" where one could."""
    if not text or "\0" in text:
        return f"found {text[:60]!r}, expected a path; a path has letters, and none of them is NUL"
    encoded = text.encode("utf-8", errors="surrogatepass")
    longest = max(map(len, encoded.split(b"/")))
    if longest > MOST_NAME_BYTES or len(encoded) > MOST_PATH_BYTES:
        return (
            f"found the path {text[:40]!r}... of {len(encoded):,} bytes, {longest:,} in one name; "
            f"a path has at most {MOST_PATH_BYTES:,}, {MOST_NAME_BYTES} in one name. Shorten it"
        )
    return ""


def _place(text: str) -> str:
    problem = url_problem(text) if is_url(text) else path_problem(text)
    if problem:
        raise ValueError(problem)
    return local_path(text) if text.lower().startswith("file://") else text


def _path(text: str) -> str:
    if is_url(text) and not text.lower().startswith("file://"):
        raise ValueError(
            f"found the URL {shown_url(text)!r}, expected a path: data, annotations, models and "
            "lists of classes may lie elsewhere, and this may not; copy the file to this disk"
        )
    return _place(text)


FilePath = Annotated[str, AfterValidator(_path)]
"""A path, relative to the spec's folder, that a file system could hold."""

DataPlace = Annotated[str, AfterValidator(_place)]
"""A path as `FilePath`, or the URL of what is read over the network (`auditor.remote`)."""
