"""Coloring of one photo: predict its colors, and give them to it at full resolution."""
