"""Pillow's readers, fixed where they misread a file: a module for each format. TIFF's is `tiff/reader.py`."""
