"""Reading audit.yaml: what one part says of another."""

from __future__ import annotations

import hashlib

import pytest

from auditor.errors import SpecError
from auditor.spec.spec_file import known_classes, read_spec

SPEC = """\
audit: {title: A reader, seed: 7}
model:
  path: model.onnx
  task: classification
  classes: [fine, minor, serious]
  input: {size: [8, 8]}
data:
  test: {manifest: test.csv, images: images}
  attributes:
    building: {role: condition}
claims:
  - {measure: accuracy, at_least: 0.9, source: report}
consequences:
  adverse: [serious]
  costs: {unit: EUR, matrix: {fine: {serious: 4000}}}
  borne_by: {serious: tenants}
shortcuts:
  - {name: marker, region: [0, 0.9, 0.2, 1], carried_by: {building: old}}
"""


def write(folder, text):
    path = folder / "audit.yaml"
    path.write_text(text, encoding="utf-8")
    return path


def test_a_spec_is_read_with_its_text_digest_and_folder(tmp_path):
    file = read_spec(write(tmp_path, SPEC))
    assert file.spec.audit.seed == 7
    assert file.spec.folder == tmp_path
    assert file.spec.resolve("model.onnx") == tmp_path / "model.onnx"
    assert file.name == "audit.yaml"
    assert file.text == SPEC
    assert file.digest == hashlib.sha256(SPEC.encode()).hexdigest()
    assert str(tmp_path) not in str(file.spec.model_dump(mode="json"))


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        (
            "task: classification",
            "task: detection",
            "audit.yaml:2: model: output: logits is of a model for classification, and task is "
            "detection; set task: classification, or name as output one of torchvision, ssd, "
            "ssd-softmax, yolov5, yolov8, yolox, end-to-end, fastestdet, yunet, detr.",
        ),
        (
            "adverse: [serious]",
            "adverse: [serius]",
            "audit.yaml:14: consequences.adverse[0]: there is no class 'serius'. Did you mean "
            "'serious'?",
        ),
        (
            "  attributes:",
            "  unit_accepts: {none_of: [grave]}\n  attributes:",
            "audit.yaml:9: data.unit_accepts.none_of[0]: there is no class 'grave'. "
            "Known: fine, minor, serious.",
        ),
        (
            "{serious: 4000}",
            "{grave: 4000}",
            "audit.yaml:15: consequences.costs.matrix.fine.grave: there is no class 'grave'. "
            "Known: fine, minor, serious.",
        ),
        (
            "matrix: {fine:",
            "matrix: {fin:",
            "audit.yaml:15: consequences.costs.matrix.fin: there is no class 'fin'. Did you mean "
            "'fine'?",
        ),
        (
            "{serious: 4000}",
            "{serious: 1e300}",
            "audit.yaml:15: consequences.costs.matrix.fine.serious: found the number 1e+300, "
            "expected at most 1e+15.",
        ),
        (
            "{serious: tenants}",
            "{seriou: tenants}",
            "audit.yaml:16: consequences.borne_by.seriou: there is no class 'seriou'. Did you mean "
            "'serious'?",
        ),
        (
            "{measure: accuracy,",
            "{measure: recall, label: seriuos,",
            "audit.yaml:12: claims[0].label: there is no class 'seriuos'. Did you mean 'serious'?",
        ),
        (
            "{measure: accuracy,",
            "{measure: recall,",
            "audit.yaml:12: claims[0]: a claim on recall needs the class that it is about; add "
            "`label: NAME`.",
        ),
        (
            "{measure: accuracy,",
            "{measure: acuracy,",
            "audit.yaml:12: claims[0].measure: found 'acuracy', expected accuracy, recall, "
            "precision, or the id of a measure as check:measure. Did you mean "
            "'accuracy'?",
        ),
        (
            "{measure: accuracy,",
            "{measure: accuracy, split: deployment,",
            "audit.yaml:12: claims[0].split: the spec names no deployment data; add "
            "`data.deployment` or drop the claim.",
        ),
        (
            "carried_by: {building",
            "carried_by: {bilding",
            "audit.yaml:18: shortcuts[0].carried_by.bilding: there is no attribute 'bilding' under "
            "data.attributes. Did you mean 'building'?",
        ),
        (
            "shortcuts:\n",
            "shortcuts:\n  - {name: marker, region: [0, 0, 1, 1]}\n",
            "audit.yaml:19: shortcuts[1].name: found the shortcut 'marker' again; names must "
            "differ.",
        ),
        (
            "[fine, minor, serious]",
            "[fine, serious, fine]",
            "audit.yaml:5: model.classes[2]: found the class 'fine' again; class names must "
            "differ.",
        ),
    ],
)
def test_contradictions_are_said_with_their_line(tmp_path, old, new, said):
    with pytest.raises(SpecError) as caught:
        read_spec(write(tmp_path, SPEC.replace(old, new)))
    assert str(caught.value) == said


def test_classes_in_a_file_are_not_guessed_and_counted_ones_are_numbers(tmp_path):
    listed = SPEC.replace("[fine, minor, serious]", "classes.txt")
    assert known_classes(read_spec(write(tmp_path, listed)).spec) is None
    counted = SPEC.replace("[fine, minor, serious]", "{count: 3}")
    with pytest.raises(SpecError, match="there is no class 'serious'"):
        read_spec(write(tmp_path, counted))


def test_files_that_cannot_be_read_are_said(tmp_path):
    with pytest.raises(SpecError, match=r"does not exist\. Give the path"):
        read_spec(tmp_path / "none.yaml")
    with pytest.raises(SpecError, match="is a folder"):
        read_spec(tmp_path)
    (tmp_path / "latin.yaml").write_bytes("audit: é".encode("latin-1"))
    with pytest.raises(SpecError, match="is not UTF-8"):
        read_spec(tmp_path / "latin.yaml")


def test_a_byte_order_mark_is_no_part_of_the_first_key(tmp_path):
    path = tmp_path / "audit.yaml"
    path.write_bytes(b"\xef\xbb\xbf" + SPEC.encode())
    assert read_spec(path).spec.audit.title == "A reader"
