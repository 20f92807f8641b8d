"""The gateway between Kafka and an MQTT broker: events and commands down, devices' messages up."""
