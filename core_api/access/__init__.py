"""Who calls: bearer tokens, and what they say of their holder."""
