"""Clients over MQTT, as they are, on an event loop in virtual time and a model of the broker."""
