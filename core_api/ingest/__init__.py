"""Commands from Kafka, applied once."""
