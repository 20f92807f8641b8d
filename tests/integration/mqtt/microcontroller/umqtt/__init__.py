"""MicroPython's library for MQTT."""
