"""Names in what is handed on: annotators under letters, images and units under keyed hashes."""

import csv
import re
import shutil

import numpy as np
import pandas as pd
import pytest
from coloured_rooms import make_world

import auditor
from auditor.data.annotate import result_of
from auditor.data.annotations import Failing
from auditor.data.expectations import FAILING_COLUMNS, ManifestReport
from auditor.data.pseudonyms import Pseudonyms, lettered, named_groups, renamed, renamed_report
from auditor.engine.run import judge_again
from auditor.errors import DataError, SpecError
from auditor.findings import Measure
from auditor.judging.judged_record import read_record
from auditor.rendering import render
from auditor.signing.bundle import require_signable
from auditor.spec import DataSpec
from auditor.stats import value

CHECKS = ("data/manifest", "data/images", "data/duplicates", "data/left-out", "data/leakage",
          "performance/overall", "bias/subgroup-gap", "bias/label-agreement")  # fmt: skip
RATED = (
    "columns: {image: file, label: label, unit: room}",
    "columns: {image: file, label: label, unit: room, annotator: inspector,\n"
    "    ratings: {ottoline: grade_ottoline, Xaver: by_xaver}, gold: expert}",
)
ATTRIBUTE = (
    "building: {role: condition}",
    "building: {role: condition}\n    inspector: {role: condition}",
)
TEXTS = ("audit.json", "findings.csv", "MODEL_CARD.md", "ml-bom.cdx.json", "report.html",
         "runs.jsonl", "junit.xml", "findings.sarif")  # fmt: skip
NAMES = ("ottoline", "xaver")


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    """Rooms graded by two inspectors, with a missing file, a copy and a broken image."""
    spec = make_world(tmp_path_factory.mktemp("worlds") / "private", sizes=(180, 40, 40))
    for split in ("test", "train", "deployment"):
        path = spec.parent / f"{split}.csv"
        table = pd.read_csv(path)
        rng = np.random.default_rng(len(split))
        flip = {"red": "blue", "blue": "red"}
        other = np.where(rng.random(len(table)) < 0.2, table["label"].map(flip), table["label"])
        table["inspector"] = np.where(rng.random(len(table)) < 0.5, "ottoline", "Xaver")
        table["grade_ottoline"], table["by_xaver"] = table["label"], other
        table["expert"] = table["label"]
        if split == "test":
            table.loc[5, "by_xaver"] = "green"
            table.loc[len(table)] = table.loc[0].to_dict() | {"file": "test/gone.png"}
            first, second = (spec.parent / table.loc[i, "file"] for i in (10, 40))
            second.write_bytes(first.read_bytes())
            (spec.parent / table.loc[7, "file"]).write_bytes(b"no image")
        table.to_csv(path, index=False)
    (spec.parent / "secret.key").write_text("a" * 32)
    return spec


def spec_with(world, *changes, name, more=""):
    text = world.read_text()
    for old, new in changes:
        assert old in text
        text = text.replace(old, new)
    path = world.with_name(name)
    path.write_text(f"{text}consequences: {{adverse: [red]}}\n{more}")
    return path


def audited(spec, out):
    record = auditor.run(spec, out=out, only=CHECKS)
    render(record, out, formats=("html", "card", "bom", "csv", "junit", "sarif"))
    return record


def handed_on(out):
    """Every text below a folder but those of its store."""
    files = [p for p in out.rglob("*") if p.is_file() and "store" not in p.relative_to(out).parts]
    assert {p.name for p in files} >= set(TEXTS)
    return {str(p.relative_to(out)): p.read_text(encoding="utf-8") for p in files}


@pytest.fixture(scope="module")
def private(world, tmp_path_factory):
    out = tmp_path_factory.mktemp("private") / "out"
    more = "privacy: {images: pseudonyms, key: secret.key}\n"
    record = audited(spec_with(world, RATED, ATTRIBUTE, name="private.yaml", more=more), out)
    return record, out


def test_no_annotator_is_named_in_anything_that_is_handed_on(private):
    record, out = private
    for name, text in handed_on(out).items():
        for person in NAMES:
            assert person not in text.lower(), (name, person)
    said = {m.subject.get("annotator") for _, m in record.measures()} - {None}
    assert said == {"annotator A", "annotator B"}
    groups = {m.subject.get("inspector") for _, m in record.measures()} - {None}
    assert groups == {"annotator A", "annotator B"}
    assert record.spec.parsed["data"]["columns"]["ratings"].keys() == {"annotator A", "annotator B"}
    assert "annotator B’s" in (out / "report.html").read_text()


