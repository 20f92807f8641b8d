"""The records that stand in the topics of Kafka."""
