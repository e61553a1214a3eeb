"""Annotations that are wrong: counted and named, or refused in one sentence, and never believed."""

import json
import resource

import numpy as np
import pytest
from drawn_objects import IMAGES, box, coco, fitted, rules, voc
from PIL import Image

from auditor.data.annotation_files.coco import read_coco
from auditor.data.annotation_files.pascal_voc import read_pascal_voc
from auditor.data.annotation_files.yolo import read_yolo
from auditor.data.annotations import ImageHeader
from auditor.data.class_map_files import map_files, maps_by_name, usable_maps
from auditor.data.class_maps import PixelClasses
from auditor.data.masks import Mask
from auditor.errors import DataError

RULE = "an annotation can be read"


@pytest.mark.parametrize(
    ("said", "crowd"),
    [("0", False), ("1", True), ("false", False), (None, False), (True, True), (0.0, False)],
)
def test_crowd_is_what_is_written_and_not_whether_something_is(tmp_path, said, crowd):
    found = fitted(coco(tmp_path, [box(iscrowd=said), box(2)]))
    assert found.boxes.crowd.tolist() == [crowd, False]


def test_a_crowd_mark_that_says_neither_is_named(tmp_path):
    found = fitted(coco(tmp_path, [box(), box(iscrowd=[0]), box(iscrowd=2)]))
    assert len(found.boxes) == 1
    assert rules(found) == {RULE: 2}
    assert found.failings[0].examples[1] == "annotation 1 has iscrowd 2, expected 0 or 1"


def test_of_two_images_of_one_id_none_has_the_objects(tmp_path):
    images = [{"id": i, "file_name": n} for i, n in zip((4, 4, 5), IMAGES, strict=True)]
    found = fitted(coco(tmp_path, [box(4), box(5)], images=images), unannotated="empty")
    assert found.boxes.image.tolist() == [2]
    assert found.known.tolist() == [False, False, True]
    assert found.failings[0].examples == ("annotation 1 is of image 4, an id that 2 images have",)


def test_an_id_of_two_classes_is_none_of_them_and_one_without_name_is_told(tmp_path):
    named = [{"id": 0, "name": "cat"}, {"id": 0, "name": "dog"}, {"id": 3, "name": "dog"},
             {"id": 4}]  # fmt: skip
    found = fitted(coco(tmp_path, [box(), box(1, 3), box(2, 4)], categories=named))
    assert found.boxes.classes.tolist() == [1]
    assert found.unmapped == {"category 0, which is cat and dog": 1, "category 4": 1}


def test_whole_numbers_are_ids_however_they_are_written(tmp_path):
    found = fitted(coco(tmp_path, [box(1.0, 7.0)]))
    assert (found.boxes.image.tolist(), found.boxes.classes.tolist()) == ([1], [1])


def test_images_listed_twice_or_without_name_and_objects_drawn_twice_are_told(tmp_path):
    images = [{"id": 1, "file_name": "a.jpg"}, {"id": 2, "file_name": "a.jpg"}, {"id": 3},
              {"id": 4, "file_name": "photos\\b.jpg"}]  # fmt: skip
    found = fitted(coco(tmp_path, [box(1), box(2), box(3), box(4)], images=images))
    assert found.boxes.image.tolist() == [0, 0]  # whole names first: no b.jpg without its folder
    assert rules(found) == {
        RULE: 2, "an image that is named is there": 1, "of an object, its image is there": 1,
        "an image is listed once": 1, "an object is drawn once": 1,
    }  # fmt: skip
    assert read_coco(tmp_path / "boxes.json").objects[-1].image == "photos/b.jpg"


@pytest.mark.parametrize("area", [0, -4, 1e300, float("inf")])
def test_an_area_that_its_box_cannot_have_is_not_believed(tmp_path, area):
    found = fitted(coco(tmp_path, [box(area=area), box(2, area=33)]))
    assert found.boxes.areas.tolist() == [50, 33]
    assert rules(found) == {"a stated area is above 0 and fits its box": 1}


def test_a_box_of_endless_area_is_left_out(tmp_path):
    found = fitted(coco(tmp_path, [box(), box(bbox=(-1e308, -1e308, 1.5e308, 1.5e308))]))
    assert rules(found) == {"of an object, its area is a number": 1}


def test_where_no_object_can_be_used_nothing_is_measured(tmp_path):
    (tmp_path / "a.txt").write_text("0 16 16 8 8\n")
    with pytest.raises(DataError, match=r"none of its 1 objects can be used: .*lies in its image"):
        fitted(read_yolo(tmp_path, names=("cat", "dog")))
    with pytest.raises(DataError, match=r"none of the images .* image at place 0 has no id"):
        fitted(coco(tmp_path, [], images=[{"file_name": "a.jpg"}]))


