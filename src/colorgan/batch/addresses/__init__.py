"""Photos and results at addresses: where each result goes, how they are read and written, and what stores answer."""
