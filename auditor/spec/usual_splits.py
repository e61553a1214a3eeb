"""What the parts of a dataset are usually called."""

from __future__ import annotations

_NAMES = {
    "test": ("test", "testing", "tst", "eval", "evaluation", "holdout"),
    "validation": ("val", "valid", "validation", "dev"),
    "train": ("train", "training", "trn"),
    "deployment": ("deployment", "deploy", "deployed", "production", "prod", "live", "field"),
}


def usual_split(name: str) -> str | None:
    """``test``, ``validation``, ``train`` or ``deployment`` for a usual name of it, in any case.

    Suffixes as in ``test_set``, ``train-images`` and ``validation_data`` are part of the name.
    """
    plain = name.strip().lower().replace("-", "_").replace(" ", "_").replace("hold_out", "holdout")
    for suffix in ("_set", "_images", "_imgs", "_data", "_split"):
        plain = plain.removesuffix(suffix)
    return next((split for split, names in _NAMES.items() if plain in names), None)
