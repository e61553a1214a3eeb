"""What the kernel forbids this process from now on, and all that it starts: for good.

Only the standard library is imported, so that a lone program can be started under it. A seccomp
filter refuses system calls with EPERM (network, new processes, other processes, changes of files);
Landlock forbids writing anywhere but in one folder, execution, and TCP; resource limits bound
memory. Each is applied where the kernel has it, and named in what is returned.
"""

from __future__ import annotations

import ctypes
import os
import platform
import resource
import struct
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

_READING = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC
_CLONE_THREAD = 0x10000
_EPERM, _ENOSYS = 1, 38


@dataclass(frozen=True)
class _Machine:
    """Numbers of system calls: `acting` are always refused, `writing` where nothing is written.

    What Landlock does not govern (owners, rights, times, truncating by name) is `acting`.
    """

    audit: int
    acting: tuple[int, ...]
    writing: tuple[int, ...]
    opening: tuple[tuple[int, int], ...]
    """Calls that open a file, with the argument that holds its flags."""
    clone: int
    kill: tuple[int, ...]
    prlimit: int


# From asm/unistd_64.h and asm-generic/unistd.h. Newer calls have one number everywhere: pidfd,
# io_uring (which passes seccomp by), mounting, clone3 and openat2 (whose flags lie in memory).
_NEWER = (424, 425, 426, 427, 428, 429, 430, 431, 432, 433, 434, 438, 442, 443, 447, 452)
_UNSEEN = (435, 437)
_LAST = 462
_MACHINES = {
    "x86_64": _Machine(
        audit=0xC000003E,
        acting=(29, 41, 57, 58, 59, 64, 68, 76, 90, 91, 92, 93, 94, 101, 103, 129, 132, 135, 155,
                160, 161, 163, 165, 166, 167, 168, 169, 172, 173, 175, 176, 188, 189, 190, 197, 198,
                199, 200, 203, 235, 240, 246, 248, 249, 250, 260, 261, 268, 272, 280, 297, 298, 303,
                304, 308, 310, 311, 312, 313, 319, 320, 321, 322, 323),
        writing=(82, 83, 84, 85, 86, 87, 88, 133, 258, 259, 263, 264, 265, 266, 316),
        opening=((2, 1), (257, 2)),
        clone=56,
        kill=(62, 234),
        prlimit=302,
    ),
    "aarch64": _Machine(
        audit=0xC00000B7,
        acting=(5, 6, 7, 14, 15, 16, 39, 40, 41, 45, 51, 52, 53, 54, 55, 88, 89, 92, 97, 104, 105,
                106, 116, 117, 122, 130, 138, 142, 164, 180, 186, 190, 194, 198, 217, 218, 219, 221,
                240, 241, 264, 265, 268, 270, 271, 272, 273, 279, 280, 281, 282, 294),
        writing=(33, 34, 35, 36, 37, 38, 276),
        opening=((56, 2),),
        clone=220,
        kill=(129, 131),
        prlimit=261,
    ),
}  # fmt: skip


@dataclass(frozen=True)
class Contained:
    """What holds for the process: ``seccomp``, ``landlock``, ``memory`` in `by` where applied."""

    by: tuple[str, ...]
    memory_gb: float | None


def contain(
    *, memory_bytes: int | None, writable: str | None = None, devices: bool = False
) -> Contained:
    """Give up all that running a model does not need; nothing gives it back.

    Parameters
    ----------
    memory_bytes : bytes of private memory that may be taken; None leaves it free.
    writable : a folder that may be written to; None for none.
    devices : whether an accelerator's device files are opened for writing.
    """
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    by = []
    # On macOS the limit is taken and not kept.
    if memory_bytes is not None and sys.platform == "linux":
        resource.setrlimit(resource.RLIMIT_DATA, (memory_bytes, memory_bytes))
        by.append("memory")
    if not devices:
        largest = 0 if writable is None else memory_bytes or resource.RLIM_INFINITY
        resource.setrlimit(resource.RLIMIT_FSIZE, (largest, largest))
    if sys.platform == "linux":
        libc = ctypes.CDLL(None, use_errno=True)
        libc.prctl(38, 1, 0, 0, 0)  # PR_SET_NO_NEW_PRIVS, which both ask for
        if _landlock(libc, [writable] if writable else [], devices=devices):
            by.append("landlock")
        if _seccomp(libc, writes=writable is not None or devices):
            by.append("seccomp")
    return Contained(
        tuple(by), memory_bytes / 1e9 if memory_bytes is not None and "memory" in by else None
    )


