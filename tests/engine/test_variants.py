"""Forms in a whole audit: named files, another runtime, and those made of a PyTorch model."""

import coloured_rooms
import numpy as np
import onnx
import pytest
import torch
from onnx import numpy_helper
from torch import nn

from auditor.engine.run import run
from auditor.stats import value

TIMES = "checks: {deployment/quantization: {budget_s: 0.5, attempts: 1, blocks: 10, block_runs: 2}}"


@pytest.fixture
def world(tmp_path):
    path = coloured_rooms.make_world(tmp_path / "rooms", sizes=(60, 40, 30))
    text = path.read_text().replace("policy: policy.yaml", "policy: default")
    text = text.replace(coloured_rooms.TIMED_ONCE, "")

    def write(more, *, model="model.onnx"):
        path.write_text(text.replace("path: model.onnx", f"path: {model}") + more)
        return path

    return write


def measures(record, check):
    (results,) = [r for r in record.results if r.check == check]
    return results, {f"{m.name}:{m.subject}": m for m in results.measures}


def swapped(path, out):
    """The model with its two answers swapped: what was said of one class is said of the other."""
    model = onnx.load(path)
    for tensor in model.graph.initializer:
        array = numpy_helper.to_array(tensor)
        if array.ndim >= 1 and array.shape[0] == 2:
            tensor.CopyFrom(numpy_helper.from_array(np.ascontiguousarray(array[::-1]), tensor.name))
        elif array.ndim == 2 and array.shape[1] == 2:
            turned = np.ascontiguousarray(array[:, ::-1])
            tensor.CopyFrom(numpy_helper.from_array(turned, tensor.name))
    onnx.save(model, out)


def test_named_files_and_runtimes_answer_the_same_images(world, tmp_path):
    rooms = tmp_path / "rooms"
    swapped(rooms / "model.onnx", rooms / "swapped.onnx")
    spec = world("""
variants:
  swapped: {path: swapped.onnx, made_by: release, margin: 0.02}
  plain: {runtime: {optimisation: none, threads: 2}}
  elsewhere: {runtime: {providers: [TensorrtExecutionProvider]}}
  gone: {path: gone.onnx}
""")
    record = run(spec, out=tmp_path / "out", only=["deployment/variants"])
    results, found = measures(record, "deployment/variants")
    assert value(found["flip-rate:@test+plain"].estimate) == pytest.approx(0)
    assert value(found["accuracy-lost:@test+plain"].estimate) == pytest.approx(0)
    assert value(found["flip-rate:@deployment+swapped"].estimate) == pytest.approx(1)
    assert value(found["accuracy-lost:@test+swapped"].estimate) > 0.5
    missing = {u.subject.variant: u.reason for u in results.unmeasured if u.subject.variant}
    assert "found no TensorrtExecutionProvider" in missing["elsewhere"]
    assert "variants.gone.path: gone.onnx does not exist" in missing["gone"]
    verdicts = {r.limit["id"]: r.verdict for r in record.limit_results}
    assert verdicts["variant:swapped"] == "FAIL"
    assert verdicts["variant-accuracy"] == "FAIL"
    assert set(record.provenance.inputs) >= {"variants.swapped"}
    assert "variants.plain" not in record.provenance.inputs


class Tint(nn.Module):
    """Red against blue, through convolutions that can be quantised."""

    def __init__(self):
        super().__init__()
        self.features = nn.Conv2d(3, 8, 3, padding=1)
        self.head = nn.Linear(8, 2)
        with torch.no_grad():
            self.features.weight.zero_()
            self.features.bias.zero_()
            self.features.weight[0, 0, 1, 1] = 4.0
            self.features.weight[1, 2, 1, 1] = 4.0
            self.head.weight.zero_()
            self.head.bias.zero_()
            self.head.weight[0, 0] = self.head.weight[1, 1] = 5.0

    def forward(self, image):
        return self.head(self.features(image).relu().mean(dim=(2, 3)))


def test_forms_of_a_pytorch_model_are_made_of_its_export(world, tmp_path):
    torch.jit.trace(Tint().eval(), torch.zeros(1, 3, 16, 16)).save(
        str(tmp_path / "rooms" / "model.pt")
    )
    spec = world("\n" + TIMES + "\n", model="model.pt")
    record = run(spec, out=tmp_path / "out", only=["deployment/quantization"])
    results, found = measures(record, "deployment/quantization")
    assert not results.traceback
    assert value(found["export-disagreement:@test+exported"].estimate) == pytest.approx(0)
    for form in ("int8", "fp16"):
        assert abs(value(found[f"accuracy-lost:@test+{form}"].estimate)) < 0.05
        assert f"size-ratio:+{form}" in found
    assert {k for k in found if k.startswith("calibrator-noise")} == {
        "calibrator-noise:calibrator=MinMax@train+int8",
        "calibrator-noise:calibrator=Percentile@train+int8",
    }


def test_a_float_file_is_no_int8_form(world, tmp_path):
    spec = world("\nvariants: {int8: {path: model.onnx}}\n" + TIMES + "\n")
    record = run(spec, out=tmp_path / "out", only=["deployment/quantization"])
    results, _ = measures(record, "deployment/quantization")
    assert any("no weight in integers" in u.reason for u in results.unmeasured)


@pytest.mark.parametrize(
    ("stated", "said"),
    [
        ("{as-given: {path: m.onnx}}", "is the model itself"),
        ("{edge: {made_by: pruning}}", "names neither a file nor another way to run it"),
        ("{edge: {path: m.onnx, margn: 0.1}}", "Did you mean 'margin'?"),
        ("{'a b': {path: m.onnx}}", "variants"),
    ],
)
def test_a_form_that_says_nothing_is_an_error(world, stated, said):
    from auditor.errors import SpecError
    from auditor.spec.spec_file import read_spec

    with pytest.raises(SpecError) as caught:
        read_spec(world(f"\nvariants: {stated}\n"))
    assert said in str(caught.value)
