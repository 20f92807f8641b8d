"""Tokens that count no longer before they expire: as records of Kafka, and as a list in memory."""
