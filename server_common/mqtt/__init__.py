"""A connection to an MQTT broker with explicit acknowledgements in both directions."""
