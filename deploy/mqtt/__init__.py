"""A real Mosquitto, with passwords, rights per device and TLS."""
