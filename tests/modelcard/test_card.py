"""The model card: every number is the record's, slices stay apart, what is missing is said."""

import dataclasses
import re

import pytest
import yaml

from auditor.findings import Verdict
from auditor.judging.judged_record import from_json
from auditor.modelcard.card import markdown, model_card
from auditor.modelcard.slices import slice_numbers, slice_table
from auditor.modelcard.story import story
from auditor.record.files import record_digest, to_json
from auditor.reports.ordering import ordered
from auditor.reports.wording import shortened
from auditor.spec.declarations import read_declarations
from auditor.stats import value

MITCHELL = ["Model details", "Intended use", "Factors", "Metrics", "Evaluation data",
            "Training data", "Quantitative analyses", "Ethical considerations",
            "Caveats and recommendations"]  # fmt: skip


@pytest.fixture(scope="module")
def card(failing):
    return model_card(failing)


@pytest.fixture(scope="module")
def front(card):
    return yaml.safe_load(card.split("---\n")[1])


def shares(record):
    """Every share that the record holds: (value, low, high, n), of measures and of their sides."""
    found = set()
    for _, m in record.measures():
        ends = m.interval
        found.add((value(m.estimate), ends.low, ends.high, m.n))
        if m.sides is not None:
            side = m.sides[0]
            found.add((value(side.estimate), side.interval.low, side.interval.high, side.n))
    return found


def test_equal_records_give_equal_cards(failing, card):
    assert model_card(from_json(to_json(failing))) == card


def test_every_number_of_the_front_matter_is_the_records(front, failing):
    known = shares(failing)
    metrics = [m for r in front["model-index"][0]["results"] for m in r["metrics"]]
    assert len(metrics) >= 20
    for metric in metrics:
        low, high = metric["args"]["ci95"]
        assert (metric["value"], low, high, metric["args"]["n"]) in known, metric["name"]


CELL = r"^([\d.]+) \[([\d.]+), ([\d.]+)\], n ([\d,]+)$"


def cells(card):
    rows = [line for line in card.splitlines() if line.startswith("| ")]
    return [cell.strip() for row in rows for cell in re.split(r"(?<!\\)\|", row)[2:-1]]


def test_every_number_of_the_tables_is_the_records(card, failing):
    known = {(f"{v:.3f}", f"{lo:.3f}", f"{hi:.3f}", f"{n:,}") for v, lo, hi, n in shares(failing)}
    found = [m.groups() for cell in cells(card) if (m := re.match(CELL, cell))]
    assert len(found) >= 20
    assert all(numbers in known for numbers in found)


def test_the_table_of_slices_has_every_slice_and_the_cards_own_numbers(failing, card):
    table = slice_table(slice_numbers(ordered(failing)))
    assert len(table.rows) > len([c for c in cells(card) if re.match(CELL, c)])
    known = shares(failing)
    assert all(row[3:7] in known for row in table.rows)
    assert len({row[:3] for row in table.rows}) == len(table.rows)
    assert "tables/card-slices.csv" in card


def test_overall_comes_first_then_deployment_then_groups(failing):
    numbers = slice_numbers(ordered(deployed(failing)))
    order = [(n.rank, n.split) for n in numbers if n.rank != 1]
    assert order == sorted(order, key=lambda at: (at[0], at[1] != "test"))
    assert order[0] == (0, "test")
    assert (0, "deployment") in order
    assert order[-1][0] >= 2


def deployed(record):
    """The record with its overall accuracy measured once more, where the model will run."""
    results = []
    for each in record.results:
        more = [
            dataclasses.replace(m, subject=dataclasses.replace(m.subject, split="deployment"))
            for m in each.measures
            if m.name == "accuracy" and not m.subject.keys and m.subject.split == "test"
        ]
        results.append(dataclasses.replace(each, measures=(*each.measures, *more)))
    return dataclasses.replace(record, results=tuple(results))


def test_each_slice_has_a_dataset_config_of_its_own(failing):
    front = yaml.safe_load(model_card(deployed(failing)).split("---\n")[1])
    results = front["model-index"][0]["results"]
    configs = [r["dataset"]["config"] for r in results]
    assert len(configs) == len(set(configs))
    assert configs[:2] == ["test: all", "deployment: all"]
    assert "test: household=accessible" in configs
    for result in results:
        kinds = [m["type"] for m in result["metrics"]]
        assert len(kinds) == len(set(kinds))
        assert result["task"]["type"] == "image-classification"
        assert result["dataset"]["split"] == result["dataset"]["config"].partition(":")[0]


