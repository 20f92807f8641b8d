"""Access tokens of an OpenID provider: its keys, and what its tokens say about the caller."""
