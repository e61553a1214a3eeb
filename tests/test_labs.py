"""What the labs' assignments tell a reader to type does what they say."""

import re
from pathlib import Path

import pandas as pd
import pytest

import auditor
from auditor.data.attributes import bin_names
from auditor.spec import AuditSpec
from auditor.spec.spec_file import read_spec

LABS = Path(auditor.__file__).parents[1] / "examples"
NAMES = ("housing", "kitchen", "street")


def commands(lab: str) -> list[str]:
    """The lines of the assignment that call `auditor`."""
    text = (LABS / lab / "README.md").read_text(encoding="utf-8")
    return re.findall(r"^ *\.venv/bin/auditor (.+)$", text, flags=re.MULTILINE)


@pytest.mark.slow
@pytest.mark.parametrize("lab", NAMES)
def test_every_check_that_a_step_asks_for_runs(lab):
    asked = {check for line in commands(lab) for check in re.findall(r"--only (\S+)", line)}
    assert len(asked) > 5
    lines = list(auditor.plan(LABS / lab / "audit.yaml", only=sorted(asked)))
    assert "Will not run (0):" in lines, lines
    assert asked <= {line.strip() for line in lines}


def groups_of(spec: AuditSpec, lab: str) -> dict[str, set[str]]:
    """The groups of each attribute that the manifests have a column for, or that are bins."""
    splits = [getattr(spec.data, split) for split in ("test", "train", "deployment")]
    rows = pd.concat(pd.read_csv(LABS / lab / split.manifest, dtype=str, keep_default_na=False)
                     for split in splits)  # fmt: skip
    return {
        name: set(bin_names(one.bins) if one.bins else rows[one.column or name])
        for name, one in spec.data.attributes.items()
        if one.bins or (one.column or name) in rows
    }


@pytest.mark.parametrize("lab", [f"{lab}/audit.yaml" for lab in NAMES] + ["housing/audit-v2.yaml"])
def test_readers_are_shown_names_of_all_groups_of_an_attribute_or_of_none(lab):
    spec = read_spec(LABS / lab).spec
    found = groups_of(spec, lab.partition("/")[0])
    assert len(found) > 3
    for name, groups in found.items():
        named = {g for g in groups if f"{name}={g}" in spec.display or g in spec.display}
        assert named in (set(), groups), f"{name}: no name of {sorted(groups - named)}"


def test_no_step_writes_over_another():
    folders = [out for lab in NAMES for line in commands(lab)
               for out in re.findall(r"--out (\S+)", line)]  # fmt: skip
    assert len(folders) > 15
    assert len(folders) == len(set(folders)), sorted(folders)
