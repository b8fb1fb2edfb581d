"""TIFFs of kinds that Pillow cannot read, and the detection of which pages are photos."""
