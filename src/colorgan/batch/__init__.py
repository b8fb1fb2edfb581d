"""Many photos: which are to do, the place of each result, and what became of each."""
