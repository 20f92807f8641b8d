"""From Kafka to the rings: what is read, and the proof that nothing was left out."""
