"""Which run computes a shard of a shared store: others wait for it, and then have it too.

A claim is a file that only one run can create. It is a courtesy, never a lock: a file of the store
is written whole under a key of all that it depends on, so that two runs that compute the same write
the same. Who holds a claim writes to it now and then; one that does not change for a while is that
of a run that was killed. No two clocks are compared.
"""

from __future__ import annotations

import os
import threading
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from auditor.errors import DataError
from auditor.remote.places import Place

KIND = "claims"

STALE_AFTER_S, LOOK_EVERY_S = 60.0, 0.2


@contextmanager
def claimed(place: Place, key: str) -> Iterator[None]:
    """Hold the claim on `key` while the block computes, after whoever holds it has ended."""
    name, mine = f"{KIND}/{key}", f"{_process()} {uuid.uuid4().hex}"
    _wait(place, name, mine)
    ended = threading.Event()
    beating = threading.Thread(target=_beat, args=(place, name, mine, ended), daemon=True)
    beating.start()
    try:
        yield
    finally:
        ended.set()
        beating.join()
        with suppress(DataError):
            place.remove(name)


def _wait(place: Place, name: str, mine: str) -> None:
    seen, since = b"", time.monotonic()
    while not place.create(name, f"{mine} 0".encode()):
        found = place.read(name) or b""
        if found != seen:
            seen, since = found, time.monotonic()
        if _was_killed(found.decode(errors="replace")) or time.monotonic() - since > STALE_AFTER_S:
            place.remove(name)
        else:
            time.sleep(LOOK_EVERY_S)


def _beat(place: Place, name: str, mine: str, ended: threading.Event) -> None:
    beats = 0
    while not ended.wait(STALE_AFTER_S / 4):
        beats += 1
        # Without it the work may be done twice, no worse.
        with suppress(DataError):
            place.write(name, f"{mine} {beats}".encode())


def _process() -> str:
    """What tells others on the same machine, and in the same container, whether this one runs."""
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
        return f"{boot}/{os.readlink('/proc/self/ns/pid')}/{os.getpid()}/{_began(os.getpid())}"
    except OSError:
        return f"unknown/{uuid.uuid4().hex}"


def _began(pid: int) -> str:
    # The 22nd value, counted behind the name, which may hold spaces.
    return Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()[19]


def _was_killed(claim: str) -> bool:
    """Whether a claim is that of a process of this machine that no longer runs."""
    machine, _, rest = claim.partition(" ")[0].rpartition("/")[0].rpartition("/")
    began = claim.partition(" ")[0].rpartition("/")[2]
    if machine != _process().rpartition("/")[0].rpartition("/")[0] or not rest.isdigit():
        return False
    try:
        return _began(int(rest)) != began
    except OSError:
        return True
