"""Sets at addresses: the local cache of their shards, and fetching these before they are needed."""
