"""The report, the card and the terminal of a small detector's audit, as a reader has them."""

import dataclasses
import html
import json
import re

import numpy as np
import onnx
import pytest
import yaml
from onnx import TensorProto, helper, numpy_helper
from PIL import Image

import auditor
from auditor.checks.performance_boxes import BoxFaults
from auditor.modelcard.card import model_card
from auditor.reports.annex import _model
from auditor.reports.drawing.pictures import pictures
from auditor.reports.html import report_html
from auditor.reports.summary import summary_lines

CHECKS = (
    "data/left-out", "performance/overall", "performance/boxes", "performance/baseline",
    "performance/per-class", "performance/calibration", "performance/abstention",
    "bias/subgroup-gap", "bias/error-rates", "bias/intersections",
)  # fmt: skip
CUP, PLATE = (2, 2, 14, 14), (18, 2, 30, 14)
N = 80


def _detector(path):
    """Says a cup where the left box is red and a plate where the right one is green; cups twice."""
    constants, nodes, rows = {}, [], []
    for name, channel, box, label, share in (
        ("cup", 0, CUP, 0, 1.0), ("plate", 1, PLATE, 1, 1.0), ("again", 0, CUP, 0, 0.9),
    ):  # fmt: skip
        x0, y0, x1, y1 = box
        constants |= {
            f"{name}-from": np.array([channel, y0, x0]),
            f"{name}-to": np.array([channel + 1, y1, x1]),
            f"{name}-share": np.array([[share]], dtype=np.float32),
            f"{name}-box": np.array([[*box]], dtype=np.float32),
            f"{name}-label": np.array([[label]], dtype=np.float32),
        }
        nodes += [
            helper.make_node(
                "Slice", ["image", f"{name}-from", f"{name}-to", "axes"], [f"{name}-part"]
            ),
            helper.make_node(
                "ReduceMean", [f"{name}-part"], [f"{name}-mean"], axes=[1, 2, 3], keepdims=0
            ),
            helper.make_node("Reshape", [f"{name}-mean", "one-each"], [f"{name}-level"]),
            helper.make_node("Mul", [f"{name}-level", f"{name}-share"], [f"{name}-score"]),
            helper.make_node("Mul", [f"{name}-level", "zero"], [f"{name}-none"]),
            helper.make_node("Add", [f"{name}-none", f"{name}-box"], [f"{name}-corners"]),
            helper.make_node("Add", [f"{name}-none", f"{name}-label"], [f"{name}-class"]),
            helper.make_node(
                "Concat", [f"{name}-corners", f"{name}-score", f"{name}-class"], [name], axis=2
            ),
        ]
        rows.append(name)
    nodes.append(helper.make_node("Concat", rows, ["found"], axis=1))
    constants |= {
        "axes": np.array([1, 2, 3]),
        "one-each": np.array([-1, 1, 1]),
        "zero": np.array([[0]], dtype=np.float32),
    }
    graph = helper.make_graph(
        nodes, "detector",
        [helper.make_tensor_value_info("image", TensorProto.FLOAT, ["n", 3, 32, 32])],
        [helper.make_tensor_value_info("found", TensorProto.FLOAT, ["n", 3, 6])],
        [numpy_helper.from_array(value, name) for name, value in constants.items()],
    )  # fmt: skip
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    onnx.save(model, path)


