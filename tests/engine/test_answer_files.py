"""Answers of a shard: read as they were put, taken over, and class maps not held whole."""

import tracemalloc

import numpy as np
import pytest
from detector_worlds import SEGMENTER

from auditor.data.geometry import Affine
from auditor.engine.answer_files import Place, answered, gathering, read_stored
from auditor.engine.store import Store
from auditor.models.answers import ClassMap, Detections, Patch
from auditor.models.predictor import Prediction
from auditor.spec import ModelSpec

MODEL = ModelSpec.model_validate({**SEGMENTER, "classes": ("road", "crack")})
SIZE = (6, 8)
HEADS = {
    "classification": "logits",
    "detection": {"kind": "torchvision"},
    "segmentation": {"kind": "semantic"},
    "instance-segmentation": {"kind": "mask-rcnn"},
}


def model_of(task):
    given = {"path": "m.onnx", "task": task, "classes": ("a", "b"), "input": {"size": SIZE}}
    return ModelSpec.model_validate({**given, "output": HEADS[task]})


def answer_of(task, seed):
    """A map, or up to three boxes, each with a mask where the task has any."""
    rng = np.random.default_rng(seed)
    if task == "segmentation":
        return ClassMap(rng.integers(0, 2, SIZE).astype(np.int16))
    n = seed % 4
    corners = np.sort(rng.uniform(0, 6, (n, 2, 2)), axis=1).reshape(n, 4)
    scores = np.sort(rng.uniform(0, 1, n))[::-1].copy()
    patches = tuple(
        Patch((0, 0, 8, 6), np.ones((3, 3), np.float32), 0.5, tuple(c)) for c in corners
    )
    return Detections(
        corners, scores, rng.integers(0, 2, n),
        patches=patches if task == "instance-segmentation" else None,
    )  # fmt: skip


def prediction_of(task, seeds):
    if task == "classification":
        return Prediction(np.array([[s / 10, 1 - s / 10] for s in seeds], dtype=np.float32))
    return Prediction.answered([answer_of(task, seed) for seed in seeds])


@pytest.mark.parametrize("task", HEADS)
def test_answers_taken_over_and_put_anew_are_those_of_one_sweep(task, tmp_path):
    store, places = Store(tmp_path), [Place(SIZE, Affine())] * 5

    def written(name, *puts, earlier=None):
        answers = gathering(model_of(task), n=5, n_classes=2, earlier=earlier)
        for slots, seeds in puts:
            answers.put(slots, prediction_of(task, seeds), places[: len(slots)])
        answers.write(store, tmp_path / name)
        return (tmp_path / name).read_bytes()

    # Slot 2 is never answered; slot 1 has other answers in the first sweep.
    written("before.npz", ([0, 1, 3, 4], [1, 2, 3, 4]))
    wanted = written("wanted.npz", ([0, 1, 3, 4], [1, 7, 3, 4]))
    renewed = written("renewed.npz", ([1], [7]), earlier=tmp_path / "before.npz")
    assert renewed == wanted
    assert renewed != (tmp_path / "before.npz").read_bytes()


def put(kept, slots, maps):
    places = [Place(m.shape, Affine()) for m in maps]
    kept.put(slots, Prediction.answered([ClassMap(m) for m in maps]), places)


@pytest.mark.parametrize("answered_slots", [(4, 0, 2), ()])
def test_class_maps_are_read_as_they_were_put(tmp_path, answered_slots):
    rng = np.random.default_rng(3)
    maps = {s: rng.integers(-1, 300, size=(3 + s, 5), dtype=np.int16) for s in answered_slots}
    store = Store(tmp_path)
    path = store.path("predictions", "k", ".npz")
    kept = gathering(MODEL, n=5, n_classes=2)
    put(kept, list(maps), list(maps.values()))
    kept.write(store, path)
    read = list(read_stored("segmentation", path))
    assert [m is not None for m in read] == [s in maps for s in range(5)]
    assert answered("segmentation", path).tolist() == [s in maps for s in range(5)]
    for slot, written in maps.items():
        assert (read[slot] == written).all()


def test_a_shard_of_large_maps_fits_in_little_memory(tmp_path):
    """64 maps of a million pixels are 128 MB as numbers."""
    store = Store(tmp_path)
    path = store.path("predictions", "k", ".npz")
    drawn = np.zeros((1000, 1000), dtype=np.int16)
    drawn[200:700, 100:900] = 1
    tracemalloc.start()
    kept = gathering(MODEL, n=64, n_classes=2)
    for slot in range(64):
        put(kept, [slot], [drawn])
    kept.write(store, path)
    total = sum(int(m.sum()) for m in read_stored("segmentation", path))
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert total == 64 * 500 * 800
    assert peak < 20_000_000
