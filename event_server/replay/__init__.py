"""What the event server remembers of each channel, and who follows it."""
