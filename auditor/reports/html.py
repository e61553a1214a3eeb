"""The report as one HTML page that needs nothing beside it: no script, no font, no network."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from auditor.record import AuditRecord
from auditor.record.reasons import set_apart_text
from auditor.reports.action_plan import action_plan, left_out_of_plan
from auditor.reports.annex import annex, policy_owner
from auditor.reports.chapters import Chapter, chapters, figure_view
from auditor.reports.clauses_section import CLAUSES_NOTE, COUNTED, clauses_view, missing_line
from auditor.reports.drawing.looks import dark_rules
from auditor.reports.drawing.svg import xml_text
from auditor.reports.finish import finished
from auditor.reports.group_forest import NOTE, WORST_NOTE, group_forests, worst_served
from auditor.reports.group_results import group_results
from auditor.reports.history_section import history_view
from auditor.reports.limits_section import (
    BROWSED,
    PRINTED,
    Room,
    bare_views,
    glance,
    limit_views,
    met_views,
)
from auditor.reports.matrix import matrix
from auditor.reports.ordering import Ordered, ordered
from auditor.reports.page_one import RANGE_NOTE, page_one
from auditor.reports.pictures_section import PicturesView
from auditor.reports.references import anchors
from auditor.reports.sieve import families_of, sieve
from auditor.reports.signed_by import SignedBy, recipe, signing_words
from auditor.reports.templates import environment, template_text

FOOTER = "Measured and declared items are marked. No statement of legal conformity."


def report_html(
    record: AuditRecord,
    *,
    pictures: Mapping[str, str],
    for_browser: bool = True,
    signed_by: SignedBy | None = None,
    photos: PicturesView | None = None,
) -> str:
    """The whole report; `pictures` maps the ids of the record's figures to their SVG.

    `for_browser` adds what only browsers understand: dark colours, small screens, and what a
    reader may unfold; a printed report names the files that hold it. `signed_by` says who signs the
    bundle that it is part of; `photos` are pictures of findings, for public reports alone. Every
    text of the record is escaped: names of groups, classes and images come from others.
    """
    order = ordered(record)
    families = chapters(record, order, pictures=pictures)
    text = (
        environment()
        .get_template("report.html.j2")
        .render(
            record=record,
            one=page_one(record, order),
            plan=action_plan(order),
            plan_left_out=left_out_of_plan(order),
            policy_owner=policy_owner(record),
            **_limits(order, families, BROWSED if for_browser else PRINTED),
            **_groups(order, pictures, printed=not for_browser),
            chapters=families,
            annex=annex(record, order, folded=for_browser),
            **_clauses(record),
            history=history_view(record),
            signing=signing_words(signed_by),
            recipe=recipe(),
            photos=photos,
            folded=for_browser,
            css=template_text("report.css"),
            browser_css=_browser_css() if for_browser else "",
            sieve=sieve(families),
            families_of=families_of,
            footer=FOOTER,
            range_note=RANGE_NOTE,
            set_apart=set_apart_text,
            units=order.telling.units,
        )
    )
    return finished(xml_text(text), for_browser=for_browser)


def _limits(order: Ordered, families: Sequence[Chapter], room: Room) -> dict[str, Any]:
    """Findings by limit, and the anchors that links to findings and checks reach."""
    limits, bare, met = limit_views(order, room), bare_views(order), met_views(order)
    ran = [check.id for family in families for check in family.checks]
    return {
        "open_limits": limits,
        "glance": glance(order),
        "bare_limits": bare,
        "met_limits": met,
        "anchor": anchors(order, (*limits, *bare, *met), ran),
    }


def _groups(order: Ordered, pictures: Mapping[str, str], *, printed: bool) -> dict[str, Any]:
    """Every group at a glance, and the picture of page one.

    A printed report has the pictures of attributes of which a group fails or leans worse.
    """
    groups = group_results(order)
    worst = worst_served(groups, order)
    every = group_forests(groups, order)
    shown = [forest for forest in every if forest.is_worse or not printed]
    unshown = [forest.attribute for forest in every if forest not in shown]
    return {
        "worst": figure_view(worst[0].figure, pictures, order) if worst else None,
        "worst_note": WORST_NOTE,
        "matrix": matrix(groups, order),
        "forests": [figure_view(forest.figure, pictures, order) for forest in shown],
        "unshown": unshown,
        "forest_note": NOTE,
    }  # fmt: skip


def _clauses(record: AuditRecord) -> dict[str, Any]:
    found = clauses_view(record)
    return {
        "clauses": found,
        "clauses_note": CLAUSES_NOTE,
        "counted": COUNTED,
        "clauses_missing": missing_line(found),
    }


def _browser_css() -> str:
    """The looks that only browsers understand, with the pictures' colours on a dark page."""
    rules = dark_rules(paper="var(--paper)")
    return template_text("browser.css").replace("/* pictures on a dark page */", rules)
