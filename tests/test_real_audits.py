"""Real networks on real photos, from the specs under benchmarks/; skipped without the data."""

import shutil
from pathlib import Path

import pytest

import auditor
from auditor.reports.ordering import ordered
from auditor.reports.reasons import reason
from auditor.stats import value

BENCHMARKS = Path(auditor.__file__).parents[1] / "benchmarks"


def spec_in(folder: Path, name: str, shared_data: Path, **changes: str) -> Path:
    """A benchmark's spec with absolute paths to the data, and lines changed."""
    text = (BENCHMARKS / name).read_text()
    text = text.replace("../../shared/data", shared_data.as_posix())
    for old, new in changes.items():
        assert old in text, f"{name} has no line with {old!r}"
        text = text.replace(old, new)
    path = folder / name
    path.write_text(text)
    return path


def measured(record, name: str) -> float:
    found = record.finding(name)
    assert found is not None, f"{name} was not measured"
    measure = record.measure(found)
    assert measure is not None, record.result(found).reason
    return value(measure.estimate)


@pytest.mark.parametrize(
    ("name", "top_1"), [("squeezenet.yaml", 0.619), ("mobilenetv2.yaml", 0.799)]
)
def test_top_1_is_what_others_measured_with_the_same_preprocessing(
    shared_data, tmp_path, name, top_1
):
    changes = {"resize: shortest, shortest: 256, crop: center": "resize: stretch"}
    spec = spec_in(tmp_path, name, shared_data, **changes)
    record = auditor.run(spec, out=tmp_path / "out", only=("performance/overall",))
    assert record.dataset("test").n_sound == 1000
    assert measured(record, "performance/overall:accuracy@test") == pytest.approx(top_1, abs=0.005)


@pytest.mark.parametrize(
    ("name", "precision"), [("yolox-coco.yaml", 0.329), ("fastestdet-coco.yaml", 0.173)]
)
def test_average_precision_is_what_others_measured(shared_data, tmp_path, name, precision):
    shutil.copy(BENCHMARKS / "coco-classes.txt", tmp_path)
    spec = spec_in(tmp_path, name, shared_data)
    record = auditor.run(spec, out=tmp_path / "out", only=("performance/overall",))
    found = measured(record, "performance/overall:ap-50-95@test")
    assert found == pytest.approx(precision, abs=0.005)


def test_a_wrong_preprocessing_is_found_and_the_right_one_named(shared_data, tmp_path):
    spec = spec_in(tmp_path, "squeezenet-wrong-input.yaml", shared_data)
    record = auditor.run(spec, out=tmp_path / "out", only=("model/preprocessing",))
    failing = [f for f in record.findings if f.verdict == "FAIL"]
    best = max(failing, key=lambda f: value(record.measure(f).estimate))
    assert best.id == "model/preprocessing:accuracy-gain:input=bgr-minus-mean@test"
    said = reason(best, ordered(record))
    assert "channels bgr, scale 1, mean [103.939, 116.779, 123.68]" in said
