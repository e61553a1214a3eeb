"""What a runner asks of Ray, with a stand-in for it; the real one is in test_ray.py."""

import dataclasses
import types

import numpy as np
import pytest
from coloured_rooms import write_model

from auditor.engine.ray_cluster import Cluster, OnRay
from auditor.engine.ray_runner import RayRunner, _Sweep, travels
from auditor.engine.ray_worker import WorkerFacts
from auditor.errors import ClusterError
from auditor.models.load import load_model


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
        (WorkerFacts(1, {"as-given": "d"}, sees_store=False), "does not see the store"),
        (WorkerFacts(1, {"as-given": "e"}), "would answer otherwise in the last digits"),
    ],
)
def test_a_node_that_would_answer_elsewhere_or_otherwise_ends_the_run(facts, sentence):
    sweep = _Sweep(
        runner_on(StandIn()), types.SimpleNamespace(sizes=()), lambda progress: None, stage="sweep"
    )
    sweep._digests = {"as-given": "d"}
    with pytest.raises(ClusterError, match=sentence):
        sweep._require_same(facts)
    sweep._require_same(WorkerFacts(1, {"as-given": "d"}))
