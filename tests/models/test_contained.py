"""The contained process: same answers, nothing written, no network, ended when it goes too far."""

import ctypes
import os
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper
from threadpoolctl import threadpool_info

from auditor.containment import nursery
from auditor.containment.process import ContainedProcess, Limits
from auditor.errors import ModelError
from auditor.models.contained import ContainedPredictor, limits_for
from auditor.models.load import load_model
from auditor.models.serving import open_model
from auditor.spec import RunLimits

ROOT = Path(__file__).parents[2]
TRIES = "tests.models.test_contained:trying"
on_linux = pytest.mark.skipif(sys.platform != "linux", reason="the kernel contains on Linux alone")


def trying():
    """What a contained process is made to try; each answers what came of it."""

    def network(path):
        socket.create_connection(("127.0.0.1", int(path)), timeout=1)

    def local(path):
        socket.socket(socket.AF_UNIX).connect(path)

    def take(path):
        np.ones(int(path), dtype=np.uint8).sum()

    def wait(path):
        time.sleep(float(path))

    acts = {
        "write": lambda path: Path(path).write_text("x"),
        "append": lambda path: os.open(path, os.O_RDWR),
        "remove": os.unlink,
        "rename": lambda path: os.rename(path, path + "2"),
        "mkdir": os.mkdir,
        "chmod": lambda path: os.chmod(path, 0),
        "truncate": lambda path: os.truncate(path, 0),
        "link": lambda path: os.symlink("/", path),
        "start": lambda path: os.posix_spawn("/bin/true", ["true"], {}),
        "fork": lambda path: os.fork(),
        "signal": lambda path: os.kill(int(path), 0),
        "read": lambda path: Path(path).read_bytes(),
        "crash": lambda path: ctypes.string_at(0),
        "network": network,
        "local": local,
        "take": take,
        "wait": wait,
        "thread": lambda path: threading.Thread(target=print).start(),
        "blas": lambda path: blas_threads(),
    }

    def serve(message):
        try:
            found = acts[message.values["act"]](message.values["on"])
        except OSError as error:
            return {"refused": error.strerror}, ()
        return {"refused": None, "found": found if isinstance(found, int) else None}, ()

    return serve


def blas_threads():
    found = [pool["num_threads"] for pool in threadpool_info() if pool["user_api"] == "blas"]
    return max(found)


def process(**limits):
    given = {"memory_bytes": 4 * 10**9, "seconds": 30} | limits
    return ContainedProcess(TRIES, preload=["tests.models.test_contained"], limits=Limits(**given))


@pytest.fixture(scope="module")
def contained():
    found = process()
    if "seccomp" not in found.containment["by"]:
        pytest.skip("this kernel has no seccomp")
    return found


def refused(contained, act, on):
    return contained.call({"act": act, "on": str(on)}).values["refused"]


@on_linux
@pytest.mark.parametrize(
    "act", ["write", "append", "remove", "rename", "chmod", "truncate", "start", "fork"]
)
def test_no_file_is_changed_and_no_program_started(contained, tmp_path, act):
    file = tmp_path / "held"
    file.write_text("untouched")
    assert refused(contained, act, file)
    assert file.read_text() == "untouched"
    assert [p.name for p in tmp_path.iterdir()] == ["held"]


@on_linux
@pytest.mark.parametrize("act", ["write", "mkdir", "link"])
def test_nothing_is_made(contained, tmp_path, act):
    assert refused(contained, act, tmp_path / "new")
    assert not any(tmp_path.iterdir())


@on_linux
def test_no_network_no_socket_and_no_signal_to_others(contained, tmp_path):
    with socket.socket() as server, socket.socket(socket.AF_UNIX) as local:
        server.bind(("127.0.0.1", 0))
        server.listen()
        local.bind(str(tmp_path / "s"))
        local.listen()
        assert refused(contained, "network", server.getsockname()[1])
        assert refused(contained, "local", tmp_path / "s")
    assert refused(contained, "signal", os.getpid())


@on_linux
def test_reading_and_threads_are_left(contained):
    assert refused(contained, "read", __file__) is None
    assert refused(contained, "thread", "") is None


