"""The housing lab's audit against the planted truth, flaw by flaw and in both directions."""

from pathlib import Path
from urllib.parse import quote

import pandas as pd
import pytest

import auditor
from auditor.data.pseudonyms import lettered
from auditor.findings import Verdict
from auditor.reports.answers import answer_text
from auditor.reports.ordering import ordered
from auditor.stats import interval, value

pytestmark = pytest.mark.slow

HOUSING = Path(auditor.__file__).parents[1] / "examples" / "housing"


ONLY = (
    "data", "performance", "bias", "shift", "shortcut/metadata", "shortcut/toggle",
    "deployment/latency", "deployment/variants",
)  # fmt: skip
"""Checks that find what is planted or must not flag what is sound; all take twice as long."""


@pytest.fixture(scope="module")
def record(tmp_path_factory):
    out = tmp_path_factory.mktemp("housing")
    return auditor.run(HOUSING / "audit.yaml", out=out, only=ONLY)


def verdicts(record, limit: str) -> dict[str, Verdict | None]:
    return {f.id: f.verdict for f in record.findings if f.limit == limit}


def failed(record) -> set[str]:
    return {f.id for f in record.findings if f.verdict is Verdict.FAIL}


def measured(record, name: str) -> float:
    finding = record.finding(name)
    assert finding is not None, f"{name} was not measured"
    measure = record.measure(finding)
    assert measure is not None, record.result(finding).reason
    return value(measure.estimate)


def test_the_audit_does_not_meet_the_policy(record):
    assert record.verdict is Verdict.FAIL


def test_1_leakage_is_found_and_the_claim_rests_on_it(record):
    assert measured(record, "data/leakage:seen-share@test") > 0.5
    assert set(verdicts(record, "seen-in-training").values()) == {Verdict.FAIL}
    given = measured(record, "performance/claims:accuracy:claim=1,part=as-given@test")
    assert given == pytest.approx(0.91, abs=0.015)
    assert set(verdicts(record, "claim:1").values()) == {Verdict.FAIL}
    assert set(verdicts(record, "overfitting").values()) == {Verdict.FAIL}


def test_2_the_shortcut_is_found_by_who_took_the_photo_and_by_adding_the_badge(record):
    assert Verdict.FAIL in verdicts(record, "shortcut-source").values()
    assert Verdict.FAIL in verdicts(record, "shortcut-marker").values()


def test_3_deployment_photos_are_graded_worse(record):
    assert set(verdicts(record, "deployment-accuracy").values()) == {Verdict.FAIL}
    assert measured(record, "shift/accuracy:lost@deployment") > 0.06


def test_3_the_shift_is_named_by_phone_and_hour_and_seen_by_the_model(record):
    commoner = {i for i, v in verdicts(record, "deployment-groups").items() if v is Verdict.FAIL}
    assert {"phone=old", "time_of_day=night"} <= {
        i.partition("share:")[2].partition("@")[0] for i in commoner
    }
    assert not {i for i in commoner if "floor" in i or "building" in i or "room_type" in i}
    assert measured(record, "shift/embeddings:any@deployment") > 0.7
    assert measured(record, "shift/labels:remains@deployment") > 0.7
    order = ordered(record)
    (matches,) = (a for a in record.answers if "match where" in a.question.value)
    why = answer_text(matches, order).why
    assert why.startswith("Old phones: 61 of 100 there, 4 in the test")
    assert "night photos: 37 of 100 there, 15 in the test" in why


def test_3_what_it_costs_is_estimated_without_labels_and_the_truth_lies_inside(record):
    finding = record.finding("shift/estimated-accuracy:estimated-lost@deployment")
    assert finding.verdict is None
    said = record.measure(finding).facts
    assert said["low"] < said["measured"] < said["high"]
    assert said["estimate"] < said["right_test"]
    parts = [f"shift/accuracy:lost-{p}@deployment" for p in ("with-mix", "with-images", "alike")]
    lost = measured(record, "shift/accuracy:lost@deployment")
    assert sum(measured(record, part) for part in parts) == pytest.approx(lost, abs=0.01)


