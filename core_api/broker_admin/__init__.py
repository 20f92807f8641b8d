"""Keeps the users and roles of the MQTT broker in step with the registered devices."""
