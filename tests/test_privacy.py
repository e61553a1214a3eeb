"""Attributes of people through the command line: their basis, and none at all."""

import json

import numpy as np
import pandas as pd
import pytest
from coloured_rooms import make_world

from auditor.engine.run import judge_again
from auditor.findings import Verdict

BASIS = """
declarations:
  - key: basis-house-hold
    statement: Asked for with consent, for this audit alone.
    owner: {name: A. Person, role: equal opportunities officer}
    date: 2026-01-10
"""


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    """Rooms with a second attribute: 3 rooms are accessible, 12 family, in every split."""
    spec = make_world(tmp_path_factory.mktemp("worlds") / "small", sizes=(240, 120, 120))
    for split in ("test", "train", "deployment"):
        path = spec.parent / f"{split}.csv"
        table = pd.read_csv(path)
        room = pd.factorize(table["room"])[0]
        table["house_hold"] = np.select([room < 3, room < 15], ["accessible", "family"], "single")
        table.to_csv(path, index=False)
    return spec


def spec_with(world, *changes, name="changed.yaml"):
    text = world.read_text()
    for old, new in changes:
        assert old in text
        text = text.replace(old, new)
    path = world.parent / name
    path.write_text(text)
    return path


SENSITIVE = ("building: {role: condition}",
             "building: {role: condition}\n    house_hold: {role: sensitive}")  # fmt: skip
DECLARED = ("policy: policy.yaml", "policy: policy.yaml\ndeclarations: people.yaml")


def test_a_sensitive_attribute_without_a_basis_stops_before_anything_is_read(
    world, command, tmp_path, monkeypatch
):
    monkeypatch.setattr("auditor.engine.run.load", lambda *_, **__: pytest.fail("data were read"))
    for verb in (("run", "--out", tmp_path / "out"), ("plan",)):
        code, _, said = command(verb[0], spec_with(world, SENSITIVE), *verb[1:])
        assert code == 2
        assert "data.attributes.house_hold is sensitive and has no basis declared" in said
        assert "key basis-house-hold to a declarations.yaml" in " ".join(said.split())
        assert "take the attribute out" in " ".join(said.split())
    assert not (tmp_path / "out" / "audit.json").exists()


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (("date: 2026-01-10", "date: 2026-01-10\n    expires: 2026-01-11"),
         "basis-house-hold expired on 2026-01-11"),
        (("Asked for with consent, for this audit alone.", '" "'), "has no statement or no owner"),
        (("basis-house-hold", "basis-age"), "has no basis declared"),
    ],
)  # fmt: skip
def test_a_basis_that_does_not_hold_is_none(world, command, tmp_path, change, says):
    (world.parent / "people.yaml").write_text(BASIS.replace(*change))
    code, _, said = command("plan", spec_with(world, SENSITIVE, DECLARED))
    assert code == 2
    assert says in " ".join(said.split())


def test_without_any_attribute_the_audit_is_not_decided(world, command, tmp_path):
    """No group is named, so none was measured: that is no pass under any policy."""
    no_attribute = ("  attributes:\n    building: {role: condition}\n", "")
    spec = spec_with(world, no_attribute, name="none.yaml")
    code, _, err = command("run", spec, "--out", tmp_path / "out")
    assert code == 3, err
    record = json.loads((tmp_path / "out" / "audit.json").read_text())
    assert "data.attributes" in json.dumps(record["results"])
    assert record["verdict"] == "INCONCLUSIVE"
    for policy in ("policy.yaml", "default", "strict"):
        named = world.parent / policy if policy.endswith(".yaml") else policy
        judged = judge_again(tmp_path / "out", policy=str(named))
        assert judged.verdict in (Verdict.INCONCLUSIVE, Verdict.FAIL)
        gaps = [f for f in judged.findings if f.check == "bias/subgroup-gap"]
        assert all(f.verdict is not Verdict.PASS for f in gaps)
