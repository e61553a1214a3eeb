"""Decoding against Pillow, the zoo of bad files, and frames against hand-written references."""

from __future__ import annotations

import io
import struct
import zlib
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageOps

from auditor.data.frames import to_frame
from auditor.data.images import UnreadableImageError, decode
from auditor.errors import DataError
from auditor.spec import InputSpec

LIMIT = 100_000_000


def photo(height=40, width=60, seed=0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    small = rng.integers(0, 256, (6, 7, 3), dtype=np.uint8)
    return np.asarray(Image.fromarray(small).resize((width, height), Image.Resampling.BICUBIC))


def encoded(image, format="PNG", **options) -> bytes:
    if isinstance(image, np.ndarray):
        image = Image.fromarray(image)
    out = io.BytesIO()
    image.save(out, format, **options)
    return out.getvalue()


def by_pillow(content: bytes) -> np.ndarray:
    return np.asarray(ImageOps.exif_transpose(Image.open(io.BytesIO(content))).convert("RGB"))


def pixels_of(content: bytes) -> np.ndarray:
    return decode(content, max_pixels=LIMIT).pixels


def reason(content: bytes, *, max_pixels: int = LIMIT) -> str:
    with pytest.raises(UnreadableImageError) as caught:
        decode(content, max_pixels=max_pixels)
    assert isinstance(caught.value, DataError)
    return str(caught.value)


@pytest.mark.parametrize("folder", ["imagenet-mini/images", "chest-xray/images"])
def test_real_files_decode_to_pillows_pixels(shared_data, folder):
    paths = sorted(path for path in (shared_data / folder).rglob("*.*") if path.is_file())[::25]
    assert len(paths) > 20
    for path in paths:
        content = path.read_bytes()
        assert np.array_equal(pixels_of(content), by_pillow(content)), path.name


@pytest.mark.parametrize("progressive", [False, True])
@pytest.mark.parametrize("subsampling", [0, 1, 2])
@pytest.mark.parametrize("size", [(1, 1), (7, 9), (64, 48), (131, 257)])
def test_jpeg_is_bit_equal_to_pillow(progressive, subsampling, size):
    content = encoded(
        photo(*size), "JPEG", quality=87, progressive=progressive, subsampling=subsampling
    )
    assert np.array_equal(pixels_of(content), by_pillow(content))


def test_grey_jpeg_has_three_equal_channels():
    content = encoded(Image.fromarray(photo()).convert("L"), "JPEG")
    decoded = decode(content, max_pixels=LIMIT)
    assert decoded.facts.mode == "L"
    assert np.array_equal(decoded.pixels, by_pillow(content))


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("format", ["JPEG", "PNG", "TIFF", "WEBP"])
def test_every_exif_orientation_is_applied(orientation, format):
    exif = Image.Exif()
    exif[0x0112] = orientation
    options = {"exif": exif} | ({"lossless": True} if format == "WEBP" else {})
    content = encoded(photo(), format, **options)
    decoded = decode(content, max_pixels=LIMIT)
    assert np.array_equal(decoded.pixels, by_pillow(content))
    assert (decoded.facts.height, decoded.facts.width) == decoded.pixels.shape[:2]
    assert decoded.pixels.shape[:2] == ((60, 40) if orientation > 4 else (40, 60))
    assert decoded.facts.exif_rotated == (orientation != 1)


def test_sixteen_bit_grey_is_scaled_not_clipped():
    ramp = np.linspace(0, 65535, 64 * 64).astype(np.uint16).reshape(64, 64)
    for format in ("PNG", "TIFF"):
        decoded = decode(encoded(ramp, format), max_pixels=LIMIT)
        assert decoded.facts.bits == 16
        assert np.array_equal(decoded.pixels[..., 0], np.rint(ramp / 257).astype(np.uint8))


def test_sixteen_bit_colour_is_told():
    rows = np.zeros((4, 4, 3), dtype=">u2")
    rows[..., 0] = 0xABCD
    raw = b"".join(b"\x00" + row.tobytes() for row in rows)

    def chunk(kind, body):
        return (
            struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))
        )

    header = chunk(b"IHDR", struct.pack(">IIBBBBB", 4, 4, 16, 2, 0, 0, 0))
    body = chunk(b"IDAT", zlib.compress(raw)) + chunk(b"IEND", b"")
    decoded = decode(b"\x89PNG\r\n\x1a\n" + header + body, max_pixels=LIMIT)
    assert decoded.facts.bits == 16
    assert decoded.pixels[0, 0].tolist() == [0xAB, 0, 0]


def test_cmyk_as_pillow_even_adobe_inverted():
    content = encoded(Image.fromarray(photo()).convert("CMYK"), "JPEG", quality=95)
    decoded = decode(content, max_pixels=LIMIT)
    assert decoded.facts.mode == "CMYK"
    assert np.array_equal(decoded.pixels, by_pillow(content))
    # What Pillow writes is Adobe-inverted; read otherwise it would be a negative.
    assert np.abs(decoded.pixels.astype(int) - photo()).mean() < 20