def _landlock(libc: ctypes.CDLL, writable: Sequence[str], *, devices: bool) -> bool:
    abi = libc.syscall(444, None, ctypes.c_size_t(0), 1)
    if abi < 1:
        return False
    # All but reading (bits 2 and 3), as far as this kernel knows it.
    files = 0x1FF3 | (0x2000 if abi >= 2 else 0) | (0x4000 if abi >= 3 else 0)
    files |= 0x8000 if abi >= 5 else 0
    rules = struct.pack("QQQ", files, 3 if abi >= 4 else 0, 3 if abi >= 6 else 0)
    size = 24 if abi >= 6 else 16 if abi >= 4 else 8
    ruleset = libc.syscall(444, rules[:size], ctypes.c_size_t(size), 0)
    if ruleset < 0:
        return False
    for folder in [*writable, *(["/dev"] if devices else [])]:
        at = os.open(folder, os.O_PATH | os.O_CLOEXEC)
        libc.syscall(445, ruleset, 1, struct.pack("=Qi", files & ~1, at), 0)
        os.close(at)
    applied = libc.syscall(446, ruleset, 0) == 0
    os.close(ruleset)
    return bool(applied)


def _seccomp(libc: ctypes.CDLL, *, writes: bool) -> bool:
    machine = _MACHINES.get(platform.machine())
    if machine is None or struct.calcsize("P") != 8:
        return False
    code = b"".join(_filter(machine, writes=writes))
    held = ctypes.create_string_buffer(code, len(code))
    program = struct.pack("HxxxxxxP", len(code) // 8, ctypes.addressof(held))
    # SECCOMP_SET_MODE_FILTER for all threads; without the slower memory accesses that older
    # kernels give to filtered processes (SPEC_ALLOW).
    number = 317 if machine.clone == 56 else 277
    return bool(libc.syscall(number, 1, 1 | 4, program) == 0)


def _filter(machine: _Machine, *, writes: bool) -> Iterator[bytes]:
    """The filter's instructions (classic BPF over number, architecture and arguments)."""
    yield _load(4)
    yield from (_jump(machine.audit, 1, 0), _give(0x80000000))  # another architecture: end it
    yield _load(0)
    yield from (_step(0x35, 0, 1, _LAST + 1), _give(0x50000 | _ENOSYS))
    for number in _UNSEEN:
        yield from (_jump(number, 0, 1), _give(0x50000 | _ENOSYS))
    refused = (*machine.acting, *_NEWER, *(() if writes else machine.writing))
    for number in refused:
        yield from (_jump(number, 0, 1), _give(0x50000 | _EPERM))
    yield from _only(machine.clone, 0, mask=_CLONE_THREAD, value=_CLONE_THREAD)
    for number in machine.kill:
        yield from _only(number, 0, mask=0xFFFFFFFF, value=os.getpid())
    yield from _only(machine.prlimit, 2, mask=0xFFFFFFFF, value=0)
    if not writes:
        for number, place in machine.opening:
            yield from _only(number, place, mask=_READING, value=0)
    yield _give(0x7FFF0000)


def _only(number: int, place: int, *, mask: int, value: int) -> Iterator[bytes]:
    """Allow a call where its argument's lower half, masked, is `value`; refuse it elsewhere."""
    yield _jump(number, 0, 5)
    yield _load(16 + 8 * place)
    yield _step(0x54, 0, 0, mask)
    yield from (_jump(value, 0, 1), _give(0x7FFF0000), _give(0x50000 | _EPERM))


def _load(offset: int) -> bytes:
    return _step(0x20, 0, 0, offset)


def _jump(value: int, equal: int, other: int) -> bytes:
    return _step(0x15, equal, other, value)


def _give(value: int) -> bytes:
    return _step(0x06, 0, 0, value)


def _step(code: int, equal: int, other: int, value: int) -> bytes:
    return struct.pack("HBBI", code, equal, other, value)
