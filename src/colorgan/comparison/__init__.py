"""Models side by side on the same photos: by figures with intervals, in words, and by eye."""
