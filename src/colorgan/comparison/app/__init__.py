"""A page in the browser in which models are tried on a photo of one's own."""
