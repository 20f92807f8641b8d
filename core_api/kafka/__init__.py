"""Kafka for Core's processes: topics, and a publisher."""
