"""Policies, limits, verdicts: what a policy makes of measures."""
