"""Small cells through the command line: nothing that is published gives one away."""

import itertools
import json
import re
from pathlib import Path

import coloured_rooms
import numpy as np
import pandas as pd
import pytest
from scipy.optimize import linprog
from typer.testing import CliRunner

import auditor
from auditor.cli import app

CHECKS = (
    "data/manifest", "bias/representation", "bias/coverage", "bias/subgroup-gap", "bias/harm",
    "bias/error-rates", "bias/selection-rate", "bias/amplification", "bias/intersections",
    "performance/consequences",
)  # fmt: skip
SMALLEST = 10
HOUSEHOLDS = ("single", "family", "shared", "accessible", "elder")
COSTS = {"red": 10.0, "blue": 5.0}
EXTRA = """declarations: declarations.yaml
consequences:
  adverse: [red]
  costs: {unit: EUR, matrix: {red: {blue: 10}, blue: {red: 5}}}
"""
BASIS = """declarations:
  - key: basis-household
    statement: Consent of every tenant, in writing.
    owner: {name: Ann Keeper, role: data protection officer}
    date: 2026-01-15
"""


def make_world(folder: Path, *, smallest: int | None, seed: int = 0) -> Path:
    """Coloured rooms with households, of which `shared` is hardly ever blue."""
    spec = coloured_rooms.make_world(folder, sizes=(300, 120, 120))
    rng = np.random.default_rng(seed)
    for split in ("test", "train", "deployment"):
        table = pd.read_csv(folder / f"{split}.csv")
        table["room"] = [f"{split}-{i}" for i in range(len(table))]
        blue = table["label"] == "blue"
        as_red = rng.choice(HOUSEHOLDS, len(table), p=[0.42, 0.21, 0.25, 0.1, 0.02])
        as_blue = rng.choice(HOUSEHOLDS, len(table), p=[0.72, 0.2, 0.02, 0.05, 0.01])
        table["household"] = np.where(blue, as_blue, as_red)
        table.to_csv(folder / f"{split}.csv", index=False)
    size = "" if smallest is None else f"  smallest_cell: {smallest}\n"
    text = spec.read_text()
    building = "    building: {role: condition}\n"
    text = text.replace(building, f"{building}    household: {{role: sensitive}}\n{size}")
    spec.write_text(text.replace("policy: policy.yaml", EXTRA + "policy: policy.yaml"))
    (folder / "declarations.yaml").write_text(BASIS)
    return spec


@pytest.fixture(scope="module")
def pooled(tmp_path_factory):
    spec = make_world(tmp_path_factory.mktemp("worlds") / "pooled", smallest=SMALLEST)
    out = tmp_path_factory.mktemp("out") / "pooled"
    arguments = ["run", str(spec), "--out", str(out)]
    result = CliRunner().invoke(app, arguments + [a for c in CHECKS for a in ("--only", c)])
    assert result.exit_code in (0, 1, 3), result.output
    return spec.parent, out


@pytest.fixture(scope="module")
def plain(tmp_path_factory):
    spec = make_world(tmp_path_factory.mktemp("worlds") / "plain", smallest=None)
    out = tmp_path_factory.mktemp("out") / "plain"
    auditor.run(spec, out=out, only=CHECKS)
    return spec.parent, out


def small_names(folder: Path) -> set[str]:
    """Households with fewer than the least number of units in some split."""
    return {
        name
        for split in ("test", "train", "deployment")
        for name, n in pd.read_csv(folder / f"{split}.csv")["household"].value_counts().items()
        if n < SMALLEST
    }


def said_alone(text: str, name: str) -> bool:
    """Whether a name stands by itself and not within ``a, b or c``."""
    listed = r"(?:[a-z]+(?:, |%2C%20| or |%20or%20))*"
    whole = re.findall(rf"{listed}\b{name}\b(?:(?:, | or |%2C%20|%20or%20)[a-z]+)*", text)
    return any(found == name for found in whole)


