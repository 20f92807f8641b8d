"""The event server's memory: recent events of each channel, and its followers."""
