"""Comparison of models on the same photos: metrics with confidence intervals, a verbal answer, and pictures."""
