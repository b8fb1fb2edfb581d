"""Picture files: find, read and write them and their metadata."""