def test_4_accessible_rooms_are_wrongly_called_serious_more_often(record):
    name = "bias/error-rates:false-positive-ratio:class=serious,room_type=accessible@test"
    finding = record.finding(name)
    assert finding.verdict is Verdict.FAIL
    measure = record.measure(finding)
    assert interval(measure.estimate).low > 1.25
    assert 2.0 <= value(measure.estimate) <= 4.5
    said = verdicts(record, "false-serious")
    others = {i for i, verdict in said.items() if verdict is Verdict.FAIL} - {name}
    assert not {i for i in others if "room_type" in i}


def test_5_one_inspector_is_severe_about_dense_hangings_and_the_other_is_not(record):
    found = failed(record)
    severe = {i for i in found if i.startswith("bias/label-agreement:severity")}
    assert severe
    called = lettered(["ames", "birk"], salt=b"")
    birk = quote(f"annotator={called['birk']}", safe="=")
    assert all(birk in i and "hangings=dense" in i for i in severe)
    assert "birk" not in record.canonical


def test_6_family_and_accessible_rooms_are_missing_from_training(record):
    lacking = {i for i in failed(record) if i.startswith("bias/representation:share-ratio")}
    assert {i for i in lacking if "room_type" in i} == {
        "bias/representation:share-ratio:room_type=accessible@train",
        "bias/representation:share-ratio:room_type=family@train",
    }
    # The rest of what is missing is the shift: the nights and the phones of deployment.
    rest = {i for i in lacking if "room_type" not in i}
    assert all("time_of_day=night" in i or "phone=old" in i for i in rest)


def test_7_it_is_too_sure_and_more_so_where_it_will_run(record):
    assert set(verdicts(record, "calibration-deployment").values()) == {Verdict.FAIL}
    test = measured(record, "performance/calibration:ece@test")
    deployment = measured(record, "performance/calibration:ece@deployment")
    assert deployment > test


def test_8_the_edge_form_keeps_the_average_of_the_test_and_fails_night_photos(record):
    overall = verdicts(record, "edge-accuracy")
    lost = "deployment/variants:accuracy-lost@deployment+edge"
    assert overall.pop("deployment/variants:accuracy-lost@test+edge") is Verdict.PASS
    assert overall.keys() == {lost}
    # Kernels of whole numbers differ by processor, and with them how surely it loses too much.
    assert overall[lost] in (Verdict.FAIL, Verdict.INCONCLUSIVE)
    assert measured(record, lost) > 2 * 0.02
    hours = verdicts(record, "edge-hours")
    night = {i for i in hours if "time_of_day=night" in i}
    assert {i for i, verdict in hours.items() if verdict is Verdict.FAIL} == {
        "deployment/variants:accuracy-lost:time_of_day=night@deployment+edge"
    }
    assert {hours[i] for i in hours.keys() - night} == {Verdict.PASS}


@pytest.mark.parametrize("sound", ["floor=", "building=new"])
def test_what_is_sound_is_not_flagged(record, sound):
    flagged = {i for i in failed(record) if sound in i}
    leaning = {f.id for f in record.findings if f.leaning == "worse" and sound in f.id}
    judged = {i for i in verdicts(record, "subgroup-accuracy") if sound in i}
    assert judged, "a sound group that nobody measured would pass here too"
    assert not flagged
    assert not leaning


@pytest.mark.parametrize(
    ("name", "title"),
    [
        ("shortcut/metadata:accuracy-worth:attribute=floor@test", "rests on floor: cleared"),
        ("shortcut/toggle:accuracy-lost:artefact=mirroring@test", "mirroring is added: cleared"),
    ],
)
def test_floor_and_mirroring_are_cleared_by_name(record, name, title):
    finding = record.finding(name)
    assert record.measure(finding).facts["cleared"]
    assert ordered(record).title(finding).endswith(title)


def test_latency_on_the_target_is_not_flagged(record):
    said = verdicts(record, "target:p99_ms").values()
    assert said
    assert Verdict.FAIL not in said


