"""All pictures of a report, drawn once: those of the checks, and one for each attribute."""

from __future__ import annotations

from auditor.record import AuditRecord
from auditor.reports.drawing.figures import group_forest_svg, svg
from auditor.reports.group_forest import group_forests
from auditor.reports.group_results import group_results
from auditor.reports.ordering import ordered


def pictures(record: AuditRecord) -> dict[str, str]:
    """SVG documents by id: figures of the record, then the groups of each attribute."""
    order = ordered(record)
    found = {figure.id: svg(figure) for result in record.results for figure in result.figures}
    for forest in group_forests(group_results(order), order):
        found[forest.id] = group_forest_svg(forest)
    return found
