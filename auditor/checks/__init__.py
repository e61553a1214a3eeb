"""Checks of data, model, performance, shortcuts and deployment; one module each."""
