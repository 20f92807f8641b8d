"""Child processes, and free ports for them."""
