"""The process that contained processes are forked from, so that each need not import anew.

It imports what is installed here and asked for, runs nothing else, and is never given a file of
a model. Each process forked from it gives up its rights (`kernel.contain`) before it reads one.
"""

from __future__ import annotations

import contextlib
import ctypes
import importlib
import json
import os
import re
import signal
import socket
import sys
import tempfile
import threading
import traceback
from collections.abc import Callable, Mapping
from typing import Any

from auditor.containment.kernel import contain
from auditor.containment.messages import BrokenMessageError, Message, receive, send
from auditor.errors import AuditorError

Answer = tuple[Mapping[str, Any], tuple[Any, ...]]
Serve = Callable[[Message], Answer]
"""What a contained process does with a message."""


def main(descriptor: int) -> None:
    """Fork a process for every request until the other side ends."""
    control = socket.socket(fileno=descriptor)
    # Libraries ask for its name while they are imported, where nothing may be written any more.
    with contextlib.suppress(FileNotFoundError):
        tempfile.gettempdir()
    statuses: dict[int, int] = {}
    while True:
        request, descriptors = _request(control)
        if not request:
            return
        _collect(statuses)
        if "end" in request:
            reply: dict[str, Any] = {"status": _ended(request["end"], statuses)}
        else:
            reply = _started(request, descriptors, control)
        for held in descriptors:
            os.close(held)
        control.sendall(json.dumps(reply).encode() + b"\n")


def _request(control: socket.socket) -> tuple[dict[str, Any], list[int]]:
    text, descriptors = b"", []
    while not text.endswith(b"\n"):
        part, held, _, _ = socket.recv_fds(control, 65536, 253)
        if not part:
            return {}, []
        text += part
        descriptors += held
    return json.loads(text), list(descriptors)


def _collect(statuses: dict[int, int]) -> None:
    """Take note of the processes that have ended."""
    with contextlib.suppress(ChildProcessError):
        while (found := os.waitpid(-1, os.WNOHANG))[0]:
            statuses[found[0]] = os.waitstatus_to_exitcode(found[1])


def _ended(pid: int, statuses: dict[int, int]) -> int:
    if pid not in statuses:
        os.kill(pid, signal.SIGKILL)
        statuses[pid] = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    return statuses.pop(pid)


def _started(
    request: Mapping[str, Any], descriptors: list[int], control: socket.socket
) -> dict[str, Any]:
    try:
        for name in request["preload"]:
            module, _, function = name.partition(":")
            found = importlib.import_module(module)
            if function:
                getattr(found, function)()
    except (ImportError, AuditorError) as error:
        return {"error": str(error)}
    pid = os.fork()
    if pid:
        return {"pid": pid}
    try:
        control.close()
        _serve(request, [socket.socket(fileno=held) for held in descriptors])
    except BaseException:  # noqa: BLE001 - a forked process must not go on as its parent
        os._exit(70)
    os._exit(0)


def _serve(request: Mapping[str, Any], channels: list[socket.socket]) -> None:
    """Give up all rights, then answer on every channel, each in a thread of its own."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(1, signal.SIGKILL)  # PR_SET_PDEATHSIG: end with the nursery
    module, _, name = request["target"].partition(":")
    served = getattr(importlib.import_module(module), name)()
    if request["contain"]["writable"]:
        tempfile.tempdir = request["contain"]["writable"]
    found = contain(**request["contain"])
    send(channels[-1], {"by": found.by, "memory_gb": found.memory_gb}, ())
    threads = [threading.Thread(target=_answer, args=(c, served)) for c in channels]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def _answer(channel: socket.socket, serve: Serve) -> None:
    with contextlib.suppress(BrokenMessageError, OSError):
        while True:
            message = receive(channel)
            try:
                values, arrays = serve(message)
                send(channel, values, arrays)
            except BrokenMessageError:
                raise
            except Exception as error:  # noqa: BLE001 - anything may come out of a hostile file
                send(channel, {"error": _told(error)}, ())


def _told(error: Exception) -> dict[str, str]:
    if _is_of_memory(error):
        return {"kind": "MemoryError", "text": ""}
    if isinstance(error, AuditorError):
        # The other side knows the errors of `auditor.errors` alone.
        known = next(c for c in type(error).__mro__ if c.__module__ == AuditorError.__module__)
        return {"kind": known.__name__, "text": str(error)}
    last = traceback.extract_tb(error.__traceback__)[-1]
    where = f"{os.path.basename(last.filename)}:{last.lineno}"
    said = (str(error).strip().splitlines() or [""])[0][:200]
    return {"kind": "", "text": f"{type(error).__name__}: {said} ({where})"}


_NO_MEMORY = re.compile(r"bad_alloc|bad allocation|(failed to|can't|cannot) allocate memory", re.I)


def _is_of_memory(error: BaseException | None) -> bool:
    """Whether an error, or one that it came of, is want of memory: runtimes tell it in words."""
    while error is not None:
        if isinstance(error, MemoryError) or _NO_MEMORY.search(str(error)):
            return True
        error = error.__cause__ or error.__context__
    return False
