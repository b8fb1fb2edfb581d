"""Photos and results at addresses: where each result goes, and how they are read and written."""
