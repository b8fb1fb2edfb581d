"""The page of a comparison, and the pictures in it."""
