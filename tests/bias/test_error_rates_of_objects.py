import found_worlds
import pytest

from auditor.bias.error_rates import ErrorRates
from auditor.bias.subgroup_gap import SubgroupGap
from auditor.contract.quantity_words import NAMINGS
from auditor.findings import Table, Unmeasured

ADVERSE = {"consequences": {"adverse": ("b",)}}


@pytest.mark.parametrize("seed", range(3))
def test_misses_are_of_objects_and_false_alarms_of_images(worlds, seed):
    evidence = found_worlds.detector(
        worlds, seed=seed, missed={"night": 0.6}, alarms={"day": 0.6}, spec=worlds.spec(**ADVERSE)
    )
    found = worlds.measures(ErrorRates(), evidence)
    missed = found["false-negative-difference:class=b,light=night@test"]
    alarms = found["false-positive-difference:class=b,light=day@test"]
    assert (missed.of, alarms.of) == ("object", "image")
    assert missed.interval.low > 0.05
    assert alarms.interval.low > 0.05
    assert found["false-negative-difference:class=b,light=day@test"].interval.high < 0
    assert worlds.sentence(ErrorRates, missed).startswith("Missed objects of b, night (light): ")
    assert not [m for m in found.values() if m.name.startswith("false-pos")
                and m.subject.get("occlusion")]  # fmt: skip


def test_equalised_odds_that_are_lacking_share_one_reason(worlds):
    few = {name: ("condition", ["x"] * 9 + ["y"] * 51) for name in ("lamp", "hall")}
    results = list(ErrorRates().run(found_worlds.detector(worlds, seed=0, n=60, extra=few)))
    lacking = [r for r in results if isinstance(r, Unmeasured) and r.name == "equalised-odds"]
    assert len(lacking) == 1
    for attribute in few:
        assert attribute in lacking[0].reason
    assert worlds.unfilled(ErrorRates, results) == []
    # Of adverse classes each has a reason of its own.
    evidence = found_worlds.detector(worlds, seed=0, n=60, extra=few, spec=worlds.spec(**ADVERSE))
    own = [r for r in ErrorRates().run(evidence)
           if isinstance(r, Unmeasured) and r.name == "equalised-odds"]  # fmt: skip
    assert {r.subject.get("class") for r in own} == {"b"}
    assert {r.subject.get("attribute") for r in own} >= {*few}


def test_a_table_of_groups_calls_quantities_by_their_words(worlds):
    evidence = found_worlds.detector(worlds, seed=0)
    (table,) = (r for r in SubgroupGap().run(evidence)
                if isinstance(r, Table) and r.id.endswith(":groups"))  # fmt: skip
    names = {column.name for column in table.columns}
    assert "objects found" in names
    assert {row[5] for row in table.rows} >= {"objects found", "F1 an image"}
    assert not [name for name in (*names, *(row[5] for row in table.rows)) if name in NAMINGS
                and NAMINGS[name].short != name]  # fmt: skip