def test_hugging_face_reads_it_offline(card, front, tmp_path, monkeypatch):
    hub = pytest.importorskip("huggingface_hub")
    path = tmp_path / "MODEL_CARD.md"
    path.write_text(card, encoding="utf-8")
    monkeypatch.setattr("socket.socket.connect", lambda *_: pytest.fail("the network was used"))
    data = hub.ModelCard.load(path).data
    metrics = [m for r in front["model-index"][0]["results"] for m in r["metrics"]]
    assert len(data.eval_results) == len(metrics)
    assert {r.dataset_config for r in data.eval_results} == {
        r["dataset"]["config"] for r in front["model-index"][0]["results"]
    }
    first = data.eval_results[0]
    assert (first.dataset_config, first.metric_args["slice"]) == ("test: all", "all")
    low, high = first.metric_args["ci95"]
    assert low < first.metric_value < high
    assert data.license is None


def test_a_licence_is_named_only_where_one_is_stated(failing, front):
    assert "license" not in front
    for said, expected in (
        ("Apache-2.0", {"license": "apache-2.0"}),
        ("ask the housing office", {"license": "other", "license_name": "ask the housing office"}),
    ):
        text = model_card(stating(failing, licence=said))
        front = yaml.safe_load(text.split("---\n")[1])
        assert {k: v for k, v in front.items() if k.startswith("license")} == expected
        assert f"- Licence: {said} *(declared in the audit spec" in text


def test_what_a_reader_reads_is_short_and_the_long_tail_is_elsewhere(housing, worlds, tmp_path):
    big = housing.record(worlds, tmp_path, corridors=14)
    body = model_card(big).split("---\n", 2)[2]
    assert len(body.encode()) < 15_000
    assert "more in tables/card-slices.csv" in body
    shown = sum(1 for line in body.splitlines() if line.startswith("| "))
    assert len(slice_table(slice_numbers(ordered(big))).rows) > 2 * shown


def test_the_audit_block_names_verdict_policy_and_record(front, failing):
    audit = front["audit"]
    assert audit["verdict"] == failing.verdict.value
    assert audit["policy"]["sha256"] == failing.policy.digest
    assert audit["audit_json_sha256"] == record_digest(failing)
    assert audit["model_sha256"] == failing.model.digest


def test_sections_are_those_of_mitchell_in_their_order(card):
    assert re.findall(r"^## (.+)$", card, flags=re.MULTILINE) == MITCHELL


def stating(record, **system):
    parsed = dict(record.spec.parsed)
    parsed["audit"] = parsed["audit"] | {"system": system}
    return dataclasses.replace(record, spec=dataclasses.replace(record.spec, parsed=parsed))


def test_what_people_stated_is_declared_and_the_rest_is_missing(card, failing):
    assert (
        "What it does: Sorting photos of student rooms for fire-safety inspection *(declared in "
        "the audit spec, without owner or date)*" in card
    )
    assert "Way to object: **MISSING**" in card
    bare = stating(failing)
    parsed = dict(bare.spec.parsed) | {"consequences": {}}
    bare = dataclasses.replace(bare, spec=dataclasses.replace(bare.spec, parsed=parsed))
    assert model_card(bare).count("**MISSING**") == 16


DECLARED = """
declarations:
  - {key: intended-use, statement: Grades photos., owner: {name: A. Person, role: owner},
     date: 2026-09-14, expires: 2027-09-14}
  - {key: appeal, statement: A form., owner: {name: B}, date: 2025-01-01, expires: 2025-12-31}
"""


def test_a_statement_names_its_owner_and_dates_and_an_old_one_is_marked(failing, tmp_path):
    path = tmp_path / "declarations.yaml"
    path.write_text(DECLARED)
    text = model_card(dataclasses.replace(failing, declarations=read_declarations(path)))
    assert (
        "What it does: Grades photos. *(declared by A. Person, owner on 2026-09-14, valid until "
        "2027-09-14)*\n" in text
    )
    assert (
        "Way to object: A form. *(declared by B on 2025-01-01, valid until 2025-12-31)* "
        "**Out of date when this audit ran.**" in text
    )


def test_names_from_outside_neither_break_tables_nor_become_html(card, housing):
    body = card.split("---\n", 2)[2]
    assert "<script" not in body
    assert "&lt;script&gt;" in body
    block, widths = 0, {}
    for line in body.splitlines():
        if line.startswith("|"):
            cells = len(re.findall(r"(?<!\\)\|", line))
            widths.setdefault(block, cells)
            assert widths[block] == cells, line
        else:
            block += 1
    assert markdown("a|b*c_d`e<f>[g]\n# h") == r"a\|b\*c\_d\`e&lt;f&gt;\[g\] \# h"


