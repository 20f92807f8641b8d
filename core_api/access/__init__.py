"""Authentication: bearer tokens, and what they say about the caller."""
