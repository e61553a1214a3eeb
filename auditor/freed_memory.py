"""Memory that is free within this process goes back to the system between stages."""

from __future__ import annotations

import ctypes
import gc
import sys


def return_freed_memory() -> None:
    """Have allocators hand back what nothing in this process uses any more.

    They keep it for later: of a stage that took a gigabyte the next would begin with one. Does
    nothing where the C library cannot.
    """
    # Frames and what is made of them often hold each other.
    gc.collect()
    if "pyarrow" in sys.modules:
        import pyarrow as pa

        pa.default_memory_pool().release_unused()
    if sys.platform == "linux":
        trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
        if trim is not None:
            trim(0)
