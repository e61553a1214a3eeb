"""`auditor init` writes a spec that `auditor run` takes as it is."""

from pathlib import Path

import pandas as pd
import pytest
from coloured_rooms import make_world
from PIL import Image
from typer.testing import CliRunner

import auditor
from auditor.cli import app
from auditor.data.looking import look_at_data
from auditor.errors import DataError, SpecError
from auditor.init import write_spec
from auditor.spec.spec_file import read_spec


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    return make_world(tmp_path_factory.mktemp("init") / "world").parent


def test_a_manifest_gives_a_spec_that_runs(world, tmp_path):
    out = world / "found.yaml"
    result = CliRunner().invoke(
        app, ["init", str(world / "model.onnx"), str(world / "test.csv"), "--out", str(out)]
    )
    assert result.exit_code == 0, result.output
    assert "labels in label (2 classes), unit room, attributes: building" in result.output
    spec = read_spec(out).spec
    assert spec.model.input.size == (16, 16)
    assert spec.data.columns.unit == "room"
    assert set(spec.data.attributes) == {"building"}
    record = auditor.run(out, out=tmp_path, only=("performance/overall", "bias/subgroup-gap"))
    assert {r.check for r in record.results} >= {"performance/overall", "bias/subgroup-gap"}
    assert record.dataset("test").n == 400


def test_a_folder_of_images_by_class_gives_a_spec_that_runs(world, tmp_path):
    folder = tmp_path / "photos"
    table = pd.read_csv(world / "test.csv").head(60)
    for row in table.itertuples():
        (folder / row.label).mkdir(parents=True, exist_ok=True)
        Image.open(world / row.file).save(folder / row.label / Path(row.file).name)
    write_spec(world / "model.onnx", folder, out=tmp_path / "audit.yaml")
    spec = read_spec(tmp_path / "audit.yaml").spec
    assert spec.model.classes == ("blue", "red")
    record = auditor.run(tmp_path / "audit.yaml", out=tmp_path / "out", only=("data/images",))
    assert record.dataset("test").n == 60


def test_an_existing_file_is_not_overwritten_unless_told(world, tmp_path):
    out = tmp_path / "audit.yaml"
    out.write_text("mine")
    with pytest.raises(SpecError, match="exists already"):
        write_spec(world / "model.onnx", world / "test.csv", out=out)
    assert out.read_text() == "mine"
    write_spec(world / "model.onnx", world / "test.csv", out=out, images=world, force=True)
    assert "model.onnx" in out.read_text()


@pytest.mark.parametrize(
    ("columns", "says"),
    [
        ({"a": ["x"], "label": ["y"]}, "no column names images"),
        ({"image": ["x.png"], "a": ["y"]}, "no column holds labels"),
        ({"image": ["x.png"], "label": ["y"]}, "--images FOLDER"),
    ],
)
def test_what_a_manifest_lacks_is_said(tmp_path, columns, says):
    path = tmp_path / "m.csv"
    pd.DataFrame(columns).to_csv(path, index=False)
    with pytest.raises(DataError, match=says):
        look_at_data(path)


def test_a_folder_without_classes_is_refused(tmp_path):
    (tmp_path / "only").mkdir()
    with pytest.raises(DataError, match="one subfolder a class was expected"):
        look_at_data(tmp_path)


def test_a_spec_for_real_models_is_guessed_from_the_graph(shared_data, tmp_path):
    data = shared_data / "imagenet-mini" / "manifest.csv"
    for name, kind in (
        ("imagenet_squeezenet1.1_fp32", "probabilities"),
        ("imagenet_mobilenetv2_1.0_224_fp32", "probabilities"),
    ):
        out = tmp_path / f"{name}.yaml"
        write_spec(shared_data / "models" / f"{name}.onnx", data, out=out)
        spec = read_spec(out).spec
        assert spec.model.input.size == (224, 224)
        assert spec.model.output_spec.kind == kind
        assert spec.model.classes.count == 1000
    assert spec.model.output_spec.background == 0
    assert spec.model.input.dtype == "uint8"


def test_labels_of_several_hands_are_found(world, tmp_path):
    table = pd.read_csv(world / "test.csv")
    other = table["label"].where(table.index % 5 > 0)
    table = table.assign(inspector="ames", grade_birk=other, expert_grade=other.shift(1))
    table.to_csv(world / "rated.csv", index=False)
    found = look_at_data(world / "rated.csv")
    assert [a.column for a in found.attributes] == ["building"]
    out = world / "rated.yaml"
    write_spec(world / "model.onnx", world / "rated.csv", out=out)
    columns = read_spec(out).spec.data.columns
    assert (columns.image, columns.label, columns.unit) == ("file", "label", "room")
    assert columns.annotator == "inspector"
    assert columns.ratings == {"grade_birk": "grade_birk"}
    assert columns.gold == "expert_grade"
    record = auditor.run(out, out=tmp_path, only=("bias/label-agreement", "bias/label-errors"))
    measured = {m.name for results in record.results for m in results.measures}
    assert measured >= {"raw-agreement", "agreement", "alpha", "label-error", "flagged"}