def test_no_image_and_no_unit_is_named_in_anything_that_is_handed_on(private, world):
    record, out = private
    tables = [pd.read_csv(world.parent / f"{s}.csv") for s in ("test", "train", "deployment")]
    names = {str(n) for t in tables for c in ("file", "room") for n in t[c]}
    stems = re.compile(r"(?:test|train|deployment)[-/]\d+")
    for name, text in handed_on(out).items():
        assert not stems.search(text), (name, stems.search(text))
        assert "gone.png" not in text, name
    rows = csv.DictReader((out / "store" / "pseudonyms.csv").read_text().splitlines())
    kept = {row["name"]: row["pseudonym"] for row in rows}
    assert names - {"test/gone.png"} <= kept.keys()
    assert len(set(kept.values())) == len(kept)
    shown = {i for _, m in record.measures() for i in m.examples}
    assert shown
    assert shown - {"", Pseudonyms(b"a" * 32).image("test/gone.png")} <= set(kept.values())
    assert (out / "store" / "pseudonyms.csv").stat().st_mode & 0o077 == 0


def test_what_is_measured_stays_the_same(private, world, tmp_path):
    named = audited(spec_with(world, RATED, ATTRIBUTE, name="named.yaml"), tmp_path / "out")
    other, _ = private
    before, after = (
        {i: value(m.estimate) for i, m in r.results_by_id.items() if isinstance(m, Measure)
         if not {"annotator", "inspector"} & dict(m.subject.keys).keys()}
        for r in (named, other)
    )  # fmt: skip
    assert len(before) > 20
    assert before == pytest.approx(after, nan_ok=True)
    assert any("test/" in i for _, m in named.measures() for i in m.examples)
    assert named.spec.digest != other.spec.digest


def test_the_same_key_gives_the_same_names_and_another_others(private, world, tmp_path):
    record, _ = private
    (world.parent / "other.key").write_text("b" * 32)
    few = ("performance/overall",)
    before = [m.examples for check, m in record.measures() if check in few]
    for key, same in (("secret.key", True), ("other.key", False)):
        more = f"privacy: {{images: pseudonyms, key: {key}}}\n"
        spec = spec_with(world, RATED, ATTRIBUTE, name="again.yaml", more=more)
        again = auditor.run(spec, out=tmp_path / key, only=few)
        after = [m.examples for check, m in again.measures() if check in few]
        assert (after == before) is same
        assert read_record(tmp_path / key).spec.parsed == again.spec.parsed


BASIS = """declarations:
  - {key: basis-annotators, statement: Both agreed to be named., owner: {name: A. Person},
     date: 2026-01-10, expires: 2099-01-10}
"""


def test_a_declared_basis_lets_annotators_be_named(world, tmp_path):
    (world.parent / "people.yaml").write_text(BASIS)
    declared = ("policy: policy.yaml", "policy: policy.yaml\ndeclarations: people.yaml")
    record = auditor.run(
        spec_with(world, RATED, declared, name="named.yaml"), out=tmp_path, only=CHECKS
    )
    assert {m.subject.get("annotator") for _, m in record.measures()} - {None} == {
        "ottoline", "Xaver"
    }  # fmt: skip
    assert record.spec.text == world.with_name("named.yaml").read_text()
    (tmp_path / "none.yaml").write_text("declarations: []\n")
    with pytest.raises(SpecError) as caught:
        judge_again(tmp_path, declarations=tmp_path / "none.yaml")
    assert str(caught.value) == (
        "none.yaml has no basis-annotators, and the record names annotators (2 of them); a "
        "judgement cannot take names out. Declare the basis, or run the audit again with these "
        "declarations."
    )


def test_a_basis_that_has_expired_neither_names_nor_hides_in_silence(world, command, tmp_path):
    (world.parent / "people.yaml").write_text(BASIS.replace("2099", "2026"))
    declared = ("policy: policy.yaml", "policy: policy.yaml\ndeclarations: people.yaml")
    code, _, said = command(
        "run", spec_with(world, RATED, declared, name="old.yaml"), "--out", tmp_path / "out"
    )
    assert code == 2
    assert "basis-annotators expired on 2026-01-10" in said
    assert "declare it again with a later date" in " ".join(said.split())


