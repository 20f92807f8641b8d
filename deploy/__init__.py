"""How the system is run: on one machine, with Kafka, and elsewhere."""
