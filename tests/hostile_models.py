"""Hostile model files, built anew in a folder each time and never kept.

    python tests/hostile_models.py > docs/hostile-files.md

looks at each as `auditor init` does, loads it, makes its INT8 form, and writes what came of it;
`tests/test_hostile_models.py` asks for 0 code run, 0 tracebacks, 0 hangs.
"""

from __future__ import annotations

import os
import pickle
import sys
import tempfile
import time
import warnings
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnx
import torch
from onnx import TensorProto, helper, numpy_helper

from auditor.containment.process import ContainedProcess, Limits
from auditor.errors import AuditorError
from auditor.models.contained import int8_form, look_at
from auditor.models.load import load_model
from auditor.spec import AuditSpec

SECONDS = 2.0
"""`model.limits.seconds` of each; one that takes 10 s more (on a busy machine) counts as a hang."""

FLOAT = TensorProto.FLOAT
CASES: dict[str, Callable[[Path], Path]] = {}


RUNNING = ("function bomb",)
"""Looked at, it takes the minute that `init` gives a file."""


@dataclass(frozen=True)
class Outcome:
    """What came of loading one: refused, loaded, traceback, hang or code ran."""

    name: str
    what: str
    seconds: float
    said: str


def case(build: Callable[[Path], Path]) -> Callable[[Path], Path]:
    CASES[build.__name__.replace("_", " ")] = build
    return build


def tensor(name: str, shape: list[object], kind: int = FLOAT) -> onnx.ValueInfoProto:
    return helper.make_tensor_value_info(name, kind, shape)


def onnx_file(folder: Path, nodes, *, weights=(), outputs=None, functions=(), given=None) -> Path:
    """A classifier of three classes by its nodes, from ``input`` to ``out``."""
    made = [tensor("out", [None, 3])] if outputs is None else outputs
    given = given or [tensor("input", [None, 3, 8, 8])]
    graph = helper.make_graph(nodes, "g", given, made, list(weights))
    opset = [helper.make_opsetid("", 17), helper.make_opsetid("own", 1)]
    model = helper.make_model(graph, opset_imports=opset, functions=list(functions), ir_version=9)
    path = folder / "m.onnx"
    path.write_bytes(model.SerializeToString())
    return path


def pooled() -> list[onnx.NodeProto]:
    node = helper.make_node
    return [node("GlobalAveragePool", ["input"], ["pooled"]), node("Flatten", ["pooled"], ["flat"])]


def loop(body_nodes: list[onnx.NodeProto], shape: list[object]) -> onnx.NodeProto:
    body = helper.make_graph(
        [helper.make_node("Identity", ["go"], ["on"]), *body_nodes],
        "body",
        [tensor("i", [], TensorProto.INT64), tensor("go", [], TensorProto.BOOL),
         tensor("x", shape)],
        [tensor("on", [], TensorProto.BOOL), tensor("y", shape)],
    )  # fmt: skip
    return helper.make_node("Loop", ["", "true", "flat"], ["out"], body=body)


TRUE = helper.make_tensor("true", TensorProto.BOOL, [], [True])


@case
def endless_loop(folder: Path) -> Path:
    turns = loop([helper.make_node("Add", ["x", "x"], ["y"])], [None, 3])
    return onnx_file(folder, [*pooled(), turns], weights=[TRUE])


@case
def loop_that_takes_all_memory(folder: Path) -> Path:
    turns = loop([helper.make_node("Concat", ["x", "x"], ["y"], axis=0)], [None, 3])
    return onnx_file(folder, [*pooled(), turns], weights=[TRUE])


@case
def graph_in_a_circle(folder: Path) -> Path:
    node = helper.make_node
    return onnx_file(folder, [node("Add", ["b", "input"], ["a"]), node("Identity", ["a"], ["b"]),
                              node("Identity", ["b"], ["out"])])  # fmt: skip


@case
def identities_in_a_circle_before_the_output(folder: Path) -> Path:
    node = helper.make_node
    return onnx_file(folder, [*pooled(), node("Identity", ["b"], ["a"]),
                              node("Identity", ["a"], ["b"]),
                              node("QuantizeLinear", ["flat", "a"], ["out"])])  # fmt: skip


