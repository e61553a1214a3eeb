"""Corruptions beside slow references of their published definitions, and on odd frames."""

import colorsys
from itertools import pairwise

import numpy as np
import pytest
from PIL import Image, ImageOps
from scipy import ndimage, stats

from auditor.data.chance import Chance
from auditor.data.conditions import CONDITIONS
from auditor.data.corruptions import KINDS, _poisson_table
from auditor.data.plasma import diamond_square
from auditor.data.views import Corrupted, UnderCondition, ViewContext

SEVERITIES = (1, 2, 3, 4, 5)
CONTEXT = ViewContext("image", 7, 0)


def picture(height=96, width=120):
    """Smooth colours with an edge, a line and a little texture."""
    rng = np.random.default_rng(3)
    y, x = np.mgrid[:height, :width]
    base = np.stack([200 * x / width, 180 * y / height, 90 + 80 * np.sin(x / 9)], axis=-1)
    base[height // 4 : height // 2, width // 3 : width // 2] = (230, 60, 30)
    base[:, width // 5] = 250
    return np.clip(base + rng.normal(0, 4, base.shape), 0, 255).astype(np.uint8)


def corrupted(frame, kind, severity, image_id="image"):
    return Corrupted(kind, severity)(frame, ViewContext(image_id, 7, 0))


def defocused(x, radius, alias):
    """A disk as OpenCV's filter2D applies it, its kernel smoothed first (Hendrycks' `disk`)."""
    side = np.arange(-8, 9) if radius <= 8 else np.arange(-radius, radius + 1)
    disk = (side[:, None] ** 2 + side**2 <= radius**2).astype(float)
    size = 3 if radius <= 8 else 5
    tap = np.exp(-((np.arange(size) - size // 2) ** 2) / (2 * alias**2))
    kernel = ndimage.convolve(disk / disk.sum(), np.outer(tap, tap) / tap.sum() ** 2)
    return np.stack([ndimage.convolve(x[..., c], kernel, mode="mirror") for c in range(3)], -1)


def trailed(x, radius, sd, angle):
    """ImageMagick's motion blur: a fading trail of the nearest pixels along an angle."""
    weights = np.exp(-(np.arange(2 * radius + 1) ** 2) / (2 * sd**2))
    weights /= weights.sum()
    rows, columns = np.mgrid[: x.shape[0], : x.shape[1]]
    out = np.zeros_like(x)
    for i, weight in enumerate(weights):
        down, across = np.ceil(i * np.sin(angle) - 0.5), np.ceil(i * np.cos(angle) - 0.5)
        at = (
            np.clip(rows + int(down), 0, x.shape[0] - 1),
            np.clip(columns + int(across), 0, x.shape[1] - 1),
        )
        out += weight * x[at]
    return out


def zoomed(x, factors):
    """Hendrycks' zoom blur: the middle magnified by linear interpolation, and averaged."""
    height, width, _ = x.shape
    out = np.zeros_like(x)
    for factor in factors:
        rows = (np.arange(height) + 0.5 - height / 2) / factor + height / 2 - 0.5
        columns = (np.arange(width) + 0.5 - width / 2) / factor + width / 2 - 0.5
        at = np.meshgrid(rows, columns, indexing="ij")
        out += np.stack(
            [ndimage.map_coordinates(x[..., c], at, order=1, mode="nearest") for c in range(3)], -1
        )
    return (x + out) / (len(factors) + 1)


def in_hsv(x, change):
    """Each pixel changed in hue, saturation and value, one by one."""
    flat = [change(*colorsys.rgb_to_hsv(*pixel)) for pixel in (x / 255).reshape(-1, 3)]
    return 255 * np.array([colorsys.hsv_to_rgb(*pixel) for pixel in flat]).reshape(x.shape)


def brighter(x, more):
    return in_hsv(x, lambda h, s, v: (h, s, min(v + more, 1)))


def saturated(x, times, plus):
    return in_hsv(x, lambda h, s, v: (h, min(max(s * times + plus, 0), 1), v))


def flattened(x, share):
    means = x.mean(axis=(0, 1))
    return np.clip((x - means) * share + means, 0, 255)


def boxed(x, share, smooth):
    """Averages of the pixels whose centres lie in a cell of a coarser grid, drawn out again."""
    height, width, _ = x.shape
    small = [max(1, int(side * share)) for side in (height, width)]
    by_row, by_column = (
        np.array([[i * n / m < j + 0.5 <= (i + 1) * n / m for j in range(n)] for i in range(m)])
        for n, m in ((height, small[0]), (width, small[1]))
    )
    by_row, by_column = (w / w.sum(axis=1, keepdims=True) for w in (by_row, by_column))
    coarse = np.einsum("ij,jkc,lk->ilc", by_row, x, by_column)
    at = [(np.arange(n) + 0.5) * m / n - 0.5 for n, m in zip((height, width), small, strict=True)]
    if smooth:
        grid = np.meshgrid(*at, indexing="ij")
        return np.stack(
            [ndimage.map_coordinates(coarse[..., c], grid, order=1, mode="nearest")
             for c in range(3)], -1)  # fmt: skip
    rows, columns = (np.floor(side + 0.5).astype(int) for side in at)
    return coarse[np.ix_(rows, columns)]


DEFINITIONS = {
    "defocus-blur": (defocused, [(3, 0.1), (4, 0.5), (6, 0.5), (8, 0.5), (10, 0.5)]),
    "motion-blur": (
        lambda x, radius, sd: trailed(
            x, radius, sd, np.deg2rad(90 * Chance(7, "image", "motion-blur").share - 45)
        ),
        [(10, 3), (15, 5), (15, 8), (15, 12), (20, 15)],
    ),
    "zoom-blur": (
        lambda x, end, step: zoomed(x, np.arange(1, end, step)),
        [(1.11, 0.01), (1.16, 0.01), (1.21, 0.02), (1.26, 0.02), (1.31, 0.03)],
    ),
    "brightness": (brighter, [(0.1,), (0.2,), (0.3,), (0.4,), (0.5,)]),
    "saturate": (saturated, [(0.3, 0), (0.1, 0), (2, 0), (5, 0.1), (20, 0.2)]),
    "contrast": (flattened, [(0.4,), (0.3,), (0.2,), (0.1,), (0.05,)]),
    "pixelate": (boxed, [(0.6, False), (0.5, False), (0.4, False), (0.3, False), (0.25, False)]),
    "low-resolution": (boxed, [(1 / n, True) for n in (2, 3, 4, 6, 8)]),
    "colour-depth": (
        lambda x, bits: np.asarray(ImageOps.posterize(Image.fromarray(x.astype(np.uint8)), bits)),
        [(5,), (4,), (3,), (2,), (1,)],
    ),
}
"""What the published definitions make of a picture of floats, 0 to 255, by severity."""

TOLERANCE = {"defocus-blur": 1.0, "motion-blur": 1.2, "zoom-blur": 2.5}
"""Mean difference allowed, in values of 255; 0.8 for all others."""


@pytest.mark.parametrize("severity", [1, 3, 5])
@pytest.mark.parametrize("kind", DEFINITIONS)
def test_a_picture_comes_out_as_the_published_definition_has_it(kind, severity):
    frame = picture()
    define, constants = DEFINITIONS[kind]
    wanted = define(frame.astype(float), *constants[severity - 1])
    found = corrupted(frame, kind, severity).astype(float)
    inner = (slice(12, -12), slice(12, -12))
    assert np.abs(found - wanted)[inner].mean() < TOLERANCE.get(kind, 0.8)
    # A corruption that does nothing would be as near only where the definition does little.
    assert np.abs(found - wanted)[inner].mean() < 0.5 * np.abs(frame - wanted)[inner].mean()


@pytest.mark.parametrize("severity", SEVERITIES)
def test_noise_has_the_published_spread(severity):
    i, frame = severity - 1, np.full((160, 160, 3), 127, dtype=np.uint8)
    frame[0, 0, 0] = 128  # in colour: noise of its own in each channel
    x, rng = np.full(2 * 10**5, 127 / 255), np.random.default_rng(0)
    sd = [0.08, 0.12, 0.18, 0.26, 0.38][i]
    photons = [60, 25, 12, 5, 3][i]
    share = [0.03, 0.06, 0.09, 0.17, 0.27][i]
    drawn = rng.random(len(x))
    references = {
        "gaussian-noise": x + rng.normal(0, sd, len(x)),
        "shot-noise": rng.poisson(x * photons) / photons,
        "impulse-noise": np.where(drawn < share, drawn < share / 2, x),
    }
    for kind, values in references.items():
        wanted = 255 * np.clip(values, 0, 1)
        found = corrupted(frame, kind, severity).astype(float)
        assert found.mean() == pytest.approx(wanted.mean(), abs=2.0), kind
        assert found.std() == pytest.approx(wanted.std(), rel=0.03), kind
        assert np.corrcoef(found[..., 0].ravel(), found[..., 1].ravel())[0, 1] < 0.05


@pytest.mark.parametrize("severity", SEVERITIES)
def test_low_light_is_dark_and_grainy_as_published(severity):
    i, rng = severity - 1, np.random.default_rng(0)
    frame = np.zeros((160, 160, 3), dtype=np.uint8)
    frame[:, :40], frame[:, 40:100], frame[:, 100:] = 20, 130, (240, 239, 240)
    most = [0.6, 0.5, 0.4, 0.3, 0.2][i]
    photons = 10 * [60, 25, 12, 5, 3][i]
    read = 0.1 * [0.08, 0.12, 0.18, 0.26, 0.38][i]
    found = corrupted(frame, "low-light", severity).astype(float)
    for columns, level in ((slice(0, 40), 20), (slice(40, 100), 130)):
        lit = most * ((level - 20) / 220) ** 2
        drawn = np.clip(rng.poisson(np.full(10**5, lit * photons)) / photons, 0, 1)
        wanted = 255 * np.clip(drawn + rng.normal(0, read, len(drawn)), 0, 1)
        assert found[:, columns].mean() == pytest.approx(wanted.mean(), abs=0.7)
        assert found[:, columns].std() == pytest.approx(wanted.std(), rel=0.06)


def slow_plasma(size, decay, rng):
    """Diamonds and squares, point by point, on a map without edges."""
    found = np.zeros((size, size))
    step, wobble = size, 100.0

    def shaken(points):
        return np.mean(points) + wobble * rng.uniform(-wobble, wobble)

    while step >= 2:
        half = step // 2
        for y in range(0, size, step):
            for x in range(0, size, step):
                corners = [found[(y + a) % size, (x + b) % size] for a in (0, step)
                           for b in (0, step)]  # fmt: skip
                found[y + half, x + half] = shaken(corners)
        for y in range(0, size, half):
            for x in range((y // half + 1) % 2 * half, size, step):
                beside = [found[(y + a) % size, (x + b) % size]
                          for a, b in ((half, 0), (-half, 0), (0, half), (0, -half))]  # fmt: skip
                found[y, x] = shaken(beside)
        step, wobble = half, wobble / decay
    found -= found.min()
    return found / found.max()


@pytest.mark.parametrize("photons", [3, 60, 600])
@pytest.mark.parametrize("most", [1.0, 0.2])
def test_what_a_value_becomes_are_the_quantiles_of_a_poisson_law(photons, most):
    expected = np.arange(256)[:, None] / 255 * most * photons
    quantiles = stats.poisson.ppf((np.arange(256) + 0.5) / 256, expected)
    levels = np.rint(np.clip(quantiles / photons, 0, 1) * 255)
    np.testing.assert_array_equal(_poisson_table(photons, most), levels)


@pytest.mark.parametrize("decay", [2.0, 1.4])
def test_clouds_are_as_rough_as_those_drawn_point_by_point(decay):
    def roughness(draw):
        maps = [draw(32, decay, np.random.default_rng(seed)) for seed in range(40)]
        return np.mean([np.abs(np.diff(m, axis=1)).mean() for m in maps])

    assert roughness(diamond_square) == pytest.approx(roughness(slow_plasma), rel=0.1)


@pytest.mark.parametrize("severity", SEVERITIES)
def test_fog_lays_clouds_over_a_picture_and_keeps_its_brightest(severity):
    much = [1.5, 2.0, 2.5, 2.5, 3.0][severity - 1]
    frame = picture()
    frames = [corrupted(frame, "fog", severity, str(i)).astype(float) for i in range(40)]
    m = frame.max() / 255
    # On average a cloud's thickness is the same everywhere, so that contrast shrinks as published.
    slope = np.polyfit(frame.ravel(), np.mean(frames, axis=0).ravel(), 1)[0]
    assert slope == pytest.approx(m / (m + much), abs=0.05)
    assert max(f.max() for f in frames) <= int(frame.max()) + 1


def test_jpeg_is_that_of_the_published_qualities():
    frame = picture()
    for severity, quality in zip(SEVERITIES, (25, 18, 15, 10, 7), strict=True):
        assert KINDS["jpeg"].constants[severity - 1] == quality
        found = corrupted(frame, "jpeg", severity)
        again = CONDITIONS["jpeg"](frame, quality, Chance(0, "", ""))
        assert (found == again).all()


ODD = [(1, 1), (1, 9), (7, 1), (2, 3), (33, 17)]


@pytest.mark.parametrize("kind", KINDS)
def test_frames_of_any_size_and_grey_ones_keep_shape_and_type(kind):
    for size in ODD:
        colour = np.random.default_rng(0).integers(0, 256, (*size, 3)).astype(np.uint8)
        for frame in (colour, np.repeat(colour[..., :1], 3, axis=2), np.zeros_like(colour)):
            before = frame.copy()
            for severity in SEVERITIES:
                found = corrupted(frame, kind, severity)
                assert found.shape == frame.shape
                assert found.dtype == np.uint8
            assert (frame == before).all()


@pytest.mark.parametrize("kind", KINDS)
def test_a_grey_picture_stays_grey(kind):
    frame = np.repeat(picture()[..., :1], 3, axis=2)
    found = corrupted(frame, kind, 5)
    assert (found[..., 0] == found[..., 1]).all()
    assert (found[..., 0] == found[..., 2]).all()


@pytest.mark.parametrize("kind", KINDS)
def test_every_severity_changes_a_picture_more_than_the_one_before(kind):
    frame = picture(64, 64)
    changes = [np.abs(corrupted(frame, kind, s).astype(float) - frame).mean() for s in SEVERITIES]
    if kind == "saturate":  # paler at 1 and 2, stronger from 3 on
        changes = changes[2:]
    assert changes[0] > 0
    # Fog's clouds get finer with its severity, which adds noise to this.
    assert all(after > before - 1 for before, after in pairwise(changes))
    assert changes[-1] > changes[0]


def test_random_numbers_are_the_images_own_and_the_same_each_time():
    frame = picture(64, 64)
    one, again = corrupted(frame, "gaussian-noise", 1), corrupted(frame, "gaussian-noise", 1)
    other = corrupted(frame, "gaussian-noise", 1, "another image")
    assert (one == again).all()
    assert (one != other).mean() > 0.5
    noise = [corrupted(frame, "gaussian-noise", s).astype(float) - frame for s in (1, 2)]
    inner = (frame > 60) & (frame < 195)
    assert np.corrcoef(noise[0][inner], noise[1][inner])[0, 1] > 0.99


@pytest.mark.parametrize("severity", [0, 6, -1, 1.5])
def test_another_severity_is_refused(severity):
    with pytest.raises(ValueError, match=r"expected 1, 2, 3, 4 or 5"):
        Corrupted("fog", severity)


def test_another_kind_or_condition_is_refused():
    with pytest.raises(ValueError, match="found the kind 'frog', expected one of gaussian-noise"):
        Corrupted("frog", 1)
    with pytest.raises(ValueError, match="found 'light', expected one of brightness"):
        UnderCondition("light", 1)


@pytest.mark.parametrize("level", [40, 128, 220])
def test_brightness_is_brought_to_its_level(level):
    found = UnderCondition("brightness", level)(picture(), CONTEXT)
    assert found.mean() == pytest.approx(level, abs=1)


def test_conditions_act_as_they_are_called():
    frame = picture()
    noisy = UnderCondition("noise", 8)(np.full_like(frame, 120), CONTEXT).astype(float)
    assert noisy.std() == pytest.approx(8, rel=0.05)
    sharp, soft = (np.abs(np.diff(f.astype(float), axis=1)).mean()
                   for f in (frame, UnderCondition("blur", 2)(frame, CONTEXT)))  # fmt: skip
    assert soft < 0.7 * sharp
    assert (UnderCondition("blur", 0)(frame, CONTEXT) == frame).all()
    reduced = UnderCondition("resolution", 0.5)(frame, CONTEXT)
    assert np.abs(reduced - boxed(frame.astype(float), 0.5, smooth=True)).mean() < 0.8
