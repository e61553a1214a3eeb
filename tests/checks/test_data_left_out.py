"""What was left out: counted by reason with its likely cause, and no policy passes over it."""

from types import SimpleNamespace

import pandas as pd
import pytest
from coloured_rooms import POLICY, make_world

import auditor
from auditor.checks.data_left_out import _share
from auditor.data.left_out import label_cause, lost_classes
from auditor.errors import SpecError
from auditor.judging.policy_file import load_policy, parse_policy
from auditor.record import SetApart
from auditor.reports.summary import summary_lines
from auditor.stats import value

ONLY = ("performance/overall",)
PASSING = POLICY.partition("  - {id: groups")[0].replace(
    'id: better-than-guessing, measure: "performance/baseline:gain", above: 0',
    'id: right, measure: "performance/overall:accuracy", at_least: 0.6',
)


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    path = make_world(tmp_path_factory.mktemp("worlds") / "rooms", sizes=(120, 24, 24))
    spec = path.read_text().partition("claims:")[0] + "policy: policy.yaml\n"
    spec = spec.replace("  train: {manifest: train.csv, images: .}\n", "")
    path.write_text(spec.replace("  deployment: {manifest: deployment.csv, images: .}\n", ""))
    path.with_name("policy.yaml").write_text(PASSING)
    return path


@pytest.fixture
def audited(world, tmp_path):
    """Audit the world with another test manifest, spec or policy."""

    def run(change=lambda table: table, *, policy=PASSING, old="", new=""):
        table = pd.read_csv(world.with_name("test.csv"))
        changed = change(table.copy())
        (table if changed is None else changed).to_csv(world.with_name("c.csv"), index=False)
        spec = world.with_name("changed.yaml")
        text = world.read_text().replace("test.csv", "c.csv")
        assert old in text
        spec.write_text(text.replace(old, new))
        (tmp_path / "policy.yaml").write_text(policy)
        return auditor.run(
            spec, out=world.parent / "out", only=ONLY, policy=str(tmp_path / "policy.yaml")
        )

    return run


def limit_verdicts(record) -> dict[str, str]:
    return {str(r.limit["id"]): str(r.verdict) for r in record.limit_results}


def reasons(record) -> dict[str, int]:
    return {one.reason: one.n for one in record.dataset("test").left_out}


def with_labels(rows, label):
    def change(table):
        table.loc[table.index[rows], "label"] = label
        return table

    return change


def test_a_whole_world_meets_its_policy_and_says_nothing_of_rows(audited):
    record = audited()
    assert record.verdict == "PASS"
    assert limit_verdicts(record) == {
        "right": "PASS", "left-out": "PASS", "classes-left-out": "PASS",
    }  # fmt: skip
    assert record.dataset("test").n_rows == record.dataset("test").n == 120
    assert not any("Left out" in line for line in summary_lines(record))


def spelled(how):
    def change(table):
        table["label"] = table["label"].replace("red", how)
        return table

    return change


@pytest.mark.parametrize("written", ["RED", "rd", "Red.", "r e d"])
def test_a_class_written_otherwise_never_passes_and_is_told_what_was_meant(audited, written):
    record = audited(spelled(written))
    assert record.verdict == "FAIL"
    assert limit_verdicts(record)["right"] == "PASS"
    assert limit_verdicts(record)["classes-left-out"] == "FAIL"
    said = "\n".join(summary_lines(record))
    assert f"{written!r}" in said
    assert "did you mean 'red'" in said
    n = reasons(record)["unknown_label"]
    assert record.dataset("test").n == 120 - n > 0
    share = value(record.results_by_id["data/left-out:largest-share@test"].estimate)
    assert share == pytest.approx(n / 120)


def test_a_typo_in_the_spec_is_told_as_one(audited):
    record = audited(old="[red, blue]", new="[red, bleu]")
    assert record.verdict == "FAIL"
    assert "did you mean 'bleu'" in record.dataset("test").left_out[0].cause


def repeat(table):
    return pd.concat([table, table[:10]])


def relabel(table):
    return pd.concat([table, table[:4].assign(label=table["label"][:4].map(
        {"red": "blue", "blue": "red"}))])  # fmt: skip


def lose_files(table):
    table.loc[:3, "file"] = [f"gone/{i}.png" for i in range(4)]
    return table


@pytest.mark.parametrize(
    ("change", "counted", "verdict"),
    [
        (with_labels(slice(0, 1), "purple"), {"unknown_label": 1}, "PASS"),
        (with_labels(slice(0, 2), "purple"), {"unknown_label": 2}, "FAIL"),
        (with_labels(slice(0, 5), None), {"unlabelled": 5}, "FAIL"),
        (lose_files, {"absent": 4}, "FAIL"),
        (relabel, {"conflicting_row": 8}, "FAIL"),
        # The first row of each is measured: nothing is lost.
        (repeat, {"repeated_row": 10}, "PASS"),
    ],
)
def test_each_reason_is_counted_and_held_to_one_in_a_hundred(audited, change, counted, verdict):
    record = audited(change)
    assert reasons(record) == counted
    assert limit_verdicts(record)["left-out"] == verdict
    assert record.verdict == verdict