@case
def output_that_is_its_own_input(folder: Path) -> Path:
    return onnx_file(folder, [*pooled(), helper.make_node("Identity", ["out"], ["out"])])


def function(name: str, calls: list[str]) -> onnx.FunctionProto:
    names = ["x", *(f"v{i}" for i in range(len(calls) - 1)), "y"]
    steps = zip(calls, names[:-1], names[1:], strict=True)
    nodes = [helper.make_node(called, [a], [b], domain="" if called == "Neg" else "own")
             for called, a, b in steps]  # fmt: skip
    opset = [helper.make_opsetid("", 17), helper.make_opsetid("own", 1)]
    return helper.make_function("own", name, ["x"], ["y"], nodes, opset)


@case
def function_that_calls_itself(folder: Path) -> Path:
    last = helper.make_node("f", ["flat"], ["out"], domain="own")
    return onnx_file(folder, [*pooled(), last], functions=[function("f", ["f"])])


@case
def functions_that_call_each_other(folder: Path) -> Path:
    last = helper.make_node("f", ["flat"], ["out"], domain="own")
    return onnx_file(folder, [*pooled(), last], functions=[function("f", ["g"]),
                                                           function("g", ["f"])])  # fmt: skip


@case
def function_bomb(folder: Path) -> Path:
    made = [function("f0", ["Neg", "Neg"])]
    made += [function(f"f{i}", [f"f{i - 1}"] * 10) for i in range(1, 12)]
    last = helper.make_node("f11", ["flat"], ["out"], domain="own")
    return onnx_file(folder, [*pooled(), last], functions=made)


@case
def no_output(folder: Path) -> Path:
    return onnx_file(folder, pooled(), outputs=[])


@case
def no_input(folder: Path) -> Path:
    weights = [numpy_helper.from_array(np.zeros((1, 3), np.float32), "flat")]
    return onnx_file(folder, [helper.make_node("Identity", ["flat"], ["out"])], weights=weights,
                     given=[weights[0] and tensor("flat", [1, 3])])  # fmt: skip


@case
def sequence_output(folder: Path) -> Path:
    made = helper.make_tensor_sequence_value_info("out", FLOAT, None)
    last = helper.make_node("SequenceConstruct", ["flat", "flat"], ["out"])
    return onnx_file(folder, [*pooled(), last], outputs=[made])


@case
def quantised_without_scale(folder: Path) -> Path:
    return onnx_file(folder, [*pooled(), helper.make_node("QuantizeLinear", ["flat"], ["out"])])


@case
def dequantised_without_input(folder: Path) -> Path:
    return onnx_file(folder, [*pooled(), helper.make_node("DequantizeLinear", [], ["out"])])


@case
def node_without_output(folder: Path) -> Path:
    return onnx_file(folder, [*pooled(), helper.make_node("Conv", ["input"], []),
                              helper.make_node("Identity", ["flat"], ["out"])])  # fmt: skip


@case
def negative_dimensions(folder: Path) -> Path:
    weight = TensorProto(name="w", data_type=FLOAT, dims=[-3, 2**40], raw_data=b"1234")
    nodes = [*pooled(), helper.make_node("MatMul", ["flat", "w"], ["out"])]
    return onnx_file(folder, nodes, weights=[weight])


@case
def constant_of_a_terabyte(folder: Path) -> Path:
    shape = numpy_helper.from_array(np.array([2**20, 2**18], np.int64), "shape")
    nodes = [*pooled(), helper.make_node("ConstantOfShape", ["shape"], ["big"]),
             helper.make_node("ReduceSum", ["big"], ["sum"]),
             helper.make_node("Add", ["flat", "sum"], ["out"])]  # fmt: skip
    return onnx_file(folder, nodes, weights=[shape])


@case
def batch_of_100000(folder: Path) -> Path:
    return onnx_file(folder, [*pooled(), helper.make_node("Identity", ["flat"], ["out"])],
                     given=[tensor("input", [100_000, 3, 8, 8])],
                     outputs=[tensor("out", [100_000, 3])])  # fmt: skip


