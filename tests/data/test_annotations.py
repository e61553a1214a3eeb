"""Annotations of three formats: what is read, what is left out and told, what is refused."""

import numpy as np
import pytest
from drawn_objects import CLASSES, IMAGES, SIZE, box, coco, fitted, rules, voc

from auditor.data.annotation_files.coco import read_coco
from auditor.data.annotation_files.pascal_voc import read_pascal_voc
from auditor.data.annotation_files.yolo import read_yolo
from auditor.data.annotations import ImageHeader, Reading, annotated
from auditor.errors import DataError


def test_cocos_ids_may_be_zero_and_its_boxes_become_corners(tmp_path):
    further = box(2, 7, (0, 0, 4, 4), attributes={"truncated": True})
    found = fitted(coco(tmp_path, [box(id=0, area=33.5, iscrowd=1, occluded="yes"), further]))
    boxes = found.boxes
    assert boxes.image.tolist() == [0, 2]
    assert boxes.classes.tolist() == [0, 1]
    assert boxes.corners.tolist() == [[2, 3, 12, 8], [0, 0, 4, 4]]
    assert boxes.crowd.tolist() == [True, False]
    assert boxes.areas.tolist() == [33.5, 16]
    assert boxes.attributes["occluded"].tolist() == ["yes", ""]
    assert boxes.attributes["truncated"].tolist() == ["", "True"]
    assert boxes.names.tolist() == ["annotation 0", "annotation 1"]
    assert found.failings == ()


def test_outlines_and_runs_become_masks(tmp_path):
    outline = [[2, 3, 12, 3, 12, 8, 2, 8]]
    runs = {"size": [30, 40], "counts": [0, 10, 1190]}
    boxes = fitted(coco(tmp_path, [box(segmentation=outline), box(segmentation=runs)])).boxes
    assert [mask.area for mask in boxes.masks] == [50, 10]
    assert boxes.areas.tolist() == [50, 10]


@pytest.mark.parametrize(
    ("wrong", "rule"),
    [
        ({"bbox": [2, 3, -4, 5]}, "it has a width and a height above 0"),
        ({"bbox": [2, 3, 0, 5]}, "it has a width and a height above 0"),
        ({"bbox": [2, float("nan"), 4, 5]}, "its corners are numbers"),
        ({"bbox": [2, "x", 4, 5]}, "its corners are numbers"),
        ({"bbox": [2, 3, 4]}, "its corners are numbers"),
        ({"bbox": None}, "its corners are numbers"),
        ({"bbox": [2, 3, float("inf"), 5]}, "its corners are numbers"),
        ({"bbox": [41, 3, 5, 5]}, "it lies in its image"),
        ({"bbox": [-9, 3, 5, 5]}, "it lies in its image"),
        ({"segmentation": {"size": [40, 30], "counts": [1200]}}, "its outline can be read"),
        ({"segmentation": {"size": [30, 40], "counts": [12]}}, "its outline can be read"),
        ({"segmentation": [[1, 2, 3, 4]]}, "its outline can be read"),
        ({"segmentation": [["x"] * 6]}, "its outline can be read"),
    ],
)
def test_objects_that_cannot_be_are_left_out_counted_and_named(tmp_path, wrong, rule):
    found = fitted(coco(tmp_path, [box(), box() | wrong | {"id": 5}]))
    assert len(found.boxes) == 1
    (failing,) = found.failings
    assert (failing.rule, failing.count) == (f"of an object, {rule}", 1)
    assert failing.left_out
    assert failing.examples[0].startswith("annotation 5")


def test_boxes_that_reach_beyond_are_used_and_told(tmp_path):
    found = fitted(coco(tmp_path, [box(bbox=(-5, 3, 10, 5)), box(bbox=(35, 3, 5.5, 5))]))
    assert len(found.boxes) == 2
    (failing,) = found.failings
    assert (failing.rule, failing.count) == ("a box ends within its image", 1)
    assert not failing.left_out


def test_classes_are_mapped_and_what_is_left_out_is_counted(tmp_path):
    drawn = coco(tmp_path, [box(), box(category=9), box(category=9), box(category=7)])
    assert fitted(drawn).unmapped == {"cow": 2}
    mapped = fitted(drawn, class_map={"cow": "cat", "dog": None})
    assert mapped.boxes.classes.tolist() == [0, 0, 0]
    assert mapped.unmapped == {"dog": 1}
    with pytest.raises(DataError, match=r"no object is of a class of the model. Found 'cow'"):
        fitted(coco(tmp_path, [box(category=9)]))
    unknown = fitted(coco(tmp_path, [box(), box(category=55)]))
    assert unknown.unmapped == {"category 55": 1}


