"""TIFFs of kinds that Pillow does not know, and which of a file's pages are photos."""
