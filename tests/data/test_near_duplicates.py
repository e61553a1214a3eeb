"""Copies are found however they were changed; other shots of the same scene are not copies."""

from __future__ import annotations

import hashlib
import io

import numpy as np
import pandas as pd
import pytest
from PIL import Image, ImageDraw
from scipy.spatial.distance import cdist

from auditor.data import near_duplicates
from auditor.data import near_pairs as pairs_module
from auditor.data.copies import likeness
from auditor.data.near_duplicates import NearPairs, exact_twins, near_pairs, prints
from auditor.data.near_pairs import nearest, sketches, turned
from auditor.data.scan import properties, thumbnail

SIDE = 192


def photo(seed, *, side=SIDE) -> np.ndarray:
    """A picture with the spectrum of photographs, in colour, with grain."""
    rng = np.random.default_rng(seed)
    frequency = np.hypot(*np.meshgrid(*[np.fft.fftfreq(side)] * 2))
    amplitude = np.divide(1, frequency, out=np.zeros_like(frequency), where=frequency > 0)
    # Colours change slowly, light does not.
    spectra = np.stack([amplitude * (frequency < 0.05)] * 3 + [amplitude])
    *colours, light = np.fft.ifft2(np.fft.fft2(rng.normal(size=(4, side, side))) * spectra).real
    planes = 128 + 40 * light / light.std() + np.stack([15 * c / c.std() for c in colours])
    planes += rng.normal(0, 2, planes.shape)
    return np.clip(planes, 0, 255).astype(np.uint8).transpose(1, 2, 0)


