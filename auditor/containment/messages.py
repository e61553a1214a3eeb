"""Messages between the auditor and a contained process: JSON and arrays, never pickles.

What comes back is read by the process that is trusted, so it is nothing that could run.
"""

from __future__ import annotations

import json
import math
import socket
import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

LARGEST = 4 * 10**9
"""Bytes that a message may have."""

_HEAD = struct.Struct("<II")
_TYPES: dict[str, np.dtype[Any]] = {kind: np.dtype(kind) for kind in ("u1", "i8", "f4", "f8")}


class BrokenMessageError(Exception):
    """The other side has ended, or sent what is no message."""


@dataclass(frozen=True)
class Message:
    """JSON values, and arrays of uint8, int64, float32 or float64."""

    values: Mapping[str, Any]
    arrays: tuple[np.ndarray, ...] = ()


def send(channel: socket.socket, values: Mapping[str, Any], arrays: Sequence[np.ndarray]) -> None:
    held = [np.ascontiguousarray(a) for a in arrays]
    shapes = [[a.dtype.str[1:], list(a.shape)] for a in held]
    head, body = json.dumps(shapes).encode(), json.dumps(values).encode()
    channel.sendall(_HEAD.pack(len(head), len(body)) + head + body)
    for array in held:
        if array.size:
            channel.sendall(array.data.cast("B"))


def receive(channel: socket.socket) -> Message:
    """The next message; raises BrokenMessageError where none comes, TimeoutError as the socket."""
    n_head, n_body = _HEAD.unpack(_exactly(channel, _HEAD.size))
    try:
        shapes = json.loads(_exactly(channel, n_head))
        values = dict(json.loads(_exactly(channel, n_body)))
        arrays = tuple(_array(channel, _TYPES[kind], shape) for kind, shape in shapes)
    except (ValueError, TypeError, KeyError, RecursionError) as error:
        raise BrokenMessageError("no message") from error
    return Message(values, arrays)


def _array(channel: socket.socket, kind: np.dtype[Any], shape: Sequence[int]) -> np.ndarray:
    lengths = [int(length) for length in shape]
    if min(lengths, default=0) < 0 or math.prod(lengths) * kind.itemsize > LARGEST:
        raise ValueError(f"an array of {lengths}")
    array = np.empty(lengths, dtype=kind)
    if array.size:
        _fill(channel, array.data.cast("B"))
    return array


def _exactly(channel: socket.socket, n: int) -> bytearray:
    if n > LARGEST // 40:
        raise BrokenMessageError("too long a message")
    found = bytearray(n)
    _fill(channel, memoryview(found))
    return found


def _fill(channel: socket.socket, room: memoryview) -> None:
    while room:
        got = channel.recv_into(room, len(room), socket.MSG_WAITALL)
        if not got:
            raise BrokenMessageError("the other side has ended")
        room = room[got:]
