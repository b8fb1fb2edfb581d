"""Weights with names: where they are, what they say of themselves, and the networks made of them."""
