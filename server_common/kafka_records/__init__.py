"""The records of Kafka's topics."""
