"""The jobs of Star printers, over HTTP and over MQTT."""
