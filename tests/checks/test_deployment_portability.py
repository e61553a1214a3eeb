"""deployment/portability: listed or not listed, the opset, free axes; never a promise."""

import pytest

from auditor.checks.deployment_portability import OnnxFile, Portability
from auditor.contract import Available
from auditor.findings import Table, TensorFacts
from auditor.stats import value

USUAL = {"ai.onnx:Conv": 20, "ai.onnx:Relu": 19, "ai.onnx:Gemm": 1,
         "ai.onnx:GlobalAveragePool": 1}  # fmt: skip


def found(worlds, *, operators, opset=13, shape=(1, 3, 8, 8)):
    inputs = (TensorFacts("x", shape, "tensor(float)"),)
    outputs = (TensorFacts("y", (1, 2), "tensor(float)"),)
    facts = worlds.facts(operators=operators, opset=opset, inputs=inputs, outputs=outputs)
    return list(Portability().run(worlds.evidence(model=facts)))


def by_target(results):
    return {r.subject.get("target"): r for r in results if getattr(r, "name", "").startswith("op")}


def test_usual_operators_are_on_every_list_and_no_promise_is_made(worlds):
    for measure in by_target(found(worlds, operators=USUAL)).values():
        assert value(measure.estimate) == pytest.approx(1.0)
        said = worlds.sentence(Portability, measure)
        assert said.startswith("4 of 4 kinds of operators are on the list of ")
        assert "A list is no promise that it runs." in said
        assert "Not listed" not in said
        assert "Opset" not in said


def test_an_operator_that_no_list_has_is_named(worlds):
    results = found(worlds, operators=USUAL | {"ai.onnx:Det": 1}, opset=20)
    mobile = by_target(results)["onnxruntime-mobile-1.17"]
    said = worlds.sentence(Portability, mobile)
    assert value(mobile.estimate) == pytest.approx(0.8)
    assert "Not listed: Det." in said
    assert "Opset 20 is none of those that the list speaks of." in said
    (table,) = [r for r in results if isinstance(r, Table)]
    row = next(row for row in table.rows if row[0] == "Det")
    assert row[1:] == (1, *["not listed"] * 4)


def test_free_axes_are_counted_and_named(worlds):
    results = found(worlds, operators=USUAL, shape=(None, 3, None, 8))
    (free,) = [r for r in results if getattr(r, "name", "") == "free-axes"]
    assert value(free.estimate) == pytest.approx(2)
    assert "Free: x[0], x[2]" in worlds.sentence(Portability, free)


def test_a_pytorch_model_has_no_onnx_operators(worlds):
    unmet = OnnxFile().unmet(Available(worlds.spec(), worlds.facts(format="torch"), {}))
    assert "Export the model to ONNX" in unmet.remedy


def test_every_word_has_its_fields(worlds):
    results = found(worlds, operators=USUAL | {"ai.onnx:Det": 1}, shape=(None, 3, 8, 8))
    assert not worlds.unfilled(Portability, results)
