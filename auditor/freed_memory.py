"""Memory that is free within this process goes back to the system between stages."""

from __future__ import annotations

import ctypes
import gc
import sys
from collections.abc import Iterator
from contextlib import contextmanager

_M_MMAP_THRESHOLD = -3
_LARGE = 1 << 20
"""Bytes from which what is freed goes back to the system at once: an array of many images."""

_MANY = 5_000
"""Images from which looking for what was freed is worth the time: up to half a second."""


def hold_large_apart() -> None:
    """Have the C library take each large array from the system, and give it back once it is freed.

    As it is, it raises the size that counts as large with every array that is freed, up to 32 MB;
    what is smaller stays within the process, among what is still used. Arrow, which keeps what it
    has freed, is to ask the C library, too. Does nothing where that is another.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None) if sys.platform == "linux" else None
    if mallopt is not None:
        import pyarrow as pa

        mallopt(_M_MMAP_THRESHOLD, _LARGE)
        pa.set_memory_pool(pa.system_memory_pool())


@contextmanager
def what_stands_set_apart() -> Iterator[None]:
    """While the block lasts, cycles are looked for only among what is made in it."""
    gc.collect()
    gc.freeze()
    try:
        yield
    finally:
        gc.unfreeze()


def return_freed_memory(*, images: int, with_cycles: bool = False) -> None:
    """Have allocators hand back what nothing in this process uses any more.

    They keep it for later: of a stage that took a gigabyte the next would begin with one. What
    is held only by each other, as frames and what is made of them, goes `with_cycles`: that takes
    .3 s where all libraries are loaded, unless they are set apart. Does nothing where what was
    freed was of few `images`, nor where the C library cannot.
    """
    if images < _MANY:
        return
    if with_cycles:
        gc.collect()
    if "pyarrow" in sys.modules:
        import pyarrow as pa

        pa.default_memory_pool().release_unused()
    if sys.platform == "linux":
        trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
        if trim is not None:
            trim(0)
