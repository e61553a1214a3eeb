"""Folders that go with their processes: a killed one's is cleared by the next, no other is."""

import os
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from auditor.engine.ray_worker import ShardWorker, SweepAt
from auditor.engine.store import Store
from auditor.own_folder import own_folder
from auditor.reports import pdf
from auditor.reports.pdf_child import in_child

HOLD = """
import sys
from auditor.own_folder import own_folder
with own_folder("auditor-test-") as folder:
    (folder / "page.html").write_text("of somebody")
    print(folder, flush=True)
    sys.stdin.read()
"""


@pytest.fixture
def place(tmp_path, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    return tmp_path


@pytest.fixture
def holder(place):
    """A process that holds a folder of its own."""
    started = subprocess.Popen(
        [sys.executable, "-c", HOLD], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        env={**os.environ, "TMPDIR": str(place)},
    )  # fmt: skip
    started.folder = started.stdout.readline().strip()
    yield started
    started.kill()
    started.communicate()


def test_it_is_removed_at_the_end_whatever_happened(place):
    with own_folder("auditor-test-") as folder:
        (folder / "below").mkdir()
    with pytest.raises(KeyboardInterrupt), own_folder("auditor-test-"):
        raise KeyboardInterrupt
    assert not list(place.iterdir())


@pytest.mark.skipif(sys.platform == "win32", reason="nothing is cleared there")
def test_one_that_was_killed_is_cleared_by_the_next_and_none_that_lives(place, holder):
    with own_folder("auditor-test-"):
        assert os.path.exists(holder.folder)
    holder.send_signal(signal.SIGKILL)
    holder.wait()
    assert os.path.exists(holder.folder)
    with own_folder("auditor-other-"):
        assert os.path.exists(holder.folder)
    with own_folder("auditor-test-"):
        assert not os.path.exists(holder.folder)


def test_a_folder_that_nobody_held_is_left_alone(place):
    mine = place / "auditor-test-mine"
    mine.mkdir()
    with own_folder("auditor-test-"):
        assert mine.exists()


def test_a_worker_of_ray_makes_no_folder_where_no_model_travels(place, tmp_path):
    worker = ShardWorker()
    worker.prepare(SweepAt(Store(tmp_path / "store"), None), {})
    assert not list(place.glob("auditor-*"))


def test_the_pdfs_process_writes_in_the_folder_that_its_parent_removes(place, monkeypatch):
    made = []

    def pages(*_):
        made.append(pdf._own_fonts_file.__wrapped__())
        return pdf.MadePdf(b"", ())

    monkeypatch.setattr("auditor.reports.pdf_child._bound", lambda *_, **__: None)
    monkeypatch.setattr("auditor.reports.pdf_child.made_pdf", pages)
    with own_folder("auditor-pdf-") as folder:
        (folder / "page.html").write_text("")
        (folder / "enclosed.json").write_text(
            '{"record": "", "digest": "", "started": "2026-01-01T00:00:00Z"}'
        )
        assert in_child(str(folder), seconds=60, memory_bytes=1) == 0
        ((file, fonts),) = made
        assert file.is_relative_to(folder)
        fonts.cleanup()


HOLDERS = """
import re
import sys
from types import SimpleNamespace
from auditor.checks import shortcut_attribution as attribution
from auditor.engine import ray_cluster
from auditor.errors import ModelError
from auditor.models import latency

def bench(held):
    latency.subprocess.run = held
    latency.run_bench(latency.BenchRequest((), (1, 3, 8, 8), "float32"))

def random(held):
    attribution.randomised_form = lambda *_, **__: b"weights"
    attribution.model_classes = lambda spec: ()
    attribution.load_model = held
    spec = SimpleNamespace(model=None, audit=SimpleNamespace(seed=1))
    model = SimpleNamespace(task="classification", format="onnx", trusted_code=False)
    evidence = SimpleNamespace(spec=spec, model=model, model_path=lambda: None)
    attribution.Attribution()._at_random(evidence, None)

def ray(held):
    fake = SimpleNamespace(init=held, shutdown=lambda: None)
    with ray_cluster._started(fake, ray_cluster.OnRay(), workers=1, memory=1):
        pass

def held(*given, **named):
    print(re.search(f"/[^']*/auditor-{sys.argv[1]}-[^/']+", repr((given, named)))[0], flush=True)
    sys.stdin.read()
    raise ModelError("left")

try:
    globals()[sys.argv[1]](held)
except (ModelError, ray_cluster.ClusterError):
    pass
"""


@pytest.mark.skipif(sys.platform == "win32", reason="nothing is cleared there")
@pytest.mark.parametrize("who", ["bench", "random", "ray"])
def test_what_a_killed_run_leaves_is_cleared_by_the_next(place, who):
    def started():
        begun = subprocess.Popen(
            [sys.executable, "-c", HOLDERS, who], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
            text=True, env={**os.environ, "TMPDIR": str(place)},
        )  # fmt: skip
        return begun, Path(begun.stdout.readline().strip())

    killed, left = started()
    killed.kill()
    killed.communicate()
    assert left.name.startswith(f"auditor-{who}-")
    assert left.exists()
    following, mine = started()
    assert not left.exists()
    following.communicate()
    assert following.returncode == 0
    assert not mine.exists()
