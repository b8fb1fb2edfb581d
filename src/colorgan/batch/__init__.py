"""Batch runs over many photos: planning, result paths, journals, workers and outcomes."""
