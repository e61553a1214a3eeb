"""Annotations that lie elsewhere: as of the same files here, to the byte; and what is refused."""

import contextlib
import json
import shutil

import fsspec
import numpy as np
import pytest
import yaml
from PIL import Image
from test_task_audits import RESIZES, N, spec_of, world
from web_servers import (
    SECRET,
    cache_in,
    put_in_memory,
    put_on_s3,
    results,
    s3_server,
    serving,
)

import auditor
from auditor.data.annotate import AnnotatedTask, read_annotated
from auditor.data.annotators import with_annotators
from auditor.engine import run as engine
from auditor.engine.kept import Asked, kept_run
from auditor.errors import DataError
from auditor.spec import AuditSpec

ONLY = ("data/manifest", "performance/overall", "performance/per-class")


@pytest.fixture
def copies(tmp_path, monkeypatch):
    monkeypatch.setattr("auditor.remote.objects._PAUSE", 0.0)
    with cache_in(tmp_path / "copies", monkeypatch) as folder:
        yield folder
    assert not list(folder.glob("runs/*"))


@pytest.fixture
def here(tmp_path):
    folder = tmp_path / "here"
    folder.mkdir()
    return folder


def written(folder, task, annotations):
    """A spec whose annotations, and nothing else, lie where they are said to."""
    spec = spec_of(task, input=RESIZES["stretch"])
    spec["data"]["test"]["annotations"] = annotations
    path = folder / "audit.yaml"
    path.write_text(yaml.safe_dump(spec))
    return path


def audited(folder, task, annotations, *, out):
    auditor.run(written(folder, task, annotations), out=out, only=ONLY)
    return results(out)


@pytest.mark.parametrize(("task", "name"), [("detection", "boxes.json"), ("segmentation", "masks")])
def test_an_audit_of_annotations_elsewhere_is_that_of_files(
    here, copies, tmp_path, monkeypatch, task, name
):
    pytest.importorskip("aiohttp", reason="aiohttp is not installed (extra `remote`)")
    world(here, task)
    local = audited(here, task, name, out=tmp_path / "local")
    with serving(here) as (url, _):
        assert audited(here, task, f"{url}/{name}", out=tmp_path / "http") == local
    with s3_server(monkeypatch):
        place = put_on_s3(here, "annotated/first")
        spec = written(here, task, f"{place}/{name}")
        record = auditor.run(spec, out=tmp_path / "s3", only=ONLY)
        assert results(tmp_path / "s3") == local
        assert record.provenance.remote == {"data.test.annotations": f"{place}/{name}"}
        assert f"Over the network: data.test.annotations: {place}/{name}" in engine.plan(spec)
        for path in (p for p in (tmp_path / "s3").rglob("*") if p.is_file()):
            assert SECRET.encode() not in path.read_bytes(), path


@pytest.mark.parametrize(
    ("task", "name", "one"),
    [("detection", "boxes.json", "boxes.json"), ("segmentation", "masks", "masks/00.png")],
)
def test_a_change_of_annotations_elsewhere_is_seen(
    here, copies, tmp_path, monkeypatch, task, name, one
):
    world(here, task)
    with s3_server(monkeypatch):
        system = fsspec.filesystem("s3")
        place = put_on_s3(here, "changing")
        spec = written(here, task, f"{place}/{name}")
        auditor.run(spec, out=tmp_path / "out", only=ONLY)
        asked = Asked.of(spec, only=ONLY, policy=None, trust_code=False)
        assert kept_run(tmp_path / "out", asked) is not None
        content = system.cat_file(f"changing/{one}")
        system.pipe_file(f"changing/{one}", content + b"\n")
        assert kept_run(tmp_path / "out", asked) is None


def test_another_file_in_a_folder_elsewhere_is_seen(here, copies, tmp_path):
    world(here, "segmentation")
    place = put_in_memory(here, "appearing")
    spec = written(here, "segmentation", f"{place}/masks")
    auditor.run(spec, out=tmp_path / "out", only=ONLY)
    asked = Asked.of(spec, only=ONLY, policy=None, trust_code=False)
    assert kept_run(tmp_path / "out", asked) is not None
    content = (here / "masks" / "00.png").read_bytes()
    fsspec.filesystem("memory").pipe_file("/appearing/masks/other.png", content)
    assert kept_run(tmp_path / "out", asked) is None


