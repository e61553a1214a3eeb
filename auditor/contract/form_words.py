"""Words for what a form of the model loses, changes and costs, whichever check measures it."""

from __future__ import annotations

from collections.abc import Mapping

from auditor.contract.quantity_words import lost_words
from auditor.contract.words import EITHER_WAY, Words

_SIDES = ("This form", "As given")
_GAP = ("gained", "lost")
_ACTION = "do not ship the {variant} form"
_MACHINE = (
    "{runtime} on {kernels}: elsewhere the same file can answer otherwise.",
    "Where it answers otherwise, the first layer to part is {layer}.",
)


def form_words() -> dict[str, Words | tuple[Words, ...]]:
    """Words of the measures of `auditor.comparing.forms`."""
    return {**_lost(), **_changed()}


def _lost() -> Mapping[str, Words | tuple[Words, ...]]:
    return {
        "accuracy-lost": (
            Words(
                title="Objects lost in the {variant} form{of_group}{in_where}",
                span=EITHER_WAY,
                short="objects lost in the {variant} form{of_group}",
                sentence=(
                    "Objects found by the {variant} form{of_group}{in_where}: {this}; as given "
                    "{other}; {gap}.",
                    *_MACHINE,
                ),
                hundred="Of 100 objects{in_group}, the model as given finds {there}; its "
                "{variant} form {here}.",
                sides=_SIDES,
                gap=_GAP,
                column="objects found, {variant} form",
                action=_ACTION,
                of="object",
            ),
            Words(
                title="Accuracy lost in the {variant} form{of_group}{in_where}",
                span=EITHER_WAY,
                short="accuracy lost in the {variant} form{of_group}",
                sentence=(
                    "Accuracy of the {variant} form{of_group}{in_where}: {this}; as given {other}; "
                    "{gap}.",
                    "{right_means}",
                    *_MACHINE,
                ),
                hundred="Of 100 images{in_group}, the model as given answers {there} rightly; its "
                "{variant} form {here}.",
                sides=_SIDES,
                gap=_GAP,
                column="right answers, {variant} form",
                action=_ACTION,
            ),
        ),
        **lost_words(_SIDES, where="in the {variant} form{of_group}{in_where}", action=_ACTION),
        "gap-change": Words(
            title="What the {variant} form adds to the gap of {group}{in_where}",
            span=EITHER_WAY,
            short="gap added by the {variant} form{of_group}",
            sentence=(
                "Points of accuracy lost in the {variant} form (below 0: gained), {group}"
                "{in_where}: {lost_here:points}; all others {lost_by_others:points}; {value} more.",
                "{right_means}",
            ),
            action=_ACTION,
        ),
    }


def _changed() -> Mapping[str, Words | tuple[Words, ...]]:
    return {
        "flip-rate": (
            Words(
                title="Answers that turn from right to wrong in the {variant} form{in_where} "
                "({kind})",
                short="answers that turn wrong in {variant}",
                sentence=(
                    "{value} of {n} {split} {rows} turn from right to wrong in the {variant} form.",
                    "{right_means}",
                ),
                action=_ACTION,
            ),
            Words(
                title="Answers that change in the {variant} form{in_where}",
                short="answers that change in {variant}",
                sentence="{value} of {n} {split} {rows} get another answer from the {variant} "
                "form.",
                action=_ACTION,
            ),
        ),
        "calibration-lost": Words(
            title="Change of the calibration error in the {variant} form{in_where}",
            span=EITHER_WAY,
            short="calibration of the {variant} form",
            sentence="How sure it says it is lies {error_here:percent} from how often it is right "
            "in the {variant} form{in_where}, {error_as_given:percent} as given ({value} more).",
            action="correct how sure the {variant} form says it is",
        ),
    }
