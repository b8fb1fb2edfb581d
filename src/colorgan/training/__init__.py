"""Training: the loop, the stages that it runs, and what a run folder holds."""