def test_a_run_that_asked_a_web_server_by_names_is_not_kept(here, copies, tmp_path):
    pytest.importorskip("aiohttp", reason="aiohttp is not installed (extra `remote`)")
    world(here, "segmentation")
    with serving(here, etags=True) as (url, _):
        spec = written(here, "segmentation", f"{url}/masks")
        first = auditor.run(spec, out=tmp_path / "out", only=ONLY)
        asked = Asked.of(spec, only=ONLY, policy=None, trust_code=False)
        assert kept_run(tmp_path / "out", asked) is None
        shutil.copy(here / "masks" / "00.png", here / "masks" / "03.png")
        second = auditor.run(spec, out=tmp_path / "out", only=ONLY)
    assert first.results != second.results


def yolo_and_voc(folder):
    """The boxes of a world as folders of YOLO's and of Pascal VOC's files."""
    coco = json.loads((folder / "boxes.json").read_text())
    (folder / "labels" / "more").mkdir(parents=True)
    (folder / "voc").mkdir()
    for image, drawn in zip(coco["images"], coco["annotations"], strict=True):
        stem, width, height = image["file_name"][:-4], image["width"], image["height"]
        x, y, w, h = drawn["bbox"]
        at = ((x + w / 2) / width, (y + h / 2) / height, w / width, h / height)
        (folder / "labels" / f"{stem}.txt").write_text(f"0 {' '.join(map(str, at))}\n")
        (folder / "voc" / f"{stem}.xml").write_text(
            "<annotation><object><name>red</name><bndbox>"
            f"<xmin>{x + 1}</xmin><ymin>{y + 1}</ymin><xmax>{x + w}</xmax><ymax>{y + h}</ymax>"
            "</bndbox></object></annotation>"
        )
    (folder / "labels" / "03.txt").write_text("")
    (folder / "labels" / "04.txt").write_text("0 1\n")
    (folder / "labels" / "classes.txt").write_text("red\n")
    (folder / "names.json").write_text('{"0": "red"}')


def read(folder, annotations, *, task="detection", names=None, **stated):
    spec = spec_of(task, input=RESIZES["stretch"])
    spec["data"]["test"] |= {"annotations": annotations, **stated}
    spec["data"] |= {"unannotated": "empty"} if task == "detection" else {}
    spec["data"] |= {} if names is None else {"classes": {"names": names}}
    spec = AuditSpec.model_validate(spec, strict=False)
    given = AnnotatedTask(spec.model, tuple(spec.model.classes), folder)
    return with_annotators(read_annotated(spec.data, given), spec.data, given)["test"]


def told(found):
    report = found.report
    return found.dataset.truth.key(), [r.sentence for r in report.results], report.counts


@pytest.mark.parametrize("name", ["labels", "voc"])
def test_a_folder_of_boxes_elsewhere_is_that_here(here, copies, monkeypatch, name):
    pytest.importorskip("aiohttp", reason="aiohttp is not installed (extra `remote`)")
    world(here, "detection")
    yolo_and_voc(here)
    local = told(read(here, name, names="names.json"))
    place = put_in_memory(here, f"boxes-{name}")
    assert told(read(here, f"{place}/{name}", names=f"{place}/names.json")) == local
    with serving(here) as (url, asked):
        assert told(read(here, f"{url}/{name}/", names=f"{url}/names.json")) == local
        assert len([line for line in asked if line.startswith("HEAD")]) <= 3 * N
    with s3_server(monkeypatch):
        bucket = put_on_s3(here, "boxes")
        assert told(read(here, f"{bucket}/{name}", names=f"{bucket}/names.json")) == local


def test_files_on_a_web_server_are_found_by_shorter_names_too(here, copies):
    pytest.importorskip("aiohttp", reason="aiohttp is not installed (extra `remote`)")
    world(here, "detection")
    yolo_and_voc(here)
    (here / "images").mkdir()
    for path in here.glob("*.png"):
        path.rename(here / "images" / path.name)
    table = (here / "photos.csv").read_text().replace(".png", "#.png").replace("\n0", "\nimages/0")
    (here / "photos.csv").write_text(table.replace("\n1", "\nimages/1"))
    for path in [*here.glob("images/*.png"), *here.glob("labels/??.txt")]:
        path.rename(path.with_name(f"{path.stem}#{path.suffix}"))
    local = told(read(here, "labels"))
    with serving(here) as (url, _):
        assert told(read(here, f"{url}/labels")) == local


