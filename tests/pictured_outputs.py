"""Audits of detectors whose outputs are the pixels of pictures: the model hands them on."""

import json

import numpy as np
import onnx
import yaml
from onnx import TensorProto, helper, numpy_helper
from PIL import Image

import auditor

HEIGHT, WIDTH = 16, 24
QUERIES, N = 10, 50
CLASSES = ("cup", "plate", "fork")
LOW, HIGH = 60, 200
"""Pixels for a small and a large logit."""


def graph(path, columns):
    """A model that hands on columns of its frame, each (from, to, factor, minus), by their names.

    One column alone is (images, queries), and whole numbers.
    """
    # However it is fed: what a network gives lies within bounds, too.
    nodes, outputs = [helper.make_node("Clip", ["image", "zero", "one"], ["shares"])], []
    constants = {"axes": np.array([2, 3]), "zero": np.float32(0), "one": np.float32(1)}
    for name, (start, stop, factor, minus) in columns.items():
        alone = stop == start + 1
        constants |= {
            f"{name}-from": np.array([0, start]), f"{name}-to": np.array([QUERIES, stop]),
            f"{name}-gone": np.array([1, 3] if alone else [1]),
            f"{name}-factor": np.float32(factor), f"{name}-minus": np.float32(minus),
        }  # fmt: skip
        ends = [f"{name}-from", f"{name}-to", "axes"]
        nodes += [
            helper.make_node("Slice", ["shares", *ends], [f"{name}-part"]),
            helper.make_node("Squeeze", [f"{name}-part", f"{name}-gone"], [f"{name}-rows"]),
            helper.make_node("Mul", [f"{name}-rows", f"{name}-factor"], [f"{name}-scaled"]),
            helper.make_node("Sub", [f"{name}-scaled", f"{name}-minus"], [f"{name}-moved"]),
            helper.make_node(
                "Round" if name == "classes" else "Identity", [f"{name}-moved"], [name]
            ),
        ]
        outputs.append((name, ["n", QUERIES] if alone else ["n", QUERIES, stop - start]))
    made = helper.make_graph(
        nodes, "net",
        [helper.make_tensor_value_info("image", TensorProto.FLOAT, ["n", 1, HEIGHT, WIDTH])],
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, shape) for name, shape in outputs],
        [numpy_helper.from_array(value, name) for name, value in constants.items()],
    )  # fmt: skip
    opset = [helper.make_opsetid("", 17)]
    onnx.save(helper.make_model(made, opset_imports=opset, ir_version=9), path)


def drawn(rng, *, square):
    """Corners (queries, 4) as fractions: three boxes of objects, then boxes of nothing."""
    low = rng.uniform(0, 0.6, (QUERIES, 2))
    sides = rng.uniform(0.15, 0.38, (QUERIES, 2))
    if square:
        low[:, 1], sides[:, 1] = low[:, 0], sides[:, 0]
    return np.round(np.concatenate([low, low + sides], axis=1) * 255) / 255


def rows_of_boxes(corners, classes, found, order):
    at = [1, 0, 3, 2] if order == "yxyx" else [0, 1, 2, 3]
    scores = np.zeros(QUERIES)
    scores[: len(classes)] = np.where(found, 0.9, 0.0)
    named = np.zeros(QUERIES)
    named[: len(classes)] = classes * 127
    return np.column_stack([corners[:, at] * 255, scores * 255, named])


def queries(corners, classes, found, place):
    logits = np.full((QUERIES, 1 + len(CLASSES)), LOW)
    nothing, first = (0, 1) if place == "first" else (3, 0)
    logits[:, nothing] = HIGH
    for k, (each, is_found) in enumerate(zip(classes, found, strict=True)):
        if is_found:
            logits[k, nothing], logits[k, each + first] = LOW, HIGH
    low, high = corners[:, :2], corners[:, 2:]
    return np.column_stack([logits, (low + high) / 2 * 255, (high - low) * 255])


ONLY = ("model/preprocessing",)
MODELS = {
    "ssd": (
        rows_of_boxes,
        {"boxes": (0, 4, 1, 0), "scores": (4, 5, 1, 0), "classes": (5, 6, 2, 0)},
    ),
    "detr": (queries, {"logits": (0, 4, 20, 10), "boxes": (4, 8, 1, 0)}),
}


def audited(folder, kind, *, is_in, seed, read, square=False, finds=0.9, only=ONLY):
    """The record of a detector whose outputs stand in the order `is_in`."""
    rng = np.random.default_rng(seed)
    pixels_of, columns = MODELS[kind]
    graph(folder / "net.onnx", columns)
    images, objects = [], []
    for i in range(N):
        corners, classes = drawn(rng, square=square), rng.integers(0, 3, 3)
        frame = np.zeros((HEIGHT, WIDTH), dtype=np.uint8)
        values = pixels_of(corners, classes, rng.random(3) < finds, is_in)
        frame[:QUERIES, : values.shape[1]] = np.round(values)
        # Pictures that are all different, in rows that the model does not look at.
        frame[QUERIES:] = rng.integers(0, 255, (HEIGHT - QUERIES, WIDTH))
        Image.fromarray(frame).save(folder / f"{i:02}.png")
        images.append({"id": i, "file_name": f"{i:02}.png", "width": WIDTH, "height": HEIGHT})
        placed = corners[:3] * np.tile([WIDTH, HEIGHT], 2)
        for (x0, y0, x1, y1), each in zip(placed, classes, strict=True):
            objects.append({"id": len(objects) + 1, "image_id": i, "category_id": int(each) + 1,
                            "bbox": [x0, y0, x1 - x0, y1 - y0]})  # fmt: skip
    categories = [{"id": k + 1, "name": name} for k, name in enumerate(CLASSES)]
    coco = {"images": images, "annotations": objects, "categories": categories}
    (folder / "boxes.json").write_text(json.dumps(coco))
    lines = [f"{i:02}.png" for i in range(N)]
    (folder / "photos.csv").write_text("\n".join(["file", *lines]) + "\n")
    spec = {
        "audit": {"title": "Orders of outputs"},
        "model": {
            "path": "net.onnx", "task": "detection", "classes": list(CLASSES),
            "input": {"size": [HEIGHT, WIDTH], "channels": "grey", "mean": [0], "std": [1]},
            "output": {"kind": kind, **read},
        },
        "data": {"test": {"manifest": "photos.csv", "annotations": "boxes.json"},
                 "columns": {"image": "file"}},
    }  # fmt: skip
    path = folder / "audit.yaml"
    path.write_text(yaml.safe_dump(spec))
    return auditor.run(path, out=folder / "out", only=only)
