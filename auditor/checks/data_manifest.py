"""data/manifest: rows of the manifests that do not hold what the spec says of them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar

from auditor.checks.data_shares import EXAMPLES, LEAST, too_few
from auditor.contract import Check, Evidence, Need, Words
from auditor.contract import Manifest as ManifestNeed
from auditor.data.dataset import Dataset
from auditor.data.expectations import FAILING_COLUMNS, ManifestReport
from auditor.findings import Column, Measure, Result, Subject, Table, Unmeasured
from auditor.spec import SPLITS
from auditor.stats import Rate

NEEDS: dict[str, Need] = {s: ManifestNeed(split=s, optional=s != "test") for s in SPLITS}


@dataclass(frozen=True)
class Manifest(Check):
    """Rows of the manifests that do not hold what the spec says of them.

    What it measures
    ----------------
    The share of rows with at least one value that is not as expected: an image without a name or
    listed twice, a file that is not there, a label that is no class, a unit that is not named, a
    time that is no date, an attribute's value that is missing (more often than
    `data.missing_share` allows), outside its bins or not among its declared values. Every failing
    row is listed in a table. Rows without a usable image or label are set apart; the others stay,
    with the failing value missing. Told, and no failing: times that name no time zone where others
    of their column do, which are read as UTC; quantile groups that are fewer than asked for; and
    a unit column of which no two rows have the same value, as a file's name taken for the unit.

    Why it matters
    --------------
    Everything else in the audit rests on these rows. Rows that are left out silently are often
    not a random part of the data.

    How it can mislead
    ------------------
    A wrong value that looks right (a label that is a class, but not the right one) passes. An
    attribute that few images have is counted only once its missing share exceeds what is allowed.
    Under `data.smallest_cell` small groups are pooled for the audit (listed as `groups-pooled`);
    a value that is not as expected is shown as it was written.
    """

    id: ClassVar[str] = "data/manifest"
    topic: ClassVar[str] = "the manifest's rules"
    needs: ClassVar[tuple[Need, ...]] = tuple(NEEDS.values())
    words: ClassVar = {
        "failing-rows": Words(
            title="Rows of the {split} manifest that break its rules",
            short="faulty manifest rows",
            sentence=(
                "A value is not as expected in {failing} of {n} {split} rows; "
                "{set_apart:were/was} set apart.",
                "{notes}",
            ),
            action="fix the manifest",
        ),
        "groups-pooled": Words(
            title="Groups pooled because they are small: {group}", short="{group}: pooled groups"
        ),
    }
    sources: ClassVar[tuple[str, ...]] = (
        "Great Expectations, https://docs.greatexpectations.io (the rules are run by it)",
        "Gebru et al. 2021, Datasheets for Datasets, doi:10.1145/3458723",
    )

    def run(self, evidence: Evidence) -> Iterator[Result]:
        for split, need in NEEDS.items():
            if evidence.has(need):
                report = evidence.manifest_report(split)
                yield _measure(report, split)
                yield _expectations(report, split)
                if len(report.failing):
                    yield _failing_rows(report, split)
                yield from _pooled(evidence.dataset(split), split)


def _pooled(dataset: Dataset, split: str) -> Iterator[Unmeasured]:
    """Groups that the audit cannot tell apart, because each alone would be too small."""
    for attribute in dataset.attributes:
        for name, groups in attribute.pooled.items():
            yield Unmeasured(
                name="groups-pooled",
                subject=Subject.about({attribute.name: name}, split=split),
                reason=f"{attribute.name}: {', '.join(groups)} are pooled, because some of them "
                f"hold fewer than {attribute.smallest} units in some split. This audit cannot say "
                "how any of them is served by itself.",
                remedy=f"Collect at least {attribute.smallest} units of each of "
                f"{', '.join(groups)}, in every split; or lower `data.smallest_cell`, if "
                "whoever answers for the attribute agrees.",
            )


def _measure(report: ManifestReport, split: str) -> Measure | Unmeasured:
    subject = Subject(split=split)
    if report.n_rows < LEAST:
        return too_few("failing-rows", subject, n=report.n_rows, what="rows")
    broken = [result for result in report.results if not result.success]
    images = [str(image) for image in report.failing["image"] if image]
    return Measure(
        name="failing-rows",
        subject=subject,
        estimate=Rate(report.n_failing_rows, report.n_rows),
        scale="share",
        better="lower",
        n=report.n_rows,
        examples=tuple(dict.fromkeys(images))[:EXAMPLES],
        ranked=False,
        facts={
            "failing": report.n_failing_rows,
            "set_apart": report.n_set_apart,
            "failed_expectations": [result.sentence for result in broken],
            **({"notes": " ".join(report.notes)} if report.notes else {}),
        },
    )


def _expectations(report: ManifestReport, split: str) -> Table:
    return Table(
        id=f"data-manifest-expectations-{split}",
        title=f"What was expected of the {split} manifest",
        columns=(Column("column"), Column("expected"), Column("met"), Column("failing", "rows")),
        rows=tuple((r.column, r.name, r.success, r.n_failing) for r in report.results),
    )


def _failing_rows(report: ManifestReport, split: str) -> Table:
    values = report.failing[list(FAILING_COLUMNS)].astype(object).to_numpy().tolist()
    return Table(
        id=f"data-manifest-failing-{split}",
        title=f"Every value of the {split} manifest that is not as expected",
        columns=tuple(Column(name.replace("_", " ")) for name in FAILING_COLUMNS),
        rows=tuple(tuple(row) for row in values),
    )
