"""Pictures of findings: on a declared ground alone, small, encoded anew, and in their place."""

import base64
import dataclasses
import io
import re
import shutil
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from coloured_rooms import make_world
from PIL import Image

import auditor
from auditor.contract import Pass
from auditor.data.bare_thumbnail import thumbnail
from auditor.data.image_names import ImageNames
from auditor.engine import pictures as engine_pictures
from auditor.engine.pictures import _chosen, _clear, _rows_of_examples, _said
from auditor.errors import DataError
from auditor.findings import Subject, Verdict, finding_id
from auditor.judging.judged_record import read_record
from auditor.rendering import render
from auditor.reports.pictures_section import pictures_view
from auditor.scoring.presence import OneHot
from auditor.stats import RateDifference

CHECKS = ("performance/overall", "performance/claims", "bias/subgroup-gap", "data/duplicates")
BASIS = """declarations:
  - {key: basis-pictures, statement: The photos are noise., owner: {name: A. Person, role: owner},
     date: 2026-01-10, expires: EXPIRES}
"""
FORMATS = ("html", "pictures", "card")


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    """Rooms as JPEG files with EXIF (a place, a name), turned by it, larger than a thumbnail."""
    spec = make_world(
        tmp_path_factory.mktemp("worlds") / "pictured", sizes=(300, 60, 60), wrong_in_old=0.6
    )
    path = spec.parent / "test.csv"
    table = pd.read_csv(path)
    for place, name in enumerate(table["file"]):
        image = Image.open(spec.parent / name).convert("RGB").resize((96, 80))
        exif = Image.Exif()
        exif[0x010F] = "Maker of Secrets"
        exif[0x0112] = 6 if place % 2 else 1
        image.save((spec.parent / name).with_suffix(".jpg"), quality=95, exif=exif)
    table["file"] = table["file"].str.replace(".png", ".jpg")
    table.to_csv(path, index=False)
    return spec


def spec_with(world, report, *, name, expires="2099-01-10"):
    (world.parent / "people.yaml").write_text(BASIS.replace("EXPIRES", expires))
    path = world.with_name(name)
    path.write_text(f"{world.read_text()}declarations: people.yaml\nreport: {report}\n")
    return path


def pictured(world, out, report, name):
    record = auditor.run(spec_with(world, report, name=name), out=out, only=CHECKS)
    render(record, out, formats=FORMATS)
    return record


@pytest.fixture(scope="module")
def private(world, tmp_path_factory):
    out = tmp_path_factory.mktemp("private") / "out"
    return pictured(world, out, "{pictures: {most: 3, side: 48}}", "private.yaml"), out


def images_of(page):
    found = re.findall(r'src="data:image/jpeg;base64,([^"]+)"', page.read_text())
    return [base64.b64decode(data) for data in found]


def test_pictures_lie_in_a_confidential_page_and_nowhere_else(private):
    record, out = private
    assert (out / "confidential" / "pictures.html").exists()
    shown = images_of(out / "confidential" / "pictures.html")
    assert shown
    assert not images_of(out / "report.html")
    assert "img-src" not in (out / "report.html").read_text()
    assert not (out / "pictures.html").exists()
    page = (out / "confidential" / "pictures.html").read_text()
    assert "Confidential: photos are personal data" in page
    assert "The photos are noise. Declared by A. Person, owner, 2026-01-10" in page
    assert read_record(out).pictures == record.pictures


def test_they_are_small_and_hold_pixels_alone(private):
    record, out = private
    for data in images_of(out / "confidential" / "pictures.html"):
        assert b"Secrets" not in data
        assert b"Exif" not in data
        image = Image.open(io.BytesIO(data))
        assert not image.getexif()
        assert not {"exif", "icc_profile", "comment"} & image.info.keys()
        assert max(image.size) == 48
    sizes = {(p.width, p.height) for p in record.pictures.pictures}
    assert {(48, 40), (40, 48)} == sizes, "turned as the EXIF said"


def test_the_worst_errors_of_each_finding_come_first(private):
    record, _ = private
    for of in record.pictures.of:
        measure = record.measure(record.finding(of.finding))
        shown = [record.pictures.pictures[i] for i in of.pictures]
        assert tuple(p.image for p in shown) == tuple(dict.fromkeys(measure.examples))[:3]
        assert all(p.label and p.answer and p.label != p.answer for p in shown)
        assert of.ranked is measure.ranked
    assert any("subgroup-gap" in of.finding for of in record.pictures.of)


