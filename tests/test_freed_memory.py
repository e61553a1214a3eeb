"""What is freed goes back to the system: at once where it is large, else when that is asked for."""

import gc
import platform
import subprocess
import sys
import weakref

import pytest

from auditor.freed_memory import hold_large_apart, return_freed_memory, what_stands_set_apart

SCRIPT = """
import os
import numpy as np
from auditor.freed_memory import hold_large_apart, return_freed_memory

def resident():
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * os.sysconf("SC_PAGESIZE") / 1e6

if {apart}:
    hold_large_apart()
# The size from which arrays are held apart would rise to that of the one that is freed here.
np.ones(500_000)
start, held, kept = resident(), [], []
for _ in range(40):
    held.append(np.ones(500_000))
    kept.append(np.ones(5_000))
held.clear()
if {returned}:
    return_freed_memory(images={images})
print(resident() - start)
"""


def grown(*, images=10_000, **how):
    how["images"] = images
    ran = subprocess.run(
        [sys.executable, "-c", SCRIPT.format(**how)], capture_output=True, text=True, check=True
    )
    return float(ran.stdout)


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="only glibc keeps freed arrays")
def test_large_arrays_among_others_are_given_back_once_they_are_freed():
    assert grown(apart=False, returned=False) > 100
    assert grown(apart=True, returned=False) < 30
    assert grown(apart=False, returned=True) < 30
    assert grown(apart=False, returned=True, images=100) > 100


def test_elsewhere_nothing_is_done(monkeypatch):
    monkeypatch.setattr(sys, "platform", "darwin")
    monkeypatch.setattr("ctypes.CDLL", None)
    hold_large_apart()
    return_freed_memory(images=10_000)


def test_cycles_made_in_a_block_are_found_and_what_stood_before_is_not_looked_at():
    class Held:
        pass

    one, before = Held(), gc.get_freeze_count()
    one.own, seen = one, weakref.ref(one)
    with what_stands_set_apart():
        del one
        return_freed_memory(images=10_000, with_cycles=True)
        assert seen() is not None
        new = Held()
        new.own, made = new, weakref.ref(new)
        del new
        return_freed_memory(images=10_000, with_cycles=True)
        assert made() is None
    assert gc.get_freeze_count() == before
    gc.collect()
    assert seen() is None


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="only glibc can hold arrays apart")
def test_arrow_keeps_nothing_of_what_it_has_freed():
    said = "import pyarrow as pa; from auditor.freed_memory import hold_large_apart as apart\n"
    said += "apart(); print(pa.default_memory_pool().backend_name)"
    ran = subprocess.run([sys.executable, "-c", said], capture_output=True, text=True, check=True)
    assert ran.stdout.strip() == "system"
