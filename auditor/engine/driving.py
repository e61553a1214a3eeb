"""Who drives an audit's sweeps, threads or Ray, and what a plan says of the latter."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from auditor.contract.numbers import numbered
from auditor.data.image_files import file_of
from auditor.engine.gather import CostEstimate, Loaded
from auditor.engine.ray_cluster import OnRay, cluster, own_workers
from auditor.engine.ray_runner import RayRunner, travels
from auditor.engine.runner import Runner, Threads
from auditor.engine.sweep import SHARD


@contextmanager
def driven(loaded: Loaded, on: OnRay | None) -> Iterator[Runner]:
    """A runner for the block; with `on` a cluster that has what the audit needs (ClusterError)."""
    if on is None:
        yield Threads()
        return
    size = loaded.predictor.facts.file_bytes
    with cluster(on, model_bytes=size, paths=_needed(loaded)) as found:
        yield RayRunner(found, _devices(loaded), size)


def _devices(loaded: Loaded) -> bool:
    """Whether any form of the model runs on more than the processor."""
    variants = (v.runtime for v in loaded.spec.variants.values() if v.runtime is not None)
    others = any(set(runtime.providers) != {"CPUExecutionProvider"} for runtime in variants)
    return loaded.predictor.opening.devices or others


def _needed(loaded: Loaded) -> list[str]:
    """Files that every node must see: some that hold images; a model that cannot travel."""
    datasets = loaded.available.datasets.values()
    held = (file_of(path) for one in datasets for path in one.paths.of_each_head())
    images = [file for file in dict.fromkeys(held) if file is not None]
    own = loaded.predictor
    return images if travels(own, own.opening) else [*images, str(own.opening.file.absolute())]


def cluster_lines(loaded: Loaded, on: OnRay, cost: CostEstimate) -> list[str]:
    """Where shards would run, how many, for how long and at what cost; joins a cluster for that."""
    size = loaded.predictor.facts.file_bytes
    if on.address is None:
        workers, nodes = own_workers(on, model_bytes=size), 1
    else:
        with cluster(on, model_bytes=size, paths=_needed(loaded)) as found:
            workers, nodes = found.workers, found.nodes
    sizes = [len(dataset) for dataset in loaded.available.datasets.values()]
    shards = sum(-(-n // SHARD) for n in sizes)
    busy = min(workers, max(-(-n // SHARD) for n in sizes))
    seconds = cost.cpu_seconds / busy
    about = f"{seconds / 60:.1f} minutes" if seconds >= 90 else f"{max(seconds, 1):.0f} seconds"
    return [
        "",
        f"On Ray ({on.told}): {numbered(workers, 'worker')} on {numbered(nodes, 'node')}; "
        f"{numbered(shards, 'shard')} of up to {SHARD} images, {busy} at a time: about {about} of "
        "sweeping; "
        f"{1000 * cost.cpu_seconds / max(sum(sizes), 1):.3g} CPU-seconds per 1,000 images.",
    ]
