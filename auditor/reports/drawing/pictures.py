"""All pictures of a report, drawn once: the checks’, one an attribute, and the worst served."""

from __future__ import annotations

from auditor.record import AuditRecord
from auditor.reports.drawing.figures import group_forest_svg, svg
from auditor.reports.figure_limits import with_limits
from auditor.reports.group_forest import group_forests, worst_served
from auditor.reports.group_results import group_results
from auditor.reports.ordering import ordered
from auditor.reports.shown_figure import shown_figure


def pictures(record: AuditRecord) -> dict[str, str]:
    """SVG documents by id: the record’s figures, the groups of each attribute, the worst served."""
    order = ordered(record)
    found = {
        figure.id: svg(shown_figure(with_limits(figure, order), order.telling))
        for result in record.results
        for figure in result.figures
    }
    results = group_results(order)
    for forest in (*group_forests(results, order), *worst_served(results, order)):
        found[forest.id] = group_forest_svg(forest)
    return found
