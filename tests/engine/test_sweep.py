"""The sweep over real files with a model that is a few lines of numpy."""

import dataclasses
import os
import threading
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from auditor.contract import AS_GIVEN, Pass
from auditor.data.views import AS_SHOT, Corrupted, Moved, ViewContext
from auditor.engine import runner as runner_module
from auditor.engine import shard as shard_module
from auditor.engine import sweep as sweep_module
from auditor.engine.shard_files import BATCH
from auditor.engine.store import Store
from auditor.engine.stored_rows import assemble
from auditor.engine.sweep import SHARD, sweep_split
from auditor.errors import DataError
from auditor.models.predictor import Prediction


class BrightnessModel:
    """Says class b in proportion to brightness; counts the frames it is shown."""

    digest = "brightness-1"

    def __init__(self, facts, *, fail_after=None):
        self.facts = facts
        self.frames_seen = 0
        self.fail_after = fail_after
        self.lock = threading.Lock()

    def predict(self, frames, *, input=None, embedding=False, output=()):
        with self.lock:
            self.frames_seen += len(frames)
            if self.fail_after is not None and self.frames_seen > self.fail_after:
                raise KeyboardInterrupt
        bright = frames.reshape(len(frames), -1).mean(axis=1) / 255
        scale = 255.0 if input is None else input.scale
        bright = np.clip(bright * 255 / scale, 0, 1)
        probabilities = np.stack([1 - bright, bright], axis=1).astype(np.float32)
        return Prediction(probabilities, probabilities * 2 if embedding else None)

    def gradients(self, frames, classes):
        raise NotImplementedError


@dataclasses.dataclass(frozen=True)
class OnlyDonor:
    """A view that answers with the donor's frame, so that a test sees who it was."""

    name: str = "only-donor"
    version: int = 1
    donor: str | None = "other-class"

    def __call__(self, frame: np.ndarray, context: ViewContext) -> np.ndarray:
        return context.donor


@pytest.fixture(scope="module")
def rooms(tmp_path_factory, worlds):
    """300 images of 12x10 whose brightness is (row * 7) % 256; three of them are broken."""
    folder = tmp_path_factory.mktemp("rooms")
    dataset = worlds.dataset([i % 2 for i in range(300)])
    paths = []
    for i in range(300):
        path = folder / f"{i:05d}.png"
        Image.fromarray(np.full((12, 10, 3), brightness(i), np.uint8)).save(path)
        paths.append(str(path))
    for broken in (3, 100, 299):
        (folder / f"{broken:05d}.png").write_bytes(b"this is text")
    return dataclasses.replace(dataset, table=dataset.frame.assign(path=paths))


def brightness(row: int) -> int:
    return (row * 7) % 256


TEST = Pass("test")


def swept(rooms, worlds, store, *, model=None, passes=(TEST,), keep=False, earlier=None):
    model = model or BrightnessModel(worlds.facts())
    return sweep_split(
        rooms,
        list(passes),
        spec=worlds.spec(),
        store=store,
        predictors={AS_GIVEN: model, "int8": model},
        keep_frames=keep,
        report=lambda progress: None,
        earlier=earlier,
    )


def all_bytes(store):
    return {
        path.relative_to(store.folder).as_posix(): path.read_bytes()
        for path in sorted(store.folder.rglob("*"))
        if path.is_file()
    }


def test_each_image_gets_its_answer_and_broken_ones_none(rooms, worlds, tmp_path):
    store = Store(tmp_path)
    result = swept(rooms, worlds, store)
    probabilities = assemble(result.passes[0], "predictions", store=store)
    readable = result.scan()["readable"].to_numpy()
    assert np.flatnonzero(~readable).tolist() == [3, 100, 299]
    assert np.isnan(probabilities[~readable]).all()
    wanted = np.array([brightness(i) / 255 for i in range(300)], dtype=np.float32)
    np.testing.assert_allclose(probabilities[readable, 1], wanted[readable], atol=1e-6)
    assert result.image_ids.tolist() == rooms.image_ids.tolist()