def test_maps_are_those_that_the_manifest_names_and_no_photo(here, copies):
    pytest.importorskip("aiohttp", reason="aiohttp is not installed (extra `remote`)")
    world(here, "segmentation")
    lines = (here / "photos.csv").read_text().splitlines()
    rows = [f"{line},masks/{(i + 3) % N:02}.png" for i, line in enumerate(lines[1:])]
    rows[2] = rows[2].replace("masks/", "../masks/")
    rows[3] = rows[3].replace("masks/", "missing/")
    (here / "photos.csv").write_text("\n".join([f"{lines[0]},drawn", *rows]))

    def drawn(place):
        spec = spec_of("segmentation", input=RESIZES["stretch"])
        spec["data"]["unannotated"] = "unlabelled"
        spec["data"]["columns"] = {"image": "file", "annotation": "drawn"}
        spec["data"]["test"]["annotations"] = str(place)
        spec = AuditSpec.model_validate(spec, strict=False)
        task = AnnotatedTask(spec.model, tuple(spec.model.classes), here)
        return read_annotated(spec.data, task)["test"]

    local = told(drawn(here))
    assert drawn(here).dataset.truth.known.sum() < N
    assert told(drawn(put_in_memory(here, "named"))) == local
    with serving(here) as (url, _):
        assert told(drawn(url)) == local


def test_class_maps_beside_their_images_elsewhere_are_not_the_images(here, copies):
    world(here, "segmentation")
    for path in list((here / "masks").glob("*.png")):
        path.rename(here / f"{path.stem}_mask.png")
    place = put_in_memory(here, "beside")
    found = read(here, place, task="segmentation", images=place)
    names = [path.partition("\0")[0].rpartition("/")[2] for path in found.dataset.truth.files]
    assert names[:2] == ["00_mask.png", "01_mask.png"]


def test_what_annotators_drew_elsewhere_is_read(here, copies):
    world(here, "detection")
    shutil.copy(here / "boxes.json", here / "ida.json")
    place = put_in_memory(here, "annotators")
    local = read(here, "boxes.json", annotations_by={"ida": "ida.json"})
    found = read(here, f"{place}/boxes.json", annotations_by={"ida": f"{place}/ida.json"})
    assert found.dataset.drawn_by["ida"].key() == local.dataset.drawn_by["ida"].key()


def test_annotators_are_not_named_by_the_keys_of_their_urls(here, copies, tmp_path):
    world(here, "detection")
    place = put_in_memory(here, "unnamed")
    spec = written(here, "detection", f"{place}/boxes.json")
    parsed = yaml.safe_load(spec.read_text())
    parsed["data"]["test"]["annotations_by"] = {"Ida Lind": f"{place}/boxes.json"}
    spec.write_text(yaml.safe_dump(parsed))
    record = auditor.run(spec, out=tmp_path / "out", only=ONLY)
    assert len(record.provenance.remote) == 2
    assert "Ida Lind" not in (tmp_path / "out" / "audit.json").read_text()


PAGE = "<!DOCTYPE html><title>Please log in</title>"


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("none.json", "none.json' is not there (404). Give the URL of a COCO file (.json), or of"),
        ("403.json", "403.json' cannot be read: the server refuses access (403). See to"),
        ("half.json", "half.json' cannot be read: the object ends before the size that its server "
                      "states. Put it there again"),
        ("page.json", "page.json' is a web page, as a server sends in place of a file"),
        ("cut.json", "annotations: 'cut.json' is no JSON"),
        ("large.json", "large.json' has 100 kB, expected at most 50 kB. Give the URL of a COCO"),
        ("nowhere", "no file is called as an image is (tried '00.xml', '00.txt', and so on). A web "
                    "server does not list its files: call each as its image, or give one COCO"),
        ("403/labels", "'cannot be read"),
    ],
)  # fmt: skip
def test_what_is_wrong_with_boxes_on_a_web_server_is_one_sentence(
    here, command, copies, tmp_path, monkeypatch, name, says
):
    pytest.importorskip("aiohttp", reason="aiohttp is not installed (extra `remote`)")
    for module in ("data.annotation_places", "engine.remote_marks"):
        monkeypatch.setattr(f"auditor.{module}.MOST_TEXT_BYTES", 50_000)
    world(here, "detection")
    boxes = (here / "boxes.json").read_text()
    contents = {"half": boxes, "page": PAGE, "cut": boxes[:99], "large": "x" * 100_000}
    for each, content in contents.items():
        (here / f"{each}.json").write_text(content)
    with serving(here) as (url, asked):
        spec = written(here, "detection", f"{url}/{name}")
        if name == "403/labels":
            # Every name below it begins with a status.
            (here / "photos.csv").write_text("file,split\n403.png,test\n")
            shutil.copy(here / "00.png", here / "403.png")
            says = (
                f"data.test.annotations: '{url}/{name}' cannot be read: the server refuses access"
            )
        code, _, err = command("run", spec, "--out", tmp_path / "out", "--quiet")
    assert code == 2
    assert says in err
    assert "GET /large.json" not in asked
    assert "Traceback" not in err
    assert err.count("\n") == 1


