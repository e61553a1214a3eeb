import numpy as np
import pytest
from PIL import Image

from auditor.data.annotations import ImageHeader
from auditor.data.class_maps import VOID, PixelClasses, read_class_map
from auditor.errors import DataError

LABELS = {0: "road", 1: "car", 2: "bird"}
MEANING = PixelClasses.of(LABELS, classes=("car", "road"), class_map={})
NUMBERS = np.array([[0, 1, 2], [255, 1, 0]], dtype=np.uint8)
CLASSES = [[1, 0, VOID], [VOID, 0, 1]]
HEADER = ImageHeader((3, 2))


def saved(tmp_path, image, **given):
    path = tmp_path / "mask.png"
    image.save(path, **given)
    return path


def palette(numbers):
    image = Image.fromarray(numbers, mode=None).convert("L")
    found = Image.new("P", image.size)
    found.putpalette([n % 256 for n in range(0, 768 * 7, 7)])
    found.putdata(image.get_flattened_data())
    return found


@pytest.mark.parametrize("kind", ["grey", "palette", "sixteen bits"])
def test_numbers_become_classes_and_void_and_what_is_left_out_do_not_count(tmp_path, kind):
    image = {
        "grey": lambda: Image.fromarray(NUMBERS),
        "palette": lambda: palette(NUMBERS),
        "sixteen bits": lambda: Image.fromarray(NUMBERS.astype(np.uint16)),
    }[kind]()
    found = read_class_map(saved(tmp_path, image), MEANING, header=HEADER)
    assert found.tolist() == CLASSES
    assert MEANING.left_out == ("bird",)


@pytest.mark.parametrize("bits", [1, 2, 4])
def test_numbers_of_few_bits_stay_what_was_written(tmp_path, bits):
    numbers = np.array([[0, 1], [1, 0]], dtype=np.uint8)
    image = palette(numbers)
    found = read_class_map(saved(tmp_path, image, bits=bits), MEANING, header=ImageHeader((2, 2)))
    assert found.tolist() == [[1, 0], [0, 1]]


def test_grey_of_four_bits_is_not_stretched(tmp_path):
    """Written by hand: Pillow reads its 1 as 17."""
    import struct
    import zlib

    def chunk(name, body):
        return (
            struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))
        )

    path = tmp_path / "grey.png"
    rows = b"\x00\x01\x00\x20"
    path.write_bytes(
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", struct.pack(">IIBBBBB", 2, 2, 4, 0, 0, 0, 0))
        + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")
    )  # fmt: skip
    found = read_class_map(path, MEANING, header=ImageHeader((2, 2)))
    assert found.tolist() == [[1, 0], [VOID, 1]]


def test_maps_and_names_decide_what_a_number_is():
    found = PixelClasses.of(LABELS, classes=("vehicle",), class_map={"car": "vehicle"})
    assert found.left_out == ("road", "bird")
    assert PixelClasses.of(LABELS, classes=("car",), class_map={"road": None}).index_of[0] == VOID
    with pytest.raises(DataError, match=r"none of their classes is one of the model. Found 'road'"):
        PixelClasses.of(LABELS, classes=("tree",), class_map={})


def test_masks_that_cannot_be_are_refused_with_a_sentence(tmp_path):
    def refused(image, match, header=HEADER):
        with pytest.raises(DataError, match=match):
            read_class_map(saved(tmp_path, image), MEANING, header=header)

    refused(Image.fromarray(NUMBERS), "found 3 x 2 pixels, expected those of its image, 2 x 3",
            ImageHeader((2, 3)))  # fmt: skip
    refused(Image.fromarray(NUMBERS + 7), "found the numbers 6, 7, 8, 9, which stand for no class")
    refused(Image.new("RGB", (3, 2), "red"), "found colours")
    with pytest.raises(DataError, match="it is not there"):
        read_class_map(tmp_path / "absent.png", MEANING, header=HEADER)
    whole = saved(tmp_path, Image.fromarray(NUMBERS)).read_bytes()
    (tmp_path / "mask.png").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(DataError, match="it is damaged"):
        read_class_map(tmp_path / "mask.png", MEANING, header=HEADER)


def test_masks_drawn_on_stored_pixels_are_turned(tmp_path):
    path = saved(tmp_path, Image.fromarray(NUMBERS))
    header = ImageHeader((3, 2), 6)
    found = read_class_map(path, MEANING, header=header, drawn_on="stored")
    assert found.tolist() == np.rot90(np.array(CLASSES), -1).tolist()
    with pytest.raises(DataError, match="expected those of its image, 2 x 3"):
        read_class_map(path, MEANING, header=header)


def test_real_masks_are_read(shared_data):
    import json

    folder = shared_data / "camvid"
    labels = {int(n): c for n, c in json.loads((folder / "classes.json").read_text()).items()}
    names = tuple(name for name in labels.values() if name != "void")
    meaning = PixelClasses.of(labels, classes=names, class_map={}, void=())
    path = sorted((folder / "masks" / "test").glob("*.png"))[0]
    found = read_class_map(path, meaning, header=ImageHeader((480, 360)))
    assert found.min() == VOID
    assert found.max() <= 10
    assert meaning.left_out == ("void",)
