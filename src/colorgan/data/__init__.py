"""Preparing a set from source photos, and reading batches from a set."""
