"""The data checks on planted and clean worlds, against the default limits, over several seeds."""

from __future__ import annotations

import hashlib
import json
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from auditor.checks.data_duplicates import Duplicates
from auditor.checks.data_images import KINDS, Images
from auditor.checks.data_leakage import Leakage
from auditor.checks.data_manifest import Manifest
from auditor.contract import Scan
from auditor.data.expectations import Expectation, report_of, validate
from auditor.data.scan import PROPERTY_NAMES, SCAN_COLUMNS, THUMBNAIL, unreadable_row
from auditor.data.soundness import assess
from auditor.findings import Measure, Table, Unmeasured
from auditor.stats import p_value, value

SEEDS = range(4)
LIMIT = 0.01


def exceeds(measure: Measure, limit: float = LIMIT) -> bool:
    """Whether the measure is shown to lie above the limit."""
    return p_value(measure.estimate, limit=limit, exceeds="above") <= 0.05


def sha256(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def scan_of(dataset, pictures, *, seed=0, **columns) -> pd.DataFrame:
    """A scan in which equal numbers in `pictures` are equal images, -1 an unreadable one."""
    rows = []
    for name, picture in zip(dataset.image_ids, pictures, strict=True):
        if picture < 0:
            rows.append(unreadable_row(str(name), b"junk", "the file is empty (0 bytes)"))
            continue
        rng = np.random.default_rng([seed, picture])
        thumb = rng.integers(0, 256, (THUMBNAIL, THUMBNAIL, 3), dtype=np.uint8)
        row = dict.fromkeys(SCAN_COLUMNS, 0) | dict.fromkeys(PROPERTY_NAMES, 100.0)
        row |= {"image_id": str(name), "readable": True, "error": "", "format": "JPEG"}
        row |= {"mode": "RGB", "bits": 8, "frames": 1, "exif_rotated": False, "has_alpha": False}
        row |= {"highest": 255.0}
        row |= {
            "sha256": sha256(f"f{seed}.{picture}"),
            "pixel_sha256": sha256(f"p{seed}.{picture}"),
        }
        rows.append(row | {"thumbnail": thumb.tobytes()})
    return pd.DataFrame(rows).assign(**columns)


def world_of(worlds, scans, **datasets):
    evidence = worlds.evidence(spec=spec_with(worlds, datasets))
    for split, dataset in datasets.items():
        evidence.add(dataset, part="as-given")
        evidence.scans[split, "as-given"] = scans[split]
    evidence.sound = assess(datasets, scans)
    return evidence


def spec_with(worlds, datasets):
    return worlds.spec(data={split: {"images": "images"} for split in datasets})


def table(check, evidence, id) -> Table:
    return next(r for r in check.run(evidence) if isinstance(r, Table) and r.id == id)


def can_be_told(worlds, check, evidence) -> bool:
    """Whether results can be written as JSON, and every measure has words."""
    results = list(check.run(evidence))
    tables = [r for r in results if isinstance(r, Table)]
    facts = [dict(r.facts) for r in results if isinstance(r, Measure)]
    json.dumps([[t.rows for t in tables], facts], allow_nan=False)
    full = all(len(row) == len(t.columns) for t in tables for row in t.rows)
    return full and not worlds.unfilled(type(check), results)


# ---- data/images


@pytest.mark.parametrize("seed", SEEDS)
def test_planted_unreadable_images_exceed_the_limit(worlds, seed):
    test = worlds.dataset([0, 1] * 200)
    pictures = np.arange(400)
    broken = np.random.default_rng(seed).choice(400, size=14, replace=False)
    pictures[broken] = -1
    evidence = world_of(worlds, {"test": scan_of(test, pictures, seed=seed)}, test=test)
    found = worlds.measures(Images(), evidence)
    share = found["unreadable-share:@test"]
    assert value(share.estimate) == pytest.approx(14 / 400)
    assert exceeds(share)
    assert share.examples == tuple(test.image_ids[np.sort(broken)][:12])
    listed = table(Images(), evidence, "data-images-unreadable-test")
    assert len(listed.rows) == 14
    assert listed.rows[0][1] == "the file is empty (0 bytes)"
    assert can_be_told(worlds, Images(), evidence)


@pytest.mark.parametrize("seed", SEEDS)
def test_readable_images_do_not_exceed_it(worlds, seed):
    test = worlds.dataset([0, 1] * 150)
    evidence = world_of(worlds, {"test": scan_of(test, range(300), seed=seed)}, test=test)
    found = worlds.measures(Images(), evidence)
    assert not exceeds(found["unreadable-share:@test"])
    assert value(found["odd-share:@test"].estimate) == 0
    assert len(found) == 3 + len(KINDS)  # one depth of file: one measure of its bits


@pytest.mark.parametrize(
    ("kind", "column", "odd", "usual"),
    [
        ("sixteen-bit", "bits", 16, 8),
        ("cmyk", "mode", "CMYK", "RGB"),
        ("alpha", "has_alpha", True, False),
        ("exif-rotated", "exif_rotated", True, False),
        ("animated", "frames", 4, 1),
        ("other-colours", "mode", "L", "RGB"),
        ("other-colours", "mode", "RGB", "L"),
    ],
)
def test_each_odd_kind_is_counted_under_its_name(worlds, kind, column, odd, usual):
    test = worlds.dataset([0] * 40)
    values = [odd] * 3 + [usual] * 37
    evidence = world_of(worlds, {"test": scan_of(test, range(40), **{column: values})}, test=test)
    found = worlds.measures(Images(), evidence)
    shares = {key: value(m.estimate) for key, m in found.items() if key.startswith("odd-share:")}
    assert shares[f"odd-share:kind={kind}@test"] == pytest.approx(3 / 40)
    assert shares["odd-share:@test"] == pytest.approx(3 / 40)
    others = {key for key, share in shares.items() if share > 0}
    assert others == {f"odd-share:kind={kind}@test", "odd-share:@test"}


def test_formats_are_tabled_commonest_first(worlds):
    test = worlds.dataset([0] * 12)
    formats = ["PNG"] * 4 + ["JPEG"] * 8
    evidence = world_of(worlds, {"test": scan_of(test, range(12), format=formats)}, test=test)
    rows = table(Images(), evidence, "data-images-formats-test").rows
    assert [(row[0], row[3]) for row in rows] == [("JPEG", 8), ("PNG", 4)]


# ---- data/duplicates


@pytest.mark.parametrize("seed", SEEDS)
def test_planted_duplicates_are_counted_and_conflicting_labels_told(worlds, seed):
    test = worlds.dataset([0] * 285 + [0] * 10 + [1] * 5)
    pictures = np.r_[np.arange(285), np.random.default_rng(seed).choice(285, 15, replace=False)]
    evidence = world_of(worlds, {"test": scan_of(test, pictures, seed=seed)}, test=test)
    share = worlds.measures(Duplicates(), evidence)["duplicate-share:@test"]
    assert value(share.estimate) == pytest.approx(15 / 300)
    assert exceeds(share)
    assert share.facts["label_conflicts"] == 5
    assert set(share.examples) <= set(test.image_ids[285:])
    rows = table(Duplicates(), evidence, "data-duplicates-test").rows
    assert len(rows) == 15
    assert rows[0][1] == test.image_ids[pictures[285]]
    assert can_be_told(worlds, Duplicates(), evidence)


@pytest.mark.parametrize("seed", SEEDS)
def test_different_images_are_no_duplicates(worlds, seed):
    test = worlds.dataset([0, 1] * 100)
    evidence = world_of(worlds, {"test": scan_of(test, range(200), seed=seed)}, test=test)
    share = worlds.measures(Duplicates(), evidence)["duplicate-share:@test"]
    assert value(share.estimate) == 0
    assert not exceeds(share)


def test_images_not_compared_with_all_their_look_alikes_are_told(worlds):
    test = worlds.dataset([0, 1] * 20)
    evidence = world_of(worlds, {"test": scan_of(test, range(40))}, test=test)
    assert "partly-compared-share:@test" not in worlds.measures(Duplicates(), evidence)
    found = evidence.sound.splits["test"]
    partly = replace(found, partly_compared=np.arange(40) < 30)
    evidence.sound = replace(evidence.sound, splits={"test": partly})
    share = worlds.measures(Duplicates(), evidence)["partly-compared-share:@test"]
    assert share.facts["count"] == 30
    assert can_be_told(worlds, Duplicates(), evidence)


def test_splits_are_counted_apart(worlds):
    test = worlds.dataset([0] * 20)
    deployment = worlds.dataset([-1] * 20, split="deployment")
    scans = {
        "test": scan_of(test, range(20)),
        "deployment": scan_of(deployment, [7] * 10 + list(range(100, 110))),
    }
    evidence = world_of(worlds, scans, test=test, deployment=deployment)
    found = worlds.measures(Duplicates(), evidence)
    assert value(found["duplicate-share:@test"].estimate) == 0
    assert value(found["duplicate-share:@deployment"].estimate) == pytest.approx(9 / 20)


# ---- data/leakage


def leaky(worlds, *, seed, n_leaked=0, shared_units=0, units=True):
    """A test set of 300 images in 100 rooms; some images or rooms are in training too."""
    rng = np.random.default_rng(seed)
    rooms = [f"t{i // 3}" for i in range(300)]
    train_rooms = [f"r{i // 3}" for i in range(300)]
    pictures = np.arange(1000, 1300)
    leaked = rng.choice(300, n_leaked, replace=False)
    pictures[:n_leaked] = leaked
    for i in range(shared_units):
        train_rooms[3 * i] = f"t{i}"
    test = worlds.dataset([0, 1] * 150, units=rooms if units else None)
    train = worlds.dataset([0, 1] * 150, split="train", units=train_rooms if units else None)
    scans = {
        "test": scan_of(test, range(300), seed=seed),
        "train": scan_of(train, pictures, seed=seed),
    }
    return world_of(worlds, scans, test=test, train=train), leaked


@pytest.mark.parametrize("seed", SEEDS)
def test_test_images_in_training_exceed_the_limit(worlds, seed):
    evidence, leaked = leaky(worlds, seed=seed, n_leaked=30, units=False)
    found = worlds.measures(Leakage(), evidence)
    for name in ("seen-share:@test", "seen-image-share:@test"):
        assert value(found[name].estimate) == pytest.approx(0.1)
        assert exceeds(found[name])
    ids = evidence.dataset("test").image_ids
    assert set(found["seen-share:@test"].examples) <= set(ids[leaked])
    rows = table(Leakage(), evidence, "data-leakage-seen").rows
    assert {row[0] for row in rows} == set(ids[leaked])
    assert {row[2] for row in rows} == {"same file"}
    assert can_be_told(worlds, Leakage(), evidence)


@pytest.mark.parametrize("seed", SEEDS)
def test_rooms_in_training_exceed_it_although_no_image_is(worlds, seed):
    evidence, _ = leaky(worlds, seed=seed, shared_units=20)
    found = worlds.measures(Leakage(), evidence)
    assert exceeds(found["seen-share:@test"])
    assert not exceeds(found["seen-image-share:@test"])
    units = found["seen-unit-share:@test"]
    assert (value(units.estimate), units.n) == (pytest.approx(0.2), 100)
    rows = table(Leakage(), evidence, "data-leakage-seen").rows
    assert len(rows) == 60
    assert rows[0][1:] == (None, "same unit", None, "t0")
    assert can_be_told(worlds, Leakage(), evidence)


@pytest.mark.parametrize("seed", SEEDS)
def test_separate_data_do_not_exceed_it(worlds, seed):
    evidence, _ = leaky(worlds, seed=seed)
    found = worlds.measures(Leakage(), evidence)
    assert len(found) == 4
    for measure in found.values():
        assert value(measure.estimate) == 0
        assert not exceeds(measure)


def test_whole_rooms_are_counted_as_rooms_not_as_images(worlds):
    evidence, _ = leaky(worlds, seed=0, shared_units=3)
    share = worlds.measures(Leakage(), evidence)["seen-share:@test"]
    assert share.n_units == 100
    # Three rooms of 100 decide less than nine images of 300 would.
    assert share.estimate.n < 150


def test_images_without_a_unit_are_not_counted_among_units(worlds):
    units = [f"u{i}" for i in range(20)] + [""] * 5
    test = worlds.dataset([0] * 25, units=units)
    train = worlds.dataset([0] * 25, split="train", units=["u3"] * 20 + [""] * 5)
    scans = {"test": scan_of(test, range(25)), "train": scan_of(train, range(100, 125))}
    evidence = world_of(worlds, scans, test=test, train=train)
    found = worlds.measures(Leakage(), evidence)
    assert found["seen-unit-share:@test"].n == 20
    assert found["seen-unit-share:@test"].facts["count"] == 1
    assert found["seen-share:@test"].facts["count"] == 1


def test_without_units_the_reason_is_given(worlds):
    evidence, _ = leaky(worlds, seed=0, units=False)
    (reason,) = (r for r in Leakage().run(evidence) if isinstance(r, Unmeasured))
    assert reason.name == "seen-unit-share"
    assert "data.columns.unit" in reason.remedy


def test_without_training_data_leakage_is_not_run(worlds):
    evidence = worlds.evidence().add(worlds.dataset([0] * 20), part="as-given")
    assert Scan(split="train") in Leakage.needs
    assert not evidence.has(Scan(split="train"))


# ---- data/manifest


def manifest_world(worlds, *, n=300, bad=0, seed=0):
    rng = np.random.default_rng(seed)
    there = np.ones(n, dtype=bool)
    there[rng.choice(n, bad, replace=False)] = False
    frame = pd.DataFrame({"image": [f"{i}.png" for i in range(n)], "there": there})
    asked = [
        Expectation("no image is listed twice", "image", "unique"),
        Expectation("the file is there", "there", "true", of="image"),
    ]
    report = report_of(frame, validate(frame, asked), image_column="image", set_apart=~there,
                       numbers=np.arange(1, n + 1))  # fmt: skip
    evidence = worlds.evidence().add(worlds.dataset([0] * (n - bad)), part="as-given")
    evidence.manifest_reports["test"] = report
    return evidence, frame["image"].to_numpy(dtype=object)[~there]


@pytest.mark.parametrize("seed", SEEDS)
def test_failing_rows_are_counted_and_every_one_listed(worlds, seed):
    evidence, absent = manifest_world(worlds, bad=20, seed=seed)
    share = worlds.measures(Manifest(), evidence)["failing-rows:@test"]
    assert value(share.estimate) == pytest.approx(20 / 300)
    assert exceeds(share)
    assert share.facts["set_apart"] == 20
    assert "20 were set apart" in worlds.sentence(Manifest, share)
    rows = table(Manifest(), evidence, "data-manifest-failing-test").rows
    assert [row[1] for row in rows] == list(absent)
    expected = table(Manifest(), evidence, "data-manifest-expectations-test").rows
    assert [(row[2], row[3]) for row in expected] == [(True, 0), (False, 20)]
    assert can_be_told(worlds, Manifest(), evidence)


@pytest.mark.parametrize("seed", SEEDS)
def test_a_manifest_as_expected_has_none(worlds, seed):
    evidence, _ = manifest_world(worlds, seed=seed)
    share = worlds.measures(Manifest(), evidence)["failing-rows:@test"]
    assert value(share.estimate) == 0
    assert not exceeds(share)
    assert not share.examples
    assert worlds.sentence(Manifest, share).endswith("0 were set apart.")


def test_how_values_were_read_is_told_and_no_failing(worlds):
    evidence, _ = manifest_world(worlds)
    note = "Column when: 2 of 5 times name no time zone."
    report = replace(evidence.manifest_reports["test"], notes=(note, "Another."))
    evidence.manifest_reports["test"] = report
    share = worlds.measures(Manifest(), evidence)["failing-rows:@test"]
    assert value(share.estimate) == 0
    assert worlds.sentence(Manifest, share).endswith(f"set apart. {note} Another.")
    assert can_be_told(worlds, Manifest(), evidence)


# ---- all


@pytest.mark.parametrize(
    ("bits", "highest", "unused"),
    [(16, 4095, 4), (16, 255, 8), (32, 255, 8), (16, 60000, 0), (8, 255, 0), (8, 15, 4)],
)
def test_bits_that_no_image_uses_are_counted_unless_white_is_stated(worlds, bits, highest, unused):
    test = worlds.dataset([0, 1] * 20)
    scan = scan_of(test, range(40), bits=bits)
    scan["highest"] = np.linspace(highest / 3, highest, 40).round()
    evidence = world_of(worlds, {"test": scan}, test=test)
    name = f"unused-bits:kind={bits} bits a channel@test".replace(" ", "%20")
    found = worlds.measures(Images(), evidence)[name]
    assert value(found.estimate) == pytest.approx(unused)
    assert f"the largest value is {highest:g}: {unused}" in worlds.sentence(Images, found)
    stated = evidence.spec.model.input.model_copy(update={"range": float(highest)})
    evidence.spec = evidence.spec.model_copy(
        update={"model": evidence.spec.model.model_copy(update={"input": stated})}
    )
    assert name not in worlds.measures(Images(), evidence)


def test_too_few_images_give_a_reason_not_a_share(worlds):
    test = worlds.dataset([0] * 6)
    train = worlds.dataset([0] * 6, split="train")
    scans = {"test": scan_of(test, range(6)), "train": scan_of(train, range(6))}
    evidence = world_of(worlds, scans, test=test, train=train)
    evidence.manifest_reports = manifest_world(worlds, n=6)[0].manifest_reports
    evidence.manifest_reports["train"] = evidence.manifest_reports["test"]
    for check in (Images(), Duplicates(), Leakage(), Manifest()):
        results = list(check.run(evidence))
        reasons = [r for r in results if isinstance(r, Unmeasured)]
        assert reasons
        assert not any(isinstance(r, Measure) for r in results)
        assert all("Add" in r.remedy or "Name" in r.remedy for r in reasons)


def test_images_without_a_unit_are_no_unit_together(worlds):
    n = 120
    test = worlds.dataset([0] * n, units=[""] * n)
    pictures = np.arange(n)
    pictures[:12] = -1
    evidence = world_of(worlds, {"test": scan_of(test, pictures)}, test=test)
    share = worlds.measures(Images(), evidence)["unreadable-share:@test"]
    assert share.n_units == n
    assert share.estimate.n == pytest.approx(n)
