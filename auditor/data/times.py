"""Times of a manifest: read as ISO 8601 has them, in UTC, and told where some name no zone."""

from __future__ import annotations

import pandas as pd

_ZONED = r"\d[Tt ].*(?:[Zz]|[+-]\d{2}(?::?\d{2})?)$"
"""Ends of a time with its zone; the hyphens of a bare date are none."""


def read_times(text: pd.Series) -> pd.Series:
    """Times (n,) datetime64[ns] in UTC, NaT where the text is none; without a zone taken as UTC."""
    parsed = pd.to_datetime(text, format="ISO8601", errors="coerce", utc=True)
    # What stands for no time (0001-01-01, 9999-12-31) fits in no nanoseconds of 64 bits.
    parsed = parsed.where(parsed.dt.year.between(1678, 2261))
    return parsed.dt.tz_localize(None).astype("datetime64[ns]")


def zone_note(text: pd.Series, times: pd.Series, *, column: str) -> str:
    """What is to be known of `times` read from `text`; empty where all name a zone, or none does.

    Two clocks in one column put images in a wrong order by hours, and no row looks wrong.
    """
    known = text[times.notna().to_numpy()]
    zoned = known.str.contains(_ZONED)
    bare = known[~zoned]
    if bare.empty or len(bare) == len(known):
        return ""
    verb, pronoun = ("names", "it was") if len(bare) == 1 else ("name", "they were")
    return (
        f"Column {column}: {len(bare):,} of {len(known):,} times {verb} no time zone, as "
        f"“{bare.iloc[0]}”, where others do, as “{known[zoned].iloc[0]}”; {pronoun} read as UTC. "
        "If that is not the clock they were taken by, write the zone of each."
    )
