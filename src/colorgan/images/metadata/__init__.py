"""What a photo's file says beside its pixels: read, freed of what was true of the gray file alone, and written."""
