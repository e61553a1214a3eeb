"""Checks of who is in the data and who is served worse; one module each."""
