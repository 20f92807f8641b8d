"""Reading Kafka: clients, and records one by one where a batch is damaged."""