@pytest.mark.parametrize("text", ["", "<foo/>", "<html><body>404</body></html>", "<annotation"])
def test_a_damaged_xml_file_says_nothing_of_its_image(tmp_path, text):
    whole = "<annotation><object><name>cat</name><bndbox><xmin>3</xmin><ymin>4</ymin>" \
            "<xmax>12</xmax><ymax>8</ymax></bndbox></object></annotation>"  # fmt: skip
    found = fitted(voc(tmp_path, a=whole, b=text), unannotated="empty")
    assert found.known.tolist() == [True, False, True]
    assert rules(found) == {RULE: 1}


def test_xml_of_a_namespace_is_read_and_an_object_without_class_is_told(tmp_path):
    one = "<object><name>{}</name><bndbox><xmin>3</xmin><ymin>4</ymin><xmax>9</xmax><ymax>8</ymax>"
    text = "".join(one.format(name) + "</bndbox></object>" for name in ("dog", " "))
    (tmp_path / "a.xml").write_text(f'<annotation xmlns="http://x">{text}</annotation>')
    found = fitted(read_pascal_voc(tmp_path))
    assert found.boxes.classes.tolist() == [1]
    assert found.failings[0].examples == ("a.xml, object 2 has no name of a class",)


def test_a_text_file_that_is_none_says_nothing_of_its_image(tmp_path):
    (tmp_path / "a.txt").write_text("0 .5 .5 .2 .2\n0,.5,.5,.2,.2\n0, .5, .5, .2, .2\n")
    (tmp_path / "b.txt").write_bytes(b"\xff\xfe0\x00")
    found = fitted(read_yolo(tmp_path, names=("cat", "dog")), unannotated="empty")
    assert (len(found.boxes), found.unmapped) == (1, {})
    assert found.known.tolist() == [False, False, True]
    told = next(f for f in found.failings if f.rule == RULE).examples
    assert [one.split()[-4:] for one in told[:2]] == [["by", "commas,", "expected", "spaces"]] * 2


def test_of_an_image_whose_object_is_nowhere_nothing_is_known(tmp_path):
    """What finds it would be taken for a false alarm."""
    (tmp_path / "a.txt").write_text("0 .5 .5 .2 .2\n0 nan .5 .2 .2\n")
    (tmp_path / "b.txt").write_text("1 x y w h\n")
    (tmp_path / "c.txt").write_text("bird nan .5 .2 .2\n")
    found = fitted(read_yolo(tmp_path, names=("cat", "dog")), unannotated="empty")
    assert found.known.tolist() == [False, False, True]
    assert rules(found) == {"of an object, its corners are numbers": 2}


RUNS = [None, 5, "", [1.5, 2.5], [[1], [2]], [10**30], [0, 2**63 - 1, 2**63 - 1, 6], [2**62] * 4,
        [True, 3], "o" * 12 + "0", "P" * 40 + "0", "oooo", "0" * 200]  # fmt: skip


@pytest.mark.parametrize("counts", RUNS)
def test_runs_that_no_image_has_are_refused(counts):
    with pytest.raises(DataError, match=r"run lengths: found .* expected whole numbers"):
        Mask.of_counts(counts, (2, 2))


@pytest.mark.parametrize(
    "outline", ["abc", 5, [None], {"size": 5, "counts": [4]}, {"counts": [4]}, [[1, 2, 3]], [[]]]
)
def test_outlines_that_are_none_are_told_in_words(tmp_path, outline):
    found = fitted(coco(tmp_path, [box(), box(segmentation=outline)]))
    (failing,) = found.failings
    assert failing.rule == "of an object, its outline can be read"
    assert not any(word in failing.examples[0] for word in ("object is not", "reshape", "len()"))


def test_a_flat_polygon_in_a_file_is_read(tmp_path):
    boxes = fitted(coco(tmp_path, [box(segmentation=[4, 4, 12, 4, 12, 12])])).boxes
    assert boxes.masks is not None
    assert boxes.masks[0].area == Mask.of_polygons([[4, 4, 12, 4, 12, 12]], (30, 40)).area


def test_an_outline_to_and_fro_is_refused_before_it_is_walked():
    zigzag = [value for i in range(100_000) for value in ((0, 32)[i % 2], i % 32)]
    with pytest.raises(DataError, match=r"found 100000 points that go to and fro over"):
        Mask.of_polygons([zigzag], (32, 32))


def test_outlines_in_blocks_and_unions_by_runs_are_what_pixels_give(monkeypatch):
    rng = np.random.default_rng(3)
    for _ in range(30):
        polygons = [rng.uniform(-5, 45, 2 * rng.integers(3, 30)).tolist() for _ in range(4)]
        whole = [Mask.of_polygons([one], (30, 40)).pixels for one in polygons]
        joined = Mask.of_polygons(polygons, (30, 40))
        assert (joined.pixels == np.any(whole, axis=0)).all()
        assert (joined.ends == Mask.of_pixels(joined.pixels).ends).all()
        with monkeypatch.context() as small:
            small.setattr("auditor.data.masks._BLOCK", 50)
            assert (Mask.of_polygons(polygons, (30, 40)).ends == joined.ends).all()


