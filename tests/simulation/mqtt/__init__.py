"""The real client over MQTT, on an event loop in virtual time, with a model of the broker."""
