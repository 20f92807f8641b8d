"""The door between Kafka and an MQTT broker: events and commands down, what devices say up."""
