"""What the parts of a dataset are usually called."""

from __future__ import annotations

_NAMES = {
    "test": ("test", "testing", "tst", "eval", "evaluation", "holdout"),
    "validation": ("val", "valid", "validation", "dev"),
    "train": ("train", "training", "trn"),
    "deployment": ("deployment", "deploy", "deployed", "production", "prod", "live", "field"),
}

_FLAGS = {"is_train": "train", "is_training": "train", "is_training_image": "train",
          "is_test": "test", "is_valid": "validation", "is_val": "validation",
          "is_validation": "validation"}  # fmt: skip
_YES, _NO = {"1", "1.0", "true", "yes"}, {"0", "0.0", "false", "no"}


def flagged_split(column: str, value: str) -> str | None:
    """The split that a value of a column such as ``is_train`` (0, 1) puts a row in; else None.

    What is not training data is test data, and what is not test or validation data trains.
    """
    split = _FLAGS.get(column.strip().lower().replace("-", "_").replace(" ", "_"))
    if split is None or value.lower() not in _YES | _NO:
        return None
    other = "test" if split == "train" else "train"
    return split if value.lower() in _YES else other


def usual_split(name: str) -> str | None:
    """``test``, ``validation``, ``train`` or ``deployment`` for a usual name of it, in any case.

    Suffixes as in ``test_set``, ``train-images`` and ``validation_data`` are part of the name.
    """
    plain = name.strip().lower().replace("-", "_").replace(" ", "_").replace("hold_out", "holdout")
    for suffix in ("_set", "_images", "_imgs", "_data", "_split"):
        plain = plain.removesuffix(suffix)
    return next((split for split, names in _NAMES.items() if plain in names), None)