@pytest.mark.parametrize(
    ("reason", "said"),
    [
        ("seen_image", {"seen"}), ("seen_unit", {"seen"}), ("conflicting_label", {"two_labels"}),
        ("absent", set()),
    ],
)  # fmt: skip
def test_a_reason_that_another_check_counts_is_a_fact(reason, said):
    evidence = SimpleNamespace(manifest_report=lambda split: SimpleNamespace(n_rows=100))
    lost = (SetApart("unlabelled", 1), SetApart(reason, 30))
    facts = _share(evidence, "test", lost).facts
    assert facts.keys() & {"seen", "two_labels"} == said


def with_splits(table):
    table["part"] = ["test"] * 100 + ["Test"] * 5 + ["val"] * 14 + [None]
    return table


def test_rows_that_where_takes_into_no_split_are_counted(audited):
    record = audited(with_splits, old="images: .}", new="images: ., where: {part: test}}")
    assert reasons(record) == {"unplaced": 6, "elsewhere": 14}
    assert "'val' (14 rows)" in record.dataset("test").left_out[-1].cause
    assert record.dataset("test").n_rows == 106
    assert record.verdict == "FAIL"


def test_a_policy_may_state_another_share_with_its_reason(audited):
    change = with_labels(slice(0, 12), "purple")
    own = "  - {id: left-out, at_most: 0.1, why: one camera was mislabelled}\n"
    assert audited(change).verdict == "FAIL"
    record = audited(change, policy=PASSING + own)
    assert record.verdict == "PASS"
    assert [r.limit["why"] for r in record.limit_results if r.limit["id"] == "left-out"] == [
        "one camera was mislabelled"
    ]


@pytest.mark.parametrize(
    "line",
    [
        "{id: left-out, at_most: 0.1}",
        "{id: left-out, at_most: 0.1, why: a, severity: advisory}",
        "{id: left-out, at_most: 0.1, why: a, required: false}",
        "{id: classes-left-out, why: a}",
    ],
)
def test_a_condition_is_not_made_weaker_otherwise(line):
    for text in (PASSING, PASSING.replace("limits:", "extends: default\nlimits:")):
        with pytest.raises(SpecError, match="holds in every policy"):
            parse_policy(f"{text}  - {line}\n", name="mine.yaml")


@pytest.mark.parametrize("name", ["default", "strict"])
def test_built_in_policies_leave_the_conditions_as_they_are(name):
    ids = {limit.id for limit in load_policy(name).policy.limits}
    assert not ids & {"left-out", "classes-left-out"}


def test_a_policy_that_asks_nothing_else_decides_nothing(audited):
    record = audited(policy=PASSING.partition("  - {id: right")[0].replace("limits:", "limits: []"))
    assert limit_verdicts(record) == {"left-out": "PASS", "classes-left-out": "PASS"}
    assert record.verdict == "INCONCLUSIVE"


def test_plan_counts_rows_too(world, audited):
    audited(spelled("RED"))
    lines = "\n".join(auditor.plan(world.with_name("changed.yaml")))
    assert "test: 120 rows" in lines
    assert "images whose label is no class ('RED'" in lines


@pytest.mark.parametrize(
    ("unknown", "classes", "seen", "said"),
    [
        ({"6": 45}, "012345", {1, 2, 3, 4, 5, -2}, "every label is read one off"),
        ({"1": 4, "2": 4}, ("sky", "sea"), set(), "every label is read one off"),
        ({"6": 45}, "012345", {0, 1, 2, 3, 4, 5}, "'6' (45 rows) is none of 0, 1, 2, 3, 4, ..."),
        ({"SKY": 1}, ("sky", "sea"), {1}, "'SKY' (1 row): did you mean 'sky' (only capitals"),
        ({"sky": 9}, ("sky ", "sea"), {1}, "did you mean 'sky ' (only capitals, spaces"),
        ({"e\u0301cole": 9}, ("\u00e9cole", "sea"), {1}, "only capitals, spaces or accents"),
        ({"skyy": 9}, ("sky", "sea"), {1}, "did you mean 'sky'?"),
    ],
)
def test_likely_causes(unknown, classes, seen, said):
    assert said in label_cause(unknown, tuple(classes), seen=seen)


@pytest.mark.parametrize(
    ("rows", "unknown", "left", "lost"),
    [
        ({"a": 5, "b": 5}, {}, {"a": 5, "b": 0}, {"b": "b"}),
        ({"sky": 0, "sea": 5}, {"sjy": 4}, {"sky": 0, "sea": 5}, {"sky": "sjy"}),
        ({"sky": 0, "sea": 5}, {"heaven": 4}, {"sky": 0, "sea": 5}, {"heaven": "heaven"}),
        ({"sky": 3, "sea": 5}, {"heaven": 4}, {"sky": 3, "sea": 5}, {}),
        ({"sky": 0, "sea": 5}, {}, {"sky": 0, "sea": 5}, {}),
    ],
)
def test_classes_that_are_gone_whole(rows, unknown, left, lost):
    assert lost_classes(rows, unknown, left) == lost
