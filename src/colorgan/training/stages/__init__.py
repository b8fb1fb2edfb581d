"""The training stages: the step of each, and the terms of its loss."""
