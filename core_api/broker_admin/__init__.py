"""Who may do what at the MQTT broker, kept as the registered devices say."""
