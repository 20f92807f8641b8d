"""What becomes of a Star printer's jobs, over HTTP and over MQTT."""
