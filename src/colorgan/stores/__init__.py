"""Stores of objects, such as S3: how they are reached through fsspec, and what their answers mean."""
