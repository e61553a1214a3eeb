"""A whole audit over the store of an earlier one: one image changed, all else as it was."""

import shutil

import numpy as np
import pytest
from coloured_rooms import make_world
from PIL import Image

import auditor
from auditor.data import soundness
from auditor.engine import shard, variants
from auditor.engine.shard_files import BATCH
from auditor.judging.volatile import volatile_free
from auditor.models.contained import ContainedPredictor
from auditor.record.files import to_json

ONLY = ("data/duplicates", "data/leakage", "performance/overall", "bias/subgroup-gap",
        "model/consistency")  # fmt: skip


@pytest.fixture(scope="module")
def audited(tmp_path_factory):
    folder = tmp_path_factory.mktemp("rerun")
    spec = make_world(folder / "world", sizes=(40, 20, 20))
    # A copy that is not one to the pixel, so that there is something to compare.
    Image.open(folder / "world/test/0003.png").save(folder / "copy.jpg", quality=95)
    shutil.copy(folder / "copy.jpg", folder / "world/test/0020.png")
    auditor.run(spec, out=folder / "out", only=ONLY)
    return spec, folder / "out"


@pytest.fixture
def counted(monkeypatch):
    """What is decoded, and how many frames the model is asked about."""
    found = {"decoded": [], "frames": 0}
    predict = ContainedPredictor.predict

    def counting(self, frames, **more):
        found["frames"] += len(frames)
        return predict(self, frames, **more)

    for module in (shard, soundness, variants):
        decode = module.decode
        monkeypatch.setattr(
            module, "decode",
            lambda content, decode=decode, **more: found["decoded"].append(content)
            or decode(content, **more),
        )  # fmt: skip
    monkeypatch.setattr(ContainedPredictor, "predict", counting)
    return found


def test_of_one_changed_image_the_record_is_that_of_a_fresh_run_and_it_alone_is_decoded(
    audited, counted, tmp_path
):
    spec, out = audited
    written = to_json(volatile_free(auditor.read_record(out / "audit.json")))
    same = auditor.run(spec, out=out, only=ONLY, again=True)
    assert to_json(volatile_free(same)) == written
    # Checks that ask the model themselves ask it again.
    assert counted["decoded"] == []
    asked = counted["frames"]
    path = spec.parent / "test/0007.png"
    pixels = np.random.default_rng(3).integers(0, 200, (20, 24, 3)).astype(np.uint8)
    Image.fromarray(pixels).save(path)
    record = auditor.run(spec, out=out, only=ONLY)
    assert set(counted["decoded"]) == {path.read_bytes()}
    passes = sum(name.startswith("test") for name in record.plan.passes)
    assert counted["frames"] - 2 * asked == BATCH * passes
    fresh = auditor.run(spec, out=tmp_path, only=ONLY)
    assert to_json(volatile_free(record)) == to_json(volatile_free(fresh)) != written
    for table in (tmp_path / "tables").glob("*.csv"):
        assert (out / "tables" / table.name).read_bytes() == table.read_bytes()
