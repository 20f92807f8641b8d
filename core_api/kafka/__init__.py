"""What Core's processes need of Kafka: topics, and a publisher that is fenced."""
