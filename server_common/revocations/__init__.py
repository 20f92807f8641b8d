"""Revocations of tokens: as records of Kafka, and as a list in memory."""