def test_alpha_is_dropped_and_told():
    rgba = np.dstack([photo(), np.full((40, 60), 7, dtype=np.uint8)])
    decoded = decode(encoded(rgba), max_pixels=LIMIT)
    assert decoded.facts.has_alpha
    assert np.array_equal(decoded.pixels, photo())


def test_palette_with_transparency_is_told_and_warns_nobody():
    palette = Image.fromarray(photo()).quantize(16)
    opaque = np.asarray(palette.convert("RGB"))
    for transparency in (3, bytes([0, 128, 255])):
        decoded = decode(encoded(palette, transparency=transparency), max_pixels=LIMIT)
        assert decoded.facts.has_alpha
        assert decoded.facts.mode == "P"
        assert np.array_equal(decoded.pixels, opaque)


def test_bilevel_and_grey_with_alpha():
    for mode in ("1", "L", "LA"):
        content = encoded(Image.fromarray(photo()).convert(mode))
        assert np.array_equal(pixels_of(content), by_pillow(content))


def test_first_frame_of_an_animation_is_used_and_frames_counted():
    frames = [Image.fromarray(photo(seed=seed)).quantize(32) for seed in range(3)]
    content = encoded(frames[0], "GIF", save_all=True, append_images=frames[1:])
    decoded = decode(content, max_pixels=LIMIT)
    assert decoded.facts.frames == 3
    assert np.array_equal(decoded.pixels, by_pillow(content))


def test_an_empty_file():
    assert reason(b"") == "the file is empty (0 bytes)"


def test_text_named_jpg():
    assert "not an image" in reason(b"<html>404 not found</html>")


@pytest.mark.parametrize("format", ["JPEG", "PNG", "GIF", "TIFF", "WEBP", "BMP"])
@pytest.mark.parametrize("kept", [0.3, 0.6, 0.9])
def test_a_truncated_file_is_never_half_an_image(format, kept):
    noise = np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8)
    content = encoded(noise, format)
    assert reason(content[: int(len(content) * kept)])


def test_a_jpeg_that_libjpeg_warns_of_is_pillows_to_judge():
    content = encoded(photo(), "JPEG")
    with_garbage = content[:-2] + b"\x00\x01garbage" + content[-2:]
    assert np.array_equal(pixels_of(with_garbage), by_pillow(with_garbage))


def test_a_decompression_bomb_is_refused_from_its_header():
    content = encoded(photo(100, 100))
    said = reason(content, max_pixels=9_999)
    assert "10,000 pixels" in said
    assert "9,999" in said
    # A header that announces far more than Pillow would ever decode, with no pixels behind it.
    ihdr = struct.pack(">IIBBBBB", 60_000, 60_000, 8, 2, 0, 0, 0)
    bomb = b"\x89PNG\r\n\x1a\n" + struct.pack(">I", 13) + b"IHDR" + ihdr
    bomb += struct.pack(">I", zlib.crc32(b"IHDR" + ihdr))
    bomb += struct.pack(">I", 0) + b"IDAT" + struct.pack(">I", zlib.crc32(b"IDAT"))
    assert "3,600,000,000 pixels" in reason(bomb)


def test_more_pixels_than_pillow_allows_are_read_where_they_are_declared(monkeypatch):
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 1_000)
    pixels = photo(60, 60)
    content = encoded(pixels)
    assert np.array_equal(decode(content, max_pixels=3_600).pixels, pixels)
    assert "3,600 pixels, more than the 3,599 that `data.limits.max_pixels`" in reason(
        content, max_pixels=3_599
    )
    assert Image.MAX_IMAGE_PIXELS == 1_000


def test_float_pixels_have_no_range():
    content = encoded(Image.fromarray(np.ones((4, 4), dtype=np.float32)), "TIFF")
    assert "no stated range" in reason(content)
    content = encoded(Image.fromarray(np.full((4, 4), 70_000, dtype=np.int32)), "TIFF")
    assert "70000" in reason(content)


def test_postscript_is_not_run():
    assert "not an image" in reason(b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 1 1\nshowpage\n")


def test_threads_agree():
    contents = [encoded(photo(seed=seed), "JPEG") for seed in range(40)]
    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(pixels_of, contents))
    for content, pixels in zip(contents, found, strict=True):
        assert np.array_equal(pixels, by_pillow(content))


@pytest.mark.parametrize(
    "interpolation", ["nearest", "bilinear", "bicubic", "lanczos", "box", "hamming"]
)
def test_stretch_is_pillows_resize(interpolation):
    pixels = photo(131, 77)
    spec = InputSpec(size=(32, 48), interpolation=interpolation)
    method = Image.Resampling[interpolation.upper()]
    expected = np.asarray(Image.fromarray(pixels).resize((48, 32), method))
    assert np.array_equal(to_frame(pixels, spec), expected)


