"""Picture files: finding, reading and writing them, and what they say of themselves."""