def test_endless_names_are_cut_and_none_turns_the_text_after_it(failing):
    long, turned = "n" * 300, "\u202egnorw"
    display = {"accessible": long, "single": f"{long}s", "old": turned, "family": "شقة عائلية"}
    parsed = dict(failing.spec.parsed) | {"display": display}
    spec = dataclasses.replace(failing.spec, parsed=parsed)
    body = model_card(dataclasses.replace(failing, spec=spec)).split("---\n", 2)[2]
    rows = [line for line in body.splitlines() if line.startswith("|")]
    assert "\u202e" not in body
    assert any("gnorw" in row for row in rows)
    assert any("شقة عائلية" in row for row in rows)
    assert max(map(len, rows)) < 400
    assert sum(row.startswith("| " + "n" * 70) and "…" in row for row in rows) == 2


def test_hostile_titles_stay_yaml(failing):
    title = 'x: "y"\n---\n- {a: !!python/object:os.system}'
    parsed = dict(failing.spec.parsed)
    parsed["audit"] = parsed["audit"] | {"title": title}
    spec = dataclasses.replace(failing.spec, parsed=parsed)
    text = model_card(dataclasses.replace(failing, spec=spec))
    end = text.index("\n---\n\n# Model card")
    assert yaml.safe_load(text[4:end])["model-index"][0]["name"] == title


def test_what_was_found_and_what_cannot_be_tested_are_there(card, failing):
    told = story(ordered(failing))
    counts = [told.met, told.not_met, told.not_decided, told.not_measured]
    assert sum(counts) == len(failing.limit_results)
    failed = [r for r in failing.limit_results if r.verdict is Verdict.FAIL]
    assert told.not_met == len(failed) > 0
    assert f"{len(failed)} not met" in card
    assert "Of 100 images of accessible (household) that are not “serious”" in card
    assert "Before release: " in card
    assert "Cannot be tested by this tool" in card
    assert "Does not meet policy" in card
    assert "not a legal opinion" in card


def test_the_basis_of_a_sensitive_attribute_is_declared(failing, card):
    assert "Basis" not in card
    first, *others = failing.datasets
    attributes = [dataclasses.replace(a, basis="Consent. Declared by A.") for a in first.attributes]
    first = dataclasses.replace(first, attributes=tuple(attributes))
    declared = model_card(dataclasses.replace(failing, datasets=(first, *others)))
    lines = [line for line in declared.splitlines() if "Basis *(declared)*" in line]
    assert len(lines) == len(attributes) > 0
    assert all(line.endswith(". Basis *(declared)*: Consent. Declared by A.") for line in lines)
    assert all(line.startswith("- ") for line in lines)


def test_the_factors_are_all_groups_that_were_compared(failing):
    first, *others = failing.datasets
    few = tuple(dataclasses.replace(a, groups=a.groups[:1]) for a in first.attributes)
    card = model_card(
        dataclasses.replace(failing, datasets=(dataclasses.replace(first, attributes=few), *others))
    )
    factors = card.partition("## Factors")[2].partition("##")[0].splitlines()
    compared = {pair for number in slice_numbers(ordered(failing)) for pair in number.groups}
    assert compared
    for attribute, group in compared:
        (line,) = (line for line in factors if line.startswith(f"- {attribute} ("))
        assert markdown(shortened(group, 60)) in line or " more" in line, line


def test_images_that_are_in_no_group_are_counted_beside_the_groups(failing, card):
    assert "in no group" not in card
    first, *others = failing.datasets
    attribute = dataclasses.replace(first.attributes[0], missing=7)
    first = dataclasses.replace(first, attributes=(attribute, *first.attributes[1:]))
    told = model_card(dataclasses.replace(failing, datasets=(first, *others)))
    (line,) = (line for line in told.splitlines() if "in no group" in line)
    assert line.startswith(f"- {attribute.name} (")
    counted = f"7 of {first.n:,} {first.split} images"
    assert line.endswith(f"; in no group, and compared with none: {counted}")


def test_what_n_counts_is_told_with_the_units_and_no_name_of_a_key(failing, card):
    assert "n counts images, objects, answers or rooms." in card
    told = card.partition("\n# Model card")[2]
    assert "unit accuracy" not in told


def test_limits_that_were_not_measured_are_told_as_not_tested(failing, card):
    order = ordered(failing)
    lacking = [f for f in order.findings if f.verdict is Verdict.NOT_RUN]
    named = {order.short(f) for f in lacking if order.measure(f) or not order.group(f)}
    assert named
    (said,) = [line for line in card.splitlines() if line.startswith("- Not tested: ")]
    for name in named:
        assert markdown(shortened(name, 48)) in said
