"""Start a contained process, ask it, and end it: the side that is trusted."""

from __future__ import annotations

import atexit
import contextlib
import json
import os
import queue
import signal
import socket
import subprocess
import sys
import threading
import weakref
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import cache
from typing import Any

import numpy as np

from auditor import errors
from auditor.containment.messages import BrokenMessageError, Message, receive, send
from auditor.errors import AuditorError, MissingLibraryError, ModelError

_START = """
import sys
sys.path[:] = {path!r}
from auditor.containment.nursery import main
main({at})
"""
_ENVIRONMENT = {"OPENBLAS_NUM_THREADS": "1"}
"""Each call has a thread, and its small matrices more of them make slower: where others want the
cores too, by ten times."""

_PATIENCE_S = 120
"""Seconds within which libraries are imported and a process is forked."""


@dataclass(frozen=True)
class Limits:
    """What a contained process may take: memory in bytes (None: free), seconds a call."""

    memory_bytes: int | None
    seconds: float
    writable: str | None = None
    devices: bool = False


class ContainedProcess:
    """A process that serves `target` (``module:function`` without arguments gives a `Serve`).

    Calls are safe from several threads: as many are answered at once as there are cores. Raises
    ModelError for whatever the process says is wrong, and when it crashes, takes too long or
    too much; it is then gone, and every further call raises the same.
    """

    def __init__(self, target: str, *, preload: Sequence[str], limits: Limits) -> None:
        self._limits = limits
        self._lock = threading.Lock()
        self._why: str | None = None
        nursery = _nursery(os.getpid())
        pairs = [socket.socketpair() for _ in range(_cores())]
        asked = {
            "target": target,
            "preload": list(preload),
            "contain": {k: v for k, v in asdict(limits).items() if k != "seconds"},
        }
        reply = nursery.ask(asked, [theirs.fileno() for _, theirs in pairs])
        for _, theirs in pairs:
            theirs.close()
        if "error" in reply:
            raise MissingLibraryError(
                f"A library that the model needs cannot be imported: {reply['error']}"
            )
        self._pid = int(reply["pid"])
        self._nursery = nursery
        # Without its channels the process ends. Collecting garbage may happen anywhere, also while
        # the nursery is being asked, so that it must not be asked then.
        self._finish = weakref.finalize(self, _close, [ours for ours, _ in pairs])
        self._free: queue.LifoQueue[socket.socket] = queue.LifoQueue()
        for ours, _ in pairs:
            self._free.put(ours)
        with self._channel(_PATIENCE_S) as channel:
            self.containment = receive(channel).values

    @property
    def pid(self) -> int:
        return self._pid

    def call(
        self, values: Mapping[str, Any], arrays: Sequence[np.ndarray] = (), *, effort: float = 1
    ) -> Message:
        """The answer to a message; `effort` multiplies the seconds that it may take."""
        seconds = self._limits.seconds * max(effort, 1)
        with self._channel(seconds) as channel:
            send(channel, values, arrays)
            answer = receive(channel)
        if "error" in answer.values:
            raise self._as_error(answer.values["error"])
        return answer

    def close(self) -> None:
        """End the process now; every further call raises ModelError."""
        self._gone("The model's process has been ended.")

    @contextlib.contextmanager
    def _channel(self, seconds: float) -> Iterator[socket.socket]:
        if self._why is not None:
            raise ModelError(self._why)
        channel = self._free.get()
        try:
            channel.settimeout(seconds)
            yield channel
        except TimeoutError:
            raise ModelError(self._gone(_too_slow(seconds))) from None
        except (BrokenMessageError, OSError):
            raise ModelError(self._gone(None)) from None
        finally:
            self._free.put(channel)

    def _gone(self, why: str | None) -> str:
        with self._lock:
            if self._why is None:
                status = self._nursery.end(self._pid)
                self._why = why or _crashed(status)
                self._finish()
            return self._why

    def _as_error(self, told: Mapping[str, str]) -> AuditorError:
        kind, text = str(told.get("kind")), str(told.get("text"))
        if kind == "MemoryError":
            return ModelError(self._too_large())
        found = getattr(errors, kind, None) if kind.endswith("Error") else None
        if isinstance(found, type) and issubclass(found, AuditorError):
            return found(text)
        return ModelError(
            f"The model cannot be used: {text}. Export it again, to ONNX where you can; if it is a "
            "sound model, report this as a fault of the auditor."
        )

    def _too_large(self) -> str:
        gb = (self._limits.memory_bytes or 0) / 1e9
        return (
            f"The model needs more than {gb:.3g} GB of memory, which is what it may take. Raise "
            "`model.limits.memory_gb`, or give a smaller model or input."
        )


def _close(channels: Sequence[socket.socket]) -> None:
    for channel in channels:
        channel.close()


def _too_slow(seconds: float) -> str:
    return (
        f"The model gave no answer in {seconds:.0f} s, so its process was ended. Give a model that "
        "comes to an end, or raise `model.limits.seconds` (for loading, and for a batch of images)."
    )


def _crashed(status: int) -> str:
    name = signal.Signals(-status).name if -status in set(signal.Signals) else f"status {status}"
    return (
        f"The model ended the process that it ran in ({name}): its runtime crashed, or the system "
        "ended it for want of memory. Export it again; if it is a large model, free memory."
    )


class _Nursery:
    """The process that contained ones are forked from; it ends with this one."""

    def __init__(self) -> None:
        ours, theirs = socket.socketpair()
        path = [os.path.abspath(entry) for entry in sys.path]
        self._lock = threading.Lock()
        self._control = ours
        self._process = subprocess.Popen(
            [sys.executable, "-P", "-c", _START.format(path=path, at=theirs.fileno())],
            pass_fds=[theirs.fileno()],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
            env={**os.environ, **_ENVIRONMENT},
        )
        theirs.close()
        atexit.register(self._end, os.getpid())

    def _end(self, owner: int) -> None:
        """End it with this process, and the contained ones with it."""
        if os.getpid() == owner:
            self._control.close()
            self._process.kill()
            self._process.wait()

    def ask(self, values: Mapping[str, Any], descriptors: Sequence[int] = ()) -> dict[str, Any]:
        with self._lock:
            text = json.dumps(values).encode() + b"\n"
            sent = socket.send_fds(self._control, [text], list(descriptors))
            self._control.sendall(text[sent:])
            answer = b""
            while not answer.endswith(b"\n"):
                part = self._control.recv(65536)
                if not part:
                    raise RuntimeError("the process that starts contained ones has ended")
                answer += part
        return dict(json.loads(answer))

    def end(self, pid: int) -> int:
        """End a process; its exit status, negative for the signal that had ended it before."""
        with contextlib.suppress(OSError, RuntimeError):
            return int(self.ask({"end": pid})["status"])
        return 0


@cache
def _nursery(owner: int) -> _Nursery:
    """One for each process (`owner`): a forked one must not speak into its parent's."""
    return _Nursery()


def _cores() -> int:
    if hasattr(os, "sched_getaffinity"):
        return min(len(os.sched_getaffinity(0)), 200)
    return os.cpu_count() or 1
