"""Reads a PDF by ISO 32000-1 alone: WeasyPrint's own writer must not vouch for itself."""

from __future__ import annotations

import re
import zlib
from dataclasses import dataclass, field

_SPACE = re.compile(rb"(?:[\x00\t\n\f\r ]|%[^\r\n]*)*")
_WORD = re.compile(rb"[^\x00\t\n\f\r ()<>\[\]{}/%]+")
_REF = re.compile(rb"(\d+) +(\d+) +R(?![A-Za-z0-9])")
_ESCAPES = {b"n": b"\n", b"r": b"\r", b"t": b"\t", b"b": b"\b", b"f": b"\f", b"\n": b""}


class Name(str):
    """A name, less its slash."""


class Word(bytes):
    """An operator of a content stream, or a keyword."""


@dataclass(frozen=True)
class Ref:
    number: int


@dataclass(frozen=True)
class Stream:
    """A stream: its dictionary, and its bytes, unpacked where they are deflated."""

    entries: dict
    data: bytes


@dataclass
class Pdf:
    """A file's objects by number, and its trailer; `follow` finds what a reference names."""

    objects: dict = field(default_factory=dict)
    trailer: dict = field(default_factory=dict)

    def follow(self, value):
        return self.objects[value.number] if isinstance(value, Ref) else value

    def get(self, holder, *path):
        """What stands in a dictionary or array under a path of keys; None where nothing does."""
        found = self.follow(holder)
        for key in path:
            found = found.entries if isinstance(found, Stream) else found
            missing = isinstance(found, dict) and key not in found
            found = None if found is None or missing else self.follow(found[key])
        return found


def read_pdf(data: bytes) -> Pdf:
    """A file with one cross-reference stream, as PDF 1.5 and later have it."""
    pdf = Pdf()
    start = int(re.findall(rb"startxref\s+(\d+)\s+%%EOF\s*$", data)[0])
    index = _object_at(data, start)
    pdf.trailer = index.entries
    packed = {}
    for number, kind, place, _ in _entries(index):
        if kind == 1:
            pdf.objects[number] = _object_at(data, place)
        elif kind == 2:
            packed.setdefault(place, []).append(number)
    for holder in packed:
        stream = pdf.objects[holder]
        head = [int(n) for n in stream.data[: stream.entries["First"]].split()]
        for number, place in zip(head[::2], head[1::2], strict=True):
            if number in packed[holder]:
                pdf.objects[number] = value_at(stream.data, stream.entries["First"] + place)[0]
    return pdf


def _entries(index: Stream):
    widths = index.entries["W"]
    ranges = index.entries.get("Index") or [0, index.entries["Size"]]
    numbers = [n for a, k in zip(ranges[::2], ranges[1::2], strict=True) for n in range(a, a + k)]
    size = sum(widths)
    for row, number in enumerate(numbers):
        at, found = row * size, []
        for width in widths:
            found.append(int.from_bytes(index.data[at : at + width], "big") if width else 1)
            at += width
        yield number, *found


def _object_at(data: bytes, place: int):
    opened = re.compile(rb"\s*\d+ \d+ obj").match(data, place)
    value, at = value_at(data, opened.end())
    begun = re.compile(rb"\s*stream\r?\n").match(data, at)
    if not begun:
        return value
    packed = data[begun.end() : begun.end() + value["Length"]]
    assert data[begun.end() + value["Length"] :].lstrip().startswith(b"endstream")
    is_packed = value.get("Filter") == "FlateDecode"
    return Stream(value, zlib.decompress(packed) if is_packed else packed)


def value_at(data: bytes, at: int):
    """The value that begins there, and where it ends."""
    at = _SPACE.match(data, at).end()
    if data.startswith(b"<<", at):
        return _gathered(data, at + 2, b">>")
    if data.startswith(b"[", at):
        return _gathered(data, at + 1, b"]")
    if data.startswith(b"(", at):
        return _literal(data, at + 1)
    if data.startswith(b"<", at):
        end = data.index(b">", at)
        text = re.sub(rb"\s", b"", data[at + 1 : end])
        return bytes.fromhex((text + b"0" * (len(text) % 2)).decode()), end + 1
    if data.startswith(b"/", at):
        word = _WORD.match(data, at + 1)
        raw = word[0] if word else b""
        plain = re.sub(rb"#(..)", lambda m: bytes.fromhex(m[1].decode()), raw)
        return Name(plain.decode("utf-8")), at + 1 + len(raw)
    found = _REF.match(data, at)
    if found:
        return Ref(int(found[1])), found.end()
    word = _WORD.match(data, at)
    return _plain(word[0]), word.end()


def _plain(word: bytes):
    known = {b"true": True, b"false": False, b"null": None}
    if word in known:
        return known[word]
    if re.fullmatch(rb"[-+]?\d+", word):
        return int(word)
    if re.fullmatch(rb"[-+]?\d*\.\d*", word):
        return float(word)
    return Word(word)


def _gathered(data: bytes, at: int, closing: bytes):
    found = []
    while True:
        at = _SPACE.match(data, at).end()
        if data.startswith(closing, at):
            break
        value, at = value_at(data, at)
        found.append(value)
    end = at + len(closing)
    return (found if closing == b"]" else dict(zip(found[::2], found[1::2], strict=True))), end


def _literal(data: bytes, at: int):
    out, depth = bytearray(), 1
    while True:
        char = data[at : at + 1]
        if char == b"\\":
            octal = re.compile(rb"[0-7]{1,3}").match(data, at + 1)
            if octal:
                out.append(int(octal[0], 8))
                at = octal.end()
                continue
            out += _ESCAPES.get(data[at + 1 : at + 2], data[at + 1 : at + 2])
            at += 2
            continue
        depth += (char == b"(") - (char == b")")
        at += 1
        if depth == 0:
            return bytes(out), at
        out += char


def operators(content: bytes):
    """Each operator of a content stream with what stands before it; none has inline images."""
    at, operands = 0, []
    while (at := _SPACE.match(content, at).end()) < len(content):
        value, at = value_at(content, at)
        if isinstance(value, Word):
            yield bytes(value), operands
            operands = []
        else:
            operands.append(value)
