"""What this machine is, what it lets a process have, and what it counts while that runs.

Whatever the system does not say is None: another system, a container, or missing rights.
"""

from __future__ import annotations

import os
import platform
import resource
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any


def first_line(path: Path) -> str:
    """The first line of a file of the system; empty where it cannot be read."""
    try:
        with path.open(encoding="utf-8", errors="replace") as file:
            return file.readline().strip()
    except OSError:
        return ""


def number_in(path: Path) -> float | None:
    """The number in the first line of a file of the system (decimal, or ``0x`` hexadecimal)."""
    text = first_line(path)
    try:
        return float(int(text, 16)) if text.startswith("0x") else float(text)
    except ValueError:
        return None


def threads_allowed(root: Path = Path("/")) -> int:
    """Threads that may run at the same time: the least of affinity and CPU quota, 1 at least.

    A container's quota is looked for in every cgroup from the process's own up to `root`
    (version 2, then 1); 1.5 processors are one.
    """
    affinity = getattr(os, "sched_getaffinity", None)
    most = len(affinity(0)) if affinity is not None else os.cpu_count() or 1
    quotas = [int(quota) for quota in _quotas(root)]
    return max(1, min([most, *quotas]))


def _quotas(root: Path) -> list[float]:
    """Processors that each cgroup of this process allows, where it bounds them."""
    found = []
    for folder in cgroup_folders(root):
        words = first_line(folder / "cpu.max").split()
        if len(words) == 2 and words[0] != "max":
            found.append(float(words[0]) / float(words[1]))
        quota, period = (number_in(folder / f"cpu.cfs_{n}_us") for n in ("quota", "period"))
        if quota is not None and period and quota > 0:
            found.append(quota / period)
    return found


def cgroup_folders(root: Path) -> list[Path]:
    """Folders of the cgroups of this process, the innermost first."""
    places = []
    try:
        lines = (root / "proc/self/cgroup").read_text(encoding="utf-8").splitlines()
    except OSError:
        lines = []
    for line in lines:
        _, controllers, path = line.split(":", 2)
        base = root / "sys/fs/cgroup" / controllers.split("=")[-1]
        inner = base / path.lstrip("/")
        places += [inner, *(p for p in inner.parents if p == base or base in p.parents), base]
    return list(dict.fromkeys(places))


@dataclass(frozen=True)
class Counters:
    """What the system counts of this process's interruptions and of the machine's time.

    `joules` are what its processors took since some moment; None where no counter may be read.
    """

    switches: int
    steal: int
    ticks: int
    joules: float | None = None
    throttled: float | None = None

    @classmethod
    def now(cls) -> Counters:
        switches = resource.getrusage(resource.RUSAGE_SELF).ru_nivcsw
        line = first_line(Path("/proc/stat"))
        # user, nice, system, idle, iowait, irq, softirq, steal; guest time is in user already.
        ticks = [int(word) for word in line.split()[1:9]] if line.startswith("cpu ") else []
        steal = ticks[7] if len(ticks) == 8 else 0
        return cls(switches, steal, sum(ticks), _joules(), _throttled())

    def since(self, earlier: Counters) -> dict[str, Any]:
        """What passed: switches, the share of the machine's time its host gave to others, J."""
        passed = self.ticks - earlier.ticks
        joules = _less(self.joules, earlier.joules)
        return {
            "involuntary_switches": self.switches - earlier.switches,
            "steal_share": (self.steal - earlier.steal) / passed if passed > 0 else None,
            # A counter that began anew says nothing.
            "joules": joules if joules is not None and joules >= 0 else None,
            "throttled": _less(self.throttled, earlier.throttled),
        }


def _less(now: float | None, then: float | None) -> float | None:
    return None if now is None or then is None else now - then


def _joules() -> float | None:
    zones = Path("/sys/class/powercap").glob("intel-rapl:[0-9]")
    found = [number_in(zone / "energy_uj") for zone in zones]
    known = [joules for joules in found if joules is not None]
    return sum(known) / 1e6 if known and len(known) == len(found) else None


def _throttled() -> float | None:
    """How often processors slowed down for heat; on a Raspberry Pi its flags of that."""
    counts = Path("/sys/devices/system/cpu").glob("cpu[0-9]*/thermal_throttle/core_throttle_count")
    found = [number_in(path) for path in counts]
    found += [number_in(Path("/sys/devices/platform/soc/soc:firmware/get_throttled"))]
    known = [count for count in found if count is not None]
    return sum(known) if known else None


def heat() -> dict[str, Any]:
    """The processors' mean frequency (MHz) and the hottest zone (degrees Celsius), now."""
    cpus = Path("/sys/devices/system/cpu").glob("cpu[0-9]*/cpufreq/scaling_cur_freq")
    kilohertz = [f for f in map(number_in, cpus) if f is not None]
    zones = Path("/sys/class/thermal").glob("thermal_zone*/temp")
    millidegrees = [t for t in map(number_in, zones) if t is not None]
    mhz = [f / 1000 for f in kilohertz] or _listed_mhz()
    return {
        "mhz": sum(mhz) / len(mhz) if mhz else None,
        "celsius": max(millidegrees) / 1000 if millidegrees else None,
    }


def _listed_mhz() -> list[float]:
    return [float(said) for said in _cpuinfo("cpu MHz")]


def _cpuinfo(key: str) -> list[str]:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return []
    return [line.partition(":")[2].strip() for line in lines if line.startswith(key)]


def memory() -> dict[str, Any]:
    """Megabytes (10^6) of this process, now and at most; and its cgroup's most, all included."""
    try:
        status = Path("/proc/self/status").read_text(encoding="utf-8").splitlines()
    except OSError:
        status = []
    kib = {line.split(":")[0]: int(line.split()[1]) for line in status if line.startswith("Vm")}
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    # Second choice, since on Linux it counts what the parent took. macOS counts in bytes.
    other = peak / 1e6 if sys.platform == "darwin" else peak * 1024 / 1e6
    cgroup = next(
        (n for f in cgroup_folders(Path("/")) if (n := number_in(f / "memory.peak"))), None
    )
    return {
        "now_mb": kib["VmRSS"] * 1024 / 1e6 if "VmRSS" in kib else None,
        "peak_mb": kib["VmHWM"] * 1024 / 1e6 if "VmHWM" in kib else other,
        "cgroup_mb": None if cgroup is None else cgroup / 1e6,
    }


def machine(runtime: str) -> dict[str, Any]:
    """Processor, system and runtime, for a reader and for telling machines apart."""
    governor = Path("/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor")
    board = first_line(Path("/proc/device-tree/model")).strip("\0")
    flags = _cpuinfo("flags") or _cpuinfo("Features")
    known = ("avx2", "avx512f", "avx512_vnni", "avx_vnni", "amx_int8", "asimddp", "i8mm")
    return {
        "cpu": _cpu_name(board),
        "cores": threads_allowed(),
        "system": f"{platform.system()} {platform.machine()}",
        "runtime": runtime,
        "governor": first_line(governor) or None,
        "features": [f for f in known if flags and f in flags[0].split()],
    }


def _cpu_name(board: str) -> str:
    named = _cpuinfo("model name") or _cpuinfo("Model") or [board]
    return named[0] or platform.processor() or platform.machine()