def sha256(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def jpeg(pixels, quality) -> np.ndarray:
    content = io.BytesIO()
    Image.fromarray(pixels).save(content, "JPEG", quality=quality)
    return np.asarray(Image.open(content).convert("RGB"))


def overlaid(pixels) -> np.ndarray:
    image = Image.fromarray(pixels)
    ImageDraw.Draw(image).rectangle((10, 160, 110, 180), fill=(255, 255, 255))
    return np.asarray(image)


CHANGES = {
    "quality 30": lambda p: jpeg(p, 30),
    "quality 90": lambda p: jpeg(p, 90),
    "half the size": lambda p: np.asarray(Image.fromarray(p).resize((SIDE // 2, SIDE // 2))),
    "crop of 5%": lambda p: p[3:-6, 7:-3],
    "crop of 10%": lambda p: p[:-19, 19:],
    "mirror": lambda p: p[:, ::-1],
    "turn": lambda p: np.rot90(p),
    "brighter": lambda p: np.clip(p * 1.2, 0, 255).astype(np.uint8),
    "overlay": overlaid,
    "border of 3%": lambda p: np.pad(p, ((6, 6), (6, 6), (0, 0))),
    "mirror, crop and quality 50": lambda p: jpeg(np.ascontiguousarray(p[4:-4, -5:5:-1]), 50),
}


def pairs_among(images, formats=None, *, known=None, read=None) -> NearPairs:
    images = [np.ascontiguousarray(image) for image in images]
    scan = pd.DataFrame(
        {
            "readable": True,
            "sha256": hashlib.sha256(image.tobytes() + bytes([i % 251])).hexdigest(),
            "pixel_sha256": hashlib.sha256(image.tobytes()).hexdigest(),
            "thumbnail": thumbnail(image).tobytes(),
            "format": formats[i] if formats else "PNG",
            **properties(image),
        }
        for i, image in enumerate(images)
    )
    return near_pairs(prints(scan), pixels=read or (lambda at: images[at]), known=known)


def found_among(images, formats=None) -> set[tuple[int, int]]:
    found = pairs_among(images, formats)
    return set(zip(found.one.tolist(), found.other.tolist(), strict=True))


def test_in_many_images_copies_are_found_in_trees(monkeypatch):
    asked = []
    monkeypatch.setattr(pairs_module, "MOST_WINDOWED", 0)
    monkeypatch.setattr(pairs_module, "MOST_COMPARED_WHOLE", 0)
    search = pairs_module.nearest_in_trees
    monkeypatch.setattr(
        pairs_module, "nearest_in_trees", lambda *a, **k: asked.append(1) or search(*a, **k)
    )
    photos = [photo(seed) for seed in range(6)]
    copies = [CHANGES["quality 30"](p) for p in photos]
    formats = ["PNG"] * 6 + ["JPEG"] * 6
    assert found_among([*photos, *copies], formats) == {(i, i + 6) for i in range(6)}
    assert asked


@pytest.mark.parametrize("change", CHANGES)
def test_a_changed_copy_is_found_and_nothing_else(change):
    photos = [photo(seed) for seed in range(6)]
    formats = ["PNG"] * 6 + ["JPEG" if "quality" in change else "PNG"] * 6
    assert found_among([*photos, *map(CHANGES[change], photos)], formats) == {
        (i, i + 6) for i in range(6)
    }


def shots(n, *, scratched) -> list[np.ndarray]:
    """By a fixed camera: the grain differs, and every second part has a scratch."""
    rng = np.random.default_rng(0)
    scene = photo(99).astype(float)
    found = []
    for i in range(n):
        shot = scene + rng.normal(0, 4, scene.shape)
        if scratched and i % 2:
            y, x = rng.integers(20, 140, 2)
            shot[y : y + 3, x : x + 40] += 60
        found.append(np.clip(shot, 0, 255).astype(np.uint8))
    return found


@pytest.mark.parametrize("n", [4, 24])
@pytest.mark.parametrize("quality", [None, 90])
def test_shots_by_a_fixed_camera_are_not_copies(n, quality):
    taken = shots(n, scratched=True)
    assert found_among([jpeg(p, quality) for p in taken] if quality else taken) == set()


@pytest.mark.parametrize("change", ["half the size", "crop of 5%", "quality 90", "mirror"])
def test_changed_copies_of_shots_are_copies_of_no_other_shot(change):
    taken = shots(8, scratched=True)
    formats = ["PNG"] * 8 + ["JPEG" if "quality" in change else "PNG"] * 8
    found = found_among([*taken, *map(CHANGES[change], taken)], formats)
    assert found <= {(i, i + 8) for i in range(8)}


def test_a_copy_among_shots_by_a_fixed_camera_is_found_by_its_grain():
    taken = shots(6, scratched=False)
    assert found_among([*taken, jpeg(taken[2], 95)], ["PNG"] * 6 + ["JPEG"]) == {(2, 6)}


@pytest.mark.parametrize("seed", range(3))
def test_pairs_do_not_depend_on_the_order_of_images(seed):
    photos = [photo(i) for i in range(4)]
    images = [*photos, *[jpeg(p, 50) for p in photos], photos[0], photos[1][:, ::-1]]
    images += shots(10, scratched=False)
    formats = ["PNG"] * 4 + ["JPEG"] * 4 + ["PNG"] * 12
    order = np.random.default_rng(seed).permutation(len(images))
    given, shuffled = (
        pairs_among([images[i] for i in rows], [formats[i] for i in rows])
        for rows in (np.arange(len(images)), order)
    )

    def names(found, rows):
        # The ninth image equals the first.
        name = np.where(rows == 8, 0, rows)
        return {frozenset(pair) for pair in zip(name[found.one], name[found.other], strict=True)}

    assert names(given, np.arange(len(images))) == names(shuffled, order)
    assert len(given.one) == 6
    assert shuffled.partly.tolist() == given.partly[order].tolist()


def test_what_was_not_compared_is_told(monkeypatch):
    copied = [photo(i) for i in range(5)]
    images = [*copied, *[jpeg(p, 50) for p in copied], photo(9)]
    formats = ["PNG"] * 5 + ["JPEG"] * 5 + ["PNG"]
    monkeypatch.setattr(near_duplicates, "MOST_CONFIRMED", 3)
    found = pairs_among(images, formats)
    assert len(found.one) == 3
    compared = {*found.one.tolist(), *found.other.tolist()}
    assert set(np.flatnonzero(found.partly)) == set(range(10)) - compared


@pytest.mark.parametrize("n", [60, 120])
def test_of_shots_by_a_fixed_camera_few_are_compared(monkeypatch, n):
    monkeypatch.setattr(near_duplicates, "MOST_CONFIRMED", 20)
    tried = []
    monkeypatch.setattr(
        near_duplicates, "likeness", lambda *given: tried.append(1) or likeness(*given)
    )
    found = pairs_among(shots(n, scratched=True))
    assert len(tried) == 20
    assert not len(found.one)
    assert found.partly.all()


def test_comparisons_that_are_known_are_not_made_again():
    images = [photo(seed) for seed in range(4)]
    images += [overlaid(images[0]), overlaid(images[1])]
    known, asked = {}, []

    def read(position):
        asked.append(position)
        return images[position]

    first = pairs_among(images, known=known, read=read)
    assert set(zip(first.one, first.other, strict=True)) == {(0, 4), (1, 5)}
    asked.clear()
    assert pairs_among(images, known=known, read=read).distance.tolist() == first.distance.tolist()
    assert asked == []
    held = len(known)
    images[5] = jpeg(images[5], 60)
    again, fresh = pairs_among(images, known=known, read=read), pairs_among(images)
    assert set(asked) == {1, 5}
    assert again.distance.tolist() == fresh.distance.tolist()
    assert again.distance.tolist() != first.distance.tolist()
    # What is asked for no more is held no more.
    assert len(known) == held


def test_equal_pixels_in_other_files_are_twins():
    image = photo(1)
    scan = pd.DataFrame(
        {"readable": True, "sha256": sha256(file), "pixel_sha256": sha256("p"), "format": "PNG",
         **properties(image), "thumbnail": thumbnail(image).tobytes()}
        for file in ("a", "b", "a")
    )  # fmt: skip
    index, kind = exact_twins(prints(scan), prints(scan))
    assert index.tolist() == [0, 0, 0]
    assert [near_duplicates.KIND_NAMES[k] for k in kind.tolist()][1:] == [
        "same pixels",
        "same file",
    ]


def thing(colour, *, x=40) -> np.ndarray:
    image = Image.new("RGB", (160, 160), (255, 255, 255))
    ImageDraw.Draw(image).ellipse((x, 40, x + 80, 120), fill=colour)
    return np.asarray(image)


def test_things_on_white_in_other_colours_are_not_copies():
    colours = [(200, 40, 40), (40, 140, 40), (60, 60, 220), (120, 100, 20), (150, 30, 150)]
    assert found_among([thing(colour) for colour in colours]) == set()


def test_things_on_white_copied_are_found():
    red = thing((200, 40, 40))
    assert found_among([red, jpeg(red, 60), thing((40, 140, 40))]) == {(0, 1)}


def cells_under_a_microscope(seed) -> np.ndarray:
    rng = np.random.default_rng(seed)
    image = Image.new("RGB", (SIDE, SIDE), (225, 200, 215))
    for x, y in rng.integers(0, SIDE, (40, 2)).tolist():
        ImageDraw.Draw(image).ellipse((x - 7, y - 7, x + 7, y + 7), fill=(120, 60, 140))
    return np.asarray(image)


def test_fields_under_a_microscope_are_not_copies():
    assert found_among([cells_under_a_microscope(seed) for seed in range(24)]) == set()


def test_flat_images_and_ones_that_are_gone_have_no_copies():
    flat = np.full((64, 64, 3), 90, dtype=np.uint8)
    assert found_among([flat, flat + 1, flat + 2]) == set()
    images = [photo(1), jpeg(photo(1), 50)]
    scan = pd.DataFrame(
        {"readable": True, "sha256": sha256(str(i)), "pixel_sha256": sha256(str(i)),
         "format": "PNG", **properties(image), "thumbnail": thumbnail(image).tobytes()}
        for i, image in enumerate(images)
    )  # fmt: skip
    assert len(near_pairs(prints(scan), pixels=lambda _: None).one) == 0


def test_descriptions_are_those_of_mirrored_and_turned_images():
    small = thumbnail(photo(3))
    every = np.stack([turned(small, turn) for turn in range(8)])
    assert len({e.tobytes() for e in every}) == 8
    assert np.ptp(sketches(every, pairs_module.WHOLE), axis=0).max() < 1e-3


@pytest.mark.parametrize("spread", [0.02, 0.2, 1.0])
@pytest.mark.parametrize("most", [1, 5])
def test_the_nearest_are_those_of_comparing_all_with_all(monkeypatch, spread, most):
    monkeypatch.setattr(pairs_module, "_BLOCK", 20)
    monkeypatch.setattr(pairs_module, "_FIRST_CHUNK", 8)
    rng = np.random.default_rng(0)
    ours, theirs = (rng.normal(0, spread, (n, 12)).astype(np.float32) for n in (150, 200))
    one, other = nearest(ours, theirs, radius=0.5, most=most)
    apart = cdist(ours, theirs)
    expected = {
        (i, int(j))
        for i in range(len(ours))
        for j in np.argsort(apart[i])[:most]
        if apart[i, j] <= 0.5
    }
    assert set(zip(one.tolist(), other.tolist(), strict=True)) == expected


MORE_CHANGES = {
    "crop of 10% at one side": lambda p: p[:, 19:],
    "crop of 10% all round": lambda p: p[19:-19, 19:-19],
    "gamma": lambda p: (255 * (p / 255) ** 0.7).round().astype(np.uint8),
    "contrast": lambda p: np.clip(128 + (p.astype(float) - 128) * 1.3, 0, 255).astype(np.uint8),
    "grey": lambda p: np.repeat(np.asarray(Image.fromarray(p).convert("L"))[..., None], 3, 2),
    "border of 8%": lambda p: np.pad(p, ((15, 15), (15, 15), (0, 0)), constant_values=255),
}


@pytest.mark.parametrize("side", [32, SIDE])
@pytest.mark.parametrize("change", MORE_CHANGES)
def test_copies_are_found_of_small_images_too(change, side):
    photos = [photo(seed) for seed in range(4)]
    copies = [MORE_CHANGES[change](p) for p in photos]
    images = [
        np.asarray(Image.fromarray(p).resize((side, round(side * p.shape[0] / p.shape[1]))))
        for p in [*photos, *copies]
    ]
    assert found_among(images) == {(i, i + 4) for i in range(4)}


def test_shots_by_a_fixed_camera_in_a_frame_are_not_copies():
    framed = [np.pad(p, ((15, 15), (15, 15), (0, 0))) for p in shots(4, scratched=False)]
    assert found_among(framed) == set()