def test_its_linear_algebra_has_one_thread_whatever_the_machine_has():
    code = f"""
import sys
sys.path.insert(0, {str(ROOT)!r})
from tests.models.test_contained import process
print(process().call({{"act": "blas", "on": ""}}).values["found"])
"""
    kept = {k: v for k, v in os.environ.items() if not k.endswith("_NUM_THREADS")}
    done = subprocess.run(
        [sys.executable, "-c", code], env=kept | {"OPENBLAS_NUM_THREADS": "2"},
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.stdout.split() == ["1"], done.stderr


@on_linux
def test_it_writes_in_its_own_folder_where_it_is_given_one(tmp_path):
    own, other = tmp_path / "own", tmp_path / "other"
    own.mkdir()
    other.mkdir()
    found = process(writable=str(own))
    if "landlock" not in found.containment["by"]:
        pytest.skip("this kernel has no Landlock")
    assert refused(found, "write", own / "a") is None
    assert refused(found, "write", other / "a")
    held = other / "held"
    held.write_text("untouched")
    mode = held.stat().st_mode
    for act in ("write", "append", "remove", "rename", "chmod", "truncate", "start"):
        assert refused(found, act, held), act
    assert (held.read_text(), held.stat().st_mode) == ("untouched", mode)
    assert list(other.iterdir()) == [held]


def test_one_that_takes_too_long_is_ended():
    found = process(seconds=0.5)
    for _ in range(2):
        with pytest.raises(ModelError, match=r"no answer in 0 s.*`model\.limits\.seconds`"):
            found.call({"act": "wait", "on": "60"})


def test_a_crash_is_told_by_its_signal():
    found = process()
    with pytest.raises(ModelError, match="SIGSEGV"):
        found.call({"act": "crash", "on": ""})


@on_linux
def test_memory_is_bounded_and_the_process_goes_on():
    found = process(memory_bytes=10**9)
    with pytest.raises(ModelError, match=r"more than 1 GB.*`model\.limits\.memory_gb`"):
        found.call({"act": "take", "on": str(3 * 10**9)})
    assert refused(found, "read", __file__) is None


def test_it_ends_with_what_holds_it():
    found = process()
    pid = found.pid
    del found
    process()  # the nursery takes note of what has ended
    for _ in range(100):
        if not Path(f"/proc/{pid}").exists() or "Z" in Path(f"/proc/{pid}/stat").read_text():
            return
        time.sleep(0.05)
    raise AssertionError("it is still there")


def test_nothing_of_it_is_left_open_or_running_when_python_ends():
    program = (
        "from auditor.containment.process import ContainedProcess, Limits, _nursery\n"
        "import os\n"
        f"held = ContainedProcess({TRIES!r}, preload=['tests.models.test_contained'],\n"
        "    limits=Limits(None, 60))\n"
        "print(held.pid, _nursery(os.getpid())._process.pid)\n"
    )
    done = subprocess.run(
        [sys.executable, "-W", "always::ResourceWarning", "-c", program],
        capture_output=True, text=True, check=True, cwd=ROOT,
    )  # fmt: skip
    assert "ResourceWarning" not in done.stderr
    for pid in done.stdout.split():
        assert not Path(f"/proc/{pid}").exists() or "Z" in Path(f"/proc/{pid}/stat").read_text()


def test_answers_are_those_of_this_process_to_the_last_bit(tiny, tmp_path):
    path = tiny.channel_net(tmp_path / "m.onnx")
    spec = tiny.spec(path.name, folder=tmp_path)
    found = load_model(spec, classes=spec.model.classes)
    here = open_model(path, model=spec.model, classes=spec.model.classes, folder=tmp_path,
                      trust_code=False)  # fmt: skip
    assert isinstance(found, ContainedPredictor)
    assert (found.digest, found.facts) == (here.digest, here.facts)
    frames = tiny.frames()
    for embedding in (False, True):
        one = found.predict(frames, embedding=embedding)
        other = here.predict(frames, embedding=embedding)
        assert np.array_equal(one.probabilities, other.probabilities)
        assert not embedding or np.array_equal(one.embedding, other.embedding)
    with pytest.raises(ModelError, match="gives no gradients"):
        found.gradients(frames, np.zeros(len(frames), dtype=int))


@on_linux
def test_the_record_names_what_this_kernel_holds_it_to(tiny, tmp_path):
    path = tiny.channel_net(tmp_path / "m.onnx")
    spec = tiny.spec(path.name, folder=tmp_path)
    knows_landlock = ctypes.CDLL(None).syscall(444, None, ctypes.c_size_t(0), 1) >= 1
    named = load_model(spec, classes=spec.model.classes).contained_by
    assert ("landlock" in named) == knows_landlock
    assert {"memory", "seccomp"} <= {*named}


@pytest.mark.parametrize(
    ("limits", "device", "memory"),
    [({}, "cpu", 4 * 10**9 + 6 * 500), ({"memory_gb": 2.5}, "cpu", 2_500_000_000),
     ({}, "cuda", None)],
)  # fmt: skip
def test_a_model_may_take_what_the_spec_says(tiny, tmp_path, limits, device, memory):
    (tmp_path / "m.onnx").write_bytes(bytes(500))
    model = tiny.spec("m.onnx", folder=tmp_path).model
    model = model.model_copy(update={"limits": RunLimits(seconds=7, **limits), "device": device})
    found = limits_for(tmp_path / "m.onnx", model)
    assert (found.memory_bytes, found.seconds, found.devices) == (memory, 7, device != "cpu")


def endless(path):
    """A Loop whose condition stays true, around a classifier's scores."""
    body = helper.make_graph(
        [helper.make_node("Identity", ["go"], ["on"]), helper.make_node("Add", ["x", "x"], ["y"])],
        "body",
        [helper.make_tensor_value_info("i", TensorProto.INT64, []),
         helper.make_tensor_value_info("go", TensorProto.BOOL, []),
         helper.make_tensor_value_info("x", TensorProto.FLOAT, [None, 3])],
        [helper.make_tensor_value_info("on", TensorProto.BOOL, []),
         helper.make_tensor_value_info("y", TensorProto.FLOAT, [None, 3])],
    )  # fmt: skip
    true = helper.make_tensor("true", TensorProto.BOOL, [], [True])
    nodes = [
        helper.make_node("GlobalAveragePool", ["input"], ["pooled"]),
        helper.make_node("Flatten", ["pooled"], ["flat"]),
        helper.make_node("Loop", ["", "true", "flat"], ["out"], body=body),
    ]
    given = helper.make_tensor_value_info("input", TensorProto.FLOAT, [None, 3, 8, 8])
    made = helper.make_tensor_value_info("out", TensorProto.FLOAT, [None, 3])
    graph = helper.make_graph(nodes, "g", [given], [made], [true])
    opset = [helper.make_opsetid("", 17)]
    onnx.save(helper.make_model(graph, opset_imports=opset, ir_version=9), str(path))
    return path


def test_a_model_without_an_end_is_ended(tiny, tmp_path):
    path = endless(tmp_path / "m.onnx")
    spec = tiny.spec(path.name, folder=tmp_path)
    limits = spec.model.limits.model_copy(update={"seconds": 2.0})
    spec = spec.model_copy(update={"model": spec.model.model_copy(update={"limits": limits})})
    with pytest.raises(ModelError, match="no answer in 2 s"):
        load_model(spec, classes=spec.model.classes)


def test_onnxruntime_keeps_no_telemetry(tiny, tmp_path):
    """Imported, quantising, timing, in a contained process or not, it opens nothing at home."""
    home = tmp_path / "home"
    home.mkdir()
    path = tiny.channel_net(tmp_path / "m.onnx")
    spec = tiny.spec(path.name, folder=tmp_path)
    (tmp_path / "model.json").write_text(spec.model.model_dump_json())
    code = (
        "import sys, numpy as np; from pathlib import Path\n"
        "from auditor.models.contained import ContainedPredictor, int8_form\n"
        "from auditor.models.latency import BenchRequest, TimedModel, run_bench\n"
        "from auditor.spec import ModelSpec\n"
        "file, text = Path(sys.argv[1]), Path(sys.argv[2]).read_text()\n"
        "model, frames = ModelSpec.model_validate_json(text), np.zeros((2, 8, 8, 3), np.uint8)\n"
        "asked = dict(model=model, classes=model.classes, folder=file.parent, trust_code=False)\n"
        "ContainedPredictor(file, **asked).predict(frames)\n"
        "run_bench(BenchRequest((TimedModel(file),), (1, 3, 8, 8), 'float32', runs=50,"
        " window_s=0))\n"
        "int8_form(file, model=model, calibration=frames)\n"
        "from auditor.models import onnx_model\n"
    )
    named = ("HOME", "XDG_CACHE_HOME", "ORT_DISABLE_TELEMETRY")
    kept = {k: v for k, v in os.environ.items() if k not in named}
    done = subprocess.run(
        [sys.executable, "-c", code, str(path), str(tmp_path / "model.json")],
        env=kept | {"HOME": str(home)}, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert not list(home.rglob("*"))


@pytest.mark.parametrize(
    ("text", "of_memory"),
    [
        ("Non-zero status code returned while running Concat node: std::bad_alloc", True),
        ("BFCArena: Failed to allocate memory for requested buffer of size 9", True),
        ("[enforce fail] DefaultCPUAllocator: can't allocate memory: you tried", True),
        ("Got invalid dimensions for input: x", False),
    ],
)
def test_want_of_memory_is_told_as_that_whoever_ran_out_of_it(text, of_memory):
    wrapped = ModelError("onnxruntime cannot run this model.")
    wrapped.__cause__ = RuntimeError(text)
    assert (nursery._told(wrapped)["kind"] == "MemoryError") == of_memory