def test_images_that_are_not_there_and_objects_of_no_listed_image_are_told(tmp_path):
    images = [{"id": 1, "file_name": "a.jpg"}, {"id": 2, "file_name": "gone.jpg"}]
    found = fitted(coco(tmp_path, [box(1), box(2), box(3)], images=images))
    assert rules(found) == {
        "of an object, its image is there": 1,
        "an annotation can be read": 1,
        "an image that is named is there": 1,
    }
    with pytest.raises(DataError, match=r"none of the images that it names is there. Found 'x'"):
        fitted(coco(tmp_path, [], images=[{"id": 1, "file_name": "x"}]))


def test_an_image_of_another_size_than_stated_is_not_annotated(tmp_path):
    images = [{"id": i, "file_name": n, "width": 80 if i else 40, "height": 30}
              for i, n in enumerate(IMAGES)]  # fmt: skip
    found = fitted(coco(tmp_path, [box(0), box(1)], images=images))
    assert found.boxes.image.tolist() == [0]
    assert found.known.tolist() == [True, False, False]
    assert rules(found) == {"an image has the size that is stated": 2}


def test_an_image_without_annotation_is_what_the_spec_says(tmp_path):
    drawn = coco(tmp_path, [box(0)])
    assert fitted(drawn, unannotated="empty").known.tolist() == [True] * 3
    assert fitted(drawn, unannotated="unlabelled").known.tolist() == [True, False, False]
    with pytest.raises(DataError, match=r"2 of 3 images have no annotation.*`unannotated: empty`"):
        fitted(drawn, unannotated=None)


def test_an_image_whose_objects_are_left_out_is_still_annotated(tmp_path):
    drawn = coco(tmp_path, [box(0), box(1, 9)])
    assert fitted(drawn, unannotated="unlabelled").known.tolist() == [True, True, False]


def test_on_which_pixels_boxes_were_drawn_must_be_said_of_turned_images(tmp_path):
    headers = [ImageHeader(SIZE, 6), ImageHeader(SIZE), ImageHeader(SIZE)]
    drawn = coco(tmp_path, [box(bbox=(0, 0, 10, 5))],
                 images=[{"id": i, "file_name": n} for i, n in enumerate(IMAGES)])  # fmt: skip
    with pytest.raises(DataError, match=r"1 images are stored turned.*`boxes_in: displayed`"):
        fitted(drawn, headers=headers)
    assert fitted(drawn, headers=headers, boxes_in="displayed").boxes.corners[0].tolist() == [
        0, 0, 10, 5,
    ]  # fmt: skip
    found = fitted(drawn, headers=headers, boxes_in="stored")
    assert found.boxes.corners[0].tolist() == [25, 0, 30, 10]
    assert found.turned == 1


def test_masks_are_turned_with_their_images(tmp_path):
    headers = [ImageHeader(SIZE, 6), ImageHeader(SIZE), ImageHeader(SIZE)]
    drawn = coco(tmp_path, [box(bbox=(0, 0, 10, 5), segmentation=[[0, 0, 10, 0, 10, 5, 0, 5]])])
    (mask,) = fitted(drawn, headers=headers, boxes_in="stored").boxes.masks
    assert mask.size == (40, 30)
    assert mask.corners == (25, 0, 30, 10)


@pytest.mark.parametrize("text", ["", "[1", "[]", '{"images": []}', '{"images": [1]}'])
def test_what_is_no_coco_file_is_refused(tmp_path, text):
    path = tmp_path / "boxes.json"
    path.write_text(text)
    with pytest.raises(DataError, match=r"annotations: 'boxes.json'"):
        read_coco(path)
    with pytest.raises(DataError, match="cannot be read"):
        read_coco(tmp_path / "absent.json")


VOC = """<annotation><filename>stale.jpg</filename>
<size><width>40</width><height>30</height></size>{objects}</annotation>"""
VOC_OBJECT = """<object><name>cat</name><truncated>1</truncated>
<part><name>head</name></part><bndbox>
<xmin>3</xmin><ymin>4</ymin><xmax>12</xmax><ymax>8</ymax></bndbox></object>"""


def test_pascal_voc_counts_pixels_from_one(tmp_path):
    drawn = voc(tmp_path, a=VOC.format(objects=VOC_OBJECT), b=VOC.format(objects=""))
    found = fitted(drawn, unannotated="unlabelled")
    assert found.boxes.corners.tolist() == [[2, 3, 12, 8]]
    assert found.boxes.attributes["truncated"].tolist() == ["1"]
    assert found.known.tolist() == [True, True, False]
    from_zero = read_pascal_voc(tmp_path, first_pixel=0)
    assert from_zero.objects[0].corners == (3, 4, 12, 8)