def test_no_output_speaks_of_a_small_group_by_itself(pooled):
    folder, out = pooled
    small = small_names(folder)
    assert {"elder"} <= small < set(HOUSEHOLDS)
    written = [p for p in out.rglob("*") if p.suffix in (".csv", ".svg", ".md")]
    assert len(written) > 8
    for path in written:
        for name in small:
            assert not said_alone(path.read_text(), name), (path, name)
    record = json.loads((out / "audit.json").read_text())
    for part in ("results", "findings", "limit_results"):
        for name in small:
            assert not said_alone(json.dumps(record[part]), name), (part, name)


def test_the_search_for_names_can_fail(plain):
    folder, out = plain
    table = (out / "tables" / "bias-representation-groups.csv").read_text()
    assert all(said_alone(table, name) for name in small_names(folder))


def test_the_record_names_what_was_pooled_and_gives_no_size_of_it(pooled):
    record = auditor.read_record(pooled[1] / "audit.json")
    for dataset in record.datasets:
        household = next(a for a in dataset.attributes if a.name == "household")
        assert household.smallest_cell == SMALLEST
        (members,) = household.pooled.values()
        assert {"elder"} <= set(members)
        assert not set(members) & {g.name for g in household.groups}
        assert min(g.n for g in household.groups) >= SMALLEST
    said = [record.result(f) for f in record.findings if "groups-pooled" in f.id]
    assert len(said) == 3
    assert "cannot say how any of them is served by itself" in said[0].reason
    assert "elder" in said[0].reason
    assert "Collect at least 10 units of each of" in said[0].remedy


def test_the_record_shows_the_basis_of_a_sensitive_attribute(pooled):
    attributes = auditor.read_record(pooled[1] / "audit.json").datasets[0].attributes
    basis = {a.name: a.basis for a in attributes}
    assert basis["household"] == (
        "Consent of every tenant, in writing. Declared by Ann Keeper, data protection officer, "
        "2026-01-15."
    )
    assert basis["building"] is None


class Attack:
    """All that the tables of an audit say of its test images, as equations in unknown counts.

    An unknown is how many test images have a household, a building, a label and an answer.
    """

    def __init__(self, folder: Path, out: Path):
        self.cells = list(itertools.product(HOUSEHOLDS, ("new", "old"), *[("red", "blue")] * 2))
        self.rows: list[np.ndarray] = []
        self.sums: list[float] = []
        self.tables = {p.stem: pd.read_csv(p) for p in (out / "tables").glob("*.csv")}
        self.truth = pd.read_csv(folder / "test.csv")
        record = auditor.read_record(out / "audit.json")
        self.members = {g: (g,) for g in HOUSEHOLDS}
        for part in (n for f in record.findings for n in _households(f.id)):
            self.members[part] = tuple(re.split(r", | or ", part))
        for label in ("red", "blue"):
            self._say((self.truth["label"] == label).sum(), label=label)
        self._read()

    def _say(self, count, *, answer=None, weigh=None, **having):
        """One equation: images with all of `having`, weighed, are `count`; none for NaN."""
        if np.isnan(count):
            return
        keys = ("household", "building", "label")
        row = np.zeros(len(self.cells))
        for i, cell in enumerate(self.cells):
            known = dict(zip(keys, cell, strict=False))
            fits = all(
                known[k] in (self.members[v] if k == "household" else (v,))
                for k, v in having.items()
            )
            if fits and (answer is None or cell[3] == answer):
                row[i] = 1.0 if weigh is None else weigh(cell)
        self.rows.append(row)
        self.sums.append(float(count))

    def _groups(self):
        """Each row of a table of groups that is of test images, its group, and the other label."""
        for table in ("subgroup-gap", "harm", "selection-rate", "error-rates", "amplification"):
            frame = self.tables[f"bias-{table}-groups"]
            known = frame["attribute"].isin(["household", "building"]) & (frame["data"] == "test")
            for _, row in frame[known].iterrows():
                (value,) = (row[c] for c in row.index if re.fullmatch(r"value( \[.*\])?", c))
                # A table has six figures; what is counted are whole images and whole costs.
                total = value if np.isnan(value) else round(row["images"] * value)
                yield row, total, {row["attribute"]: row["group"]}

    def _read(self):
        for row, total, group in self._groups():
            of = row["class"]
            other = {"red": "blue", "blue": "red"}.get(of)
            # Which images a row counts, and which of them, weighed, make up its value.
            among, weighed = {
                "accuracy": ({}, {"weigh": lambda c: float(c[2] == c[3])}),
                "cost": ({}, {"weigh": lambda c: COSTS[c[2]] * (c[2] != c[3])}),
                "log loss": ({}, None),
                "called CLASS": ({}, {"answer": of}),
                "labelled CLASS": ({}, {"label": of}),
                "CLASS found": ({"label": of}, {"answer": of}),
                "CLASS missed": ({"label": of}, {"answer": other}),
                "wrongly called CLASS": ({"label": other}, {"answer": of}),
            }[row["quantity"].replace(str(of), "CLASS")]
            self._say(row["images"], **among, **group)
            if weighed is not None:
                self._say(total, **weighed, **among, **group)
        cells = self.tables["bias-intersections-cells"]
        for _, row in cells[cells["data"] == "test"].iterrows():
            having = dict(
                p.split("=") for p in re.split(r", (?=household=|building=)", row["cell"])
            )
            self._say(row["images"], **having)
            accuracy = row["accuracy [share]"]
            right = accuracy if np.isnan(accuracy) else round(row["images"] * accuracy)
            self._say(right, weigh=lambda c: float(c[2] == c[3]), **having)

    def range_of(self, **having) -> tuple[float, float]:
        """The least and the most that a cell could be, all that is published being true."""
        equations = len(self.rows)
        self._say(0, **having)
        target = self.rows.pop()
        self.sums.pop()
        assert len(self.rows) == equations
        ends = []
        for sign in (1, -1):
            solved = linprog(
                sign * target, A_eq=np.array(self.rows), b_eq=np.array(self.sums), bounds=(0, None)
            )
            assert solved.status == 0, solved.message
            ends.append(sign * solved.fun)
        return ends[0], ends[1]

    def small_cells(self):
        for columns in (["household"], ["household", "label"], ["household", "building"]):
            for key, n in self.truth.groupby(columns).size().items():
                values = key if isinstance(key, tuple) else (key,)
                if 0 < n < SMALLEST:
                    yield dict(zip(columns, values, strict=True)), int(n)