@pytest.mark.parametrize(
    ("privacy", "says"),
    [
        ("{images: pseudonyms}", "need a secret key; make one with openssl rand -hex 32"),
        ("{images: pseudonyms, key: none.key}", "privacy.key: {folder}/none.key does not exist. "
         "Make one with openssl rand -hex 32 > none.key"),
        ("{images: pseudonyms, key: short.key}", "short.key holds 5 bytes, expected 16 or more"),
        ("{images: pseudonyms, key: out/own.key}", "out/own.key lies in --out {folder}/out"),
        ("{images: hidden}", "privacy.images"),
    ],
)  # fmt: skip
def test_a_key_that_hides_nothing_is_refused(world, command, privacy, says):
    (world.parent / "short.key").write_text("short")
    out = world.parent / "out"
    out.mkdir(exist_ok=True)
    (out / "own.key").write_text("a" * 32)
    spec = spec_with(world, name="bad.yaml", more=f"privacy: {privacy}\n")
    code, _, said = command("run", spec, "--out", out)
    assert code == 2
    assert says.format(folder=world.parent) in " ".join(said.split())
    assert not (out / "audit.json").exists()


def test_letters_stay_with_their_names_and_are_not_those_of_the_alphabet():
    names = [f"person {i}" for i in range(40)]
    first = lettered(names, salt=b"audit")
    assert first == lettered(reversed(names), salt=b"audit") != lettered(names, salt=b"other")
    assert sorted(first.values(), key=lambda n: (len(n), n))[25:28] == [
        "annotator Z", "annotator AA", "annotator AB"
    ]  # fmt: skip
    assert list(first.values()) == [first[n] for n in first]
    assert [first[n] for n in names] != sorted(first.values(), key=lambda n: (len(n), n))


def test_a_split_is_renamed_whole(worlds):
    """Units too, which few outputs print: equal names stay equal, in every split."""
    given = worlds.dataset(
        [0, 1, 0, 1], units=["r1", "r1", "r2", ""], annotator=["b", "a", "b", ""]
    )
    by = Pseudonyms(b"k" * 16, {"a": "annotator A", "b": "annotator B"})
    found = renamed(given, by)
    assert found.frame["annotator"].tolist() == ["annotator B", "annotator A", "annotator B", ""]
    units = found.frame["unit"].tolist()
    assert units == [by.unit("r1"), by.unit("r1"), by.unit("r2"), ""]
    assert len({*units, *found.image_ids}) == 3 + len(given)
    assert not {*units, *found.image_ids} & {*given.frame["unit"], *given.image_ids} - {""}
    assert list(found.paths) == list(given.paths)
    assert renamed(given, Pseudonyms()).frame.equals(given.frame)


def test_the_name_of_all_small_groups_together_stands_for_nobody():
    rooms = {"role": "condition", "column": "room"}
    data = DataSpec.model_validate(
        {
            "test": {"manifest": "test.csv"},
            "columns": {"image": "file", "label": "label", "unit": "room"},
            "attributes": {"place": {**rooms, "largest": 2}, "chamber": rooms},
        }
    )
    by = Pseudonyms(b"k" * 16)
    groups = named_groups(data, "test", by)
    assert groups["place"]("other") == "other"
    assert groups["chamber"]("other") == by.unit("other")
    assert groups["place"]("r1") == groups["chamber"]("r1") == by.unit("r1")


def test_a_name_is_replaced_as_a_word_and_not_within_one():
    by = Pseudonyms(annotators={"ann": "annotator A", "ann lee": "annotator B"})
    assert by.told("Ann annotates grade_ann, by ANN LEE") == (
        "annotator A annotates grade_annotator A, by annotator B"
    )
    assert by.image("x.png") == "x.png"


def test_the_record_of_a_hidden_spec_can_be_judged_again(private, tmp_path):
    record, out = private
    judged = judge_again(out, policy="strict", out=tmp_path / "judged")
    assert judged.policy.parsed["id"] == "strict"
    assert judged.spec == record.spec
    (tmp_path / "none.yaml").write_text("declarations: []\n")
    assert judge_again(out, declarations=tmp_path / "none.yaml").findings
    assert "ottoline" not in (tmp_path / "judged" / "audit.json").read_text().lower()


def test_groups_and_rows_that_are_named_as_units_or_images_have_pseudonyms(world, tmp_path):
    """The column of units may be an attribute as well, or say which rows a split takes."""
    of = {s: sorted(set(pd.read_csv(world.parent / f"{s}.csv")["room"]))
          for s in ("train", "test", "deployment")}  # fmt: skip
    rooms = [*of["train"][:12], *of["test"], *of["deployment"]]
    unit = Pseudonyms(b"a" * 32).unit
    shares = ", ".join(f"{room}: {1 / len(rooms)}" for room in rooms)
    changes = (
        ("train: {manifest: train.csv, images: .}",
         f"train: {{manifest: train.csv, images: ., where: {{room: [{', '.join(rooms[:12])}]}}}}"),
        ("building: {role: condition}",
         f"chamber: {{role: condition, column: room, population: {{{shares}}}}}\n"
         "    shot: {role: nuisance, column: file}"),
    )  # fmt: skip
    more = "privacy: {images: pseudonyms, key: secret.key}\n"
    spec = spec_with(world, *changes, name="units.yaml", more=more)
    record = audited(spec, tmp_path / "out")
    stems = re.compile(r"(?:test|train|deployment)[-/]\d+")
    for name, text in handed_on(tmp_path / "out").items():
        assert not stems.search(text), (name, stems.search(text))
    data = record.spec.parsed["data"]
    assert data["train"]["where"]["room"] == [unit(room) for room in rooms[:12]]
    assert data["attributes"]["chamber"]["population"].keys() == set(map(unit, rooms))
    shown = (tmp_path / "out" / "tables" / "bias-subgroup-gap-groups.csv").read_text()
    assert unit(of["test"][0]) in shown