def test_thumbnails_are_read_where_they_are_asked_for(rooms, worlds, tmp_path):
    result = swept(rooms, worlds, Store(tmp_path))
    assert "thumbnail" not in result.scan()
    every = [cell for part in result.thumbnails() for cell in part]
    assert [len(cell) for cell in every[:5]] == [3072, 3072, 3072, 0, 3072]
    some = np.array([2, 3, 255, 256, 298])
    of_them = [cell for part in result.thumbnails(some) for cell in part]
    assert of_them == [every[row] for row in some]


def test_a_second_run_asks_the_model_nothing(rooms, worlds, tmp_path):
    store = Store(tmp_path)
    swept(rooms, worlds, store)
    before = all_bytes(store)
    model = BrightnessModel(worlds.facts())
    swept(rooms, worlds, store, model=model)
    assert model.frames_seen == 0
    assert all_bytes(store) == before


def test_killed_and_started_again_it_computes_the_rest_and_ends_the_same(
    rooms, worlds, tmp_path, monkeypatch
):
    monkeypatch.setattr(runner_module, "threads_allowed", lambda: 1)
    whole, broken = Store(tmp_path / "whole"), Store(tmp_path / "broken")
    swept(rooms, worlds, whole)
    with pytest.raises(KeyboardInterrupt):
        swept(rooms, worlds, broken, model=BrightnessModel(worlds.facts(), fail_after=SHARD + 20))
    assert not [p for p in broken.folder.rglob("*") if ".part" in p.name]
    model = BrightnessModel(worlds.facts())
    swept(rooms, worlds, broken, model=model)
    assert 0 < model.frames_seen <= 300 - SHARD
    left = all_bytes(broken)
    assert {name: left[name] for name in all_bytes(whole)} == all_bytes(whole)


def flipped(path):
    """The middle byte of a file has one bit flipped."""
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 4
    path.write_bytes(bytes(content))