@pytest.mark.parametrize("size", [(375, 500), (500, 333), (257, 256), (300, 300), (100, 641)])
def test_shortest_and_centre_crop_as_torchvision(size):
    pixels = photo(*size)
    spec = InputSpec(size=(224, 224), resize="shortest", shortest=256)
    height, width = size
    # torchvision.transforms.functional: _compute_resized_output_size and center_crop.
    short, long = sorted(size)
    new_long = int(256 * long / short)
    new_h, new_w = (256, new_long) if height <= width else (new_long, 256)
    resized = Image.fromarray(pixels).resize((new_w, new_h), Image.Resampling.BILINEAR)
    top, left = round((new_h - 224) / 2.0), round((new_w - 224) / 2.0)
    expected = np.asarray(resized.crop((left, top, left + 224, top + 224)))
    assert np.array_equal(to_frame(pixels, spec), expected)


def test_a_crop_larger_than_the_image_is_padded_in_the_middle():
    spec = InputSpec(size=(12, 12), resize="shortest", shortest=8, pad=9)
    frame = to_frame(np.full((8, 8, 3), 200, dtype=np.uint8), spec)
    assert (frame[2:10, 2:10] == 200).all()
    assert (frame[:2] == 9).all()
    assert (frame[:, 10:] == 9).all()


def test_letterbox_places_and_pads():
    pixels = np.full((50, 100, 3), 200, dtype=np.uint8)
    centred = to_frame(pixels, InputSpec(size=(41, 40), resize="letterbox", pad=114))
    assert (centred[10:30] == 200).all()
    assert (centred[:10] == 114).all()
    assert (centred[30:] == 114).all()
    corner = InputSpec(size=(41, 40), resize="letterbox", pad=114, align="top-left")
    assert (to_frame(pixels, corner)[:20] == 200).all()
    assert (to_frame(pixels, corner)[20:] == 114).all()


def test_an_extreme_strip_does_not_exhaust_memory():
    spec = InputSpec(size=(8, 8), resize="shortest", shortest=200)
    strip = np.full((2, 900_000, 3), 77, dtype=np.uint8)
    assert (to_frame(strip, spec) == 77).all()


@settings(max_examples=80)
@given(
    height=st.integers(1, 90),
    width=st.integers(1, 90),
    frame=st.tuples(st.integers(1, 40), st.integers(1, 40)),
    resize=st.sampled_from(["stretch", "letterbox", "shortest"]),
    align=st.sampled_from(["center", "top-left"]),
    shortest=st.integers(1, 50),
    value=st.integers(0, 255),
)
def test_frames_have_the_models_size_and_invent_no_values(
    height, width, frame, resize, align, shortest, value
):
    spec = InputSpec(size=frame, resize=resize, align=align, shortest=shortest, pad=value)
    out = to_frame(np.full((height, width, 3), value, dtype=np.uint8), spec)
    assert out.shape == (*frame, 3)
    assert out.dtype == np.uint8
    assert out.flags.c_contiguous
    assert (out == value).all()


@pytest.mark.parametrize("size", [(40, 60), (37, 53), (9, 100), (64, 16), (80, 120)])
def test_without_antialias_pixels_are_those_of_opencv(size):
    """cv2.resize INTER_LINEAR: centres at halves, four pixels a point, edges repeated."""
    pixels = photo(*size, seed=3)
    given = InputSpec(size=(32, 48), antialias=False)
    height, width = size
    wanted = np.zeros((32, 48, 3))
    for row in range(32):
        for column in range(48):
            y = min(max((row + 0.5) * height / 32 - 0.5, 0), height - 1)
            x = min(max((column + 0.5) * width / 48 - 0.5, 0), width - 1)
            top, left = int(y), int(x)
            for v, dy in ((top, 1 - (y - top)), (min(top + 1, height - 1), y - top)):
                for u, dx in ((left, 1 - (x - left)), (min(left + 1, width - 1), x - left)):
                    wanted[row, column] += dy * dx * pixels[v, u]
    found = to_frame(pixels, given)
    assert found.dtype == np.uint8
    assert np.abs(found - wanted).max() <= 0.5 + 1e-3


def test_without_antialias_differs_where_an_image_shrinks():
    pixels = np.random.default_rng(0).integers(0, 256, (200, 200, 3), dtype=np.uint8)
    plain, smooth = (
        to_frame(pixels, InputSpec(size=(20, 20), antialias=kept)).astype(float)
        for kept in (False, True)
    )
    assert plain.std() > 2 * smooth.std()


def test_antialias_goes_with_bilinear_alone():
    with pytest.raises(ValueError, match=r"antialias: false goes with .*bilinear"):
        InputSpec(size=(8, 8), antialias=False, interpolation="bicubic")
