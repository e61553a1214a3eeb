"""What a runner asks of Ray, with a stand-in for it; the real one is in test_ray.py."""

import dataclasses
import types
from pathlib import Path

import numpy as np
import pytest
from coloured_rooms import write_model
from web_servers import cache_in

from auditor.data.image_digests import ImageDigests
from auditor.data.image_files import (
    UNREADABLE,
    ImageFiles,
    path_in_manifest,
    path_in_tar,
    path_of_object,
)
from auditor.data.image_paths import ImagePaths
from auditor.engine.driving import _needed
from auditor.engine.ray_cluster import Cluster, OnRay
from auditor.engine.ray_runner import RayRunner, _require_read, _Sweep, _Worker, travels
from auditor.engine.ray_worker import WorkerFacts
from auditor.errors import ClusterError, DataError
from auditor.models.load import load_model
from auditor.remote import objects
from auditor.remote.cache import RemoteObject


class StandIn:
    """Takes note of what is put, and of what actors are made with."""

    def __init__(self):
        self.put_values, self.options = [], []

    def put(self, value):
        self.put_values.append(value)
        return f"reference {len(self.put_values)}"

    def remote(self, **options):
        self.options.append(options)
        return lambda cls: types.SimpleNamespace(remote=lambda: cls)


@pytest.fixture(scope="module")
def predictor(tmp_path_factory, worlds):
    folder = tmp_path_factory.mktemp("model")
    write_model(folder / "model.onnx")
    model = {"path": str(folder / "model.onnx"), "classes": ("a", "b"),
             "input": {"size": (16, 16)}, "output": "logits"}  # fmt: skip
    return load_model(worlds.spec(model=model), classes=("a", "b"))


def runner_on(ray, *, address=None, gpus=0.0, devices=False, workers=4):
    found = Cluster(ray, OnRay(address), workers, nodes=1, gpus=gpus)
    return RayRunner(found, devices=devices, model_bytes=10**6)


def test_a_model_is_put_once_for_all_sweeps_and_only_where_it_has_to_travel(predictor):
    ray = StandIn()
    runner = runner_on(ray, address="ray://head:10001")
    first = runner._contents_of({"as-given": predictor})
    assert runner._contents_of({"as-given": predictor, "int8": predictor})[0] == first[0]
    assert len(ray.put_values) == 2
    assert ray.put_values[0].tobytes() == predictor.opening.file.read_bytes()
    assert ray.put_values[0].dtype == np.uint8
    own = runner_on(StandIn())
    assert own._contents_of({"as-given": predictor}) == [None]


def test_a_model_of_several_files_or_with_code_does_not_travel(predictor):
    assert travels(predictor, predictor.opening)
    for change in ({"file_bytes": predictor.facts.file_bytes + 9}, {"trusted_code": True}):
        changed = dataclasses.replace(predictor.facts, **change)
        assert not travels(types.SimpleNamespace(facts=changed), predictor.opening)


def test_workers_share_the_accelerators_where_the_model_runs_on_one():
    ray = StandIn()
    list(runner_on(ray, gpus=2, devices=True).hired(1))
    list(runner_on(ray, gpus=8, devices=True).hired(1))
    list(runner_on(ray, gpus=0, devices=True).hired(1))
    list(runner_on(ray, gpus=2, devices=False).hired(1))
    assert [each["num_gpus"] for each in ray.options] == [0.5, 1.0, 0.0, 0]
    assert all(each["num_cpus"] == 1 and each["memory"] > 10**8 for each in ray.options)


@pytest.mark.parametrize(
    ("facts", "sentence"),
    [
        (
            WorkerFacts(1, "n7", {"as-given": "d"}, sees_store=False),
            "Node n7 of the Ray cluster does not see",
        ),
        (WorkerFacts(1, "n7", {"as-given": "e"}), "Node n7 .* would answer otherwise in the last"),
    ],
)
def test_a_node_that_would_answer_elsewhere_or_otherwise_ends_the_run(facts, sentence):
    sweep = _Sweep(
        runner_on(StandIn()), types.SimpleNamespace(sizes=()), lambda progress: None, stage="sweep"
    )
    sweep._digests = {"as-given": "d"}
    with pytest.raises(ClusterError, match=sentence):
        sweep._require_same(facts)
    sweep._require_same(WorkerFacts(1, "n7", {"as-given": "d"}))