def test_page_one_names_the_reasons(record):
    order = ordered(record)
    answers = {a.question: answer_text(a, order).answer for a in record.answers}
    assert answers["Does the test data match where it will run?"] == "No"
    assert answers["Does the training data represent everyone?"] == "No"
    assert answers["Was performance measured per group?"] == "Yes, and it is unequal"
    assert "48 hours" in answers["What happens when it is wrong, and to whom?"]


def test_the_audit_reads_nothing_of_the_instructors(record):
    truth = pd.read_csv(HOUSING / "instructor" / "truth.csv", keep_default_na=False)
    assert set(truth.columns) >= {"room", "true_grade", "hazards", "label"}
    assert "true_grade" not in (HOUSING / "test.csv").read_text()
    assert "instructor" not in (HOUSING / "audit.yaml").read_text()


def test_the_photos_fit_the_repository():
    files = list((HOUSING / "images").rglob("*.jpg"))
    assert len(files) > 6000
    assert sum(f.stat().st_size for f in files) <= 25e6
    models = [*HOUSING.glob("*.onnx"), *HOUSING.glob("*.safetensors")]
    assert len(models) == 4
    assert sum(f.stat().st_size for f in models) <= 12e6


def spec_with(folder: Path, *changes: tuple[str, str]) -> Path:
    """The lab's spec as a student might leave it, its paths made absolute."""
    text = (HOUSING / "audit-v2.yaml").read_text().replace("model-v2.onnx", "model.onnx")
    for name in ("model.onnx", "marker.png", "policy.yaml", "declarations.yaml", "images"):
        text = text.replace(f": {name}", f": {(HOUSING / name).as_posix()}")
    for split in ("train", "test-v2", "deployment"):
        text = text.replace(f"{split}.csv", (HOUSING / f"{split}.csv").as_posix())
    for old, new in changes:
        assert old in text, f"audit-v2.yaml has no {old!r}"
        text = text.replace(old, new)
    path = folder / "audit.yaml"
    path.write_text(text)
    return path


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (("label: label", "label: grade"), ("'grade'", "label")),
        (("unit: room\n", "unit: rom\n"), ("'rom'", "room")),
        (("train.csv", "trian.csv"), ("trian.csv",)),
        (("model.onnx", "modle.onnx"), ("modle.onnx",)),
        (("    hangings: {role: condition}", "    posters: {role: condition}"), ("posters",)),
        (("[compliant, minor, serious]", "[compliant, minor, severe]"), ("serious", "severe")),
        (("gold: expert_grade", "gold: expert"), ("'expert'", "expert_grade")),
    ],
)
def test_what_a_student_gets_wrong_is_said_in_a_sentence(tmp_path, change, said):
    with pytest.raises(auditor.AuditorError) as caught:
        auditor.plan(spec_with(tmp_path, change))
    for words in said:
        assert words in str(caught.value)


def test_a_wrong_class_order_is_found_and_the_right_one_named(tmp_path):
    wrong = ("classes: [compliant, minor, serious]", "classes: [minor, compliant, serious]")
    # Which photos are copies tells nothing of it, and takes half of the time.
    alone = ("\ndata:\n", "\ndata:\n  duplicates: {near: off}\n")
    spec = spec_with(tmp_path, wrong, alone)
    # One split is enough to tell the order of classes, and half the images need no reading.
    lines = spec.read_text().splitlines(keepends=True)
    spec.write_text("".join(x for x in lines if not x.startswith(("  train:", "  deployment:"))))
    found = auditor.run(spec, out=tmp_path / "out", only=("model/preprocessing",))
    failing = [f for f in found.findings if f.verdict is Verdict.FAIL]
    (measure,) = map(found.measure, failing)
    assert list(measure.facts["classes"]) == ["compliant", "minor", "serious"]


@pytest.mark.parametrize("name", ["model", "model-edge", "model-v2"])
def test_a_model_file_names_no_path_of_the_machine_that_trained_it(name):
    held = (HOUSING / f"{name}.onnx").read_bytes()
    assert b"site-packages" not in held
    assert b'File "' not in held
