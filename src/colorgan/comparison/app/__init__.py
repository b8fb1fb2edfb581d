"""A browser app that compares models on an uploaded photo."""
