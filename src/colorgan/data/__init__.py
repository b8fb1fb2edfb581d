"""From source photos to a set, and from a set to batches."""