def test_of_one_limit_the_finding_about_people_has_pictures_first(private):
    """Another group that fails the same limit by more does not take the place of people."""
    record, _ = private
    (failing,) = (f for f in record.findings if f.verdict is Verdict.FAIL and "gap" in f.id)
    measure = record.measure(failing)
    far = RateDifference(x=10.0, n=100.0, x_rest=99.0, n_rest=100.0)
    other = dataclasses.replace(measure, subject=Subject.of(storey="top", split="test"),
                                estimate=far)  # fmt: skip
    name = finding_id(failing.check, other.name, other.subject)
    results = tuple(
        dataclasses.replace(r, measures=(other, *r.measures)) if r.check == failing.check else r
        for r in record.results
    )
    for people, first in (("building", failing.id), ("storey", name)):
        attributes = {a: {"role": "sensitive" if a == people else "condition"}
                      for a in ("building", "storey")}  # fmt: skip
        parsed = dict(record.spec.parsed)
        parsed["data"] = parsed["data"] | {"attributes": attributes}
        both = dataclasses.replace(
            record,
            spec=dataclasses.replace(record.spec, parsed=parsed),
            results=results,
            findings=(dataclasses.replace(failing, id=name), *record.findings),
        )
        rows = {"test": {image: at for at, image in enumerate(measure.examples)}}
        shown = [i for i in _chosen(both, rows, most=2) if "gap" in i]
        assert shown == [first, *({failing.id, name} - {first})]


def test_where_images_are_is_asked_once_a_split(monkeypatch):
    # Each time, a million names would be looked through.
    record, asked = SimpleNamespace(examples=("a", "b")), []

    class Names:
        def places_of(self, ids):
            asked.append(ids)
            return np.array([0 if i == "b" else -1 for i in ids])

    datasets = {s: SimpleNamespace(image_ids=Names()) for s in ("test", "deployment")}
    monkeypatch.setattr(engine_pictures, "_with_examples", lambda _: [SimpleNamespace(id="x")] * 3)
    monkeypatch.setattr(engine_pictures, "_measure", lambda _, name: record)
    rows = _rows_of_examples(None, datasets)
    assert rows == {"test": {"b": 0}, "deployment": {"b": 0}}
    assert asked == [["a", "b"]] * 2


def test_what_is_not_worst_first_is_called_examples(private):
    record, out = private
    view = pictures_view(record, out)
    assert {f.order for f in view.findings} == {"Worst first."}
    plain = [dataclasses.replace(of, ranked=False) for of in record.pictures.of]
    pictures = dataclasses.replace(record.pictures, of=tuple(plain))
    view = pictures_view(dataclasses.replace(record, pictures=pictures), out)
    assert {f.order for f in view.findings} == {"Examples, in no order."}


def test_findings_that_rest_on_the_same_pictures_share_them(private):
    record, out = private
    view = pictures_view(record, out)
    assert len({f.pictures for f in view.findings}) == len(view.findings)
    of, other = record.pictures.of[0], next(f.id for f in record.findings if f.verdict is None)
    twice = (*record.pictures.of, dataclasses.replace(of, finding=other))
    pictures = dataclasses.replace(record.pictures, of=twice)
    again = pictures_view(dataclasses.replace(record, pictures=pictures), out)
    assert len(again.findings) == len(view.findings)
    assert sum(len(f.findings) for f in again.findings) == len(twice)


