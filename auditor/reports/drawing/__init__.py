"""Figures as SVG, drawn once."""
