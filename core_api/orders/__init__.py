"""Orders: permissions, their life cycle, and the one write path by which commands change them."""