def test_many_outlines_of_one_object_take_little_memory():
    size = (2000, 3000)
    pieces = [[x, y, x + 5.0, y, x + 5.0, y + 5.0, x, y + 5.0]
              for x in range(0, 2900, 100) for y in range(0, 1900, 100)]  # fmt: skip
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    assert Mask.of_polygons(pieces, size).area == 25 * len(pieces)
    # Each drawn whole would be 6 MB, of 551.
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 300_000


MEANING = PixelClasses.of({0: "road", 1: "car"}, classes=("road", "car"), class_map={})


def saved(folder, **images):
    folder.mkdir(exist_ok=True)
    for name, image in images.items():
        image.save(folder / f"{name}.png")
    return folder


def grey(*numbers):
    return Image.fromarray(np.array([numbers], dtype=np.uint8))


def looked_at(folder, ids, size=(3, 1)):
    found = map_files(dict.fromkeys(ids, ""), folder, stated=None, named="data.test.annotations")
    return usable_maps(found, MEANING, image_ids=ids, headers=[ImageHeader(size)] * len(ids),
                       drawn_on="stored", named="data.test.annotations")  # fmt: skip


def test_maps_are_read_before_work_begins_and_what_cannot_be_is_left_out(tmp_path):
    folder = saved(tmp_path / "m", a=grey(0, 1, 255), b=grey(0, 1, 0), c=grey(0, 1),
                   d=Image.new("RGB", (3, 1), "red"), e=grey(0, 1, 1).convert("RGB"))  # fmt: skip
    damaged = (folder / "b.png").read_bytes()
    (folder / "b.png").write_bytes(damaged[: damaged.index(b"IDAT") + 8])
    found = looked_at(folder, [f"{n}.jpg" for n in "abcdef"])
    assert [file != "" for file in found.files] == [True, False, False, False, True, False]
    assert found.missing == ("f.jpg",)
    told = " ".join(found.misfits)
    assert "b.jpg (mask 'b.png' cannot be read (it is damaged)" in told
    assert "found 2 x 1 pixels" in told
    assert "found colours (mode RGB)" in told


def test_numbers_that_are_no_class_are_refused_before_work_begins(tmp_path):
    folder = saved(tmp_path / "m", a=grey(0, 1, 7), b=grey(0, 1, 0), c=grey(9, 9, 9))
    says = r"2 class maps hold numbers that stand for no class \(7, 9; the first is 'a.png'\)\. .*`data.classes.void`"  # noqa: E501
    with pytest.raises(DataError, match=says):
        looked_at(folder, ["a.jpg", "b.jpg", "c.jpg"])


def test_a_photo_is_not_its_own_class_map(tmp_path):
    folder = saved(tmp_path / "m", a=grey(0, 0, 0), a_mask=grey(0, 1, 1))
    ids = {"a.png": str(folder / "a.png")}
    found = map_files(ids, folder, stated=None, named="data.test.annotations")
    assert found.files == (str(folder / "a_mask.png"),)


@pytest.mark.parametrize(
    ("images", "files", "wanted"),
    [
        ("x/p1.jpg x/p2.jpg", "p1_mask.png p2_mask.png", "p1_mask.png p2_mask.png"),
        ("p1.jpg p2.jpg", "m/mask-p2.png m/mask-p1.png", "m/mask-p1.png m/mask-p2.png"),
        ("0001_85.png", "0001_85_L.png 0001_86_L.png", "0001_85_L.png"),
        ("a/b_1_leftImg8bit.png b/b_2_leftImg8bit.png",
         "a/b_1_gtFine_color.png a/b_1_gtFine_labelIds.png b/b_2_gtFine_color.png "
         "b/b_2_gtFine_labelIds.png", "a/b_1_gtFine_labelIds.png b/b_2_gtFine_labelIds.png"),
        ("a/p1.jpg b/p2.jpg", "b/p1.png a/p2.png", "b/p1.png a/p2.png"),
        ("p1.jpg p10.jpg", "p1_mask.png p10_mask.png", "p1_mask.png p10_mask.png"),
        ("p1.jpg", "q1_mask.png", ""),
    ],
)  # fmt: skip
def test_class_maps_go_with_images_of_their_name_with_something_more(images, files, wanted):
    found = maps_by_name(images.split(), files.split())
    assert [found[image] for image in images.split() if image in found] == wanted.split()


def test_two_files_for_every_image_are_not_chosen_from():
    with pytest.raises(DataError, match=r"'p1_x.png' and 'p1_y.png' both go with one image"):
        maps_by_name(["p1.jpg", "p2.jpg"], ["p1_x.png", "p1_y.png", "p2_x.png", "p2_y.png"])


def test_json_that_init_cannot_use_is_named(tmp_path):
    from auditor.data.annotation_search import nothing_found

    (tmp_path / "boxes.json").write_text(json.dumps({"images": [], "annotations": []})[:-3])
    assert "Looked at was 'boxes.json' (annotations: 'boxes.json' is no JSON" in str(
        nothing_found(maps=False, where=tmp_path)
    )
