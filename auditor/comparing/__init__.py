"""Comparisons: a quantity of a group against the rest, of a pair of passes, of two samples."""