def external(folder: Path, **stored: str) -> Path:
    weight = TensorProto(name="w", data_type=FLOAT, dims=[3, 3])
    weight.data_location = TensorProto.EXTERNAL
    for key, value in stored.items():
        weight.external_data.add(key=key, value=value)
    if not (folder / "w.bin").exists():
        (folder / "w.bin").write_bytes(bytes(36))
    nodes = [*pooled(), helper.make_node("MatMul", ["flat", "w"], ["out"])]
    return onnx_file(folder, nodes, weights=[weight])


for _name, _stored in {
    "external data behind the end": {"location": "w.bin", "offset": "100000", "length": "36"},
    "external data before the start": {"location": "w.bin", "offset": "-5"},
    "external data at no number": {"location": "w.bin", "offset": "x", "length": "1e9"},
    "external data too long": {"location": "w.bin", "length": str(10**18)},
    "external data cut short": {"location": "w.bin", "length": "4"},
    "external data in dev zero": {"location": "/dev/zero"},
    "external data above": {"location": "../w.bin"},
    "external data with NUL": {"location": "w\0.bin"},
    "external data of a long name": {"location": "w" * 5000},
    "external data nowhere": {"offset": "0"},
}.items():
    CASES[_name] = lambda folder, _stored=_stored: external(folder, **_stored)


@case
def external_data_in_a_pipe(folder: Path) -> Path:
    os.mkfifo(folder / "w.bin")
    return external(folder, location="w.bin")


@case
def sparse_file_of_100_GB(folder: Path) -> Path:
    path = endless_loop(folder)
    os.truncate(path, 100 * 2**30)
    return path


@case
def pipe(folder: Path) -> Path:
    os.mkfifo(folder / "m.onnx")
    return folder / "m.onnx"


@case
def dev_zero(folder: Path) -> Path:
    return Path("/dev/zero")


@case
def proc_file(folder: Path) -> Path:
    return Path("/proc/self/environ")


@case
def links_in_a_circle(folder: Path) -> Path:
    (folder / "m.onnx").symlink_to(folder / "m.onnx")
    return folder / "m.onnx"


@case
def noise_with_an_onnx_head(folder: Path) -> Path:
    (folder / "m.onnx").write_bytes(b"\x08\x09" + np.random.default_rng(0).bytes(5000))
    return folder / "m.onnx"


class Bomb:
    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self):
        return (Path.touch, (self.mark,))


def mark_of(folder: Path) -> Path:
    return folder / "ran"


@case
def pickle_with_code(folder: Path) -> Path:
    torch.save({"w": Bomb(mark_of(folder))}, folder / "m.pt")
    return folder / "m.pt"


for _name, _value in {
    "pickled tuple": (1, 2),
    "pickled tuple of tensors": (torch.zeros(2), torch.zeros(3)),
    "pickled tuple as state dict": {"state_dict": (torch.zeros(2),)},
    "pickled tuples as names": {(1, 2): torch.zeros(2)},
    "pickled nothing": None,
}.items():

    def _saved(folder: Path, value: object = _value) -> Path:
        torch.save(value, folder / "m.pt")
        return folder / "m.pt"

    def _plain(folder: Path, value: object = _value) -> Path:
        (folder / "m.pt").write_bytes(pickle.dumps(value))
        return folder / "m.pt"

    CASES[_name], CASES[f"{_name}, plainly"] = _saved, _plain


class Writing(torch.nn.Module):
    def __init__(self, target: str) -> None:
        super().__init__()
        self.target = target

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x.mean((2, 3)) + torch.from_file(self.target, shared=True, size=4)[:3]


