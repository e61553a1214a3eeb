"""Formats of annotations: one module each, from a file or folder to what is drawn in it."""