def _households(finding: str):
    from urllib.parse import unquote

    for found in re.findall(r"household=([^@,#+]+)", finding):
        yield unquote(found)


def test_no_small_cell_can_be_solved_for_from_all_that_is_published(pooled):
    attack = Attack(*pooled)
    tried = list(attack.small_cells())
    assert {tuple(having) for having, _ in tried} >= {("household",), ("household", "label")}
    for having, n in tried:
        low, high = attack.range_of(**having)
        assert high - low > 1.5, (having, n, low, high)
        assert low - 1e-6 <= n <= high + 1e-6


def test_the_same_attack_finds_every_small_cell_where_nothing_is_pooled(plain):
    attack = Attack(*plain)
    found = [attack.range_of(**having) for having, _ in attack.small_cells()]
    assert found
    for (_, n), (low, high) in zip(attack.small_cells(), found, strict=True):
        assert (low, high) == pytest.approx((n, n), abs=1e-4)


def test_groups_that_all_collapse_into_one_are_said_to_be_without_comparison(pooled, tmp_path):
    folder = pooled[0]
    text = (folder / "audit.yaml").read_text().replace("smallest_cell: 10", "smallest_cell: 200")
    spec = folder / "collapsed.yaml"
    spec.write_text(text.replace("    building: {role: condition}\n", ""))
    record = auditor.run(spec, out=tmp_path, only=("bias/subgroup-gap", "bias/harm"))
    verdicts = {r.limit["id"]: r.verdict for r in record.limit_results}
    assert verdicts["groups"] == "NOT_RUN"
    assert record.verdict == "INCONCLUSIVE"
    findings = [f for f in record.findings if f.limit == "groups"]
    assert {record.result(f).subject.split for f in findings} == {"test", "deployment"}
    unmeasured = record.result(findings[0])
    assert "It is pooled of groups of which some hold too few units" in unmeasured.reason
    assert "at least two groups of household, each with at least 200 units" in unmeasured.remedy
