import dataclasses

import pytest

from auditor.checks.model_architecture import Architecture
from auditor.contract import NotMeasurableError
from auditor.findings import Table
from auditor.models.architecture import describe
from auditor.models.layers import Layer
from auditor.spec import InputSpec
from auditor.stats import value


@dataclasses.dataclass(frozen=True)
class StubModel:
    architecture: object


def chain(depth, *, skip):
    """A chain of 3x3 convolutions; with `skip` every one is bridged by an addition."""
    layers, at = [], "x"
    for i in range(depth):
        layers.append(
            Layer("Conv", "convolution", (at,), (f"c{i}",), macs=10, kernel=(3, 3), stride=(1, 1),
                  dilation=(1, 1))
        )  # fmt: skip
        if skip:
            layers.append(Layer("Add", "add", (at, f"c{i}"), (f"s{i}",)))
        at = f"s{i}" if skip else f"c{i}"
    return layers


def world(worlds, *, depth=30, skip=False, flops=600):
    facts = describe(
        chain(depth, skip=skip), n_parameters=1234, flops=flops, input=InputSpec(size=(8, 8))
    )
    return worlds.evidence(predictors={"as-given": StubModel(facts)})


def test_the_numbers_are_those_of_the_network(worlds):
    found = worlds.measures(Architecture(), world(worlds, skip=True))
    wanted = {"parameters": 1234, "flops": 600, "convolutions": 30, "depth": 30,
              "residual-links": 30, "receptive-field": 61, "input-numbers": 192,
              "linear-layers": 0, "depthwise-convolutions": 0, "concatenated-links": 0,
              "random-operators": 0, "batch-operators": 0}  # fmt: skip
    assert {m.name: value(m.estimate) for m in found.values()} == pytest.approx(wanted)


@pytest.mark.parametrize(
    ("depth", "skip", "said"),
    [
        (30, False, "Deep (30 weighted layers on the longest path) without a single link"),
        (30, True, "30 additions"),
        (5, False, "none needed"),
    ],
)
def test_a_deep_network_without_links_is_remarked(worlds, depth, skip, said):
    found = worlds.measures(Architecture(), world(worlds, depth=depth, skip=skip))
    assert said in worlds.sentence(Architecture, found["residual-links:"])
    assert not worlds.unfilled(Architecture, found.values())


def test_what_the_file_does_not_show_is_left_out(worlds):
    found = worlds.measures(Architecture(), world(worlds, flops=None))
    assert "flops:" not in found
    assert "parameters:" in found


def test_layers_are_listed_the_commonest_first(worlds):
    (table,) = [r for r in Architecture().run(world(worlds, skip=True)) if isinstance(r, Table)]
    assert table.rows == (("Add", 30), ("Conv", 30))


def test_a_model_that_shows_no_network_is_not_measured(worlds):
    evidence = worlds.evidence(predictors={"as-given": object()})
    with pytest.raises(NotMeasurableError, match="cannot be seen"):
        list(Architecture().run(evidence))
