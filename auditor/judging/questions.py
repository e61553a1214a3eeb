"""The four questions of page one, answered from findings, counts and declarations alone."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from auditor.findings import Finding, Measure, Verdict
from auditor.judging import reasons
from auditor.judging.verdicts import is_by_group
from auditor.record import Answer, AttributeSummary, DatasetSummary, NotPlannedCheck
from auditor.spec import AuditSpec
from auditor.stats import interval, value

MATCHES = "Does the test data match where it will run?"
REPRESENTS = "Does the training data represent everyone?"
MEASURED = "Was performance measured per group?"
WRONG = "What happens when it is wrong, and to whom?"

REPRESENTED = 0.8
"""A group is under-represented below this part of its share of the population.

The four-fifths convention of 29 CFR 1607.4(D), borrowed from selection rates.
"""


PROPERTIES = 3
"""Properties of images that an answer names at most."""

NAMES = 3
"""Groups, classes or measures that an answer names at most."""

CRASHED = "check"
"""Name of the `Unmeasured` of a check that crashed, or ended without a result."""

PROPERTY_WORDS = {
    "mean": "brightness",
    "std": "contrast",
    "p1": "dark parts",
    "p99": "bright parts",
    "saturated_share": "overexposure",
    "noise": "grain",
    "red_ratio": "share of red",
    "blue_ratio": "share of blue",
    "saturation": "colourfulness",
    "entropy": "detail",
    "blockiness": "traces of compression",
    "bytes": "file size",
}
"""What a reader calls the properties of images; others keep their names."""


def answer_all(
    findings: Sequence[Finding],
    *,
    spec: AuditSpec,
    datasets: Sequence[DatasetSummary] = (),
    not_run: Sequence[NotPlannedCheck] = (),
) -> tuple[Answer, ...]:
    """The four answers, in order."""
    return (
        _matches(findings, not_run),
        _represents(findings, datasets),
        _measured(findings, not_run),
        _wrong(findings, spec),
    )


def _matches(findings: Sequence[Finding], not_run: Sequence[NotPlannedCheck]) -> Answer:
    judged = [f for f in findings if f.check.startswith("shift/") and f.verdict is not None]
    broken = [f for f in judged if f.verdict is Verdict.FAIL]
    undecided = [f for f in judged if f.verdict is Verdict.INCONCLUSIVE]
    passed = [f for f in judged if f.verdict is Verdict.PASS]
    if broken:
        return _answer(MATCHES, "No", _differences(broken, findings), broken)
    if undecided:
        return _answer(
            MATCHES, "Not decided", f"Too few images for {_names(undecided)}.", undecided
        )
    if passed:
        return _answer(MATCHES, "Yes", "No difference beyond the limits was found.", passed)
    return _not_measured(MATCHES, "Not tested", "shift/", findings, not_run)


def _differences(broken: Sequence[Finding], findings: Sequence[Finding]) -> str:
    """What differs where the model will run, in one line: accuracy, properties, scores."""
    parts = [_lost_words(f.measure) for f in broken if f.measure and f.measure.name == "lost"]
    if any(f.check == "shift/properties" for f in broken):
        names = _differing_properties(findings)[:PROPERTIES]
        parts.append(f"{_and(names)} differ" if names else "the images look different")
    if any(f.check == "shift/predictions" for f in broken):
        parts.append("its scores differ")
    parts = parts or [f"they differ in {_names(broken)}"]
    text = "; ".join(parts)
    return f"{text[:1].upper()}{text[1:]}."


def _lost_words(measure: Measure) -> str:
    lost = 100 * value(measure.estimate)
    return f"accuracy is {abs(lost):.0f} points {'lower' if lost >= 0 else 'higher'} there"


def _differing_properties(findings: Sequence[Finding]) -> list[str]:
    """Properties whose range excludes "no difference", the most different first."""
    found: dict[str, float] = {}
    for finding in findings:
        measure = finding.measure
        if finding.check != "shift/properties" or measure is None or measure.name != "auc":
            continue
        ends, name = interval(measure.estimate), measure.subject.get("property")
        if name and not ends.low <= 0.5 <= ends.high:
            found[name] = abs(value(measure.estimate) - 0.5)
    named = {PROPERTY_WORDS.get(name, name.replace("_", " ")): far for name, far in found.items()}
    return sorted(named, key=lambda name: -named[name])


def _and(names: Sequence[str]) -> str:
    return " and ".join([*([", ".join(names[:-1])] if names[1:] else []), names[-1]])


def _represents(findings: Sequence[Finding], datasets: Sequence[DatasetSummary]) -> Answer:
    train = next((d for d in datasets if d.split == "train"), None)
    if train is None:
        return Answer(REPRESENTS, "Not tested", "The spec names no training data.")
    about = [f for f in findings if f.check == "bias/representation" and _is_of_training(f)]
    lacking = [f for f in about if f.verdict is Verdict.FAIL]
    if lacking:
        return _answer(REPRESENTS, "No", _departing(lacking), lacking)
    undecided = [f for f in about if f.verdict is Verdict.INCONCLUSIVE]
    if undecided:
        why = f"Too few images to decide for {_names(undecided)}."
        return _answer(REPRESENTS, "Not decided", why, undecided)
    judged = [f for f in about if f.verdict is Verdict.PASS]
    if judged:
        why = "No group has less than the allowed part of its share."
        return _answer(REPRESENTS, "Yes", why, judged)
    return _represented_by_count(train)


def _is_of_training(finding: Finding) -> bool:
    measure = finding.measure
    return measure is not None and (measure.name, measure.subject.split) == ("share-ratio", "train")


def _departing(beyond: Sequence[Finding]) -> str:
    """Whom there are too few of, and whom too many: a limit may bound a share on either side."""
    few = [f for f in beyond if f.measure and value(f.measure.estimate) < 1]
    many = [f for f in beyond if f not in few]
    parts = [("Too few of", few), ("Too many of", many)]
    return " ".join(f"{words}: {_shares(found)}." for words, found in parts if found)


def _shares(lacking: Sequence[Finding]) -> str:
    parts = []
    for finding in lacking[:NAMES]:
        said = finding.measure.details if finding.measure else {}
        found, due = said["rate"]["value"], said["rest"]["value"]
        parts.append(f"{_names([finding])}: {100 * found:.0f}% where {100 * due:.0f}% are due")
    more = len(lacking) - NAMES
    return "; ".join(parts) + (f"; and {more} more" if more > 0 else "")


def _represented_by_count(train: DatasetSummary) -> Answer:
    stated = [a for a in train.attributes if a.population]
    if not stated:
        why = "No attribute of the training data has a declared population to compare with."
        return Answer(REPRESENTS, "Not tested", why)
    lacking = [text for attribute in stated for text in _under_represented(attribute)]
    if lacking:
        return Answer(REPRESENTS, "No", f"Too few of: {', '.join(lacking)}.")
    names = ", ".join(a.name for a in stated)
    return Answer(REPRESENTS, "Yes", f"By {names}, every group has about its share.")


def _under_represented(attribute: AttributeSummary) -> Iterable[str]:
    counts = {group.name: group.n for group in attribute.groups}
    total = sum(counts.values())
    for group, share in (attribute.population or {}).items():
        found = counts.get(group, 0) / total if total else 0.0
        if found < REPRESENTED * share:
            yield f"{group} ({100 * found:.0f}% of training images, {100 * share:.0f}% of people)"


def _measured(findings: Sequence[Finding], not_run: Sequence[NotPlannedCheck]) -> Answer:
    groups = [f for f in findings if is_by_group(f.check) and f.measure is not None]
    broken = [f for f in groups if f.verdict is Verdict.FAIL or f.leaning == "worse"]
    undecided = [f for f in groups if f.verdict is Verdict.INCONCLUSIVE]
    if not groups:
        return _not_measured(MEASURED, "No", "bias/", findings, not_run)
    if any(f.verdict is Verdict.FAIL for f in broken):
        return _answer(MEASURED, "Yes, and it is unequal", f"Worse for {_names(broken)}.", broken)
    if undecided:
        why = f"Too few images to decide for {_names(undecided)}."
        leaning = [f for f in undecided if f.leaning == "worse"]
        if leaning:
            rest = [f for f in undecided if f not in leaning]
            more = f" Too few images to decide for {_names(rest)}." if rest else ""
            why = f"Leaning worse for {_names(leaning)}.{more}"
        return _answer(MEASURED, "Yes, but not decided for all", why, undecided)
    if not any(f.verdict is Verdict.PASS for f in groups):
        return _answer(MEASURED, "Yes, but not judged", "The policy sets no limit on it.", groups)
    why = "No group is served worse than the limits allow."
    return _answer(MEASURED, "Yes, and it is equal within the limits", why, groups)


def _wrong(findings: Sequence[Finding], spec: AuditSpec) -> Answer:
    stated = spec.consequences
    about = [f for f in findings if f.check == "performance/consequences" and f.measure is not None]
    parts = []
    if stated.borne_by:
        parts.append(f"Borne by: {', '.join(dict.fromkeys(stated.borne_by.values()))}.")
    parts += [
        f"Errors cost about {_rounded_cost(f.measure)} on average."
        for f in about
        if f.measure and f.measure.name == "expected-cost"
    ]
    parts.append(f"Way to object: {(stated.appeal or 'not stated').rstrip('.')}.")
    return _answer(WRONG, stated.when_wrong or "Not stated", " ".join(parts), about)


def _rounded_cost(measure: Measure) -> str:
    """A cost with its range in two or three figures: ``480 EUR per image [370, 590]``."""
    ends = reasons.printed_range(measure)
    point, low, high = (_two_figures(n) for n in (value(measure.estimate), ends.low, ends.high))
    return f"{point} {measure.unit} [{low}, {high}]"


def _two_figures(number: float) -> str:
    rounded = float(f"{number:.2g}")
    return f"{rounded:,.0f}" if abs(rounded) >= 10 else f"{rounded:g}"


def _answer(question: str, answer: str, why: str, findings: Sequence[Finding]) -> Answer:
    return Answer(question, answer, why, tuple(f.id for f in findings))


def _names(findings: Sequence[Finding]) -> str:
    """What findings are about, each named once: groups with their attribute, classes, measures."""
    names = list(dict.fromkeys(name for f in findings for name in _named(f)))
    shown = names[:NAMES]
    by = dict.fromkeys(attribute for attribute, _ in shown)
    parts = [
        ", ".join(said for key, said in shown if key == a) + (f" ({a})" if a else "") for a in by
    ]
    more = len(names) - len(shown)
    return ", ".join(parts) + (f" and {more} more" if more else "")


def _named(finding: Finding) -> list[tuple[str, str]]:
    """Attribute and value of each group of a finding; an empty attribute with other names."""
    measure = finding.measure
    if measure is None:
        return [("", finding.check.partition("/")[2].replace("-", " "))]
    values = [(key, said) for key, said in measure.subject.keys if key != "class"]
    if values:
        return values
    found = measure.subject.get("class")
    if found is not None:
        return [("", f"answers of class {found}")]
    return [
        ("", {"lost": "accuracy", "any": "how the images look"}.get(measure.name, measure.name))
    ]


def _not_measured(
    question: str,
    answer: str,
    family: str,
    findings: Sequence[Finding],
    not_run: Sequence[NotPlannedCheck],
) -> Answer:
    """Why a family measured nothing: what it said itself, else what it lacked.

    The text of an error is for the finding, not for this answer.
    """
    said = [f for f in findings if f.check.startswith(family) and f.unmeasured is not None]
    crashed = [f for f in said if f.unmeasured and f.unmeasured.name == CRASHED]
    if crashed:
        return _answer(question, answer, "It could not be measured: see the finding.", crashed)
    lacked = [n.reason for n in not_run if n.check.startswith(family)]
    why = next(iter([*(f.reason for f in said), *lacked]), "No such check was run.")
    return Answer(question, answer, why)
