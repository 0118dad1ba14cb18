"""Figures, and the output files of a description."""