class Raising(torch.nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        if x.sum() > -1e9:
            raise ValueError("never")
        return x.mean((2, 3))


class Endless(torch.nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y = x.mean((2, 3))
        while bool(y.sum() > -1e30):
            y = y + 1
        return y


class Growing(torch.nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y = x.flatten()
        while bool(y.numel() > 0):
            y = torch.cat([y, y])
        return y


class Tupled(torch.nn.Module):
    def forward(self, x: torch.Tensor) -> tuple[int, int]:
        return (1, 2)


def scripted(module: torch.nn.Module, folder: Path) -> Path:
    torch.jit.save(torch.jit.script(module), str(folder / "m.pt"))
    return folder / "m.pt"


@case
def torchscript_that_maps_a_file(folder: Path) -> Path:
    return scripted(Writing(str(mark_of(folder))), folder)


for _kind in (Raising, Endless, Growing, Tupled):
    CASES[f"torchscript {_kind.__name__.lower()}"] = lambda folder, kind=_kind: scripted(
        kind(), folder
    )


@case
def torchscript_without_code(folder: Path) -> Path:
    with zipfile.ZipFile(folder / "m.pt", "w") as archive:
        archive.writestr("m/constants.pkl", b"\x80\x02).")
        archive.writestr("m/data.pkl", b"\x80\x02}.")
    return folder / "m.pt"


@case
def safetensors_with_a_false_head(folder: Path) -> Path:
    text = b'{"w":{"dtype":"F32","shape":[1000000000000],"data_offsets":[0,4]}}'
    (folder / "m.safetensors").write_bytes(len(text).to_bytes(8, "little") + text + bytes(4))
    return folder / "m.safetensors"


def outcomes(folder: Path) -> Iterator[Outcome]:
    for i, (name, build) in enumerate(CASES.items()):
        yield tried(name, build, folder / str(i))


def warm() -> None:
    """Have the libraries imported, which takes seconds once and is no fault of a file's."""
    preload = ["auditor.models.onnx_model", "auditor.models.torch_model",
               "auditor.models.torchvision_ops:import_torchvision"]  # fmt: skip
    limits = Limits(memory_bytes=4 * 10**9, seconds=60)
    ContainedProcess("auditor.models.serving:serving", preload=preload, limits=limits)


def tried(name: str, build: Callable[[Path], Path], folder: Path) -> Outcome:
    folder.mkdir()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        path = build(folder)
    spec = AuditSpec.model_validate(
        {
            "audit": {"title": "t"},
            "model": {"path": str(path), "classes": ("a", "b", "c"), "architecture": "resnet18",
                      "input": {"size": (8, 8)}, "limits": {"seconds": SECONDS}},
            "data": {"test": {"images": "."}},
        }
    )  # fmt: skip
    start, what, said = time.monotonic(), "", ""
    for act in (quantise, load) if name in RUNNING else (quantise, look, load):
        what, said = outcome(act, spec)
        if what == "traceback":
            break
    seconds = time.monotonic() - start
    if mark_of(folder).exists():
        what = "code ran"
    elif seconds > 3 * SECONDS + 10:
        what = "hang"
    return Outcome(name, what, seconds, " ".join(said.replace(str(folder), "...").split()))


def load(spec: AuditSpec) -> None:
    load_model(spec, classes=("a", "b", "c")).predict(np.zeros((2, 8, 8, 3), np.uint8))


def look(spec: AuditSpec) -> None:
    look_at(Path(spec.model.path))


def quantise(spec: AuditSpec) -> None:
    calibration = np.zeros((1, 8, 8, 3), np.uint8)
    int8_form(Path(spec.model.path), model=spec.model, calibration=calibration)


def outcome(act: Callable[[AuditSpec], None], spec: AuditSpec) -> tuple[str, str]:
    try:
        act(spec)
    except AuditorError as error:
        return "refused", str(error)
    except Exception as error:  # noqa: BLE001 - what the table is for
        return "traceback", repr(error)
    return "loaded", ""


HEAD = """# Hostile model files

Built by `tests/hostile_models.py`, which wrote this page, and by no one kept. Each is looked at as
`auditor init` does, made into an INT8 form, and loaded and asked; told is what was said last.

| file | what came of it | told |
|---|---|---|"""


def main() -> None:
    warm()
    print(HEAD)
    counts = dict.fromkeys(("refused", "loaded", "code ran", "traceback", "hang"), 0)
    with tempfile.TemporaryDirectory() as folder:
        for found in outcomes(Path(folder)):
            counts[found.what] += 1
            said = found.said if len(found.said) <= 200 else found.said[:200] + " ..."
            print(f"| {found.name} | {found.what} | {said.replace('|', '/')} |", flush=True)
    print(f"\nOf {len(CASES)}: {', '.join(f'{n} {what}' for what, n in counts.items())}.")


if __name__ == "__main__":
    sys.exit(main())
