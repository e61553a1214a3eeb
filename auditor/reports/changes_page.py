"""The comparison of two audits as one HTML page that needs nothing beside it."""

from __future__ import annotations

import re

from auditor.changes.compare import Changes
from auditor.record.files import record_digest
from auditor.reports.changes_told import RULE, TIMINGS, UNPAIRED, Told
from auditor.reports.drawing.svg import xml_text
from auditor.reports.html import FOOTER
from auditor.reports.templates import environment, template_text


def changes_html(changes: Changes) -> str:
    """The page; equal records and stores give equal bytes, and every text of them is escaped."""
    text = (
        environment()
        .get_template("changes.html.j2")
        .render(
            told=Told(changes),
            changes=changes,
            digests=[record_digest(record) for record in (changes.before, changes.after)],
            version=changes.after.provenance.auditor_version,
            rule=RULE,
            timings=TIMINGS,
            unpaired=UNPAIRED,
            css=template_text("report.css"),
            browser_css=template_text("browser.css"),
            footer=FOOTER,
        )
    )
    return xml_text(re.sub(r"\n\s*\n+", "\n", text))