def test_a_picture_tells_what_the_form_that_is_judged_answered(private):
    record, out = private
    first, *rest = record.pictures.pictures
    assert first.form == "as-given"
    edge = dataclasses.replace(first, form="edge", answer="minor")
    pictures = dataclasses.replace(record.pictures, pictures=(edge, *rest))
    view = pictures_view(dataclasses.replace(record, pictures=pictures), out)
    captions = [p.caption for f in view.findings for p in f.pictures]
    assert any(c.endswith("answered “minor” by the edge form") for c in captions)
    assert "as-given" not in "".join(captions)

    def rows(answer):
        presence = OneHot(("compliant", "minor"), np.array([0]), np.array([answer]))
        return SimpleNamespace(image_ids=ImageNames.of(["a"]), presence=presence)

    scored = {
        (Pass("test"), "sound", "image"): rows(0),
        (Pass("test", variant="edge"), "sound", "image"): rows(1),
    }
    apart = OneHot(("compliant", "minor"), np.array([1, 0]), np.array([0, 1]))
    said = {(Pass("test"), "as-given"): (ImageNames.of(["set-apart", "a"]), apart)}
    gathered = SimpleNamespace(scored=scored, said=said)
    assert _said(("test", "a", "as-given"), gathered) == ("compliant", "compliant")
    assert _said(("test", "a", "edge"), gathered) == ("compliant", "minor")
    assert _said(("test", "set-apart", "as-given"), gathered) == ("minor", "compliant")
    assert _said(("test", "unknown", "as-given"), gathered) == ("", "")


def test_public_pictures_stand_in_the_report_with_an_alternative_text(world, tmp_path):
    out = tmp_path / "out"
    record = pictured(world, out, "{pictures: {most: 1, public: true}}", "public.yaml")
    page = (out / "report.html").read_text()
    shown = {of.pictures for of in record.pictures.of}
    assert len(images_of(out / "report.html")) == sum(map(len, shown))
    assert "img-src data:" in page
    for tag in re.findall(r"<img [^>]*>", page):
        assert re.search(r'alt="Photo test/\d+\.jpg, test data: labelled “\w+”', tag), tag[-200:]
    assert (out / "pictures.html").exists()
    assert "Confidential" not in (out / "pictures.html").read_text()
    assert not list((out / "confidential").glob("*")) if (out / "confidential").exists() else True
    before = page
    render(read_record(out), tmp_path / "elsewhere", formats=("html",), beside=out)
    assert (tmp_path / "elsewhere" / "report.html").read_text() == before


def test_a_changed_or_missing_picture_is_not_shown(private, tmp_path):
    record, out = private
    copy = tmp_path / "copy"
    shutil.copytree(out, copy)
    first, second, *_ = record.pictures.pictures
    (copy / "confidential" / first.file).write_bytes(b"another picture")
    (copy / "confidential" / second.file).unlink()
    render(record, copy, formats=("pictures",))
    page = (copy / "confidential" / "pictures.html").read_text()
    assert f"{first.file} is not the picture that the audit made" in page
    assert f"{second.file} is not beside the record" in page


def test_without_being_asked_for_no_picture_is_made_and_older_ones_go(world, private, tmp_path):
    _, made = private
    out = tmp_path / "out"
    shutil.copytree(made, out)
    record = auditor.run(world, out=out, only=CHECKS)
    render(record, out, formats=FORMATS)
    assert record.pictures is None
    assert not list(out.rglob("*.jpg"))
    assert not list(out.rglob("pictures.html"))


@pytest.mark.parametrize("name", ["confidential", "pictures"])
def test_a_link_in_place_of_a_folder_of_pictures_is_not_written_through(
    world, private, command, tmp_path, name
):
    elsewhere, out = tmp_path / "elsewhere", tmp_path / "out"
    elsewhere.mkdir()
    (elsewhere / "pictures.html").write_text("of another audit")
    shutil.copytree(private[1], out)
    shutil.rmtree(out / name, ignore_errors=True)
    (out / name).symlink_to(elsewhere)
    spec = spec_with(world, "{pictures: {most: 3, side: 48}}", name="linked.yaml")
    code, _, err = command("run", spec, "--out", out)
    assert code == 2
    assert "is a link; pictures of an audit are written into its own folder alone." in err
    if name == "confidential":
        with pytest.raises(DataError, match="is a link"):
            render(private[0], out, formats=FORMATS)
    _clear(out)
    assert [p.name for p in elsewhere.iterdir()] == ["pictures.html"]
    assert (elsewhere / "pictures.html").read_text() == "of another audit"


@pytest.mark.parametrize(
    ("report", "expires", "says"),
    [
        ("{pictures: {}}", "2026-01-11", "basis-pictures expired on 2026-01-11"),
        ("{pictures: {blur: [[0.5, 0, 0.5, 1]]}}", "2099-01-10", "is empty; give [x0, y0, x1, y1]"),
        ("{picture: {}}", "2099-01-10", "Did you mean 'pictures'?"),
    ],
)
def test_what_does_not_hold_is_refused(world, command, tmp_path, report, expires, says):
    spec = spec_with(world, report, name="refused.yaml", expires=expires)
    code, _, said = command("run", spec, "--out", tmp_path / "out")
    assert code == 2
    assert says in " ".join(said.split())


