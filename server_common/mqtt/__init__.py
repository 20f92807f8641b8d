"""A connection to an MQTT broker whose acknowledgements are ours to give and to wait for."""
