"""Running the system: on one machine, with Kafka, and in production."""