def test_what_is_wrong_with_a_folder_elsewhere_is_one_sentence(here, copies, monkeypatch):
    world(here, "detection")
    yolo_and_voc(here)
    place = put_in_memory(here, "wrong")
    with pytest.raises(DataError, match=r"data\.test\.annotations: there is nothing at 'memory:"):
        read(here, "memory://nowhere/labels")
    with pytest.raises(DataError, match=r"'masks' holds neither \.xml files .* COCO file"):
        read(here, f"{place}/masks")
    with pytest.raises(DataError, match=r"is a file, expected a folder of class maps .* folder"):
        read(here, f"{place}/boxes.json", task="segmentation")
    with pytest.raises(DataError, match=r"data\.classes\.names: .* is not there \(404\)\. Give"):
        read(here, f"{place}/labels", names=f"{place}/none.json")
    monkeypatch.setattr("auditor.data.annotation_places.MOST_TEXT_BYTES", 100)
    with pytest.raises(DataError, match=r"the files in .* expected at most 100 bytes together"):
        read(here, f"{place}/labels")


def test_one_file_of_a_folder_that_cannot_be_read_stops_the_run(here, copies):
    """Left out, its image would be one that holds nothing."""
    pytest.importorskip("aiohttp", reason="aiohttp is not installed (extra `remote`)")
    world(here, "detection")
    yolo_and_voc(here)
    for old in (here / "05.png", here / "labels" / "05.txt"):
        old.rename(old.with_name(f"half{old.suffix}"))
    table = (here / "photos.csv").read_text()
    (here / "photos.csv").write_text(table.replace("05.png", "half.png"))
    with (
        serving(here) as (url, _),
        pytest.raises(DataError, match=r"labels/half\.txt' cannot be read: the object ends before"),
    ):
        read(here, f"{url}/labels")


def test_a_server_that_answers_every_name_with_a_page_is_not_believed(here, copies):
    pytest.importorskip("aiohttp", reason="aiohttp is not installed (extra `remote`)")
    world(here, "detection")
    yolo_and_voc(here)
    for path in (here / "labels").glob("*.txt"):
        path.write_text(PAGE)
    with (
        serving(here) as (url, _),
        pytest.raises(DataError, match=r"data\.test\.annotations: .*\.txt' is a web page"),
    ):
        read(here, f"{url}/labels")


def test_a_name_in_a_store_that_leads_out_of_the_folder_is_refused(here, copies, monkeypatch):
    world(here, "detection")
    yolo_and_voc(here)
    with s3_server(monkeypatch):
        place = put_on_s3(here, "hostile")
        client = fsspec.filesystem("s3")
        client.call_s3("put_object", Bucket="hostile", Key="labels/../../out.txt", Body=b"0 1")
        with pytest.raises(DataError, match=r"holds '\.\./\.\./out\.txt', which is no name of"):
            read(here, f"{place}/labels")
    assert not list(here.parent.rglob("out.txt"))


def test_class_maps_elsewhere_that_cannot_be_used_are_told(here, copies):
    pytest.importorskip("aiohttp", reason="aiohttp is not installed (extra `remote`)")
    world(here, "segmentation")
    (here / "masks" / "01.png").write_text(PAGE)
    Image.new("L", (3, 3)).save(here / "masks" / "02.png")
    for old in (here / "05.png", here / "masks" / "05.png"):
        old.rename(old.with_name("half.png"))
    shutil.copy(here / "00.png", here / "half.png")
    table = (here / "photos.csv").read_text()
    (here / "photos.csv").write_text(table.replace("05.png", "half.png"))
    with serving(here) as (url, _):
        found = read(here, f"{url}/masks", task="segmentation")
    (said,) = (r.sentence for r in found.report.results if "class map can be read" in r.sentence)
    assert "01.png (mask '01.png' cannot be read (it is damaged)" in said
    assert "02.png (mask '02.png': found 3 x 3 pixels" in said
    assert "half.png (mask 'half.png' cannot be read (the object ends before the size" in said
    assert np.flatnonzero(~found.dataset.truth.known).tolist() == [1, 2, 5]


def test_class_maps_of_a_server_that_ends_are_no_damaged_ones(here, copies, monkeypatch):
    pytest.importorskip("aiohttp", reason="aiohttp is not installed (extra `remote`)")
    world(here, "segmentation")
    from auditor.data import annotate

    usable = annotate.usable_maps
    with contextlib.ExitStack() as server:
        url, _ = server.enter_context(serving(here))

        def after_its_end(*given, **stated):
            server.close()
            return usable(*given, **stated)

        monkeypatch.setattr(annotate, "usable_maps", after_its_end)
        with pytest.raises(DataError, match=r"^http://\S+ could not be reached"):
            read(here, f"{url}/masks", task="segmentation")
