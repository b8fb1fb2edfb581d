"""Picture files: reading, writing, finding and naming them."""
