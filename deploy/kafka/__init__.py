"""A real single-node Apache Kafka without Docker, from Maven Central's jars."""