@pytest.mark.parametrize(
    "text",
    [
        '<!DOCTYPE a [<!ENTITY x SYSTEM "file:///etc/hostname">]><annotation>&x;</annotation>',
        '<!DOCTYPE a [<!ENTITY x "xx"><!ENTITY y "&x;&x;">]><annotation>&y;</annotation>',
        '<?xml version="1.0"?><!doctype a><annotation/>',
        "<annotation>",
        "no xml",
        "",
    ],
)
def test_xml_that_declares_anything_or_is_none_is_told_and_not_read(tmp_path, text):
    drawn = voc(tmp_path, a=VOC.format(objects=VOC_OBJECT), b=text)
    assert len(drawn.objects) == 1
    assert len(drawn.unread) == 1
    assert drawn.unread[0].startswith("b.xml: ")


def test_a_box_without_numbers_is_told(tmp_path):
    broken = VOC_OBJECT.replace("<xmin>3</xmin>", "").replace("12", "twelve")
    found = fitted(voc(tmp_path, a=VOC.format(objects=VOC_OBJECT + broken)))
    assert rules(found) == {"of an object, its corners are numbers": 1}


def test_yolos_lines_are_fractions_of_the_image(tmp_path):
    (tmp_path / "a.txt").write_text("0 0.5 0.5 0.5 0.2\n\n1 0 0 0.5 0 0.5 0.5\n")
    (tmp_path / "b.txt").write_text("\n")
    (tmp_path / "classes.txt").write_text("cat\ndog\n")
    found = fitted(read_yolo(tmp_path, names=CLASSES), unannotated="unlabelled")
    assert found.boxes.corners == pytest.approx(np.array([[10, 12, 30, 18], [0, 0, 20, 15]]))
    assert found.boxes.classes.tolist() == [0, 1]
    assert found.known.tolist() == [True, True, False]


def test_yolos_lines_that_cannot_be_are_told(tmp_path):
    (tmp_path / "a.txt").write_text(
        "0 .5 .5 .5 .2\n0 .5 .5\n5 .5 .5 .5 .2\n0 .5 .5 nan .2\n0 .5 .5 0 .2\n"
    )
    found = fitted(read_yolo(tmp_path, names=CLASSES))
    assert len(found.boxes) == 1
    assert found.unmapped == {"class 5": 1}
    assert rules(found) == {
        "an annotation can be read": 1,
        "of an object, its corners are numbers": 1,
        "of an object, it has a width and a height above 0": 1,
    }
    with pytest.raises(DataError, match=r"holds no \.txt file"):
        read_yolo(tmp_path / "absent", names=CLASSES)


def test_yolos_fractions_of_stored_pixels_are_turned(tmp_path):
    (tmp_path / "a.txt").write_text("0 0.125 0.1 0.25 0.2\n")
    headers = [ImageHeader(SIZE, 6), ImageHeader(SIZE), ImageHeader(SIZE)]
    found = fitted(read_yolo(tmp_path, names=CLASSES), headers=headers, boxes_in="stored")
    assert found.boxes.corners == pytest.approx(np.array([[24, 0, 30, 10]]))


def test_names_are_taken_whole_first_and_never_mixed(tmp_path):
    images = [{"id": 1, "file_name": "train/a.jpg"}, {"id": 2, "file_name": "b.jpg"}]
    found = fitted(coco(tmp_path, [box(1), box(2)], images=images))
    assert found.boxes.image.tolist() == [1]
    assert rules(found)["an image that is named is there"] == 1
    images = [{"id": 1, "file_name": "train/a.jpg"}, {"id": 2, "file_name": "test/a.jpg"},
              {"id": 3, "file_name": "test/b.jpg"}]  # fmt: skip
    found = fitted(coco(tmp_path, [box(1), box(2), box(3)], images=images))
    assert found.boxes.image.tolist() == [1]


def test_real_boxes_of_two_sets_are_read(shared_data):
    coco_mini, chest = shared_data / "coco-val-mini", shared_data / "chest-xray"
    drawn = read_coco(coco_mini / "annotations.json")
    assert (len(drawn.objects), sum(o.crowd for o in drawn.objects)) == (1279, 5)
    ids = tuple(drawn.sizes)
    names = tuple(dict.fromkeys(o.label for o in drawn.objects))
    found = annotated(drawn, image_ids=ids, headers=[ImageHeader(drawn.sizes[i]) for i in ids],
                      classes=names, reading=Reading({}, unannotated="empty"))  # fmt: skip
    assert len(found.boxes) == 1279
    assert not [f for f in found.failings if f.left_out]
    assert len(read_coco(chest / "lung_boxes_coco.json").objects) == 1209
