"""Renderings of the record: HTML, PDF, CSV."""
