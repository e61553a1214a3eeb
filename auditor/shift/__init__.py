"""Checks of distribution shift and robustness; one module each."""
