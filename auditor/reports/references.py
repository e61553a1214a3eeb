"""Where a finding is told: the numbers that a page refers to it by, and the places they lead to."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from auditor.reports.limits_section import LimitView
from auditor.reports.ordering import Ordered

MOST = 4


@dataclass(frozen=True)
class Ref:
    """A word or number that leads to a place of the report: `target` is a key of `anchors`."""

    text: str
    target: str


def references(identifiers: Iterable[str], order: Ordered, *, most: int = MOST) -> tuple[Ref, ...]:
    """Numbers of findings that met a limit, at most so many; facts by what their check is about.

    Facts have no place of their own: they stand under their check, which is named once.
    """
    known = sorted((i for i in identifiers if i in order.numbers), key=order.numbers.__getitem__)
    judged = [i for i in known if order.by_id[i].limit]
    refs = [Ref(str(order.numbers[i]), i) for i in judged[:most]]
    if len(judged) > most:
        refs.append(Ref(f"and {len(judged) - most} more", judged[most]))
    if not judged:
        checks = dict.fromkeys(order.by_id[i].check for i in known)
        refs += [Ref(order.telling.topic(check), check) for check in checks]
    return tuple(refs)


def check_anchor(check: str) -> str:
    """The place of a check in its chapter."""
    return f"check-{check.replace('/', '-')}"


def anchors(
    order: Ordered, limits: Sequence[LimitView], checks: Iterable[str]
) -> Mapping[str, str]:
    """The place of each finding and check, by its id.

    That of a finding is its card or row, where it has one; else that of its limit, or of its check
    where it met none.
    """
    found = {check: check_anchor(check) for check in checks}
    places = {view.id: view for view in limits}
    for finding in order.findings:
        view = places.get(finding.limit or "")
        if view is None:
            if finding.check in found:
                found[finding.id] = found[finding.check]
        elif order.numbers[finding.id] in view.told:
            found[finding.id] = f"f{order.numbers[finding.id]}"
        else:
            found[finding.id] = view.anchor
    return found
