"""Replays recorded orders in the role of a producer."""
