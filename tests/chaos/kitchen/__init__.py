"""A kitchen for the chaos run: MQTT broker, gateways, printer, devices, and their checks."""
