"""Why rows and images are left out of what is measured, in words."""

SET_APART = {
    "unreadable": "images that cannot be read",
    "duplicate": "images that are in the data more than once",
    "conflicting_label": "images that are there with two labels",
    "in_test": "images that are also test images",
    "seen_image": "images that the model had already seen",
    "seen_unit": "images of {units} that the model had already seen",
    "unplaced": "rows whose split cannot be told",
    "unnamed": "rows that name no image",
    "absent": "images whose file is not there",
    "unknown_label": "images whose label is no class",
    "unlabelled": "images without a label",
    "unannotated": "images without annotations that fit",
    "conflicting_row": "rows that list an image with another label",
    "repeated_row": "rows that list an image again",
    "elsewhere": "rows of the manifest that no split takes",
}
"""What was left out or set apart, by the reason that the record names."""


def set_apart_text(reason: str, units: str = "units") -> str:
    """What was set apart for a reason; `units` is what the audit calls several units."""
    return SET_APART.get(reason, reason.replace("_", " ")).format(units=units)
