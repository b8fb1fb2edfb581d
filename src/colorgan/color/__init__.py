"""Color spaces and the 313 bins of the ab plane."""
