import numpy as np
import pytest

from auditor.data.components import COMPONENTS, CellFromDonor, ComponentFromDonor
from auditor.data.views import ViewContext


@pytest.fixture
def pair(rng):
    return rng.integers(0, 256, (2, 24, 32, 3)).astype(np.uint8)


@pytest.fixture
def rng():
    return np.random.default_rng(5)


def context(donor, image="x"):
    return ViewContext(image, 7, 0, donor)


def changed(view, frame, donor, image="x"):
    return (view(frame, context(donor, image)) != frame).any(axis=2)


def test_turns_take_every_cell_once(pair):
    frame, donor = pair
    seen = sum(changed(CellFromDonor(4, t, "same-class"), frame, donor).astype(int)
               for t in range(16))  # fmt: skip
    assert (seen == (frame != donor).any(axis=2)).all()


def test_a_cell_is_where_it_says(pair):
    frame, donor = pair
    view = CellFromDonor(4, 0, "other-class")
    row, column = divmod(view.cell("x", seed=7), 4)
    rows, columns = np.nonzero(changed(view, frame, donor))
    assert set(rows // 6) == {row}
    assert set(columns // 8) == {column}


def test_images_start_at_different_cells():
    view = CellFromDonor(4, 0, "same-class")
    cells = [view.cell(f"image {i}", seed=7) for i in range(800)]
    assert np.bincount(cells, minlength=16).min() > 25


@pytest.mark.parametrize("name", COMPONENTS)
def test_a_frame_is_its_own_donor(pair, name):
    frame = pair[0]
    own = COMPONENTS[name](frame, frame).astype(int)
    assert np.abs(own - frame).max() <= 1


def test_border_comes_from_the_donor(pair):
    frame, donor = pair
    seen = ComponentFromDonor("border", "same-class")(frame, context(donor))
    assert (seen[:3] == donor[:3]).all()
    assert (seen[:, -4:] == donor[:, -4:]).all()
    assert (seen[3:-3, 4:-4] == frame[3:-3, 4:-4]).all()


def test_colour_is_the_donors_mean(rng):
    frame = rng.integers(100, 120, (24, 32, 3)).astype(np.uint8)
    donor = frame + np.array([20, 0, 0], dtype=np.uint8)
    seen = ComponentFromDonor("colour", "same-class")(frame, context(donor))
    assert (seen == donor).all()


def detail(frame):
    return np.abs(np.diff(frame.astype(float), axis=0)).mean()


def test_sharpness_goes_both_ways_and_leaves_the_mean(rng):
    sharp = rng.integers(60, 190, (32, 32, 3)).astype(np.uint8)
    soft = sum(np.roll(sharp.astype(float), k, axis=(0, 1)) for k in range(3)) / 3
    soft = np.rint(soft).astype(np.uint8)
    exchange = COMPONENTS["sharpness"]
    assert detail(exchange(sharp, soft)) == pytest.approx(detail(soft), rel=0.35)
    assert detail(exchange(soft, sharp)) > 1.2 * detail(soft)
    assert exchange(sharp, soft).mean() == pytest.approx(sharp.mean(), abs=1)


def test_coarse_pattern_leaves_mean_and_detail(pair):
    frame, donor = pair
    waves = 60 * np.sin(np.arange(32) / 5)[None, :, None]
    seen = COMPONENTS["coarse pattern"](frame, np.rint(127 + waves + 0 * donor).astype(np.uint8))
    assert seen.mean() == pytest.approx(frame.mean(), abs=1.5)
    assert detail(seen) == pytest.approx(detail(frame), rel=0.1)
    assert np.abs(seen.astype(int) - frame).mean() > 3


def test_faults_are_told(pair):
    with pytest.raises(ValueError, match="expected one of border, colour"):
        ComponentFromDonor("hue", "same-class")
    with pytest.raises(ValueError, match="found donor none"):
        ComponentFromDonor("border", "same-class")(pair[0], ViewContext("x", 7, 0))
