"""Sets at addresses: what of them is kept on this machine, and fetching it before it is needed."""
