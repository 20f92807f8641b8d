"""Settings that both servers read, and how they are read."""
