"""A small world for whole audits: noise tinted red or blue, and a model that tells them apart."""

from pathlib import Path

import numpy as np
import onnx
import pandas as pd
from onnx import TensorProto, helper
from PIL import Image

QUICK = (
    "data/manifest", "data/images", "data/duplicates", "data/leakage", "performance/overall",
    "performance/baseline", "performance/claims", "bias/subgroup-gap", "shift/accuracy",
    "shift/predictions",
)  # fmt: skip

TIMED_ONCE = "checks: {deployment/quantization: {attempts: 1, blocks: 12}}"
"""A line of the spec: timings are otherwise repeated where others run beside."""

SPEC = """
audit: {{title: Coloured rooms, seed: 3}}
model:
  path: model.onnx
  classes: [red, blue]
  input: {{size: [16, 16], scale: 255, mean: [0, 0, 0], std: [1, 1, 1]}}
  output: logits
data:
  test: {{manifest: test.csv, images: .}}
  train: {{manifest: train.csv, images: .}}
  deployment: {{manifest: deployment.csv, images: .}}
  columns: {{image: file, label: label, unit: room}}
  attributes:
    building: {{role: condition}}
claims:
  - {{measure: accuracy, at_least: {claim}, source: the team}}
{timed_once}
policy: policy.yaml
"""

POLICY = """
schema: auditor/policy/v1
id: rooms
version: "1"
owner: {name: a test}
limits:
  - {id: better-than-guessing, measure: "performance/baseline:gain", above: 0, why: a test}
  - {id: groups, measure: "bias/subgroup-gap:accuracy", at_least: -0.1, why: a test}
"""


def write_model(path: Path) -> None:
    """Logits are the means of the red and the blue channel, ten times."""
    weights = np.array([[10, -10], [0, 0], [-10, 10]], dtype=np.float32)
    graph = helper.make_graph(
        [
            helper.make_node("GlobalAveragePool", ["x"], ["pooled"]),
            helper.make_node("Flatten", ["pooled"], ["flat"]),
            helper.make_node("MatMul", ["flat", "weights"], ["logits"]),
        ],
        "rooms",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["n", 3, 16, 16])],
        [helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["n", 2])],
        [onnx.numpy_helper.from_array(weights, "weights")],
    )
    opset = helper.make_opsetid("", 17)
    onnx.save(helper.make_model(graph, opset_imports=[opset], ir_version=9), path)


def write_split(folder: Path, split: str, n: int, *, wrong_in_old=0.05, seed=0) -> None:
    """Rooms of noise tinted red or blue; `wrong_in_old` is the share of old ones mislabelled."""
    rng = np.random.default_rng([seed, len(split)])
    rows = []
    (folder / split).mkdir()
    for i in range(n):
        label = int(rng.integers(2))
        building = "old" if i % 3 == 0 else "new"
        wrong = rng.random() < (wrong_in_old if building == "old" else 0.05)
        pixels = rng.integers(0, 200, (20, 24, 3))
        pixels[:, :, 2 * (label ^ int(wrong))] += 40
        name = f"{split}/{i:04d}.png"
        Image.fromarray(pixels.astype(np.uint8)).save(folder / name)
        rows.append((name, ("red", "blue")[label], f"{split}-{i // 2}", building))
    table = pd.DataFrame(rows, columns=["file", "label", "room", "building"])
    table.to_csv(folder / f"{split}.csv", index=False)


def make_world(folder: Path, *, wrong_in_old=0.05, claim=0.85, sizes=(400, 200, 200)) -> Path:
    folder.mkdir()
    write_model(folder / "model.onnx")
    for split, n in zip(("test", "train", "deployment"), sizes, strict=True):
        write_split(folder, split, n, wrong_in_old=wrong_in_old if split == "test" else 0.05)
    (folder / "policy.yaml").write_text(POLICY)
    (folder / "audit.yaml").write_text(SPEC.format(claim=claim, timed_once=TIMED_ONCE))
    return folder / "audit.yaml"