def _kitchen(folder):
    """Photos of a cup, in half of them a plate; of ten dark cups nine are too dark to be found."""
    images, objects, lines = [], [], ["file,light,kitchen"]
    for i in range(N):
        dark, kitchen = i % 2 == 1, ("north", "south")[i // 2 % 2]
        pixels = np.full((32, 32, 3), i, dtype=np.uint8)
        boxes = [(CUP, 1, 40 if dark and i % 20 != 1 else 220)]
        if i % 4 < 2:
            boxes.append((PLATE, 2, 220))
        for (x0, y0, x1, y1), label, level in boxes:
            pixels[y0:y1, x0:x1, label - 1] = level
            objects.append({"id": len(objects) + 1, "image_id": i, "category_id": label,
                            "bbox": [x0, y0, x1 - x0, y1 - y0], "area": (x1 - x0) * (y1 - y0),
                            "iscrowd": 0})  # fmt: skip
        Image.fromarray(pixels).save(folder / f"{i:02}.png")
        images.append({"id": i, "file_name": f"{i:02}.png", "width": 32, "height": 32})
        lines.append(f"{i:02}.png,{'dark' if dark else 'bright'},{kitchen}")
    categories = [{"id": 1, "name": "cup"}, {"id": 2, "name": "plate"}]
    coco = {"images": images, "annotations": objects, "categories": categories}
    (folder / "boxes.json").write_text(json.dumps(coco))
    (folder / "photos.csv").write_text("\n".join(lines) + "\n")


@pytest.fixture(scope="module")
def kitchen(tmp_path_factory):
    folder = tmp_path_factory.mktemp("detector")
    _kitchen(folder)
    _detector(folder / "detector.onnx")
    spec = {
        "audit": {"title": "Cups and plates"},
        "model": {
            "path": "detector.onnx", "task": "detection", "classes": ["cup", "plate"],
            "input": {"size": [32, 32], "scale": 255}, "output": "end-to-end",
            "operating_point": {"confidence": 0.3},
        },
        "data": {
            "test": {"manifest": "photos.csv", "annotations": "boxes.json"},
            "columns": {"image": "file"},
            "attributes": {"light": {"role": "condition"}, "kitchen": {"role": "condition"}},
        },
        "consequences": {"adverse": ["cup"]},
    }  # fmt: skip
    path = folder / "audit.yaml"
    path.write_text(yaml.safe_dump(spec))
    return folder


@pytest.fixture(scope="module")
def record(kitchen):
    return auditor.run(kitchen / "audit.yaml", out=kitchen / "out", only=CHECKS)


def _text(page):
    """What a page says, a space for every tag."""
    page = re.sub(r"<(style|script)\b.*?</\1>", " ", page, flags=re.DOTALL)
    return " ".join(html.unescape(re.sub(r"<[^>]+>", " ", page)).split())


@pytest.fixture(scope="module")
def page(record):
    return _text(report_html(record, pictures=pictures(record)))


def test_page_one_says_what_is_found_and_for_whom_less(page):
    one = page.split("Contents")[0]
    assert "On test images: 70% [" in one
    assert "of 120 objects found." in one
    assert "Of its 130 answers on test images 65% [" in one
    assert "Always answering" not in one
    assert (
        "“cup” objects missed dark (light): 90% [76, 96] of 40 “cup” objects; all others 0%" in one
    )
    # Every image is annotated: nothing was left out for want of a label.
    assert "Left out" not in one


def test_sentences_count_objects_and_answers_not_images(page):
    assert "Of 100 objects of dark (light) it finds 40; of 100 others, 100." in page
    assert "Of 100 “cup” objects of dark (light), 90 are missed; of 100 others, 0." in page
    assert "Among answers of which it is equally sure" in page
    assert "130 answers, 61 images" in page
    assert "130 images" not in page
    assert "120 images" not in page


def test_kinds_of_errors_stand_by_class_and_by_group(page):
    assert "Boxes that are right against objects that are found" in page
    assert "Answers that say an object twice, test data 34%" in page
    assert "Objects found for south (kitchen), dark (light), against all others" in page
    assert "cup 80 44 88 36 44 0 0 0 0" in page


def test_the_annex_says_how_answers_are_read(page):
    assert "how its output is read clip: yes; corners: xyxy; kind: end-to-end" in page
    assert "operating point confidence: 0.3; overlap: 0.5" in page
    assert "cup: 80; plate: 40" in page
    assert "pixels of no class" not in page
    assert "a class is in an image" not in page


def test_the_annex_of_a_segmenter_says_from_how_many_pixels_a_class_is_there(record):
    model = dataclasses.replace(record.model, task="segmentation")
    entries = {e.name: e.text for e in _model(dataclasses.replace(record, model=model))}
    assert entries["a class is in an image"] == "from 0.1% of its pixels, as drawn and as answered"


def test_each_kind_of_error_has_a_cure_of_its_own():
    asked = {name: words.action for name, words in BoxFaults.words.items()}
    assert len(set(asked.values())) == len(asked)
    assert asked["duplicate"].startswith("suppress the further boxes of an object")
    assert asked["background"].startswith("raise the confidence")


def test_no_raw_name_and_no_template_is_printed(page, record):
    findings, ids = page.split("Limits at a glance")[1].split("Methods")[0], set()
    for finding in record.findings:
        ids.add(finding.id)
    for known in sorted(ids, key=len, reverse=True):
        findings = findings.replace(known, "")
    for raw in ("ap 50 95", "ap-50-95", "false positive ratio: ", "crashed", "{", "}"):
        assert raw not in findings, raw
    assert "Harmful errors per group: “cup” missed" in page
    assert "Harmful errors per group: false negative ratio" not in page


def test_the_terminal_ends_as_page_one_begins(record):
    told = "\n".join(summary_lines(record))
    assert "Cups and plates: DOES NOT MEET" in told
    assert "of 120 objects found." in told
    assert "Share of cup that is found, dark (light): 10% [4, 24] of 40" in told


def test_the_card_names_the_task_and_what_was_found_and_loads_where_cards_are_read(record):
    text = model_card(record)
    front = yaml.safe_load(text.split("---")[1])
    assert front["pipeline_tag"] == "object-detection"
    by_slice = {r["dataset"]["config"]: r["metrics"] for r in front["model-index"][0]["results"]}
    overall = {m["type"]: m for m in by_slice["test: all"]}
    assert overall["objects_found"]["value"] == pytest.approx(84 / 120)
    assert overall["objects_found"]["name"] == "objects found (test: all)"
    assert overall["answers_right"]["value"] == pytest.approx(84 / 130)
    assert 0 < overall["average_precision"]["value"] <= 1
    hub = pytest.importorskip("huggingface_hub")
    results = hub.ModelCard(text).data.eval_results
    assert {r.task_type for r in results} == {"object-detection"}


def test_images_that_nobody_annotated_are_counted_as_left_out(record, kitchen):
    boxes = kitchen / "boxes.json"
    whole = json.loads(boxes.read_text())
    kept = [o for o in whole["annotations"] if o["image_id"] >= 4]
    (kitchen / "some.json").write_text(json.dumps({**whole, "annotations": kept,
                                                   "images": whole["images"][4:]}))  # fmt: skip
    spec = yaml.safe_load((kitchen / "audit.yaml").read_text())
    spec["data"]["test"]["annotations"] = "some.json"
    spec["data"]["unannotated"] = "unlabelled"
    path = kitchen / "some.yaml"
    path.write_text(yaml.safe_dump(spec))
    found = auditor.run(path, out=kitchen / "some", only=("data/left-out",))
    one = _text(report_html(found, pictures=pictures(found))).split("Contents")[0]
    assert "Left out of 80 test rows: 4 images without annotations that fit" in one
    told = "\n".join(summary_lines(found))
    assert (
        "4 of 80 test rows are not measured. The commonest reason: 4 images without "
        "annotations that fit (the first is '00.png')."
    ) in told
