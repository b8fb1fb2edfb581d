"""Models: where their files are, what these describe, and loading them as networks."""