def test_a_run_asked_for_again_writes_who_is_meant_where_that_is_gone_or_changed(world, tmp_path):
    more = "privacy: {images: pseudonyms, key: secret.key}\n"
    spec, out = spec_with(world, RATED, name="again.yaml", more=more), tmp_path / "out"
    only = ("data/left-out",)
    auditor.run(spec, out=out, only=only)
    said = (out / "store" / "pseudonyms.csv").read_bytes()
    (out / "store" / "pseudonyms.csv").write_bytes(said.replace(b"annotator A", b"annotator C"))
    auditor.run(spec, out=out, only=only)
    assert (out / "store" / "pseudonyms.csv").read_bytes() == said
    (out / "store" / "pseudonyms.csv").unlink()
    auditor.run(spec, out=out, only=only)
    assert (out / "store" / "pseudonyms.csv").read_bytes() == said


def test_images_that_annotations_name_in_vain_are_not_quoted():
    """What is wrong with annotations names images, files and objects; classes are no secret."""
    amiss = (
        Failing("a class map can be read", 2, ("masks/zoe.png", "zoe.png, object 3")),
        Failing("a class is one of the model's", 1, ("shed",), of_images=False),
    )
    given = ManifestReport(2, tuple(map(result_of, amiss)), pd.DataFrame(columns=FAILING_COLUMNS))
    hidden = renamed_report(given, Pseudonyms(b"a" * 32), secret=())
    assert [r.sentence for r in hidden.results] == [
        "annotations: a class map can be read; 2 fail it and are left out.",
        "annotations: a class is one of the model's; 1 fails it and is left out (shed).",
    ]
    named = renamed_report(given, Pseudonyms(), secret=())
    assert named.results[0].sentence.endswith("left out (masks/zoe.png, zoe.png, object 3).")


def test_how_values_were_read_is_told_without_annotators():
    empty = pd.DataFrame(columns=FAILING_COLUMNS)
    given = ManifestReport(2, (), empty, notes=("Column Zoe: 2 times name no zone.",))
    hidden = renamed_report(given, Pseudonyms(annotators={"zoe": "annotator A"}), secret=())
    assert hidden.notes == ("Column annotator A: 2 times name no zone.",)


def test_tables_and_figures_of_a_run_under_names_do_not_stay_beside_one_under_pseudonyms(
    world, tmp_path
):
    named = spec_with(world, name="named.yaml")
    render(auditor.run(named, out=tmp_path, only=CHECKS), tmp_path, formats=("csv", "figures"))
    assert "test/" in (tmp_path / "tables" / "data-duplicates-test.csv").read_text()
    figures = {p.name for p in (tmp_path / "figures").iterdir()}
    for mine in ("notes.txt", "data.csv", "sales-2026.csv"):
        (tmp_path / "tables" / mine).write_text("mine")
    more = "privacy: {images: pseudonyms, key: secret.key}\n"
    hidden = spec_with(world, name="hidden.yaml", more=more)
    record = auditor.run(hidden, out=tmp_path, only=("performance/overall",))
    render(record, tmp_path, formats=("card", "csv", "figures"))
    left = {p.name for p in (tmp_path / "tables").iterdir()}
    assert "data-duplicates-test.csv" not in left
    assert {"notes.txt", "data.csv", "sales-2026.csv", "card-slices.csv"} <= left
    assert {p.name for p in (tmp_path / "figures").iterdir()} < figures


@pytest.mark.parametrize("name", ["secret.key", "tables/pseudonyms.csv"])
def test_what_tells_who_is_meant_is_not_signed(private, tmp_path, name):
    record, out = private
    folder = shutil.copytree(out, tmp_path / "signed")
    require_signable(folder, record)
    (folder / name).write_text("a" * 32)
    with pytest.raises(DataError, match="tells what the pseudonyms stand for"):
        require_signable(folder, record)
