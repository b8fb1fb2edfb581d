"""Models side by side on the same photos: by metrics with intervals, in words, and by eye."""
