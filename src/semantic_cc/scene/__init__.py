"""Whole scenes: georeferenced images of any size in, maps and places out."""
