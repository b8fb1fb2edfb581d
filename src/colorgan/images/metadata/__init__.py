"""A photo's metadata: read, stripped of what is true of the gray file alone, and written."""
