"""A real Apache Kafka with one node, without Docker, from the jars of Maven Central."""
