"""Families of checks: their titles and the order of the report's chapters."""

from __future__ import annotations

FAMILY_TITLES = {
    "data": "The data",
    "model": "The model",
    "performance": "How good it is",
    "bias": "Who is served worse",
    "shift": "Whether it holds where it will run",
    "shortcut": "What it decides by",
    "deployment": "What is shipped",
    "operations": "How it is run",
}
"""Families of checks in the order in which an audit asks."""

CHAPTERS = tuple(FAMILY_TITLES)
"""Families in the order of the report's chapters: what it was measured on first."""
