"""From Kafka to the rings: reading, and the proof that no record was missed."""