def zeroed(path):
    """The last half of a file is zeros, as after a crash of the system; its size is the same."""
    content = path.read_bytes()
    path.write_bytes(content[: len(content) // 2].ljust(len(content), b"\0"))


def cut(path):
    path.write_bytes(path.read_bytes()[:-7])


@pytest.mark.parametrize("harm", [flipped, zeroed, cut])
def test_a_stored_file_that_was_changed_is_computed_again(rooms, worlds, tmp_path, caplog, harm):
    passes = [Pass("test", embedding=True)]
    first = swept(rooms, worlds, Store(tmp_path), passes=passes, keep=True)
    assemble(first.passes[0], "embeddings", store=Store(tmp_path))
    whole = all_bytes(Store(tmp_path))
    stored = [path for path in tmp_path.rglob("*") if path.suffix in (".npy", ".parquet")]
    kinds = {path.parent.name: path for path in stored}
    assert kinds.keys() == {"scan", "frames", "predictions", "embeddings", "embeddings-whole",
                            "scores", "digests"}  # fmt: skip
    for kind, path in kinds.items():
        harm(path)
        caplog.clear()
        store = Store(tmp_path)
        again = swept(rooms, worlds, store, passes=passes, keep=True)
        answers = assemble(again.passes[0], "embeddings", store=store)
        assert all_bytes(store) == whole, kind
        assert [path.name in r.getMessage() for r in caplog.records] == [True], kind
        assert answers[7, 1] == pytest.approx(2 * brightness(7) / 255)
        assert again.frame(7)[0, 0, 0] == brightness(7)


def test_results_do_not_depend_on_the_number_of_threads(rooms, worlds, tmp_path, monkeypatch):
    stores = []
    for workers in (1, 4):
        monkeypatch.setattr(runner_module, "threads_allowed", lambda n=workers: n)
        store = Store(tmp_path / str(workers))
        swept(rooms, worlds, store, passes=[Pass("test"), Pass("test", sample=64)], keep=True)
        stores.append(all_bytes(store))
    assert stores[0] == stores[1]


@pytest.fixture
def own_rooms(rooms, tmp_path):
    """The rooms in files that a test may change."""
    folder = tmp_path / "images"
    folder.mkdir()
    paths = []
    for i, path in enumerate(rooms.paths):
        copy = folder / f"{i:05d}.png"
        copy.write_bytes(Path(path).read_bytes())
        paths.append(str(copy))
    return dataclasses.replace(rooms, table=rooms.frame.assign(path=paths))


@pytest.fixture
def decoded(monkeypatch):
    """Ids of the images that are decoded from here on."""
    found = []
    describe = shard_module.describe
    monkeypatch.setattr(
        shard_module, "describe", lambda name, *a: found.append(name) or describe(name, *a)
    )
    return found


def test_images_that_are_not_there_are_known_by_that_in_every_sweep(own_rooms, worlds, tmp_path):
    store = Store(tmp_path / "store")
    for row in (7, 250):
        Path(own_rooms.paths[row]).unlink()
    first = swept(own_rooms, worlds, store, passes=EARLY, keep=True)
    assert [first.digests[row] for row in (7, 250)] == ["unreadable", "unreadable"]
    kinds = ("scan", "frames")
    before = {path for path in all_bytes(store) if path.startswith(kinds)}
    late = swept(own_rooms, worlds, store, passes=LATE, keep=True, earlier=first)
    assert {path for path in all_bytes(store) if path.startswith(kinds)} == before
    assert late.scans == first.scans
    # As a later run reads what this one noted.
    again = swept(own_rooms, worlds, Store(tmp_path / "store"), passes=EARLY, keep=True)
    assert list(again.former) == list(first.digests)


def repaint(dataset, row, brightness):
    Image.fromarray(np.full((12, 10, 3), brightness, np.uint8)).save(dataset.paths[row])


EARLY = (Pass("test", embedding=True), Pass("test", sample=100))
LATE = (Pass("test", view=OnlyDonor()), Pass("test", variant="int8"))


def swept_twice(dataset, worlds, store, *, model=None):
    """As an audit sweeps: the clean pass, then what waits for its frames."""
    first = swept(dataset, worlds, store, model=model, passes=EARLY, keep=True)
    late = swept(dataset, worlds, store, model=model, passes=LATE, keep=True, earlier=first)
    return first, late


def test_one_changed_image_is_decoded_and_answered_with_its_batch_alone(
    worlds, own_rooms, tmp_path, decoded
):
    """The store then holds, byte for byte, what a sweep from nothing writes."""
    store, fresh = Store(tmp_path / "store"), Store(tmp_path / "fresh")
    swept_twice(own_rooms, worlds, store)
    repaint(own_rooms, 280, 9)
    decoded.clear()
    model = BrightnessModel(worlds.facts())
    first, _ = swept_twice(own_rooms, worlds, store, model=model)
    assert decoded == [own_rooms.image_ids[280]]
    # In two early passes at most, in the donors' pass as itself and as another's, as int8.
    assert BATCH <= model.frames_seen <= 5 * BATCH
    swept_twice(own_rooms, worlds, fresh)
    renewed = all_bytes(Store(tmp_path / "store"))
    assert {name: renewed[name] for name in all_bytes(fresh)} == all_bytes(fresh)
    answers = assemble(first.passes[0], "predictions", store=store)
    assert answers[280, 1] == pytest.approx(9 / 255)
    assert first.frame(280)[0, 0, 0] == 9


def test_without_kept_frames_the_images_of_the_batch_are_decoded(
    worlds, own_rooms, tmp_path, decoded
):
    store = Store(tmp_path / "store")
    swept(own_rooms, worlds, store)
    repaint(own_rooms, 280, 9)
    decoded.clear()
    model = BrightnessModel(worlds.facts())
    swept(own_rooms, worlds, store, model=model)
    assert len(decoded) == model.frames_seen == BATCH
    assert own_rooms.image_ids[280] in decoded


@pytest.mark.parametrize("row", [3, 280], ids=["broken before", "broken now"])
def test_where_who_can_be_read_changes_the_shard_is_swept_as_from_nothing(
    worlds, own_rooms, tmp_path, row
):
    """All batches after it begin at another image."""
    store, fresh = Store(tmp_path / "store"), Store(tmp_path / "fresh")
    swept_twice(own_rooms, worlds, store)
    if row == 3:
        repaint(own_rooms, row, 9)
    else:
        Path(own_rooms.paths[row]).write_bytes(b"text")
    swept_twice(own_rooms, worlds, store)
    swept_twice(own_rooms, worlds, fresh)
    renewed = all_bytes(store)
    assert {name: renewed[name] for name in all_bytes(fresh)} == all_bytes(fresh)


def test_an_image_that_is_broken_otherwise_is_told_so(worlds, own_rooms, tmp_path):
    store = Store(tmp_path / "store")
    swept(own_rooms, worlds, store)
    Path(own_rooms.paths[100]).write_bytes(b"")
    model = BrightnessModel(worlds.facts())
    result = swept(own_rooms, worlds, store, model=model)
    assert model.frames_seen == 0
    assert result.scan()["error"][100] == "the file is empty (0 bytes)"


def test_a_model_that_looks_across_its_batch_gives_what_it_gives_from_nothing(
    worlds, own_rooms, tmp_path
):
    class Relative(BrightnessModel):
        """Brightness by the brightest frame of the batch, as dynamic quantisation scales."""

        def predict(self, frames, *, input=None, embedding=False, output=()):
            scale = 255 / max(1, frames.max())
            return super().predict(np.clip(frames * scale, 0, 255), input=input)

    store, fresh = Store(tmp_path / "store"), Store(tmp_path / "fresh")
    model = Relative(worlds.facts())
    swept(own_rooms, worlds, store, model=model)
    repaint(own_rooms, 17, 255)
    swept(own_rooms, worlds, store, model=model)
    swept(own_rooms, worlds, fresh, model=model)
    renewed = all_bytes(store)
    assert {name: renewed[name] for name in all_bytes(fresh)} == all_bytes(fresh)


def test_another_preprocessing_or_variant_is_another_pass(rooms, worlds, tmp_path):
    store = Store(tmp_path)
    other = worlds.spec().model.input.model_copy(update={"scale": 510.0})
    passes = [Pass("test"), Pass("test", input=other)]
    result = swept(rooms, worlds, store, passes=passes)
    first, second = (assemble(p, "predictions", store=store) for p in result.passes)
    assert second[10, 1] == pytest.approx(first[10, 1] / 2)


def test_late_passes_read_kept_frames_and_need_no_image_file(rooms, worlds, tmp_path):
    store = Store(tmp_path / "store")
    copies = tmp_path / "copies"
    copies.mkdir()
    paths = []
    for i, path in enumerate(rooms.paths):
        os.link(path, copies / f"{i}.png")
        paths.append(str(copies / f"{i}.png"))
    dataset = dataclasses.replace(rooms, table=rooms.frame.assign(path=paths))
    first = swept(dataset, worlds, store, keep=True)
    for path in paths:
        os.unlink(path)
    late = [Pass("test", view=OnlyDonor()), Pass("test", variant="int8")]
    second = swept(dataset, worlds, store, passes=late, keep=True, earlier=first)
    donated = assemble(second.passes[0], "predictions", store=store)
    readable = first.scan()["readable"].to_numpy()
    assert np.isfinite(donated[readable]).all()
    assert np.isnan(donated[~readable]).all()
    np.testing.assert_array_equal(first.frame(7), np.full((8, 8, 3), brightness(7), np.uint8))


def test_an_embedding_is_kept_beside_the_predictions(rooms, worlds, tmp_path):
    store = Store(tmp_path)
    result = swept(rooms, worlds, store, passes=[Pass("test", embedding=True)])
    embedding = assemble(result.passes[0], "embeddings", store=store)
    predictions = assemble(result.passes[0], "predictions", store=store)
    np.testing.assert_allclose(embedding, predictions * 2)


def test_a_sample_is_a_part_of_the_whole_pass(rooms, worlds, tmp_path):
    store = Store(tmp_path)
    result = swept(rooms, worlds, store, passes=[Pass("test"), Pass("test", sample=50)])
    whole, part = (assemble(p, "predictions", store=store) for p in result.passes)
    np.testing.assert_allclose(part, whole[result.passes[1].rows], rtol=1e-6)
    assert len(part) == 50


def test_a_shard_without_an_image_of_a_sample_holds_no_file_of_its_pass(
    rooms, worlds, tmp_path, monkeypatch
):
    monkeypatch.setattr(sweep_module, "SHARD", 10)
    store = Store(tmp_path)
    result = swept(rooms, worlds, store, passes=[Pass("test"), Pass("test", sample=4)])
    whole, part = result.passes
    shards = len(np.unique(part.rows // 10))
    assert (len(whole.answers), len(part.answers)) == (30, shards)
    found = assemble(part, "predictions", store=store)
    wanted = assemble(whole, "predictions", store=store)[part.rows]
    np.testing.assert_allclose(found, wanted, rtol=1e-6)
    written = pd.concat([pd.read_parquet(path) for path in part.scores])
    assert written["image_id"].tolist() == rooms.image_ids[part.rows].tolist()
    taken = np.arange(len(part.rows)) % 3 == 0
    pd.testing.assert_frame_equal(
        part.scored(taken), written.drop(columns="image_id")[taken].reset_index(drop=True)
    )


def test_a_small_sample_of_many_images_is_swept_in_shards_of_its_own(
    rooms, worlds, tmp_path, monkeypatch
):
    monkeypatch.setattr(sweep_module, "SHARD", 10)
    passes = [
        Pass("test", view=OnlyDonor(), sample=35),
        Pass("test", view=Moved("mirror"), sample=35),
        Pass("test", variant="int8"),
    ]
    found = {}
    for sparse in (1000, 8):
        monkeypatch.setattr(sweep_module, "SPARSE", sparse)
        store = Store(tmp_path / str(sparse))
        first = swept(rooms, worlds, store, keep=True)
        model = BrightnessModel(worlds.facts())
        asked = {"store": store, "model": model, "passes": passes, "keep": True, "earlier": first}
        found[sparse] = swept(rooms, worlds, **asked), store
        seen = model.frames_seen
        # A second run finds all of it.
        swept(rooms, worlds, **asked)
        assert model.frames_seen == seen
    (spread, spread_store), (packed, packed_store) = found.values()
    assert [len(p.answers) for p in packed.passes] == [4, 4, 30]
    assert len(spread.passes[0].answers) > 15
    for one, other in zip(spread.passes, packed.passes, strict=True):
        assert np.array_equal(one.rows, other.rows)
        answers = [
            assemble(p, "predictions", store=store)
            for p, store in ((one, spread_store), (other, packed_store))
        ]
        np.testing.assert_allclose(*answers, rtol=1e-6)
        everyone = np.ones(len(answers[0]), dtype=bool)
    assert one.scored(everyone).equals(other.scored(everyone))
    assert (packed.digests, packed.former) == (spread.digests, spread.former)
    # Frames were kept: none is described or kept again.
    assert len(list((tmp_path / "8" / "scan").glob("*.parquet"))) == 30


def test_views_of_a_frame_see_it_as_it_was_shot(rooms, worlds, tmp_path):
    views = [Corrupted("brightness", 5), Corrupted("contrast", 5), Moved("mirror")]
    store = Store(tmp_path)
    result = swept(rooms, worlds, store, passes=[Pass("test", view=v) for v in (*views, AS_SHOT)])
    brighter, flat, mirrored, shot = (
        assemble(p, "predictions", store=store)[:, 1] for p in result.passes
    )
    seen = np.isfinite(shot)
    # Each image is of one value, which neither contrast nor a mirror changes.
    np.testing.assert_allclose(flat[seen], shot[seen], atol=0.003)
    np.testing.assert_allclose(mirrored[seen], shot[seen], atol=1e-6)
    np.testing.assert_allclose(brighter[seen], np.minimum(shot[seen] + 0.5, 1), atol=0.003)


def test_an_image_that_goes_or_comes_between_two_sweeps_ends_the_run(own_rooms, worlds, tmp_path):
    store = Store(tmp_path / "store")
    there, away = Path(own_rooms.paths[7]), tmp_path / "away.png"
    mirrored = [Pass("test", view=Moved("mirror"), sample=300)]
    for one, other, told in [(there, away, "could"), (away, there, "could not")]:
        first = swept(own_rooms, worlds, store)
        one.rename(other)
        with pytest.raises(DataError, match=rf"^test/00007.png of test {told} be read earlier"):
            swept(own_rooms, worlds, store, passes=mirrored, earlier=first)
        # At most of the other shard, whose images are as they were.
        answers = list((store.folder / "predictions").glob("*.npy"))
        assert sum(len(np.load(path)) == SHARD for path in answers) == 1 + (told == "could not")