def test_without_a_declared_ground_nothing_is_read(world, command, tmp_path, monkeypatch):
    monkeypatch.setattr("auditor.engine.run.load", lambda *_, **__: pytest.fail("data were read"))
    path = world.with_name("groundless.yaml")
    path.write_text(f"{world.read_text()}report: {{pictures: {{}}}}\n")
    code, _, said = command("run", path, "--out", tmp_path / "out")
    assert code == 2
    assert "report.pictures asks for photos" in said
    assert "Add a declaration with the key basis-pictures" in " ".join(said.split())


@pytest.fixture
def faces(world):
    """A column of regions: the left half of every image, written in one of two ways."""
    tables = {}
    for split in ("test", "train", "deployment"):
        path = world.parent / f"{split}.csv"
        tables[path] = path.read_text()
        table = pd.read_csv(path)
        table["faces"] = np.where(table.index % 2 == 0, "0 0 0.5 1", "0,0,.5,.5; 0 .5 .5 1")
        table.to_csv(path, index=False)
    yield world
    for path, text in tables.items():
        path.write_text(text)


def test_regions_that_the_manifest_names_are_blurred_in_their_image(faces, tmp_path):
    out = tmp_path / "out"
    record = pictured(
        faces, out, "{pictures: {most: 2, side: 96, blur_column: faces}}", "faces.yaml"
    )
    assert record.pictures.blurred
    page = out / "confidential" / "pictures.html"
    assert "Declared regions are blurred" in page.read_text()
    halves = [np.asarray(Image.open(io.BytesIO(d))).astype(float) for d in images_of(page)]
    assert len(halves) > 2
    for pixels in halves:
        middle = pixels.shape[1] // 2
        steps = [np.abs(np.diff(half, axis=0)).mean()
                 for half in (pixels[:, : middle - 8], pixels[:, middle + 8 :])]  # fmt: skip
        assert steps[0] < steps[1] / 3


@pytest.mark.parametrize(
    "cell", ["0 0 1", "0.5 0 0.2 1", "a b c d", "0 0 2 1", "0 0 1 1; nan 0 1 1"]
)
def test_a_cell_that_is_no_region_stops_before_the_audit(faces, command, tmp_path, cell):
    path = faces.parent / "deployment.csv"
    table = pd.read_csv(path)
    table.loc[2, "faces"] = cell
    table.to_csv(path, index=False)
    spec = spec_with(faces, "{pictures: {blur_column: faces}}", name="cell.yaml")
    code, _, said = command("run", spec, "--out", tmp_path / "out")
    said = " ".join(said.split())
    assert code == 2
    assert "data.deployment: 'deployment.csv', row 3, column 'faces': found" in said
    assert "expected a region to blur as x0 y0 x1 y1" in said
    assert "Correct the cell" in said
    assert not (tmp_path / "out" / "audit.json").exists()


def test_a_split_without_the_column_is_refused(faces, command, tmp_path):
    path = faces.parent / "train.csv"
    pd.read_csv(path).drop(columns="faces").to_csv(path, index=False)
    spec = spec_with(faces, "{pictures: {blur_column: faces}}", name="column.yaml")
    code, _, said = command("run", spec, "--out", tmp_path / "out")
    assert code == 2
    assert "has no column 'faces' (report.pictures.blur_column)" in " ".join(said.split())


def test_a_blurred_region_keeps_nothing_that_could_be_told():
    rng = np.random.default_rng(0)
    pixels = rng.integers(0, 255, (120, 160, 3), dtype=np.uint8)
    region = (0.25, 0.25, 0.75, 0.75)
    hidden = np.asarray(Image.open(io.BytesIO(thumbnail(pixels, side=160, blur=[region]).content)))
    plain = np.asarray(Image.open(io.BytesIO(thumbnail(pixels, side=160).content)))
    inside = (slice(34, 86), slice(44, 116))
    assert hidden[inside].std() < 12 < 40 < plain[inside].std()
    outside = (slice(0, 24), slice(0, 160))
    assert abs(hidden[outside].astype(int) - plain[outside].astype(int)).mean() < 8
