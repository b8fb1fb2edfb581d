"""From one photo or a folder of them to color."""
