"""CPU and memory that near-duplicates cost: of ordinary photographs and of fixed cameras.

Prints for each kind and number of thumbnails the CPU seconds, on one thread, of finding copies
within a split (n images) and between two (n / 2 and n / 2), the seconds a thousand images, the
share found, and the peak memory of the process, in which the thumbnails themselves stand too.
"""

from __future__ import annotations

import argparse
import multiprocessing
import resource
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor

import numpy as np
import pandas as pd
from threadpoolctl import threadpool_limits

from auditor.data.near_duplicates import earlier_twins, prints, twins_among
from auditor.data.scan import THUMBNAIL

CHUNK = 8192


def fields(n: int, rng: np.random.Generator) -> np.ndarray:
    """Thumbnails of a natural spectrum (amplitude 1 / f), (n, 16, 16), standard deviation 1."""
    frequency = np.hypot(*np.meshgrid(*[np.fft.fftfreq(THUMBNAIL)] * 2))
    amplitude = np.divide(1, frequency, out=np.zeros_like(frequency), where=frequency > 0)
    noise = rng.normal(size=(n, THUMBNAIL, THUMBNAIL))
    found = np.fft.ifft2(np.fft.fft2(noise) * amplitude).real
    return np.asarray(found / found.std(axis=(1, 2), keepdims=True))


def photographs(n: int, rng: np.random.Generator) -> np.ndarray:
    """Of different scenes and contrasts; one in twenty is a copy of another, more or less."""
    cells = in_chunks(n, lambda m: 128 + fields(m, rng) * rng.lognormal(3.8, 0.4, (m, 1, 1)))
    copies, origins = rng.choice(n, n // 20, replace=False), rng.integers(0, n, n // 20)
    noise = rng.normal(0, rng.uniform(0.3, 4.5, (n // 20, 1, 1)), (n // 20, *cells.shape[1:]))
    cells[copies] = cells[origins] + noise
    return cells


def cameras(count: int, noise: float) -> Callable[[int, np.random.Generator], np.ndarray]:
    """Shots by fixed cameras, mixed; noise in grey levels of a thumbnail.

    At 1 all shots of a camera are near each other, at 3 about the radius apart, at 4 none are,
    though each looks to be until it is compared in full.
    """

    def shots(n: int, rng: np.random.Generator) -> np.ndarray:
        scenes = 128 + 45 * fields(count, rng)
        shape = (THUMBNAIL, THUMBNAIL)
        return in_chunks(
            n, lambda m: scenes[rng.integers(0, count, m)] + rng.normal(0, noise, (m, *shape))
        )

    return shots


WORLDS: dict[str, Callable[[int, np.random.Generator], np.ndarray]] = {
    "photographs": photographs,
    "one camera, all alike": cameras(1, 1.0),
    "one camera, about as far as the radius": cameras(1, 3.2),
    "one camera, just beyond the radius": cameras(1, 4.0),
    "five cameras, all alike": cameras(5, 1.0),
}


def in_chunks(n: int, made: Callable[[int], np.ndarray]) -> np.ndarray:
    """The same in little memory, so that the peak is that of the search, (n, 16, 16) float32."""
    cells = np.empty((n, THUMBNAIL, THUMBNAIL), dtype=np.float32)
    for start in range(0, n, CHUNK):
        part = cells[start : start + CHUNK]
        part[:] = made(len(part))
    return cells


def scan_of(cells: np.ndarray) -> pd.DataFrame:
    """A scan with just what prints read."""
    ids = [str(i) for i in range(len(cells))]
    thumbnails = [np.clip(np.rint(c), 0, 255).astype(np.uint8).tobytes() for c in cells]
    columns = {"sha256": ids, "pixel_sha256": ids, "thumbnail": thumbnails, "readable": True}
    return pd.DataFrame(columns)


def measured(world: str, n: int) -> str:
    """One row of the table; to be called in a process of its own, whose peak memory it takes."""
    scan = scan_of(WORLDS[world](n, np.random.default_rng(1)))
    with threadpool_limits(1):
        given = prints(scan)
        start = time.process_time()
        within = earlier_twins(given).found
        middle = time.process_time()
        test, train = prints(scan[: n // 2]), prints(scan[n // 2 :])
        again = time.process_time()
        between = twins_among(test, train).found
        end = time.process_time()
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e9
    one, two = middle - start, end - again
    return (
        f"{world:40}{n:8,}{one:10.2f}{one / n * 1000:9.3f}{within.mean():8.1%}"
        f"{two:10.2f}{two / n * 1000:9.3f}{between.mean():8.1%}{peak:9.2f}"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("n", nargs="*", type=int, default=[5_000, 20_000, 80_000])
    sizes = parser.parse_args().n
    print(f"{'':48}{'within one split':^27}{'between two':^27}{'peak':>9}")
    table = f"{'CPU s':>10}{'s/1,000':>9}{'found':>8}"
    print(f"{'thumbnails':40}{'n':>8}{table}{table}{'GB':>9}", flush=True)
    spawn = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(1, mp_context=spawn, max_tasks_per_child=1) as process:
        for world in WORLDS:
            for n in sizes:
                print(process.submit(measured, world, n).result(), flush=True)


if __name__ == "__main__":
    main()
