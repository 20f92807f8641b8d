"""Running the system: on one machine for development, in containers, and under load."""
