"""Training: the loop, its stages, and the run folder."""