def test_workers_that_end_before_their_first_images_are_told_and_the_third_ends_the_run(caplog):
    ray = StandIn()
    ray.kill = lambda actor, no_restart: None
    runner = runner_on(ray)
    sweep = _Sweep(
        runner, types.SimpleNamespace(sizes=()), lambda progress: None, stage="sweep"
    )  # fmt: skip
    for _ in range(2):
        runner._workers.append(_Worker(None))
        sweep._replace(runner._workers[0])
    assert caplog.messages == ["A worker ended before its first images; others take them."] * 2
    runner._workers.append(_Worker(None))
    with pytest.raises(ClusterError, match=r"^3 workers of the Ray cluster ended one after the"):
        sweep._replace(runner._workers[0])


def test_an_image_that_only_a_node_cannot_read_ends_the_run(tmp_path, monkeypatch):
    here = tmp_path / "here.png"
    here.write_bytes(b"bytes")
    task = types.SimpleNamespace(
        image_ids=("gone.png", "here.png"), paths=(str(tmp_path / "gone.png"), str(here)),
        split="test",
    )  # fmt: skip
    digests = ImageDigests.of([UNREADABLE, ImageFiles().digest(str(here))], none=UNREADABLE)
    _require_read(digests, task, node="n7")
    digests = ImageDigests.of([UNREADABLE] * 2, none=UNREADABLE)
    with pytest.raises(ClusterError, match=r"^Node n7 .* could not read here.png of .*a shared fo"):
        _require_read(digests, task, node="n7")
    objects.write("memory://rooms/1.png", b"bytes")
    task.paths = (task.paths[0], path_of_object(RemoteObject("memory://rooms/1.png", "m", 5)))
    given = pytest.raises(ClusterError, match=r"^Node n7 .* can: give it .* credentials, and run")
    with cache_in(tmp_path / "cache", monkeypatch), given:
        _require_read(digests, task, node="n7")


@pytest.mark.parametrize("facts", [None, WorkerFacts(1, "n7", {})])
def test_an_error_of_a_worker_that_is_ready_is_told_with_the_name_of_its_node(facts):
    class TaskError(Exception):
        cause = DataError("7.png cannot be read.")

    def get(reference):
        raise TaskError

    ray = StandIn()
    ray.get, ray.exceptions = get, types.SimpleNamespace(RayTaskError=TaskError)
    tasks = types.SimpleNamespace(sizes=())
    sweep = _Sweep(runner_on(ray), tasks, lambda progress: None, stage="sweep")
    where = "" if facts is None else "Node n7 of the Ray cluster: "
    with pytest.raises(DataError, match=rf"^{where}7\.png cannot"):
        sweep._take(_Worker(None, facts=facts), "reference")


def test_every_node_must_see_the_files_that_hold_images(predictor, tmp_path):
    inside = [path_in_manifest(f"/data/{k}.parquet", "image", row) for k in "ab" for row in (4, 0)]
    members = [path_in_tar(f"/data/{k}.tar", 512 * i, 100) for k in "abc" for i in range(12)]
    paths = {
        "test": [*inside, "/photos/1.jpg", "/photos/2.jpg"],
        "deployment": members,
        "train": [inside[0], path_of_object(RemoteObject("https://rooms.example/7.jpg", "m", 9))],
    }
    datasets = {
        split: types.SimpleNamespace(paths=ImagePaths.of(of, names=[Path(p).name for p in of]))
        for split, of in paths.items()
    }
    available = types.SimpleNamespace(datasets=datasets)
    loaded = types.SimpleNamespace(available=available, predictor=predictor)
    tars = ["/data/a.tar", "/data/b.tar", "/data/c.tar"]
    assert _needed(loaded) == ["/data/a.parquet", "/data/b.parquet", "/photos/1.jpg", *tars]
    assert [*datasets["deployment"].paths] == members
